//! A database of maps, as a node keeps one, and the independent count of all money.

use holdfast_ledger::{Account, Applied, LoadError, State, StateSource, Table};
use holdfast_primitives::AccountNo;
use std::collections::BTreeMap;

/// A database as a node keeps it.
pub struct Disk(BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>);

impl Disk {
    /// A genesis makes accounts and the chain record, nothing else.
    pub fn of_genesis(state: &State) -> Self {
        let account = |(number, account): (AccountNo, &Account)| {
            (number.get().to_be_bytes().to_vec(), borsh::to_vec(account).unwrap())
        };
        let chain = (vec![0; 4], borsh::to_vec(state.chain()).unwrap());
        let accounts = (Table::Accounts, state.iter_accounts().map(account).collect());
        Self(BTreeMap::from([(Table::Chain, BTreeMap::from([chain])), accounts]))
    }

    /// Writes a block's changes.
    pub fn write(&mut self, applied: &Applied) {
        for (table, key, value) in applied.diff.iter() {
            let rows = self.0.entry(table).or_default();
            match value {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
    }
}

impl StateSource for Disk {
    fn scan(&self, table: Table, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        let rows = self.0.get(&table).into_iter().flatten();
        rows.into_iter().try_for_each(|(key, value)| each(key, value))
    }
}

/// All money wherever it lies: balances, deposits, escrows, bonds, the reserve.
pub fn count_money(state: &State) -> u128 {
    let balances = state.iter_accounts().map(|(_, account)| account.balance);
    let deposits = state.iter_holders().map(|(_, holder)| holder.deposit);
    let escrows = state.iter_contracts().map(|(_, contract)| contract.escrow);
    let bonds = state.iter_validators().map(|(_, validator)| validator.liable());
    let reserve = state.chain().reserve;
    balances.chain(deposits).chain(escrows).chain(bonds).chain([reserve]).map(|amount| u128::from(amount.get())).sum()
}
