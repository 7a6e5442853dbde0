//! What can go wrong on the control protocol, as its client sees it.

use crate::transport::TransportError;
use crate::wire::{FrameError, Refusal};
use holdfast_primitives::Address;
use thiserror::Error;

/// Why a request to the parent came to nothing.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No connection, or it ended.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A message did not come, or was none.
    #[error("the parent {parent}: {source}")]
    Frame {
        /// The parent.
        parent: Address,
        /// What was wrong.
        source: FrameError,
    },
    /// The parent refused.
    #[error("the parent {parent} refused: {refusal}")]
    Refused {
        /// The parent.
        parent: Address,
        /// Its code and words.
        refusal: Refusal,
    },
    /// The parent answered something else than it was asked.
    #[error("the parent {parent} answered {found} where {expected} was due")]
    Unexpected {
        /// The parent.
        parent: Address,
        /// What came.
        found: &'static str,
        /// What was due.
        expected: &'static str,
    },
    /// More than a request may carry, or a parent may answer.
    #[error("{found} holders at once, at most {limit} are allowed")]
    TooMany {
        /// Given.
        found: usize,
        /// Allowed.
        limit: usize,
    },
}
