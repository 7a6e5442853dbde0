//! The two hashes every tree of this project is made of (DESIGN sections 4 and 6).
//!
//! A leaf and a node start with different bytes, so that neither can be passed off as the other (RFC 6962, 2.1).
//! Trees are rehashed by the million nodes, so a message of up to two blocks of SHA-256 is laid out here (FIPS 180-4,
//! 5.1.1) without a buffering hasher: that takes a quarter off the cost of a node.

use crate::hash::sha256_parts;
use sha2::block_api::compress256;

/// What stands where a subtree holds no leaf at all. No input is known to hash to it.
pub const EMPTY: [u8; 32] = [0; 32];

const LEAF_PREFIX: u8 = 0x00;
const NODE_PREFIX: u8 = 0x01;
const BLOCK: usize = 64;
/// Bytes that end a message: the bit `1` and the length.
const ENDING: usize = 1 + 8;

/// Initial hash value of SHA-256 (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// `SHA256(0x00 | bytes)`.
pub fn leaf(bytes: &[u8]) -> [u8; 32] {
    if 1 + bytes.len() + ENDING <= 2 * BLOCK {
        return short_hash(LEAF_PREFIX, bytes, &[]);
    }
    sha256_parts(&[&[LEAF_PREFIX], bytes])
}

/// `SHA256(0x01 | left | right)`.
pub fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    short_hash(NODE_PREFIX, left, right)
}

/// `SHA256(prefix | first | second)` of a message that ends within two blocks.
#[inline]
fn short_hash(prefix: u8, first: &[u8], second: &[u8]) -> [u8; 32] {
    let middle = 1 + first.len();
    let length = middle + second.len();
    let used = (length + ENDING).div_ceil(BLOCK);
    let mut blocks = [[0; BLOCK]; 2];
    let bytes = blocks.as_flattened_mut();
    bytes[0] = prefix;
    bytes[1..middle].copy_from_slice(first);
    bytes[middle..length].copy_from_slice(second);
    bytes[length] = 0x80;
    bytes[used * BLOCK - 8..used * BLOCK].copy_from_slice(&(length as u64 * 8).to_be_bytes());

    let mut state = INITIAL;
    compress256(&mut state, &blocks[..used]);
    let mut hash = [0; 32];
    for (four, word) in hash.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::{leaf, node};
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
}
