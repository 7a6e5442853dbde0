//! The owner's keys and the two byte strings of a chunk: its id, by which duplicates are found, and its key.
//!
//! ```text
//! dedupe key = HMAC-SHA256(master, "holdfast/owner/dedupe/v1")          (RFC 2104)
//! head key   = HMAC-SHA256(master, "holdfast/owner/catalog-head/v1")
//! chunk id   = keyed BLAKE3(dedupe key, plaintext)                        a name within one owner, nothing a ledger sees
//! chunk key  = 32 random bytes, one per chunk, kept in the catalog only
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

const DEDUPE_LABEL: &[u8] = b"holdfast/owner/dedupe/v1";
const HEAD_LABEL: &[u8] = b"holdfast/owner/catalog-head/v1";

/// What the owner's master secret opens. Never printed; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OwnerKeys {
    dedupe: [u8; 32],
    head: [u8; 32],
}

/// Names a chunk within one owner. Keyed, so that nobody else can tell from it whether the owner has some known file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ChunkId([u8; 32]);

/// Opens one chunk. Never printed; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, BorshSerialize, BorshDeserialize)]
pub struct ChunkKey([u8; 32]);

impl OwnerKeys {
    /// Derives the keys from the 32-byte master secret that the wallet keeps.
    pub fn derive(master: &[u8; 32]) -> Self {
        Self { dedupe: hmac_sha256(master, DEDUPE_LABEL), head: hmac_sha256(master, HEAD_LABEL) }
    }

    /// The id of a chunk with this plaintext.
    pub fn chunk_id(&self, plaintext: &[u8]) -> ChunkId {
        ChunkId(*blake3::keyed_hash(&self.dedupe, plaintext).as_bytes())
    }

    pub(crate) const fn head(&self) -> &[u8; 32] {
        &self.head
    }
}

impl ChunkId {
    /// Takes the raw bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ChunkKey {
    /// A fresh key from the system's randomness.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system provides randomness");
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl fmt::Display for ChunkId {
    /// The first eight hex digits, which is what people compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({self}..)")
    }
}

impl fmt::Debug for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkKey(hidden)")
    }
}

impl fmt::Debug for OwnerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerKeys(hidden)")
    }
}
