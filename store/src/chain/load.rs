//! From the tables back to the state.

use crate::chain::{ChainDb, StoreError};
use holdfast_ledger::{Genesis, LoadError, State, StateSource, Table};

impl ChainDb {
    /// Reads and hashes the whole state.
    ///
    /// # Errors
    /// [`StoreError::StateMismatch`] when it does not hash to the root that the tip names, and whatever else shows that
    /// the records are not a state of this chain.
    pub fn load_state(&self, genesis: &Genesis) -> Result<State, StoreError> {
        let _alone = self.write_alone();
        let tip = self.tip();
        let state = State::load(genesis, self)?;
        let (expected, found) = (tip.state_root, state.root());
        if found != expected {
            return Err(StoreError::StateMismatch { height: tip.height, expected, found });
        }
        Ok(state)
    }
}

impl StateSource for ChainDb {
    fn scan(&self, table: Table, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        let unreadable = |error: StoreError| LoadError::Source { table, source: Box::new(error) };
        self.database.scan(table.name(), each, unreadable)
    }
}
