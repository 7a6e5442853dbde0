//! From a database back to the state: every record is read once, everything is hashed anew, and the root says whether
//! anything is missing or changed.

use super::genesis_rules::{GenesisError, check};
use super::{HolderLists, State};
use crate::diff::{RECORD_BYTES_MAX, Table, read_slot_key};
use crate::merkle_vec::MerkleVec;
use crate::{ChainRecord, Genesis, Slot};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{BoundedError, ChainId, HolderNo, decode_exact};
use thiserror::Error;

/// Where the records of a state are kept.
pub trait StateSource {
    /// Calls `each` with every key and value of `table`, keys ascending as bytes, and stops at the first error that
    /// `each` returns. An error of the source itself is given as [`LoadError::Source`].
    fn scan(&self, table: Table, each: EachRecord<'_>) -> Result<(), LoadError>;
}

/// What a scan calls with every key and value.
pub type EachRecord<'a> = &'a mut (dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError> + 'a);

/// Why records are not a state of this chain.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The genesis itself is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The records could not be read.
    #[error("cannot read table {}", table.name())]
    Source {
        /// The table.
        table: Table,
        /// The source's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key that is not the next dense number of its table.
    #[error("table {}: key {key:02x?} is not the next number", table.name())]
    Key {
        /// The table.
        table: Table,
        /// The key.
        key: Vec<u8>,
    },
    /// Bytes that are no record of their table.
    #[error("table {}: record {key:02x?}: {source}", table.name())]
    Record {
        /// The table.
        table: Table,
        /// The record's key.
        key: Vec<u8>,
        /// The decoder's reason.
        source: BoundedError,
    },
    /// There is no chain record.
    #[error("there is no chain record")]
    NoChain,
    /// The records belong to another chain.
    #[error("the records are of chain {found}, the genesis is of {expected}")]
    OtherChain {
        /// The chain of the records.
        found: ChainId,
        /// The chain of the genesis.
        expected: ChainId,
    },
    /// A batch of a holder that does not exist.
    #[error("a batch belongs to holder {holder}, which does not exist")]
    UnknownHolder {
        /// The holder's number.
        holder: HolderNo,
    },
    /// A holder's record and its batches do not belong together.
    #[error("the batches of holder {holder} do not hash to the roots in its record")]
    Lists {
        /// The holder's number.
        holder: HolderNo,
    },
}

impl State {
    /// Reads a state and seals it. The caller compares the root with the one that the tip's header names.
    ///
    /// # Errors
    /// When the source fails, a table has gaps or bytes that are no records, the chain is another one, or a holder's
    /// batches do not hash to its record.
    pub fn load(genesis: &Genesis, source: &impl StateSource) -> Result<Self, LoadError> {
        check(genesis)?;
        let mut state = Self::without_records(&genesis.params, load_chain(genesis, source)?);
        state.accounts = load_table(source, Table::Accounts)?;
        state.holders = load_table(source, Table::Holders)?;
        state.contracts = load_table(source, Table::Contracts)?;
        state.segments = load_table(source, Table::Segments)?;
        state.rounds = load_table(source, Table::Rounds)?;
        state.progress = load_table(source, Table::Progress)?;
        state.deferred = load_table(source, Table::Deferred)?;
        state.validators = load_table(source, Table::Validators)?;
        state.load_slots(source)?;
        state.index_names();
        state.seal_loaded()?;
        Ok(state)
    }

    fn load_slots(&mut self, source: &impl StateSource) -> Result<(), LoadError> {
        for _ in 0..self.holders.len() {
            self.lists.push(HolderLists::default());
        }
        source.scan(Table::Slots, &mut |key, value| {
            let wrong_key = || LoadError::Key { table: Table::Slots, key: key.to_vec() };
            let (holder, batch_log2, slot) = read_slot_key(key).ok_or_else(wrong_key)?;
            let lists = self.lists.get_mut(holder.index()).ok_or(LoadError::UnknownHolder { holder })?;
            if !self.params.batch_classes.contains(&batch_log2) {
                return Err(wrong_key());
            }
            let list = lists.get_or_insert(batch_log2);
            if list.len() != slot as usize {
                return Err(wrong_key());
            }
            list.push(decode::<Slot>(Table::Slots, key, value)?);
            Ok(())
        })
    }

    /// Hashes everything; what the lists hash to must already stand in their holders' records.
    fn seal_loaded(&mut self) -> Result<(), LoadError> {
        for sealed in self.seal_lists(|_, _| ()) {
            if self.holders.get(sealed.holder.index()).is_none_or(|record| record.lists != sealed.classes) {
                return Err(LoadError::Lists { holder: sealed.holder });
            }
        }
        self.seal_tables(|_| (), |()| ());
        Ok(())
    }

    fn index_names(&mut self) {
        for (number, account) in (0..).zip(self.accounts.iter()) {
            self.by_address.insert(&account.address, number);
        }
        for (number, segment) in (0..).zip(self.segments.iter()) {
            self.by_ordinal.insert(&(segment.owner, segment.ordinal), number);
        }
    }
}

fn load_chain(genesis: &Genesis, source: &impl StateSource) -> Result<ChainRecord, LoadError> {
    let mut found = None;
    source.scan(Table::Chain, &mut |key, value| {
        found = Some(decode::<ChainRecord>(Table::Chain, key, value)?);
        Ok(())
    })?;
    let record = found.ok_or(LoadError::NoChain)?;
    let expected = genesis.chain_id();
    if record.chain != expected {
        return Err(LoadError::OtherChain { found: record.chain, expected });
    }
    Ok(record)
}

fn load_table<T>(source: &impl StateSource, table: Table) -> Result<MerkleVec<T>, LoadError>
where
    T: Clone + BorshSerialize + BorshDeserialize + Send + Sync,
{
    let mut vector = MerkleVec::new();
    source.scan(table, &mut |key, value| {
        if !table.is_key_of(key, vector.len()) {
            return Err(LoadError::Key { table, key: key.to_vec() });
        }
        vector.push(decode(table, key, value)?);
        Ok(())
    })?;
    Ok(vector)
}

fn decode<T: BorshDeserialize>(table: Table, key: &[u8], value: &[u8]) -> Result<T, LoadError> {
    decode_exact(value, RECORD_BYTES_MAX).map_err(|source| LoadError::Record { table, key: key.to_vec(), source })
}
