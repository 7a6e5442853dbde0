//! The judge: the same tree built by `rs_merkle`, from the words of the design and none of the engine's code.

use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest, Sha256};

/// `leaf 0x00 | node 0x01`, as everywhere on this chain.
#[derive(Clone)]
pub struct BatchHasher;

impl Hasher for BatchHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([0x00]).chain_update(data).finalize().into()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into(),
            None => *left,
        }
    }
}

/// The tree over `data`, zero padded to `2^batch_log2` bytes.
pub fn tree(batch_log2: u8, data: &[u8]) -> MerkleTree<BatchHasher> {
    let mut padded = data.to_vec();
    padded.resize(1 << batch_log2, 0);
    let leaves: Vec<[u8; 32]> = padded.chunks(1024).map(BatchHasher::hash).collect();
    MerkleTree::from_leaves(&leaves)
}

/// The root that seals `top` with the sizes.
pub fn root(batch_log2: u8, top: &[u8; 32]) -> [u8; 32] {
    let sizes = [batch_log2, 10, 0];
    Sha256::new().chain_update(b"\x02por/merkle-sha256/v1").chain_update(sizes).chain_update(top).finalize().into()
}

/// SHA-256 of pieces laid end to end.
pub fn sha256(pieces: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(pieces.concat()).into()
}
