//! The owner's catalog: names -> chunks -> segments, and the only place where chunk keys live.
//!
//! A chunk that no file uses any more is forgotten at once, and its key with it: that is how a file inside a shared
//! batch is deleted. A segment in which nothing lives is dead and can be released.

use crate::chunk::ChunkRecord;
use crate::file::{FileMeta, FileRecord, Piece, content_hash};
use crate::head::SegmentShape;
use crate::keys::ChunkId;
use crate::layout::Layout;
use crate::limits::{CATALOG_CHUNKS_MAX, CATALOG_FILES_MAX};
use crate::path::FilePath;
use crate::table::ChunkTable;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, TimeMs, sha256_parts};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::Range;
use thiserror::Error;

const ROOTS_LABEL: &[u8] = b"holdfast/segment-roots/v1\0";

/// Names, chunks and segments of one owner.
#[derive(Default)]
pub struct Catalog {
    pub(crate) generation: u64,
    pub(crate) written: TimeMs,
    pub(crate) table: ChunkTable,
    pub(crate) files: BTreeMap<FilePath, FileRecord>,
    pub(crate) segments: BTreeMap<u32, SegmentInfo>,
    /// Bytes of this catalog's own chunks, per segment. Not encoded: a catalog cannot know where it will lie, its head does.
    pub(crate) home: BTreeMap<u32, u64>,
}

/// What the owner itself notes of a segment.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SegmentInfo {
    /// The owner's own count.
    pub ordinal: u32,
    /// Its shape.
    pub layout: Layout,
    /// Bytes packed into its data space; the rest is zero. Too low by what was packed after the catalog was encoded.
    pub used_bytes: u64,
    /// [`roots_digest`] of its batches' roots, which the ledger lists: by it a reader knows that a node told it the truth.
    /// `None` while unknown: the segments a catalog lies in are finished after it was encoded; its head knows them.
    pub roots_digest: Option<[u8; 32]>,
}

/// `SHA256("holdfast/segment-roots/v1\0" | roots)` of the roots of a segment's `k + m` batches in order.
pub fn roots_digest(roots: &[[u8; 32]]) -> [u8; 32] {
    sha256_parts(&[ROOTS_LABEL, roots.as_flattened()])
}

/// Why the catalog cannot do what was asked, or bytes are not a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogError {
    /// No such file.
    #[error("no file {path:?}{}", .nearest.as_ref().map(|nearest| format!("; the nearest name is {nearest:?}")).unwrap_or_default())]
    NotFound {
        /// The name asked for.
        path: String,
        /// A name like it, if there is one.
        nearest: Option<String>,
    },
    /// The name of a directory where a file was asked for.
    #[error("{path:?} is a directory: {files} files lie below it")]
    IsDirectory {
        /// The name asked for.
        path: String,
        /// Files below it.
        files: usize,
    },
    /// A directory of the new name is a file.
    #[error("{path:?} cannot be added: {file:?} is a file, not a directory")]
    FileInTheWay {
        /// The new name.
        path: FilePath,
        /// The file above it.
        file: FilePath,
    },
    /// The new name is taken.
    #[error("{path:?} exists already")]
    Exists {
        /// The new name.
        path: FilePath,
    },
    /// A range that does not lie in the file.
    #[error("bytes {from}..{to} do not lie in {path:?}, which has {size} bytes")]
    OutsideFile {
        /// The file.
        path: String,
        /// First byte asked for.
        from: u64,
        /// First byte after.
        to: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// No such segment.
    #[error("segment {ordinal} is not in the catalog")]
    UnknownSegment {
        /// The owner's own count.
        ordinal: u32,
    },
    /// Too many roots for a segment.
    #[error("{found} roots for segment {ordinal}, which has {expected} batches")]
    WrongRoots {
        /// The owner's own count.
        ordinal: u32,
        /// Roots given.
        found: usize,
        /// Batches of the segment.
        expected: usize,
    },
    /// More files or chunks than a catalog may hold.
    #[error("the catalog would hold {found} {what}, the limit is {limit}")]
    Full {
        /// Files or chunks.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Written by a later version.
    #[error("catalog version {version} is unknown to this program")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// Not the encoding of a catalog.
    #[error("malformed catalog: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// Its parts contradict each other.
    #[error("the catalog's record of {path:?} does not agree with its chunks")]
    Inconsistent {
        /// The file.
        path: FilePath,
    },
}

impl SegmentInfo {
    /// What a reader of the segment needs of it.
    pub const fn shape(&self) -> SegmentShape {
        SegmentShape { ordinal: self.ordinal, layout: self.layout, roots_digest: self.roots_digest }
    }
}

impl Catalog {
    /// A catalog with nothing in it, of generation 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was stored. Each [`crate::Packer::finish`] adds one.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// When it was last stored.
    pub const fn written(&self) -> TimeMs {
        self.written
    }

    /// The chunk with this id, if the owner has stored it before.
    pub fn find_chunk(&self, id: &ChunkId) -> Option<&ChunkRecord> {
        self.table.get(self.table.number_of(id)?)
    }

    /// All chunks.
    pub fn chunks(&self) -> impl Iterator<Item = &ChunkRecord> {
        self.table.records()
    }

    /// The file of exactly this name.
    pub fn file(&self, path: &str) -> Result<&FileRecord, CatalogError> {
        self.files.get(path).ok_or_else(|| self.explain_missing(path))
    }

    /// The files whose path is `directory` or lies below it, by name; all of them for the empty text.
    pub fn list(&self, directory: &str) -> impl Iterator<Item = (&FilePath, &FileRecord)> {
        let directory = directory.trim_end_matches('/');
        self.files.get_key_value(directory).into_iter().chain(self.below(directory))
    }

    /// The chunks of a file of this catalog, in order.
    pub fn chunks_of(&self, file: &FileRecord) -> impl Iterator<Item = &ChunkRecord> {
        file.chunks.iter().filter_map(|number| self.table.get(*number))
    }

    /// Which part of which chunk makes up bytes `range` of a file, in order.
    pub fn pieces(&self, path: &str, range: Range<u64>) -> Result<Vec<Piece<'_>>, CatalogError> {
        let file = self.file(path)?;
        let size = file.meta.size;
        if range.start > range.end || range.end > size {
            return Err(CatalogError::OutsideFile { path: path.to_owned(), from: range.start, to: range.end, size });
        }
        Ok(pieces_within(self.chunks_of(file), range))
    }

    /// Forgets a file, and the keys of chunks that no other file uses.
    pub fn remove_file(&mut self, path: &str) -> Result<(), CatalogError> {
        let Some(file) = self.files.remove(path) else { return Err(self.explain_missing(path)) };
        file.chunks.iter().for_each(|number| self.table.release(*number));
        Ok(())
    }

    /// Gives a file another name.
    pub fn rename_file(&mut self, from: &str, to: FilePath) -> Result<(), CatalogError> {
        self.file(from)?;
        if self.files.contains_key(&to) {
            return Err(CatalogError::Exists { path: to });
        }
        let file = self.files.remove(from).expect("the file was just looked up");
        if let Err(error) = self.require_free_place(&to) {
            let old = FilePath::new(from).expect("the name of a stored file is a checked path");
            self.files.insert(old, file);
            return Err(error);
        }
        self.files.insert(to, file);
        Ok(())
    }

    /// The segments it speaks of, by the owner's own count.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.segments.values()
    }

    /// One segment.
    pub fn segment(&self, ordinal: u32) -> Result<&SegmentInfo, CatalogError> {
        self.segments.get(&ordinal).ok_or(CatalogError::UnknownSegment { ordinal })
    }

    /// Notes the roots of a segment's batches; an empty list means unknown.
    pub fn set_roots(&mut self, ordinal: u32, roots: &[[u8; 32]]) -> Result<(), CatalogError> {
        let segment = self.segments.get_mut(&ordinal).ok_or(CatalogError::UnknownSegment { ordinal })?;
        let (found, expected) = (roots.len(), segment.layout.batches());
        if found != 0 && found != expected {
            return Err(CatalogError::WrongRoots { ordinal, found, expected });
        }
        segment.roots_digest = (found > 0).then(|| roots_digest(roots));
        Ok(())
    }

    /// Forgets a segment that was released.
    pub fn forget_segment(&mut self, ordinal: u32) -> Result<(), CatalogError> {
        self.segments.remove(&ordinal).map(drop).ok_or(CatalogError::UnknownSegment { ordinal })
    }

    /// Bytes that live in each segment: chunks some file uses, and this catalog's own. Zero for a dead segment.
    pub fn live_bytes(&self) -> BTreeMap<u32, u64> {
        let mut live: BTreeMap<u32, u64> = self.segments.keys().map(|ordinal| (*ordinal, 0)).collect();
        let chunks = self.table.records().map(|record| (record.at.segment, u64::from(record.at.stored_len)));
        for (ordinal, bytes) in chunks.chain(self.home.iter().map(|(ordinal, bytes)| (*ordinal, *bytes))) {
            *live.entry(ordinal).or_default() += bytes;
        }
        live
    }

    /// Segments in which nothing lives.
    ///
    /// They may be released once the head of *this* generation stands in the account: the head before it may point
    /// into them.
    pub fn dead_segments(&self) -> Vec<u32> {
        self.live_bytes().into_iter().filter(|(_, bytes)| *bytes == 0).map(|(ordinal, _)| ordinal).collect()
    }

    /// Puts a file, in place of one of the same name; all `chunks` are in the table.
    pub(crate) fn put_file(&mut self, path: FilePath, meta: FileMeta, chunks: Vec<u32>) -> Result<(), CatalogError> {
        self.require_free_place(&path)?;
        require_within("files", self.files.len() + 1, CATALOG_FILES_MAX)?;
        require_within("chunks", self.table.len(), CATALOG_CHUNKS_MAX)?;
        let found = chunks.len();
        let full = CatalogError::Full { what: "chunks in one file", found, limit: CATALOG_CHUNKS_MAX };
        let chunks = Bounded::new(chunks).map_err(|_| full)?;
        let ids = chunks.iter().filter_map(|number| self.table.get(*number)).map(|record| &record.id);
        let content_hash = content_hash(meta.size, ids);
        // New uses are counted before old ones are dropped, so that chunks both versions share survive.
        chunks.iter().for_each(|number| {
            self.table.retain(*number);
        });
        if let Some(old) = self.files.insert(path, FileRecord { meta, content_hash, chunks }) {
            old.chunks.iter().for_each(|number| self.table.release(*number));
        }
        Ok(())
    }

    /// No file stands where `path` needs a directory, and no directory where it needs to stand itself.
    pub(crate) fn require_free_place(&self, path: &FilePath) -> Result<(), CatalogError> {
        if let Some(file) = path.ancestors().find_map(|above| self.files.get_key_value(above)) {
            return Err(CatalogError::FileInTheWay { path: path.clone(), file: file.0.clone() });
        }
        match self.below(path.as_str()).count() {
            0 => Ok(()),
            files => Err(CatalogError::IsDirectory { path: path.to_string(), files }),
        }
    }

    /// The files below a directory. Steps over no other name: adding a file asks this.
    fn below(&self, directory: &str) -> impl Iterator<Item = (&FilePath, &FileRecord)> {
        let start = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let from_here = self.files.range::<str, _>((Included(start.as_str()), Unbounded));
        from_here.take_while(move |(path, _)| path.as_str().starts_with(&start))
    }

    fn explain_missing(&self, path: &str) -> CatalogError {
        match self.list(path).count() {
            0 => CatalogError::NotFound { path: path.to_owned(), nearest: self.nearest_name(path) },
            files => CatalogError::IsDirectory { path: path.to_owned(), files },
        }
    }

    /// A file of the same last component whatever its case, else a neighbour in the order of names that starts alike.
    fn nearest_name(&self, path: &str) -> Option<String> {
        let name = path.rsplit('/').next()?.to_lowercase();
        let same_name = self.files.keys().find(|known| known.name().to_lowercase() == name);
        let before = self.files.range::<str, _>((Unbounded, Excluded(path))).next_back().map(|(known, _)| known);
        let after = self.files.range::<str, _>((Included(path), Unbounded)).next().map(|(known, _)| known);
        let alike = |known: &&FilePath| known.as_str().chars().zip(path.chars()).take_while(|(a, b)| a == b).count();
        let neighbour = before.into_iter().chain(after).max_by_key(alike).filter(|known| alike(known) > 0);
        same_name.or(neighbour).map(FilePath::to_string)
    }
}

/// The parts of chunks laid end to end that make up `range`.
pub(crate) fn pieces_within<'a>(chunks: impl Iterator<Item = &'a ChunkRecord>, range: Range<u64>) -> Vec<Piece<'a>> {
    let mut start = 0;
    let placed = chunks.map(|record| {
        let end = start + u64::from(record.raw_len);
        (record, std::mem::replace(&mut start, end), end)
    });
    placed.filter_map(|(record, start, end)| piece_within(record, start, end, &range)).collect()
}

fn piece_within<'a>(record: &'a ChunkRecord, start: u64, end: u64, range: &Range<u64>) -> Option<Piece<'a>> {
    let (from, to) = (start.max(range.start), end.min(range.end));
    let within = |at: u64| u32::try_from(at - start).expect("a place within a chunk is below its 32-bit length");
    (from < to).then(|| Piece { record, from: within(from), to: within(to) })
}

fn require_within(what: &'static str, found: usize, limit: usize) -> Result<(), CatalogError> {
    if found > limit { Err(CatalogError::Full { what, found, limit }) } else { Ok(()) }
}
