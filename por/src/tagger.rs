//! From a stream of bytes to a batch's metadata, in one pass.

use crate::hash::{Hash, Leaf, leaf_hash, leaf_hashes};
use crate::layers::Layers;
use crate::merkle::{GROUP_LEAVES, GROUP_LOG2, check_batch_log2, meta_of_top};
use crate::meta::{BatchMeta, MetaError};
use crate::tree::Tree;
use holdfast_primitives::limits::LEAF_BYTES;
use std::io;
use thiserror::Error;

/// Builds a batch's tree while its bytes pass by. It keeps one unfinished leaf, the hashes of one unfinished group and
/// one hash per finished group of 64 KiB: 256 KiB at the end of a batch of 256 MiB. One batch is one thread's work.
#[derive(Debug)]
pub struct Tagger {
    batch_log2: u8,
    taken: u64,
    leaf: Vec<u8>,
    group: Vec<Hash>,
    groups: Vec<Hash>,
}

/// A tagged batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// By this anyone verifies the batch.
    pub meta: BatchMeta,
    /// What its holder keeps beside it.
    pub layers: Layers,
}

/// Why bytes cannot be tagged.
#[derive(Debug, Error)]
pub enum TagError {
    /// No batch has this size.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// More bytes than the batch holds; none of the last piece were taken.
    #[error("{given} bytes more than the {taken} taken: the batch holds {batch_bytes}")]
    TooLong {
        /// Bytes taken before.
        taken: u64,
        /// Bytes of the piece that was refused.
        given: u64,
        /// Bytes of the batch.
        batch_bytes: u64,
    },
    /// The reader failed.
    #[error("cannot read the batch: {source}")]
    Read {
        /// Its reason.
        #[from]
        source: io::Error,
    },
}

impl Tagger {
    /// Starts a batch of `2^batch_log2` bytes.
    pub fn new(batch_log2: u8) -> Result<Self, MetaError> {
        check_batch_log2(batch_log2)?;
        Ok(Self {
            batch_log2,
            taken: 0,
            leaf: Vec::with_capacity(LEAF_BYTES),
            group: Vec::with_capacity(GROUP_LEAVES),
            groups: Vec::with_capacity(1 << (batch_log2 - GROUP_LOG2)),
        })
    }

    /// Tags all that `reader` gives, zero padded to the whole batch.
    pub fn read(batch_log2: u8, reader: &mut impl io::Read) -> Result<Tagged, TagError> {
        let mut tagger = Self::new(batch_log2)?;
        let mut piece = vec![0; crate::GROUP_BYTES];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(tagger.finish()),
                Ok(bytes) => tagger.update(&piece[..bytes])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the next piece, of any length. Whole leaves are hashed where they lie.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), TagError> {
        let (given, batch_bytes) = (bytes.len() as u64, 1 << self.batch_log2);
        if given > batch_bytes - self.taken {
            return Err(TagError::TooLong { taken: self.taken, given, batch_bytes });
        }
        self.taken += given;
        let missing = (LEAF_BYTES - self.leaf.len()) % LEAF_BYTES;
        let (begun, rest) = bytes.split_at(missing.min(bytes.len()));
        self.extend_leaf(begun);
        let (mut leaves, rest) = rest.as_chunks();
        while !leaves.is_empty() {
            let (fitting, others) = leaves.split_at(leaves.len().min(GROUP_LEAVES - self.group.len()));
            self.group.extend(leaf_hashes(fitting));
            self.close_full_group();
            leaves = others;
        }
        self.extend_leaf(rest);
        Ok(())
    }

    /// Pads with zeros and closes the tree. All-zero groups cost nothing.
    pub fn finish(mut self) -> Tagged {
        let zeros = [0; LEAF_BYTES];
        if !self.leaf.is_empty() {
            self.extend_leaf(&zeros[self.leaf.len()..]);
        }
        let zero_leaf = leaf_hash(&zeros);
        while !self.group.is_empty() {
            self.push_leaf(zero_leaf);
        }
        let zero_group = Tree::grow(vec![zero_leaf; GROUP_LEAVES]).top();
        self.groups.resize(1 << (self.batch_log2 - GROUP_LOG2), zero_group);
        let layers = Layers::grow(self.groups);
        Tagged { meta: meta_of_top(self.batch_log2, &layers.top()), layers }
    }

    /// Adds to the unfinished leaf at most what it lacks.
    fn extend_leaf(&mut self, bytes: &[u8]) {
        self.leaf.extend_from_slice(bytes);
        let full: Option<&Leaf> = self.leaf.as_slice().try_into().ok();
        if let Some(hash) = full.map(leaf_hash) {
            self.leaf.clear();
            self.push_leaf(hash);
        }
    }

    fn push_leaf(&mut self, hash: Hash) {
        self.group.push(hash);
        self.close_full_group();
    }

    fn close_full_group(&mut self) {
        if self.group.len() == GROUP_LEAVES {
            let leaves = std::mem::replace(&mut self.group, Vec::with_capacity(GROUP_LEAVES));
            self.groups.push(Tree::grow(leaves).top());
        }
    }
}
