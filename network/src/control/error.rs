//! What can go wrong on the control protocol, as its client sees it.

use crate::transport::TransportError;
use crate::wire::{FrameError, Refusal};
use holdfast_primitives::Address;
use std::time::Duration;
use thiserror::Error;

impl ControlError {
    /// Whether another heavy node may have an answer: this one fell silent or went away, and did not say no.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Late { .. } | Self::NoParent => true,
            Self::Frame { source, .. } => !source.is_garbage(),
            Self::Refused { .. } | Self::Unexpected { .. } | Self::TooMany { .. } => false,
        }
    }
}

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
    /// No session within the time allowed.
    #[error("no session with the heavy node {parent} within {after:?}")]
    Late {
        /// The heavy node.
        parent: Address,
        /// The time allowed.
        after: Duration,
    },
    /// No heavy node is known, or all known ones rest after failing.
    #[error("no heavy node is known that could be a parent")]
    NoParent,
    /// More than a request may carry, or a parent may answer.
    #[error("{found} holders at once, at most {limit} are allowed")]
    TooMany {
        /// Given.
        found: usize,
        /// Allowed.
        limit: usize,
    },
}
