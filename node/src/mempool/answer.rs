//! What the pool answers: why a transaction may not wait, and what became of one.

use holdfast_ledger::TxError;
use holdfast_primitives::{Address, Amount, TxId};
use thiserror::Error;

/// Why a transaction may not wait.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// It does not hold by itself, on whatever node: its shape or a signature.
    #[error("{0}")]
    Unsound(TxError),
    /// The ledger refuses it at the tip.
    #[error(transparent)]
    Rule(#[from] TxError),
    /// It waits already.
    #[error("transaction {tx} waits already")]
    Known {
        /// The transaction.
        tx: TxId,
    },
    /// One sender's share of the pool is used up.
    #[error("{sender} has {waiting} transactions waiting, the limit is {limit}")]
    SenderFull {
        /// The sender.
        sender: Address,
        /// How many wait.
        waiting: usize,
        /// The limit.
        limit: usize,
    },
    /// One sender's share of the pool's bytes is used up.
    #[error("{sender} has {waiting} bytes waiting, {bytes} more are over the limit of {limit}")]
    SenderBytes {
        /// The sender.
        sender: Address,
        /// Bytes that wait.
        waiting: usize,
        /// Bytes of the newcomer.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Another transaction of this sender with this sequence number waits, and the newcomer does not pay enough to replace it.
    #[error("transaction {tx} waits with this sequence number; to replace it pay {needed}, not {fee}")]
    Underpriced {
        /// The one that waits.
        tx: TxId,
        /// What the newcomer pays.
        fee: Amount,
        /// What it would have to pay.
        needed: Amount,
    },
    /// Its check was broken off. It may be handed in again.
    #[error("the check of the transaction did not finish")]
    Unfinished,
    /// The pool is full of what pays as much or more per byte.
    #[error("the pool is full: {count} transactions, {bytes} bytes")]
    PoolFull {
        /// Transactions waiting.
        count: usize,
        /// Bytes waiting.
        bytes: usize,
    },
}

/// What became of a transaction that is not in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// It waits.
    Pending,
    /// It was dropped.
    Dropped(DropReason),
}

/// Why a transaction was dropped.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum DropReason {
    /// It breaks a rule at the new tip, and can never be final as it is.
    #[error(transparent)]
    Rule(#[from] TxError),
    /// It made room. It may be handed in again.
    #[error("the pool was full, and others pay more than {fee} for its {bytes} bytes")]
    Displaced {
        /// What it pays.
        fee: Amount,
        /// Its size.
        bytes: usize,
    },
    /// Its sender replaced it by one that pays more.
    #[error("replaced by transaction {by}")]
    Replaced {
        /// The one that waits instead.
        by: TxId,
    },
}

impl DropReason {
    /// The transaction that took its place.
    pub const fn replaced_by(&self) -> Option<TxId> {
        match self {
            Self::Replaced { by } => Some(*by),
            Self::Rule(_) | Self::Displaced { .. } => None,
        }
    }

    /// A stable name for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.code(),
            Self::Displaced { .. } => "tx_displaced",
            Self::Replaced { .. } => "tx_replaced",
        }
    }
}
