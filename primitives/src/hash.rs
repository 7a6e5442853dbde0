//! SHA-256, the one hash of this project (FIPS 180-4).

use sha2::{Digest as _, Sha256};

/// SHA-256 of one piece.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of several pieces laid end to end. The pieces are not length-prefixed: callers fix the layout.
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
