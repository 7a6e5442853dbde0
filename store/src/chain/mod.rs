//! The chain database: what was decided, kept so that kill -9 at any moment loses nothing that was acknowledged.
//!
//! ```text
//! <directory>/
//!   LOCK      held by the running process
//!   FORMAT    sealed file "hf-chain" version 1, payload: chain id 32 bytes; read before anything else is touched
//!   db/       RocksDB; a column family per table, `schema` lists them all
//! ```
//! A committed block enters in one function ([`ChainDb::commit`]) and one synced write. The state is loaded from its
//! tables, hashed anew, and compared with the root that the tip's header names ([`ChainDb::load_state`]).

mod commit;
mod database;
mod error;
mod history;
mod joining;
mod key;
mod load;
mod open;
mod options;
mod prune;
mod read;
pub(crate) mod schema;
mod undecided;

pub use commit::{CommitInput, Committed, HolderEvidence};
pub use error::StoreError;
pub use joining::Joining;
pub use options::ChainOptions;
pub use schema::{Joined, Pruned, TableInfo, Target, Tip, TxPlace, tables};
pub use undecided::Undecided;

use crate::lock::DirectoryLock;
use database::Database;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

/// The chain database of one node. All calls block on the disk; readers never wait for a commit.
#[derive(Debug)]
pub struct ChainDb {
    database: Database,
    /// What the database says too, kept at hand.
    tip: RwLock<Tip>,
    /// Taken by whoever writes.
    writer: Mutex<()>,
    _lock: DirectoryLock,
}

impl ChainDb {
    /// The last committed block; before the first one, genesis with a zero hash.
    pub fn tip(&self) -> Tip {
        *self.tip.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_tip(&self, tip: Tip) {
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = tip;
    }

    fn write_alone(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
