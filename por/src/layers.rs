//! The part of a batch's tree that its holder keeps: all levels from 64 KiB up.
//!
//! As bytes (a file beside the batch; `G` = groups of 64 KiB, 4,096 in a batch of 256 MiB):
//!
//! ```text
//! "holdfast-layers" | version u8 = 1        16 bytes
//! G hashes        level 0: one per 64 KiB   32 G bytes
//! G/2, G/4 ... 1  up to the top             32 (G - 1) bytes
//! ```

use crate::hash::Hash;
use crate::merkle::{GROUP_LOG2, check_batch_log2, meta_of_top};
use crate::meta::{BatchMeta, MetaError};
use crate::tree::{self, NodeAt, Tree};
use thiserror::Error;

const HEADER: &[u8; 16] = b"holdfast-layers\x01";

/// The kept levels of one batch's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    tree: Tree,
}

/// Why bytes are not the layers of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayersError {
    /// The meta is not one.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// Another length than layers of such a batch have.
    #[error("layers of {found} bytes, expected {expected}")]
    Length {
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// Not a layers file, or of a version that is not known.
    #[error("not a layers file of version 1")]
    Header,
    /// Some hash is not the hash of its two children.
    #[error("a node of the layers does not hash its children")]
    Inconsistent,
    /// Sound layers of another batch.
    #[error("the layers are another batch's")]
    OtherBatch,
}

impl Layers {
    /// Hashes upwards from the group hashes of one batch.
    pub(crate) fn grow(groups: Vec<Hash>) -> Self {
        Self { tree: Tree::grow(groups) }
    }

    /// Bytes of the encoded layers of a batch of `2^batch_log2` bytes.
    pub fn encoded_bytes(batch_log2: u8) -> Result<usize, MetaError> {
        Ok(HEADER.len() + 32 * (2 * groups(batch_log2)? - 1))
    }

    /// The encoding above.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.tree.nodes().as_flattened();
        let mut bytes = Vec::with_capacity(HEADER.len() + hashes.len());
        bytes.extend_from_slice(HEADER);
        bytes.extend_from_slice(hashes);
        bytes
    }

    /// Reads layers and checks every hash of them up to the meta's root; so a sound result serves any opening.
    pub fn from_bytes(meta: &BatchMeta, bytes: &[u8]) -> Result<Self, LayersError> {
        meta.check()?;
        let expected = Self::encoded_bytes(meta.batch_log2)?;
        if bytes.len() != expected {
            return Err(LayersError::Length { found: bytes.len(), expected });
        }
        let hashes = bytes.strip_prefix(HEADER).ok_or(LayersError::Header)?;
        let tree = Tree::check(hashes.as_chunks().0.to_vec()).ok_or(LayersError::Inconsistent)?;
        if meta_of_top(meta.batch_log2, &tree.top()) != *meta {
            return Err(LayersError::OtherBatch);
        }
        Ok(Self { tree })
    }

    /// Where in the encoding each hash of [`Layers::path`] stands: a holder reads only these 32-byte pieces (12 of them
    /// in a batch of 256 MiB) to open a leaf. A damaged piece makes an opening that fails to verify.
    pub fn path_offsets(batch_log2: u8, group: u32) -> Result<Vec<u64>, MetaError> {
        let groups = groups(batch_log2)?;
        let needed = tree::siblings(batch_log2 - GROUP_LOG2, group, group);
        let offset = |at| (HEADER.len() + 32 * tree::offset(groups, at)) as u64;
        Ok(if (group as usize) < groups { needed.into_iter().map(offset).collect() } else { Vec::new() })
    }

    /// The kept siblings on the way from `group` to the top, bottom-up; empty when there is no such group.
    pub fn path(&self, group: u32) -> Vec<[u8; 32]> {
        let depth = self.groups().ilog2() as u8;
        tree::siblings(depth, group, group).into_iter().filter_map(|at| self.tree.node(at)).collect()
    }

    /// Groups of 64 KiB in the batch.
    pub fn groups(&self) -> usize {
        self.tree.width()
    }

    /// The hash over group `group`, if the batch has it.
    pub fn group_root(&self, group: u32) -> Option<[u8; 32]> {
        self.node(NodeAt { level: 0, index: group })
    }

    /// The kept node at `at`; level 0 holds the groups.
    pub(crate) fn node(&self, at: NodeAt) -> Option<Hash> {
        self.tree.node(at)
    }

    /// The top of the tree, before it is sealed into the root.
    pub fn top(&self) -> [u8; 32] {
        self.tree.top()
    }
}

fn groups(batch_log2: u8) -> Result<usize, MetaError> {
    check_batch_log2(batch_log2)?;
    Ok(1 << (batch_log2 - GROUP_LOG2))
}
