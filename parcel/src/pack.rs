//! The writing way: files in, packed segments and a catalog head out.
//!
//! ```text
//! add_file:  reader -> groups of chunks -> ids -> those not known yet: compress, seal -> append to the open segment
//! finish:    catalog -> pieces -> seal -> append -> (index -> the same) -> last segment -> head
//! ```
//! Memory, whatever a file's size: one read-ahead buffer, the sealed chunks of one group (no more than the buffer),
//! and whatever the sink's spaces take: one is filled, one is being shipped.

use crate::catalog::{Catalog, CatalogError, SegmentInfo};
use crate::chunk::{ChunkError, ChunkRecord, SealedChunk, decode_chunk, seal_chunk};
use crate::chunker::Chunker;
use crate::file::FileMeta;
use crate::head::{CatalogHead, ChunkList};
use crate::keys::{ChunkId, OwnerKeys};
use crate::layout::{Layout, Locator};
use crate::limits::{CHUNK_BYTES_MAX, HEAD_CHUNKS_MAX, INDEX_CHUNKS_MAX, READ_AHEAD_BYTES};
use crate::path::FilePath;
use crate::segment::{PackedSegment, SegmentSpace};
use holdfast_primitives::TimeMs;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};
use thiserror::Error;

/// Who gives room for segments and takes them when they are packed.
pub trait SegmentSink {
    /// Where a segment's data is packed.
    type Space: SegmentSpace;

    /// Room for the `layout.data_bytes()` of the owner's segment number `ordinal`.
    fn open(&mut self, ordinal: u32, layout: &Layout) -> io::Result<Self::Space>;

    /// Takes a packed segment. Returns the roots of its batches in order for the catalog to note, or none if they are
    /// not known yet.
    fn ship(&mut self, segment: PackedSegment<Self::Space>) -> io::Result<Vec<[u8; 32]>>;
}

/// Packs files into segments.
///
/// A file that cannot be read or that changed is left out, and packing can go on; what was packed of it is forgotten.
/// When the sink fails, the packer is broken: records speak of bytes that may never have been stored.
pub struct Packer<S: SegmentSink> {
    chunker: Chunker,
    store: ChunkStore<S>,
}

/// What adding a file cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAdded {
    /// Chunks it consists of.
    pub chunks: u64,
    /// Chunks the owner had not stored before.
    pub new_chunks: u64,
    /// Plaintext bytes in chunks that were stored before.
    pub deduped_bytes: u64,
    /// Bytes that were packed for it, compressed and sealed.
    pub stored_bytes: u64,
}

/// Sums over everything packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackStats {
    /// Files added.
    pub files: u64,
    /// Plaintext bytes in them.
    pub plain_bytes: u64,
    /// Plaintext bytes in chunks that were stored before.
    pub deduped_bytes: u64,
    /// Bytes packed for files, compressed and sealed.
    pub stored_bytes: u64,
    /// Bytes packed for the catalog.
    pub catalog_bytes: u64,
    /// Segments shipped.
    pub segments: u64,
    /// Bytes of their data spaces in which nothing was packed.
    pub padding_bytes: u64,
    /// The most bytes of file content, plain and sealed, held at once outside the sink's spaces.
    pub buffered_bytes_max: u64,
}

/// What is left when everything is packed.
///
/// The catalog and its head hold only once every segment shipped in this session is registered: until then the owner
/// keeps the catalog it started from.
pub struct Finish<S> {
    /// The catalog as it was stored.
    pub catalog: Catalog,
    /// Where it lies: to be sealed into the owner's account.
    pub head: CatalogHead,
    /// Sums.
    pub stats: PackStats,
    /// The sink.
    pub sink: S,
}

/// Why a file or the catalog cannot be packed.
#[derive(Debug, Error)]
pub enum PackError {
    /// The file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: FilePath,
        /// The reader's reason.
        source: io::Error,
    },
    /// The file has more or fewer bytes than announced: it changed while it was read.
    #[error("{path:?} changed while it was stored: {expected} bytes announced, {found} found")]
    FileChanged {
        /// The file.
        path: FilePath,
        /// Bytes announced.
        expected: u64,
        /// Bytes found; reading stops at the first byte too many.
        found: u64,
    },
    /// The sink cannot take a segment, or its space cannot be used.
    #[error("segment {ordinal}: {source}")]
    Segment {
        /// The owner's own count.
        ordinal: u32,
        /// The sink's reason.
        source: io::Error,
    },
    /// The sink failed before; nothing can be packed on top of that.
    #[error("a segment could not be stored, so this packing session cannot go on")]
    Broken,
    /// The owner's count of segments is used up.
    #[error("no segment number is left after {ordinal}")]
    OrdinalsUsedUp {
        /// The last one.
        ordinal: u32,
    },
    /// A chunk to be moved that no file uses.
    #[error("chunk {id} is not in the catalog")]
    UnknownChunk {
        /// The chunk.
        id: ChunkId,
    },
    /// A chunk to be moved whose bytes are not sound.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The catalog refuses.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl<S: SegmentSink> Packer<S> {
    /// Packs on top of `catalog` into segments of `layout`, the first of which is the owner's number `first_ordinal`.
    pub fn new(layout: Layout, first_ordinal: u32, catalog: Catalog, keys: OwnerKeys, sink: S) -> Self {
        let stats = PackStats::default();
        let next_ordinal = Some(first_ordinal);
        let avoided = BTreeSet::new();
        let store =
            ChunkStore { layout, keys, catalog, avoided, sink, stats, filling: None, next_ordinal, broken: false };
        Self { chunker: Chunker::new(), store }
    }

    /// Does not build on what lies in these segments: a chunk found there is packed anew, and every file that uses it finds
    /// it in its new place.
    pub fn avoid(&mut self, segments: BTreeSet<u32>) {
        self.store.avoided = segments;
    }

    /// Stores what `reader` yields as `path`, in place of a file of that name.
    ///
    /// `meta.size` is compared with the bytes that come. Whether the file changed within its size is for the caller to
    /// see, by comparing its time of change before and after.
    pub fn add_file<R: Read>(&mut self, path: FilePath, meta: FileMeta, reader: R) -> Result<FileAdded, PackError> {
        self.store.catalog.require_free_place(&path)?;
        let mut added = FileAdded::default();
        let mut numbers = Vec::new();
        let mut found = 0;
        // One byte beyond the announced size is enough to see that the file grew.
        let mut reader = reader.take(meta.size.saturating_add(1));
        self.chunker.restart();
        loop {
            let group = self.chunker.next_group(&mut reader);
            let group = group.map_err(|source| PackError::Read { path: path.clone(), source })?;
            if group.is_empty() {
                break;
            }
            found += group.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
            numbers.extend(self.store.put_group(group, &mut added)?);
        }
        if found != meta.size {
            return Err(PackError::FileChanged { path, expected: meta.size, found });
        }
        self.store.catalog.put_file(path, meta, numbers)?;
        self.store.stats.count_file(&meta, &added);
        Ok(added)
    }

    /// Packs a chunk anew from its stored bytes, so that the segment it lay in can be released.
    ///
    /// The sealed bytes move as they are: the same key never encrypts a second time.
    pub fn move_chunk(&mut self, id: &ChunkId, stored: Vec<u8>) -> Result<Locator, PackError> {
        let record = self.store.catalog.find_chunk(id).ok_or(PackError::UnknownChunk { id: *id })?.clone();
        decode_chunk(&record, stored.clone())?;
        let (segment, offset) = self.store.append(&[&stored])?;
        let at = Locator { segment, offset, ..record.at };
        self.store.catalog.table.relocate(id, at);
        self.store.stats.stored_bytes += stored.len() as u64;
        Ok(at)
    }

    /// The catalog as it stands.
    pub const fn catalog(&self) -> &Catalog {
        &self.store.catalog
    }

    /// The catalog, to remove or rename files before it is stored.
    pub const fn catalog_mut(&mut self) -> &mut Catalog {
        &mut self.store.catalog
    }

    /// Stores the catalog and ships the last segment.
    pub fn finish(self, now: TimeMs) -> Result<Finish<S>, PackError> {
        let mut store = self.store;
        store.require_sound()?;
        store.catalog.generation += 1;
        store.catalog.written = now;
        let bytes = store.catalog.encode()?;
        let mut home = store.put_own(bytes)?;
        let indexed = home.len() > HEAD_CHUNKS_MAX;
        let in_head = if indexed {
            let index = store.index_of(&home)?;
            let chunks = store.put_own(index)?;
            home.extend(chunks.iter().cloned());
            chunks
        } else {
            home.clone()
        };
        store.ship()?;
        let list = ChunkList::<HEAD_CHUNKS_MAX>::new(in_head, &store.catalog.segments);
        let list = list.expect("the index of the largest catalog fits as many chunks as a head names");
        let ChunkStore { mut catalog, sink, stats, .. } = store;
        catalog.settle(&home, &[]);
        let head = CatalogHead { generation: catalog.generation, written: now, indexed, list };
        Ok(Finish { catalog, head, stats, sink })
    }
}

/// Seals chunks and appends them to segments.
struct ChunkStore<S: SegmentSink> {
    layout: Layout,
    keys: OwnerKeys,
    catalog: Catalog,
    /// Segments that are not built on.
    avoided: BTreeSet<u32>,
    sink: S,
    stats: PackStats,
    filling: Option<PackedSegment<S::Space>>,
    /// `None` when the numbers are used up.
    next_ordinal: Option<u32>,
    /// Whether the sink failed.
    broken: bool,
}

impl<S: SegmentSink> ChunkStore<S> {
    /// Stores those chunks of a file that are new; the numbers of all of them in the catalog's table.
    fn put_group(&mut self, group: Vec<&mut [u8]>, added: &mut FileAdded) -> Result<Vec<u32>, PackError> {
        let ids = map_in_order(group.iter().map(|chunk| &**chunk).collect(), |chunk| self.keys.chunk_id(chunk));
        let plain_bytes: usize = group.iter().map(|chunk| chunk.len()).sum();
        let mut seen = HashSet::new();
        let mut fresh: Vec<(ChunkId, &mut [u8])> = ids.iter().copied().zip(group).collect();
        let stays = |known: &ChunkRecord| !self.avoided.contains(&known.at.segment);
        fresh.retain(|(id, _)| !self.catalog.find_chunk(id).is_some_and(stays) && seen.insert(*id));
        let fresh_bytes: usize = fresh.iter().map(|(_, chunk)| chunk.len()).sum();
        added.chunks += ids.len() as u64;
        added.new_chunks += fresh.len() as u64;
        added.deduped_bytes += (plain_bytes - fresh_bytes) as u64;
        for record in self.seal_and_append(fresh)? {
            added.stored_bytes += u64::from(record.at.stored_len);
            self.catalog.table.put(record);
        }
        let numbers = ids.iter().map(|id| self.catalog.table.number_of(id));
        Ok(numbers.map(|number| number.expect("every chunk of the group was known or was just added")).collect())
    }

    /// Stores the catalog's own bytes: cut to the largest chunk, sealed like any content, but named by the head only.
    fn put_own(&mut self, mut bytes: Vec<u8>) -> Result<Vec<ChunkRecord>, PackError> {
        let mut records = Vec::new();
        for group in bytes.chunks_mut(READ_AHEAD_BYTES / CHUNK_BYTES_MAX * CHUNK_BYTES_MAX) {
            let pieces = group.chunks_mut(CHUNK_BYTES_MAX).collect();
            let named = map_in_order(pieces, |piece: &mut [u8]| (self.keys.chunk_id(piece), piece));
            records.extend(self.seal_and_append(named)?);
        }
        self.stats.catalog_bytes += records.iter().map(|record| u64::from(record.at.stored_len)).sum::<u64>();
        Ok(records)
    }

    fn index_of(&self, chunks: &[ChunkRecord]) -> Result<Vec<u8>, PackError> {
        let list = ChunkList::<INDEX_CHUNKS_MAX>::new(chunks.to_vec(), &self.catalog.segments);
        let list = list.expect("a catalog within its limit has no more chunks than an index lists");
        Ok(borsh::to_vec(&list).expect("writing to a vector does not fail"))
    }

    fn seal_and_append(&mut self, chunks: Vec<(ChunkId, &mut [u8])>) -> Result<Vec<ChunkRecord>, PackError> {
        let sealed = map_in_order(chunks, |(id, plaintext)| seal_chunk(id, plaintext));
        self.stats.note_buffered(&sealed);
        let appended = sealed.into_iter().map(|chunk| {
            let (segment, offset) = self.append(&chunk.stored_parts())?;
            Ok(chunk.into_record(segment, offset))
        });
        appended.collect()
    }

    /// Lays a stored chunk behind the last one, in a new segment if it does not fit this one; where it lies.
    fn append(&mut self, parts: &[&[u8]]) -> Result<(u32, u64), PackError> {
        self.require_sound()?;
        let stored_len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let capacity = self.layout.data_bytes();
        if self.filling.as_ref().is_some_and(|segment| segment.used_bytes + stored_len > capacity) {
            self.ship()?;
        }
        let segment = match self.filling.take() {
            Some(segment) => segment,
            None => self.open()?,
        };
        let segment = self.filling.insert(segment);
        let (ordinal, offset) = (segment.ordinal, segment.used_bytes);
        for part in parts {
            let written = segment.space.write_at(segment.used_bytes, part);
            written.map_err(|source| sink_failed(&mut self.broken, ordinal, source))?;
            segment.used_bytes += part.len() as u64;
        }
        if let Some(info) = self.catalog.segments.get_mut(&ordinal) {
            info.used_bytes = segment.used_bytes;
        }
        Ok((ordinal, offset))
    }

    fn open(&mut self) -> Result<PackedSegment<S::Space>, PackError> {
        let ordinal = self.next_ordinal.ok_or(PackError::OrdinalsUsedUp { ordinal: u32::MAX })?;
        let layout = self.layout;
        let space = self.sink.open(ordinal, &layout);
        let space = space.map_err(|source| sink_failed(&mut self.broken, ordinal, source))?;
        self.next_ordinal = ordinal.checked_add(1);
        let info = SegmentInfo { ordinal, layout, used_bytes: 0, roots_digest: None };
        self.catalog.segments.insert(ordinal, info);
        Ok(PackedSegment { ordinal, layout, used_bytes: 0, space })
    }

    fn ship(&mut self) -> Result<(), PackError> {
        let Some(segment) = self.filling.take() else { return Ok(()) };
        let ordinal = segment.ordinal;
        self.stats.segments += 1;
        self.stats.padding_bytes += self.layout.data_bytes() - segment.used_bytes;
        let roots = self.sink.ship(segment);
        let roots = roots.map_err(|source| sink_failed(&mut self.broken, ordinal, source))?;
        Ok(self.catalog.set_roots(ordinal, &roots)?)
    }

    fn require_sound(&self) -> Result<(), PackError> {
        if self.broken { Err(PackError::Broken) } else { Ok(()) }
    }
}

fn sink_failed(broken: &mut bool, ordinal: u32, source: io::Error) -> PackError {
    *broken = true;
    PackError::Segment { ordinal, source }
}

impl PackStats {
    fn count_file(&mut self, meta: &FileMeta, added: &FileAdded) {
        self.files += 1;
        self.plain_bytes += meta.size;
        self.deduped_bytes += added.deduped_bytes;
        self.stored_bytes += added.stored_bytes;
    }

    fn note_buffered(&mut self, sealed: &[SealedChunk<'_>]) {
        let sealed_bytes: usize = sealed.iter().map(SealedChunk::buffered_bytes).sum();
        self.buffered_bytes_max = self.buffered_bytes_max.max((READ_AHEAD_BYTES + sealed_bytes) as u64);
    }
}

/// Maps in parallel and keeps the order; a single item is not worth waking another thread for.
fn map_in_order<T: Send, U: Send>(items: Vec<T>, map: impl Fn(T) -> U + Sync + Send) -> Vec<U> {
    if items.len() > 1 { items.into_par_iter().map(map).collect() } else { items.into_iter().map(map).collect() }
}
