//! Floor 2: every byte that must survive kill -9.
//!
//! Two rooms that know nothing of each other: [`ChainDb`], where a committed block enters in one atomic synced write,
//! and [`Vault`], where a holder's batches lie as plain files. Only this crate names RocksDB. Sync: it blocks on the
//! disk and leaves threads to its callers.
//!
//! It must never know a socket, a runtime, a wall clock, or what makes a block valid: it keeps what it is given, and
//! says so when the disk no longer does.

mod chain;
mod files;
mod lock;
mod sealed;
mod vault;

pub use chain::{
    ChainDb, ChainOptions, CommitInput, Committed, HolderEvidence, Joined, Joining, Pruned, StoreError, TableInfo,
    Target, Tip, TxPlace, Undecided, tables,
};
pub use files::FileError;
pub use lock::LockError;
pub use sealed::SealedError;
pub use vault::{BatchTag, Damage, Damaged, Have, Listed, ProvenLeaves, Upload, Vault, VaultError, VaultSource};
