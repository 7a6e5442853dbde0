//! What of a catalog finds and opens one file, and nothing else: for handing a file on to somebody who has no catalog.
//!
//! It holds the keys of the file's chunks. A chunk that other files share is disclosed for its own bytes only: nothing here
//! says in which other files it occurs.

use crate::catalog::{Catalog, CatalogError, SegmentInfo, pieces_within};
use crate::chunk::ChunkRecord;
use crate::file::Piece;
use crate::head::SegmentShape;
use crate::limits::{CHUNK_BYTES_MAX, EXCERPT_CHUNKS_MAX, EXCERPT_SEGMENTS_MAX, STORED_BYTES_MAX};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::Bounded;
use std::collections::BTreeSet;
use std::ops::Range;
use thiserror::Error;

/// One file's part of a catalog. Borsh: `size u64 | chunks u32 n, n records in the file's order | segments u32 n, n shapes`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Excerpt {
    /// Bytes of the file.
    pub size: u64,
    /// Its chunks in order; one that occurs twice stands here twice.
    pub chunks: Bounded<ChunkRecord, EXCERPT_CHUNKS_MAX>,
    /// The segments they lie in, ascending.
    pub segments: Bounded<SegmentShape, EXCERPT_SEGMENTS_MAX>,
}

/// Why an excerpt that somebody else made is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExcerptError {
    /// The chunks make up another size.
    #[error("chunks of {found} bytes for a file of {size}")]
    WrongSize {
        /// Bytes of the file.
        size: u64,
        /// Bytes of its chunks.
        found: u64,
    },
    /// A chunk longer than any.
    #[error("a chunk of {stored_len} bytes that holds {raw_len}")]
    ChunkTooLong {
        /// Bytes as stored.
        stored_len: u32,
        /// Bytes of plaintext.
        raw_len: u32,
    },
    /// A chunk in a segment that is not described, or one that is described twice or out of order.
    #[error("segment {ordinal} is not described once and in order")]
    Segment {
        /// The owner's own count.
        ordinal: u32,
    },
}

impl Excerpt {
    /// Whether its parts agree; what was decoded from foreign bytes must be asked before it is used.
    pub fn check(&self) -> Result<(), ExcerptError> {
        let found = self.chunks.iter().map(|chunk| u64::from(chunk.raw_len)).sum();
        if found != self.size {
            return Err(ExcerptError::WrongSize { size: self.size, found });
        }
        let (mut known, mut last) = (BTreeSet::new(), None);
        for ordinal in self.segments.iter().map(|segment| segment.ordinal) {
            if last.is_some_and(|last| last >= ordinal) {
                return Err(ExcerptError::Segment { ordinal });
            }
            known.insert(ordinal);
            last = Some(ordinal);
        }
        for chunk in self.chunks.iter() {
            let (raw_len, stored_len) = (chunk.raw_len, chunk.at.stored_len);
            if raw_len as usize > CHUNK_BYTES_MAX || stored_len as usize > STORED_BYTES_MAX {
                return Err(ExcerptError::ChunkTooLong { stored_len, raw_len });
            }
            if !known.contains(&chunk.at.segment) {
                return Err(ExcerptError::Segment { ordinal: chunk.at.segment });
            }
        }
        Ok(())
    }

    /// Which part of which chunk makes up bytes `range` of the file, in order; `None` when the file has no such bytes.
    pub fn pieces(&self, range: Range<u64>) -> Option<Vec<Piece<'_>>> {
        let inside = range.start <= range.end && range.end <= self.size;
        inside.then(|| pieces_within(self.chunks.iter(), range))
    }

    /// The shape of a segment that the file lies in.
    pub fn shape(&self, ordinal: u32) -> Option<SegmentShape> {
        let index = self.segments.binary_search_by_key(&ordinal, |segment| segment.ordinal).ok()?;
        self.segments.get(index).copied()
    }
}

impl Catalog {
    /// What finds and opens the file of exactly this name.
    pub fn excerpt(&self, path: &str) -> Result<Excerpt, CatalogError> {
        let file = self.file(path)?;
        let chunks: Vec<ChunkRecord> = self.chunks_of(file).cloned().collect();
        let ordinals: BTreeSet<u32> = chunks.iter().map(|chunk| chunk.at.segment).collect();
        let shapes: Result<Vec<SegmentShape>, CatalogError> =
            ordinals.into_iter().map(|ordinal| self.segment(ordinal).map(SegmentInfo::shape)).collect();
        let shapes = shapes?;
        let (found, segments) = (chunks.len(), shapes.len());
        let chunks = Bounded::new(chunks).map_err(|_| CatalogError::Full {
            what: "chunks in one excerpt",
            found,
            limit: EXCERPT_CHUNKS_MAX,
        })?;
        let segments = Bounded::new(shapes).map_err(|_| CatalogError::Full {
            what: "segments in one excerpt",
            found: segments,
            limit: EXCERPT_SEGMENTS_MAX,
        })?;
        Ok(Excerpt { size: file.meta.size, chunks, segments })
    }
}
