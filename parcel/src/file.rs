//! What the catalog keeps of a file, and which part of which chunk belongs to a range of its bytes.

use crate::chunk::ChunkRecord;
use crate::keys::ChunkId;
use crate::limits::CATALOG_CHUNKS_MAX;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, TimeMs};
use sha2::{Digest, Sha256};

const CONTENT_LABEL: &[u8] = b"holdfast/content/v1\0";

/// What a file system says of a file before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FileMeta {
    /// Bytes of content.
    pub size: u64,
    /// When it was last changed.
    pub modified: TimeMs,
    /// Unix permission bits.
    pub mode: u32,
}

/// A stored file. Its path is the catalog's key for it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FileRecord {
    /// Size, time and permissions.
    pub meta: FileMeta,
    /// [`content_hash`]: equal for two files of one owner exactly when their bytes are equal.
    pub content_hash: [u8; 32],
    /// Its chunks in order: numbers into the catalog's chunk table.
    pub(crate) chunks: Bounded<u32, CATALOG_CHUNKS_MAX>,
}

/// The part of one chunk's plaintext that belongs to a wanted range, half-open.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The chunk.
    pub record: &'a ChunkRecord,
    /// First byte of its plaintext.
    pub from: u32,
    /// First byte after.
    pub to: u32,
}

/// `SHA256("holdfast/content/v1\0" | u64le size | chunk ids)`.
///
/// A hash over the keyed ids stands for a hash over the bytes: cutting is determined by content, and an id by its
/// chunk's bytes. So storing a file costs one SHA-256 pass over its plaintext, not two.
pub fn content_hash<'a>(size: u64, ids: impl IntoIterator<Item = &'a ChunkId>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(CONTENT_LABEL);
    hasher.update(size.to_le_bytes());
    ids.into_iter().for_each(|id| hasher.update(id.as_bytes()));
    hasher.finalize().into()
}

impl FileRecord {
    /// How many chunks it consists of.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
