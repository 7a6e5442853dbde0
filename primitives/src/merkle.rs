//! The two hashes every tree of this project is made of (DESIGN sections 4 and 6).
//!
//! A leaf and a node start with different bytes, so that neither can be passed off as the other (RFC 6962, 2.1).
//! Trees are rehashed by the million nodes, so messages are laid out here in blocks of SHA-256 (FIPS 180-4, 5.1.1)
//! without a buffering hasher: that takes a quarter off the cost of a node. Where many are due they go four at once.

use crate::hash::sha256_parts;
use crate::lanes::{BLOCK, LANES, Laid, hash_blocks, hash_lanes, hash_one};

/// What stands where a subtree holds no leaf at all. No input is known to hash to it.
pub const EMPTY: [u8; 32] = [0; 32];

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
/// Bytes that end a message: the bit `1` and the length.
const ENDING: usize = 1 + 8;

/// `SHA256(0x00 | bytes)`.
pub fn leaf(bytes: &[u8]) -> [u8; 32] {
    if 1 + bytes.len() + ENDING <= 2 * BLOCK {
        return short_hash(LEAF_PREFIX, bytes);
    }
    sha256_parts(&[&[LEAF_PREFIX], bytes])
}

/// `SHA256(0x01 | left | right)`.
pub fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    hash_one(&lay_node(left, right))
}

/// The parents of nodes `2i` and `2i + 1` into place `i`, for all `i`.
///
/// # Panics
/// When there are not exactly two children for each parent.
pub fn parents(children: &[[u8; 32]], parents: &mut [[u8; 32]]) {
    assert_eq!(children.len(), 2 * parents.len(), "two children for each parent");
    let (pairs, _) = children.as_chunks::<2>();
    let (fours, rest) = pairs.as_chunks::<LANES>();
    let (rooms, rest_rooms) = parents.as_chunks_mut::<LANES>();
    for (room, four) in rooms.iter_mut().zip(fours) {
        *room = hash_lanes(&four.each_ref().map(|[left, right]| lay_node(left, right)));
    }
    for (room, [left, right]) in rest_rooms.iter_mut().zip(rest) {
        *room = node(left, right);
    }
}

/// A node's 65 bytes: the last one stands alone in the second block.
fn lay_node(left: &[u8; 32], right: &[u8; 32]) -> Laid<'static> {
    let mut laid = Laid { first: [0; BLOCK], middle: &[], last: ending_alone(right[31], 1 + 2 * 32) };
    laid.first[0] = NODE_PREFIX;
    laid.first[1..33].copy_from_slice(left);
    laid.first[33..].copy_from_slice(&right[..31]);
    laid
}

/// The last block of a message of `message_bytes` whose last byte begins it.
pub fn ending_alone(last: u8, message_bytes: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[0] = last;
    block[1] = 0x80;
    block[BLOCK - 8..].copy_from_slice(&(message_bytes as u64 * 8).to_be_bytes());
    block
}

/// `SHA256(prefix | bytes)` of a message that ends within two blocks.
#[inline]
fn short_hash(prefix: u8, bytes: &[u8]) -> [u8; 32] {
    let length = 1 + bytes.len();
    let used = (length + ENDING).div_ceil(BLOCK);
    let mut blocks = [[0; BLOCK]; 2];
    let message = blocks.as_flattened_mut();
    message[0] = prefix;
    message[1..length].copy_from_slice(bytes);
    message[length] = 0x80;
    message[used * BLOCK - 8..used * BLOCK].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    hash_blocks(&blocks[..used])
}

#[cfg(test)]
mod tests {
    use super::{leaf, node, parents};
    use crate::hash::sha256_parts;

    #[test]
    fn both_are_plain_sha256_of_their_layout_at_every_length() {
        for length in 0..300usize {
            let bytes: Vec<u8> = (0..length).map(|place| (place * 7 + length) as u8).collect();
            assert_eq!(leaf(&bytes), sha256_parts(&[&[0x00], &bytes]), "{length} bytes");
        }
        let (left, right) = ([0xab; 32], leaf(b"right"));
        assert_eq!(node(&left, &right), sha256_parts(&[&[0x01], &left, &right]));
    }
    #[test]
    fn parents_are_the_nodes_over_each_pair_at_every_width() {
        for width in 0..23usize {
            let children: Vec<[u8; 32]> = (0..2 * width).map(|place| leaf(&[place as u8])).collect();
            let mut found = vec![[0; 32]; width];
            parents(&children, &mut found);
            let one_by_one: Vec<[u8; 32]> = children.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
            assert_eq!(found, one_by_one, "{width} parents");
        }
    }
}
