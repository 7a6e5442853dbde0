//! `merkle-sha256-v1`: leaves of 1 KiB under a perfect SHA-256 tree.
//!
//! ```text
//! opening   leaf [1024] | sibling [32] * depth, bottom-up
//! on disk   batch file, plus the tree's layers from 64 KiB up ([`crate::Layers`])
//! ```
//!
//! The six levels below 64 KiB are not kept: opening a leaf reads its group of 64 leaves and hashes them again.

use crate::hash::{Hash, leaf_hash, leaf_hashes, root_hash};
use crate::meta::{BatchMeta, MetaError};
use crate::scheme::{OpenError, Scheme, Stored};
use crate::tree::{Tree, climb, siblings};
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN, LEAF_BYTES, LEAF_LOG2};

/// log2 of the bytes under one kept hash.
pub const GROUP_LOG2: u8 = 16;
/// Bytes under one kept hash: what an opening reads and rehashes.
pub const GROUP_BYTES: usize = 1 << GROUP_LOG2;
/// Leaves under one kept hash.
pub const GROUP_LEAVES: usize = GROUP_BYTES / LEAF_BYTES;
/// Levels of the tree that are not kept.
pub(crate) const GROUP_DEPTH: u8 = GROUP_LOG2 - LEAF_LOG2;

/// The one instance of the scheme.
pub static MERKLE_SHA256_V1: MerkleSha256V1 = MerkleSha256V1;

/// The scheme of DESIGN section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MerkleSha256V1;

impl Scheme for MerkleSha256V1 {
    fn byte(&self) -> u8 {
        1
    }

    fn check(&self, meta: &BatchMeta) -> Result<(), MetaError> {
        check_batch_log2(meta.batch_log2)?;
        if meta.leaf_log2 != LEAF_LOG2 {
            return Err(MetaError::LeafSize { found: meta.leaf_log2, expected: LEAF_LOG2 });
        }
        if meta.inner_code != 0 {
            return Err(MetaError::InnerCode { found: meta.inner_code });
        }
        Ok(())
    }

    fn depth(&self, batch_log2: u8) -> u8 {
        batch_log2.saturating_sub(LEAF_LOG2)
    }

    fn opening_bytes(&self, batch_log2: u8) -> usize {
        LEAF_BYTES + 32 * usize::from(self.depth(batch_log2))
    }

    fn path_hashes(&self, batch_log2: u8) -> usize {
        usize::from(batch_log2.saturating_sub(GROUP_LOG2))
    }

    fn open(&self, batch_log2: u8, leaf: u32, stored: Stored<'_>, out: &mut [u8]) -> Result<(), OpenError> {
        self.check_open(batch_log2, leaf, stored, out.len())?;
        let wrong_length = OpenError::GroupLength { found: stored.group.len(), expected: GROUP_BYTES };
        let tree = group_tree(stored.group.try_into().map_err(|_| wrong_length)?);
        let within = leaf % GROUP_LEAVES as u32;
        let (data, hashes) = out.split_at_mut(LEAF_BYTES);
        data.copy_from_slice(&stored.group[within as usize * LEAF_BYTES..][..LEAF_BYTES]);
        let below = siblings(GROUP_DEPTH, within, within).into_iter().filter_map(|at| tree.node(at));
        for (room, hash) in hashes.chunks_exact_mut(32).zip(below.chain(stored.path.iter().copied())) {
            room.copy_from_slice(&hash);
        }
        Ok(())
    }

    fn verify(&self, meta: &BatchMeta, leaf: u32, opening: &[u8]) -> bool {
        let sound = meta.scheme == self.byte() && self.check(meta).is_ok();
        if !sound || u64::from(leaf) >= meta.leaves() || opening.len() != self.opening_bytes(meta.batch_log2) {
            return false;
        }
        let Some((data, path)) = opening.split_first_chunk::<LEAF_BYTES>() else { return false };
        let (path, _) = path.as_chunks();
        climb(meta.depth(), leaf, vec![leaf_hash(data)], path)
            .is_some_and(|top| seal(meta.batch_log2, &top) == meta.root)
    }
}

impl MerkleSha256V1 {
    fn check_open(&self, batch_log2: u8, leaf: u32, stored: Stored<'_>, room: usize) -> Result<(), OpenError> {
        check_batch_log2(batch_log2)?;
        let leaves = 1u64 << self.depth(batch_log2);
        if u64::from(leaf) >= leaves {
            return Err(OpenError::NoSuchLeaf { leaf, leaves });
        }
        let (found, expected) = (stored.path.len(), self.path_hashes(batch_log2));
        if found != expected {
            return Err(OpenError::PathLength { found, expected });
        }
        let expected = self.opening_bytes(batch_log2);
        if room != expected {
            return Err(OpenError::RoomLength { found: room, expected });
        }
        Ok(())
    }
}

/// The root over the tree's top, sealed with the sizes.
pub(crate) fn seal(batch_log2: u8, top: &Hash) -> Hash {
    root_hash(batch_log2, LEAF_LOG2, 0, top)
}

/// The scheme-1 meta of a tree with this top.
pub(crate) fn meta_of_top(batch_log2: u8, top: &Hash) -> BatchMeta {
    let root = seal(batch_log2, top);
    BatchMeta { scheme: MERKLE_SHA256_V1.byte(), batch_log2, leaf_log2: LEAF_LOG2, inner_code: 0, root }
}

/// Whether a batch may have this size at all.
pub(crate) fn check_batch_log2(batch_log2: u8) -> Result<(), MetaError> {
    if (BATCH_LOG2_MIN..=BATCH_LOG2_MAX).contains(&batch_log2) {
        return Ok(());
    }
    Err(MetaError::BatchSize { found: batch_log2, min: BATCH_LOG2_MIN, max: BATCH_LOG2_MAX })
}

/// The six levels over one group of leaves.
pub(crate) fn group_tree(group: &[u8; GROUP_BYTES]) -> Tree {
    let (leaves, _) = group.as_chunks();
    Tree::grow(leaf_hashes(leaves).collect())
}
