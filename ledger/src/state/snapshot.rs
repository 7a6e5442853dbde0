//! The whole state as one diff: what a database that has nothing yet must write.

use super::State;
use crate::diff::{Diff, Table, TableChanges};
use crate::merkle_vec::{Changes, MerkleVec};
use borsh::BorshSerialize;
use holdfast_primitives::HolderNo;

impl State {
    /// Every record, as if the last seal had made them all. [`State::load`] from these gives the same state again, if
    /// nothing changed since that seal.
    pub fn snapshot(&self) -> Diff {
        let mut diff = Diff::default();
        diff.append(all_of(TableChanges::of(Table::Chain), [self.chain()]));
        diff.append(all(Table::Accounts, &self.accounts));
        diff.append(all(Table::Holders, &self.holders));
        diff.append(all(Table::Contracts, &self.contracts));
        diff.append(all(Table::Segments, &self.segments));
        for (holder, lists) in (0..).map(HolderNo::new).zip(self.lists.iter()) {
            for (batch_log2, list) in &lists.0 {
                diff.append(all_of(TableChanges::of_slots(holder, *batch_log2), list.iter()));
            }
        }
        diff.append(all(Table::Rounds, &self.rounds));
        diff.append(all(Table::Progress, &self.progress));
        diff.append(all(Table::Deferred, &self.deferred));
        diff.append(all(Table::Validators, &self.validators));
        diff
    }
}

fn all<T: Clone + BorshSerialize + Send + Sync>(table: Table, vector: &MerkleVec<T>) -> TableChanges {
    all_of(TableChanges::of(table), vector.iter())
}

fn all_of<'a, T: BorshSerialize + 'a>(
    mut changes: TableChanges,
    records: impl IntoIterator<Item = &'a T>,
) -> TableChanges {
    let mut bytes = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        bytes.clear();
        record.serialize(&mut bytes).expect("a record encodes into memory");
        changes.put(index, &bytes);
    }
    changes
}
