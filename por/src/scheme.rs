//! What a proof scheme must be able to do, and the way from the scheme byte to it. The ledger and the holder only know
//! this trait, so that another scheme can join beside `merkle-sha256-v1`.

use crate::layers::Layers;
use crate::merkle::MERKLE_SHA256_V1;
use crate::meta::{BatchMeta, MetaError};
use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use thiserror::Error;

/// A way to prove that a batch is there. Schemes hold no state, so one serves all threads and no panic can spoil it.
pub trait Scheme: Send + Sync + RefUnwindSafe + Debug {
    /// The byte that names it in a [`BatchMeta`].
    fn byte(&self) -> u8;

    /// Whether a meta of this scheme has sizes that the scheme allows.
    fn check(&self, meta: &BatchMeta) -> Result<(), MetaError>;

    /// log2 of the number of leaves of a batch of `2^batch_log2` bytes.
    fn depth(&self, batch_log2: u8) -> u8;

    /// Exact bytes of one opening in a batch of `2^batch_log2` bytes.
    fn opening_bytes(&self, batch_log2: u8) -> usize;

    /// Hashes that the holder must keep at hand to open one leaf: the length of [`Stored::path`].
    fn path_hashes(&self, batch_log2: u8) -> usize;

    /// Writes the opening of `leaf` over `out`, which has exactly [`Scheme::opening_bytes`]. What is written follows from
    /// what is stored: if that is damaged, the opening is well formed and fails to verify.
    fn open(&self, batch_log2: u8, leaf: u32, stored: Stored<'_>, out: &mut [u8]) -> Result<(), OpenError>;

    /// Whether `opening` shows leaf number `leaf` of the batch. Total on any input.
    fn verify(&self, meta: &BatchMeta, leaf: u32, opening: &[u8]) -> bool;
}

/// What the holder reads from disk to open one leaf.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The 64 KiB of the batch in which the leaf lies.
    pub group: &'a [u8],
    /// The kept hashes beside the group's way to the top, bottom-up ([`Layers::path`]).
    pub path: &'a [[u8; 32]],
}

/// Why no opening can be built: the caller's mistake, never the data's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The meta is not one.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The batch has no such leaf.
    #[error("leaf {leaf} of a batch of {leaves}")]
    NoSuchLeaf {
        /// Asked for.
        leaf: u32,
        /// Leaves of the batch.
        leaves: u64,
    },
    /// Not a whole group of leaves.
    #[error("a group of {found} bytes, expected {expected}")]
    GroupLength {
        /// Bytes given.
        found: usize,
        /// Bytes of a group.
        expected: usize,
    },
    /// Not the kept hashes of one group in a batch of this size.
    #[error("a path of {found} hashes, expected {expected}")]
    PathLength {
        /// Hashes given.
        found: usize,
        /// Hashes needed.
        expected: usize,
    },
    /// The room for the opening has another length.
    #[error("room for {found} bytes, the opening has {expected}")]
    RoomLength {
        /// Bytes given.
        found: usize,
        /// Bytes of the opening.
        expected: usize,
    },
}

/// The scheme that a scheme byte names, if there is one.
pub fn scheme(byte: u8) -> Option<&'static dyn Scheme> {
    match byte {
        1 => Some(&MERKLE_SHA256_V1),
        _ => None,
    }
}

/// Appends the opening of `leaf` to `out`: the leaf, then its siblings from the bottom up. `group` is the 64 KiB of the
/// batch in which the leaf lies, as they are on disk now.
pub fn open(meta: &BatchMeta, layers: &Layers, group: &[u8], leaf: u32, out: &mut Vec<u8>) -> Result<(), OpenError> {
    meta.check()?;
    let scheme = scheme(meta.scheme).ok_or(MetaError::UnknownScheme { found: meta.scheme })?;
    let path = layers.path(leaf / crate::GROUP_LEAVES as u32);
    let start = out.len();
    out.resize(start + scheme.opening_bytes(meta.batch_log2), 0);
    let opened = scheme.open(meta.batch_log2, leaf, Stored { group, path: &path }, &mut out[start..]);
    if opened.is_err() {
        out.truncate(start);
    }
    opened
}

/// Whether `opening` shows leaf number `leaf` of the batch that `meta` stands for. Total on any input.
pub fn verify_opening(meta: &BatchMeta, leaf: u32, opening: &[u8]) -> bool {
    scheme(meta.scheme).is_some_and(|scheme| scheme.verify(meta, leaf, opening))
}
