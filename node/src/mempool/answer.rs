//! What the pool answers: why a transaction may not wait, and what became of one.

use holdfast_ledger::TxError;
use holdfast_primitives::{Address, Amount, TxId};
use thiserror::Error;

/// Why a transaction may not wait.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// The ledger refuses it.
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
}

impl DropReason {
    /// A stable name for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.code(),
            Self::Displaced { .. } => "tx_displaced",
        }
    }
}
