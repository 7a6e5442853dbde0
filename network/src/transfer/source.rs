//! Where the bytes of an upload come from.

use bytes::Bytes;
use holdfast_por::{BatchMeta, Layers, RangeError, RangeProof, Tagged, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use std::io;
use thiserror::Error;

/// A batch that can be uploaded.
pub trait UploadSource: Send + Sync + 'static {
    /// Which batch.
    fn meta(&self) -> BatchMeta;

    /// `count` leaves from `first_leaf` on, whole groups of them, and what proves them. May block.
    fn range(&self, first_leaf: u32, count: u32) -> Result<(Bytes, RangeProof), SourceError>;
}

/// Why a source has no leaves to give.
#[derive(Debug, Error)]
pub enum SourceError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// They cannot be proven.
    #[error(transparent)]
    Proof(#[from] RangeError),
}

/// A batch in memory, with its tree's layers.
#[derive(Clone, Debug)]
pub struct MemoryBatch {
    meta: BatchMeta,
    layers: Layers,
    bytes: Bytes,
}

impl MemoryBatch {
    /// Takes a tagged batch. `bytes` may be shorter than the batch; the rest is zeros, as when it was tagged.
    pub fn new(tagged: Tagged, bytes: Bytes) -> Self {
        Self { meta: tagged.meta, layers: tagged.layers, bytes }
    }

    fn slice(&self, first_leaf: u32, count: u32) -> Bytes {
        let (from, length) = (first_leaf as usize * LEAF_BYTES, count as usize * LEAF_BYTES);
        let have = self.bytes.slice(from.min(self.bytes.len())..(from + length).min(self.bytes.len()));
        if have.len() == length {
            return have;
        }
        let mut padded = have.to_vec();
        padded.resize(length, 0);
        padded.into()
    }
}

impl UploadSource for MemoryBatch {
    fn meta(&self) -> BatchMeta {
        self.meta
    }

    fn range(&self, first_leaf: u32, count: u32) -> Result<(Bytes, RangeProof), SourceError> {
        let proof = range_proof(&self.meta, &self.layers, first_leaf, count, |group, room| {
            let leaves = (room.len() / LEAF_BYTES) as u32;
            room.copy_from_slice(&self.slice(group * leaves, leaves));
            Ok(())
        })?;
        Ok((self.slice(first_leaf, count), proof))
    }
}
