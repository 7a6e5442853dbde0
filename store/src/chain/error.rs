//! What the chain database refuses, and what it finds damaged.

use crate::files::FileError;
use crate::lock::LockError;
use crate::sealed::SealedError;
use holdfast_ledger::{GenesisError, LoadError};
use holdfast_primitives::{BlockHash, BoundedError, ChainId, Height, StateRoot};
use std::path::PathBuf;
use thiserror::Error;

/// Why the chain database did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process works in the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The format file is damaged, or a newer release wrote it.
    #[error(transparent)]
    Format(#[from] SealedError),
    /// There is a database but no word on what it is.
    #[error(
        "{directory} holds a database without its FORMAT file; put the file back from a copy, or move the directory \
         away and let the node fetch the chain again"
    )]
    FormatLost {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory belongs to another chain.
    #[error(
        "{directory} holds chain {found}, the genesis is of chain {expected}; use that chain's genesis, or another directory"
    )]
    OtherChain {
        /// The directory.
        directory: PathBuf,
        /// The chain of the database.
        found: ChainId,
        /// The chain of the genesis.
        expected: ChainId,
    },
    /// The genesis breaks a rule.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The database engine failed.
    #[error("database: cannot {action}: {reason}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// The engine's answer.
        reason: String,
    },
    /// A row is not what its table holds: the disk changed it.
    #[error("table {table}, key {}: {reason}", Hex(key))]
    Malformed {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: Vec<u8>,
        /// The decoder's reason.
        reason: BoundedError,
    },
    /// A key is not what its table's keys are.
    #[error("table {table}: malformed key {}", Hex(key))]
    MalformedKey {
        /// The table.
        table: &'static str,
        /// The key.
        key: Vec<u8>,
    },
    /// A row that another row points to is gone.
    #[error("table {table}: the row of height {height} is missing")]
    MissingRow {
        /// The table.
        table: &'static str,
        /// The height.
        height: Height,
    },
    /// A proposal larger than any may be.
    #[error("the proposal for height {height}, round {round} is too large: {reason}")]
    TooLarge {
        /// Its height.
        height: Height,
        /// Its consensus round.
        round: u32,
        /// The limit it breaks.
        reason: BoundedError,
    },
    /// Another block was committed at this height before.
    #[error("height {height} is decided: {stored} stands, {found} was to be committed")]
    Conflict {
        /// The height.
        height: Height,
        /// The block that stands.
        stored: BlockHash,
        /// The block that came.
        found: BlockHash,
    },
    /// Not the next height.
    #[error("height {found} was to be committed on top of {tip}")]
    NotNext {
        /// The last committed height.
        tip: Height,
        /// The height that came.
        found: Height,
    },
    /// Not built on the last committed block.
    #[error("the block at height {height} is built on {found}, the tip is {tip}")]
    WrongParent {
        /// The height that came.
        height: Height,
        /// The last committed block.
        tip: BlockHash,
        /// The parent that the block names.
        found: BlockHash,
    },
    /// The certificate is of another block.
    #[error("the certificate is of block {found} at height {found_height}, the block is {expected} at height {height}")]
    WrongCertificate {
        /// The block's height.
        height: Height,
        /// The block.
        expected: BlockHash,
        /// The certificate's height.
        found_height: Height,
        /// The certificate's block.
        found: BlockHash,
    },
    /// The records are not a state of this chain.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The records hash to another root than the tip names: the database is damaged.
    #[error("the state at height {height} hashes to {found}, the header says {expected}: the database is damaged")]
    StateMismatch {
        /// The tip's height.
        height: Height,
        /// The root that the tip names.
        expected: StateRoot,
        /// What the records hash to.
        found: StateRoot,
    },
}

impl StoreError {
    /// For `map_err` on an answer of the engine.
    pub(crate) fn engine(action: &'static str) -> impl Fn(rocksdb::Error) -> Self {
        move |error| Self::Database { action, reason: error.into_string() }
    }
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
