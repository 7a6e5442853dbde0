//! What the vault refuses, and what it finds damaged.

use crate::files::FileError;
use crate::lock::LockError;
use crate::sealed::SealedError;
use holdfast_por::{LayersError, MetaError, RangeError};
use holdfast_primitives::Address;
use thiserror::Error;

/// Why the vault did not do what it was asked.
#[derive(Debug, Error)]
pub enum VaultError {
    /// Another process works in the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The vault's own format file, or a batch's head, is damaged or newer than this release.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// Not the metadata of any batch.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The leaves do not belong to the batch.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// More than the owner of the disk offers.
    #[error("{wanted} bytes on top of the {used} in use exceed the quota of {quota}")]
    QuotaExceeded {
        /// Bytes of the batch.
        wanted: u64,
        /// Bytes of batches already kept or promised.
        used: u64,
        /// Bytes offered.
        quota: u64,
    },
    /// Less free space than must stay free.
    #[error("{wanted} bytes do not fit: {free} are free and {reserve} must stay free")]
    DiskFull {
        /// Bytes of the batch.
        wanted: u64,
        /// Bytes free on the file system.
        free: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// The batch is already here, whole.
    #[error("batch {} is already stored", hex(root))]
    AlreadyStored {
        /// The batch.
        root: [u8; 32],
    },
    /// The batch is being uploaded under another request.
    #[error("batch {} is being uploaded by {owner} under another request", hex(root))]
    ReservedByAnother {
        /// The batch.
        root: [u8; 32],
        /// Whose upload it is.
        owner: Address,
    },
    /// No such batch is stored here.
    #[error("batch {} is not stored here", hex(root))]
    NotStored {
        /// The batch.
        root: [u8; 32],
    },
    /// The upload was finished or removed meanwhile.
    #[error("the upload of batch {} is closed", hex(root))]
    UploadClosed {
        /// The batch.
        root: [u8; 32],
    },
    /// The leaves were proven against another batch.
    #[error("leaves of batch {} do not belong to the upload of {}", hex(found), hex(expected))]
    OtherBatch {
        /// The batch they belong to.
        found: [u8; 32],
        /// The upload's batch.
        expected: [u8; 32],
    },
    /// Uploads come in whole groups of 64 KiB, so that one bit says what is here.
    #[error("leaves {first}..{first}+{count} are not whole groups of 64 KiB")]
    NotWholeGroups {
        /// First leaf.
        first: u32,
        /// Leaves given.
        count: u64,
    },
    /// Groups are missing.
    #[error("{missing} of {groups} groups of batch {} have not arrived", hex(root))]
    Incomplete {
        /// The batch.
        root: [u8; 32],
        /// Groups that have not arrived.
        missing: u32,
        /// Groups of the batch.
        groups: u32,
    },
    /// What lies on the disk is not what was sent; the upload starts over.
    #[error("the disk gave back other bytes than were written to batch {}: the upload starts over", hex(root))]
    UploadSpoiled {
        /// The batch.
        root: [u8; 32],
    },
    /// A read past the batch's end.
    #[error("bytes {offset}..{offset}+{len} of a batch of {batch_bytes}")]
    OutOfBatch {
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        len: u64,
        /// Bytes of the batch.
        batch_bytes: u64,
    },
    /// The batch was stored here and is no longer whole.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// A batch that was stored here and is no longer whole, or may not be.
#[derive(Debug, Error)]
#[error("batch {} is damaged: {damage}", hex(root))]
pub struct Damaged {
    /// The batch.
    pub root: [u8; 32],
    /// What was found.
    pub damage: Damage,
}

/// What was found on the disk.
#[derive(Debug, Error)]
pub enum Damage {
    /// The batch's file is gone.
    #[error("its file is gone")]
    Missing,
    /// The batch's file has another length.
    #[error("its file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// The batch's file was written to after the upload. It may still be whole: a scrub decides, and clears this.
    #[error("its file was written to since it was stored")]
    Touched,
    /// The batch's bytes hash to another root.
    #[error("its bytes hash to {}", hex(found))]
    Changed {
        /// What they hash to.
        found: [u8; 32],
    },
    /// The kept layers of its tree are gone, although the batch may be whole: a scrub mends this.
    #[error("the layers of its tree are gone")]
    LayersMissing,
    /// The kept layers of its tree are not its own, although the batch may be whole: a scrub mends this.
    #[error("the layers of its tree are spoiled: {reason}")]
    LayersSpoiled {
        /// What does not hold.
        reason: LayersError,
    },
    /// The system cannot read its files.
    #[error("{source}")]
    Unreadable {
        /// The system's answer.
        source: FileError,
    },
    /// Its head file, which says whose it is, is gone or spoiled: [`Vault::adopt`](crate::Vault::adopt) mends this.
    #[error("its head file is gone or spoiled")]
    HeadLost,
}

impl Damaged {
    /// From a failed read of a batch's file.
    pub(crate) fn from_file(root: [u8; 32], source: FileError, expected: u64) -> Self {
        let damage = if source.is_not_found() {
            Damage::Missing
        } else if source.is_cut_short() {
            let found = std::fs::metadata(&source.path).map_or(0, |meta| meta.len());
            Damage::Length { found, expected }
        } else {
            Damage::Unreadable { source }
        };
        Self { root, damage }
    }
}

fn hex(root: &[u8; 32]) -> holdfast_primitives::Digest {
    holdfast_primitives::Digest::new(*root)
}
