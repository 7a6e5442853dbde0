//! The leaf and root hashes of the batch tree; its nodes are `holdfast_primitives::merkle::{node, parents}`.
//!
//! A leaf is always 1 + 1,024 bytes, so the message blocks of SHA-256 (FIPS 180-4, 5.1.1) are laid out here without a
//! buffering hasher, which leaves 15 of a leaf's 17 blocks where the caller has them, and four leaves go at once.

use holdfast_primitives::lanes::{BLOCK, LANES, Laid, hash_lanes, hash_one};
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::merkle::ending_alone;
use holdfast_primitives::sha256_parts;

/// A SHA-256 value.
pub(crate) type Hash = [u8; 32];

/// One kibibyte of a batch.
pub(crate) type Leaf = [u8; LEAF_BYTES];

const LEAF_PREFIX: u8 = 0x00;
const ROOT_PREFIX: u8 = 0x02;
const ROOT_TAG: &[u8] = b"por/merkle-sha256/v1";

/// `SHA256(0x00 | leaf)`.
pub(crate) fn leaf_hash(leaf: &Leaf) -> Hash {
    hash_one(&lay_leaf(leaf))
}

/// The hashes of leaves, in order.
pub(crate) fn leaf_hashes(leaves: &[Leaf]) -> impl Iterator<Item = Hash> {
    let (fours, rest) = leaves.as_chunks::<LANES>();
    fours.iter().flat_map(|four| hash_lanes(&four.each_ref().map(lay_leaf))).chain(rest.iter().map(leaf_hash))
}

fn lay_leaf(leaf: &Leaf) -> Laid<'_> {
    let mut first = [0; BLOCK];
    first[0] = LEAF_PREFIX;
    first[1..].copy_from_slice(&leaf[..BLOCK - 1]);
    let (middle, _) = leaf[BLOCK - 1..LEAF_BYTES - 1].as_chunks();
    Laid { first, middle, last: ending_alone(leaf[LEAF_BYTES - 1], 1 + LEAF_BYTES) }
}

/// `SHA256(0x02 | "por/merkle-sha256/v1" | batch_log2 u8 | leaf_log2 u8 | inner_code u8 | top)`.
pub(crate) fn root_hash(batch_log2: u8, leaf_log2: u8, inner_code: u8, top: &Hash) -> Hash {
    sha256_parts(&[&[ROOT_PREFIX], ROOT_TAG, &[batch_log2, leaf_log2, inner_code], top])
}

const _: () = assert!((1 + LEAF_BYTES) % BLOCK == 1, "a leaf's last byte stands alone in its last block");

#[cfg(test)]
mod tests {
    use super::{Leaf, leaf_hash, leaf_hashes};
    use holdfast_primitives::limits::LEAF_BYTES;
    use holdfast_primitives::merkle;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_hashes_are_the_ones_every_tree_is_made_of(
            bytes in (0usize..11).prop_flat_map(|leaves| proptest::collection::vec(any::<u8>(), leaves * LEAF_BYTES)),
        ) {
            let (leaves, _): (&[Leaf], _) = bytes.as_chunks();
            let truth: Vec<[u8; 32]> = leaves.iter().map(|leaf| merkle::leaf(leaf)).collect();
            prop_assert_eq!(leaf_hashes(leaves).collect::<Vec<_>>(), truth.clone());
            prop_assert_eq!(leaves.iter().map(leaf_hash).collect::<Vec<_>>(), truth);
        }
    }
}
