//! The transfer protocol: batches from an owner to a holder and back, in ranges that are verified on arrival.
//!
//! | who | reads |
//! |---|---|
//! | holder | [`TransferServer`], which keeps and finds batches through [`BatchService`] |
//! | owner, reader | [`TransferClient`]; [`Resuming`] comes back after a lost connection and goes on where it was |
//!
//! A range counts once it is verified against the batch's root and, at the holder, lies on the disk for good. Nothing
//! here knows where that disk is, what the ledger says, or what the bytes mean.

mod client;
mod download;
mod error;
mod gate;
mod heard;
mod introducer;
mod meter;
mod pace;
mod range;
mod read;
mod resume;
mod server;
mod service;
mod source;
mod upload;
mod write;

pub use client::{TransferClient, TransferClientConfig};
pub use download::Download;
pub use error::TransferError;
pub use heard::Heard;
pub use introducer::{Introducer, Introduction};
pub use meter::Meter;
pub use pace::Pace;
pub use resume::{Resuming, RetryPolicy};
pub use server::{TransferConfig, TransferLoad, TransferServer};
pub use service::{BatchService, StoredRange};
pub use source::{MemoryBatch, SourceError, UploadSource};

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are there for good, those of earlier attempts included.
    pub done_bytes: u64,
    /// Bytes of the batch.
    pub total_bytes: u64,
}
