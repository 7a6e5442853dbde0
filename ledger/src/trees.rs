//! The chain's own small trees: transactions, events, round rows. Their roots stand in headers and round records.
//!
//! Leaves and nodes hash as everywhere here (`primitives::merkle`); a node without a right neighbour moves up as it is.
//! `rs_merkle` builds the trees for proofs; the root alone and verifying an inclusion need SHA-256 only and are written out.

use crate::block::{Block, Event};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, Digest, merkle};
use rayon::prelude::*;
use rs_merkle::{Hasher, MerkleTree};

/// Fewer rows are not worth another thread.
const ROWS_PER_TASK: usize = 1_024;

/// Levels of the deepest tree: positions have 32 bits.
pub const INCLUSION_LEVELS_MAX: usize = 32;

/// That a leaf stands at one place under a root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct InclusionProof {
    /// Place of the leaf.
    pub index: u32,
    /// Leaves of the tree.
    pub leaves: u32,
    /// The siblings from the leaf up; levels at which the node has none are left out.
    pub siblings: Bounded<[u8; 32], INCLUSION_LEVELS_MAX>,
}

/// The root over leaf hashes; the zero digest when there are none. The same as of the tree that proofs are made with, which
/// keeps every level and costs several times as much.
pub fn leaves_root(leaves: &[[u8; 32]]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let parents = level.len().div_ceil(2);
        for place in 0..parents {
            level[place] = match level.get(2 * place + 1) {
                Some(right) => merkle::node(&level[2 * place], right),
                None => level[2 * place],
            };
        }
        level.truncate(parents);
    }
    Digest::new(level.first().copied().unwrap_or(merkle::EMPTY))
}

/// The root over the borsh encodings of rows.
pub fn rows_root<T: BorshSerialize + Sync>(rows: &[T]) -> Digest {
    leaves_root(&row_leaves(rows))
}

/// The leaf hashes of rows; many are hashed on all of rayon's threads.
pub fn row_leaves<T: BorshSerialize + Sync>(rows: &[T]) -> Vec<[u8; 32]> {
    let leaf = |bytes: &mut Vec<u8>, row: &T| {
        bytes.clear();
        row.serialize(bytes).expect("a row encodes into memory");
        merkle::leaf(bytes)
    };
    rows.par_iter().with_min_len(ROWS_PER_TASK).map_init(Vec::new, leaf).collect()
}

/// Proves that leaf `index` stands under [`leaves_root`]; `None` when there is no such leaf.
pub fn inclusion_proof(leaves: &[[u8; 32]], index: usize) -> Option<InclusionProof> {
    if index >= leaves.len() {
        return None;
    }
    let siblings = tree(leaves).proof(&[index]).proof_hashes().to_vec();
    Some(InclusionProof {
        index: u32::try_from(index).ok()?,
        leaves: u32::try_from(leaves.len()).ok()?,
        siblings: Bounded::new(siblings).ok()?,
    })
}

/// Proves that transaction `index` of a block stands under the header's `tx_root`; its leaf is its bytes as the block carries them.
pub fn tx_proof(block: &Block, index: usize) -> Option<InclusionProof> {
    let leaves: Vec<[u8; 32]> = block.txs.iter().map(|signed| merkle::leaf(&signed.to_bytes())).collect();
    inclusion_proof(&leaves, index)
}

/// Proves that event `index` of a block stands under the header's `result_root`; its leaf is its borsh.
pub fn event_proof(events: &[Event], index: usize) -> Option<InclusionProof> {
    inclusion_proof(&row_leaves(events), index)
}

/// Whether `bytes` are the leaf that `proof` speaks of, under `root`. Total: any proof gets an answer.
pub fn verify_inclusion(root: &Digest, bytes: &[u8], proof: &InclusionProof) -> bool {
    let (mut index, mut width) = (proof.index, proof.leaves);
    if index >= width {
        return false;
    }
    let mut siblings = proof.siblings.iter();
    let mut hash = merkle::leaf(bytes);
    while width > 1 {
        let has_sibling = index % 2 == 1 || index + 1 < width;
        if has_sibling {
            let Some(sibling) = siblings.next() else { return false };
            hash = if index % 2 == 1 { merkle::node(sibling, &hash) } else { merkle::node(&hash, sibling) };
        }
        (index, width) = (index / 2, width.div_ceil(2));
    }
    siblings.next().is_none() && hash == *root.as_bytes()
}

/// How `rs_merkle` hashes here: its leaves come hashed, its nodes are told apart from leaves.
#[derive(Clone)]
struct ChainHasher;

impl Hasher for ChainHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        merkle::leaf(data)
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| merkle::node(left, right))
    }
}

fn tree(leaves: &[[u8; 32]]) -> MerkleTree<ChainHasher> {
    MerkleTree::from_leaves(leaves)
}

#[cfg(test)]
mod tests {
    use super::{leaves_root, tree};
    use holdfast_primitives::merkle;

    #[test]
    fn the_root_alone_is_the_root_of_the_tree_that_proves() {
        let leaves: Vec<[u8; 32]> = (0..70_u8).map(|number| merkle::leaf(&[number])).collect();
        for count in 0..=leaves.len() {
            let expected = tree(&leaves[..count]).root().unwrap_or(merkle::EMPTY);
            assert_eq!(leaves_root(&leaves[..count]).as_bytes(), &expected, "{count} leaves");
        }
    }
}
