//! What can go wrong in a transfer, as its client sees it.

use crate::transport::TransportError;
use crate::wire::{FrameError, Refusal, RefusalCode};
use holdfast_por::{MetaError, RangeError};
use holdfast_primitives::{Address, Digest};
use std::io;
use thiserror::Error;

/// Why a transfer stopped.
#[derive(Debug, Error)]
pub enum TransferError {
    /// No connection, or it ended.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Only a relay would carry it, and the caller wants a direct path.
    #[error("no direct path to {holder}, and relayed transfers are not allowed")]
    RelayedOnly {
        /// The holder.
        holder: Address,
    },
    /// A message did not come, or was none.
    #[error("holder {holder}: {source}")]
    Frame {
        /// The holder.
        holder: Address,
        /// What was wrong.
        source: FrameError,
    },
    /// The bytes of a range stopped coming, or going.
    #[error("holder {holder}: the stream failed: {source}")]
    Stream {
        /// The holder.
        holder: Address,
        /// The stream's reason.
        source: io::Error,
    },
    /// The holder refused.
    #[error("holder {holder} refused: {refusal}")]
    Refused {
        /// The holder.
        holder: Address,
        /// Its code and words.
        refusal: Refusal,
    },
    /// The holder answered something else than it was asked.
    #[error("holder {holder} answered {found} where {expected} was due")]
    Unexpected {
        /// The holder.
        holder: Address,
        /// What came.
        found: &'static str,
        /// What was due.
        expected: &'static str,
    },
    /// The holder sent leaves that are not the batch's.
    #[error(
        "holder {holder} sent bad data for batch {batch}: leaves {first_leaf} to {last_leaf} do not match its root"
    )]
    BadLeaves {
        /// The holder.
        holder: Address,
        /// The batch's root.
        batch: Digest,
        /// First leaf of the smallest run that is known to be bad.
        first_leaf: u32,
        /// Last leaf of that run.
        last_leaf: u32,
    },
    /// The holder answers out of another batch than it was asked for.
    #[error("holder {holder} serves batch {found} in place of {batch}")]
    OtherBatch {
        /// The holder.
        holder: Address,
        /// The root of the batch that was asked for.
        batch: Digest,
        /// The root of what it serves.
        found: Digest,
    },
    /// The batch cannot be read at this end.
    #[error("cannot read batch {batch}: {source}")]
    Source {
        /// The batch's root.
        batch: Digest,
        /// The reader's reason.
        source: io::Error,
    },
    /// The batch at this end does not match its own tree.
    #[error("batch {batch} cannot be proven at this end: {source}")]
    Proof {
        /// The batch's root.
        batch: Digest,
        /// What does not match.
        source: RangeError,
    },
    /// Not a batch.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// Bytes outside the batch, or more than may be read at once.
    #[error("{length} bytes from {offset} on cannot be read at once from a batch of {batch_bytes}")]
    BadRange {
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
        /// Bytes of the batch.
        batch_bytes: u64,
    },
    /// More batches than one receipt covers.
    #[error("{found} batches for one receipt, at most {limit} are allowed")]
    TooMany {
        /// Given.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// The receipt that came is not signed by the holder over what was asked.
    #[error("the receipt of {holder} does not hold")]
    BadReceipt {
        /// The holder.
        holder: Address,
    },
}

impl TransferError {
    /// Whether trying again with the same holder may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport(error) => !matches!(
                error,
                TransportError::BadAddress { .. } | TransportError::EndpointClosed | TransportError::Bind { .. }
            ),
            Self::Frame { source, .. } => !source.is_garbage() && !matches!(source, FrameError::Version { .. }),
            Self::Stream { .. } => true,
            Self::Refused { refusal, .. } => matches!(
                refusal.code,
                RefusalCode::Busy
                    | RefusalCode::TooSlow
                    | RefusalCode::Replaced
                    | RefusalCode::Internal
                    | RefusalCode::AlreadyHeld
            ),
            _ => false,
        }
    }
}
