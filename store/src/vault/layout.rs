//! What lies where in a vault, to the byte. Format 1.
//!
//! ```text
//! LOCK                            held by the running process
//! VAULT                           sealed file "hf-vault" version 1, payload empty
//! batches/<xx>/                   xx: the first two hex digits of the root
//!   <root>.head                   sealed file "hf-batch" version 1, payload below
//!   <root>.batch                  the batch's 2^batch_log2 bytes, nothing else
//!   <root>.tree                   the layers of its tree (por's layers format), checked against the root when read
//!   <root>.part                   instead of .batch while uploading: preallocated, the same length
//!   <root>.have                   while uploading: bit i (byte i / 8, lowest bit first) is set once group i of 64 KiB
//!                                 lies durably in .part
//!   *.tmp                         a file being replaced; deleted on open
//!
//! head payload (borsh): state u8 | [stamps] | meta 36 bytes | owner 32 | request 16 | expires u64
//!   state 0  uploading: .part and .have
//!   state 1  stored: .batch (or .part, which then only waits to be renamed) and .tree;
//!            stamps = data stamp | tree stamp, a stamp = modification time as seconds i64 | nanoseconds u32
//!   state 2  being removed: whatever is left is deleted on open
//! ```
//! The head is the word that counts: each step is made durable before the head says so, and what the head says is
//! completed on open. A file without a head is deleted if it is a `.part`, and reported if it is a `.batch`.

use crate::sealed::{Seal, SealedError};
use crate::vault::{BatchTag, VaultError};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::BatchMeta;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Marks a directory as a vault.
pub(crate) const VAULT_SEAL: Seal = Seal { magic: *b"hf-vault", version: 1, oldest: 1, payload_max: 0 };
/// A batch's head.
pub(crate) const HEAD_SEAL: Seal = Seal { magic: *b"hf-batch", version: 1, oldest: 1, payload_max: 256 };

/// Whose a batch is and until when it may wait for its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Head {
    pub(crate) state: HeadState,
    pub(crate) meta: BatchMeta,
    pub(crate) tag: BatchTag,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum HeadState {
    Uploading,
    Stored { data: Stamp, tree: Stamp },
    Removing,
}

/// A file's modification time: cheap evidence that nobody wrote to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Stamp {
    seconds: i64,
    nanoseconds: u32,
}

/// The files of one batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchPaths {
    pub(crate) head: PathBuf,
    pub(crate) batch: PathBuf,
    pub(crate) tree: PathBuf,
    pub(crate) part: PathBuf,
    pub(crate) have: PathBuf,
}

impl Stamp {
    /// The time in `metadata`.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        // The kernel keeps nanoseconds below 10^9, so they fit 32 bits.
        Self { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 }
    }
}

impl BatchPaths {
    /// Of the batch `root` in the vault at `directory`.
    pub(crate) fn new(directory: &Path, root: &[u8; 32]) -> Self {
        let name = holdfast_primitives::Digest::new(*root).to_string();
        let folder = batches_dir(directory).join(&name[..2]);
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        Self { head: file("head"), batch: file("batch"), tree: file("tree"), part: file("part"), have: file("have") }
    }
}

impl Head {
    /// Reads a head; `None` if it is gone or spoiled.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, VaultError> {
        match HEAD_SEAL.read::<Self>(path) {
            Ok(head) => Ok(head.meta.check().is_ok().then_some(head)),
            Err(SealedError::Damaged { .. }) => Ok(None),
            Err(SealedError::File(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where the batches' folders are.
pub(crate) fn batches_dir(directory: &Path) -> PathBuf {
    directory.join("batches")
}

/// The batch that a file belongs to, by the file's name.
pub(crate) fn root_of_name(name: &str) -> Option<[u8; 32]> {
    let (root, extension) = name.split_once('.')?;
    let known = ["head", "batch", "tree", "part", "have"].contains(&extension);
    let root: holdfast_primitives::Digest = root.parse().ok()?;
    known.then_some(*root.as_bytes())
}
