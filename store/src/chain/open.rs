//! Opening the chain database: lock it, know its format and its chain, give a new one its genesis state.

use crate::chain::database::Database;
use crate::chain::options::ChainOptions;
use crate::chain::schema::{FORMAT_VERSION, Tip, TipRow, ValidatorSets};
use crate::chain::{ChainDb, StoreError};
use crate::lock::DirectoryLock;
use crate::sealed::{Seal, SealedError};
use holdfast_ledger::{Genesis, State};
use holdfast_primitives::{BlockHash, ChainId, Height};
use std::path::Path;
use std::sync::{Mutex, RwLock};

/// Marks a directory as a chain database and names its chain.
pub(crate) const CHAIN_SEAL: Seal = Seal {
    magic: *b"hf-chain",
    version: FORMAT_VERSION,
    // Versions 1 to 3 lack fields that the state root hashes: no migration could keep a chain's headers true.
    oldest: 4,
    payload_max: ChainId::BYTES,
};

impl ChainDb {
    /// Opens the chain database in `directory`, or makes one there that holds the genesis state.
    ///
    /// # Errors
    /// When another process works in it, a newer release wrote it, it belongs to another chain, or it is damaged. The
    /// state itself is checked by [`ChainDb::load_state`].
    pub fn open(directory: &Path, genesis: &Genesis) -> Result<Self, StoreError> {
        Self::open_with(directory, genesis, &ChainOptions::default())
    }

    /// As [`ChainDb::open`], with other than the default memory.
    pub fn open_with(directory: &Path, genesis: &Genesis, options: &ChainOptions) -> Result<Self, StoreError> {
        let lock = DirectoryLock::acquire(directory)?;
        know_chain(directory, genesis)?;
        let database = Database::open(&directory.join("db"), options)?;
        let tip = match database.get::<TipRow>(&0)? {
            Some(tip) => tip,
            None => write_genesis(&database, genesis)?,
        };
        tracing::info!(directory = %directory.display(), height = tip.height.get(), "chain database is open");
        Ok(Self { database, tip: RwLock::new(tip), writer: Mutex::new(()), _lock: lock })
    }
}

/// Marks a new directory; refuses one of a newer release or of another chain.
pub(crate) fn know_chain(directory: &Path, genesis: &Genesis) -> Result<(), StoreError> {
    let path = directory.join("FORMAT");
    let expected = genesis.chain_id();
    match CHAIN_SEAL.read::<ChainId>(&path) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(StoreError::OtherChain { directory: directory.to_owned(), found, expected }),
        Err(SealedError::File(error)) if error.is_not_found() => {
            if directory.join("db").exists() {
                return Err(StoreError::FormatLost { directory: directory.to_owned() });
            }
            // A genesis that starts no chain must not claim the directory.
            State::genesis(genesis)?;
            Ok(CHAIN_SEAL.write(&path, &expected)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// The first write of all: the state before the first block.
fn write_genesis(database: &Database, genesis: &Genesis) -> Result<Tip, StoreError> {
    let state = State::genesis(genesis)?;
    let tip = Tip { height: Height::GENESIS, hash: BlockHash::ZERO, state_root: state.root() };
    let snapshot = state.snapshot();
    let validators = &state.chain().validators;
    let mut batch = database.batch();
    batch.change_all(snapshot.iter().map(|(table, key, value)| (table.name(), key, value)));
    batch.put::<ValidatorSets>(&validators.digest(), validators);
    batch.put::<TipRow>(&0, &tip);
    batch.write()?;
    Ok(tip)
}
