//! Sealing: from changed records to roots and a diff.

use super::write::next_number;
use super::{HolderLists, State};
use crate::Params;
use crate::diff::{Diff, Table, TableChanges};
use crate::merkle_vec::{Changes, Hash, MerkleVec};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::ClassList;
use holdfast_primitives::limits::BATCH_CLASSES_MAX;
use holdfast_primitives::{Bounded, HolderNo, StateRoot, merkle, sha256_parts};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Changed holders from which their lists are sealed on several threads.
const PARALLEL_HOLDERS: usize = 64;

/// What the state's root is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateRoots {
    /// `SHA256("holdfast/params/v1\0" | borsh(Params))`.
    pub params: Hash,
    /// `leaf(borsh(ChainRecord))`.
    pub chain: Hash,
    /// Root of the accounts.
    pub accounts: Hash,
    /// Root of the holders, and so of their lists.
    pub holders: Hash,
    /// Root of the contracts.
    pub contracts: Hash,
    /// Root of the segments.
    pub segments: Hash,
    /// Root of the settled rounds.
    pub rounds: Hash,
    /// Root of the running round's proof progress.
    pub progress: Hash,
    /// Root of the deferred changes.
    pub deferred: Hash,
    /// Root of the validators.
    pub validators: Hash,
}

impl StateRoots {
    /// The root of a table that is one vector; `None` for the chain record and the lists.
    pub const fn vector(&self, table: Table) -> Option<Hash> {
        Some(match table {
            Table::Chain | Table::Slots => return None,
            Table::Accounts => self.accounts,
            Table::Holders => self.holders,
            Table::Contracts => self.contracts,
            Table::Segments => self.segments,
            Table::Rounds => self.rounds,
            Table::Progress => self.progress,
            Table::Deferred => self.deferred,
            Table::Validators => self.validators,
        })
    }

    /// The state's root.
    pub fn root(&self) -> StateRoot {
        StateRoot::new(sha256_parts(&[
            b"holdfast/state/v1\0",
            &self.params,
            &self.chain,
            &self.accounts,
            &self.holders,
            &self.contracts,
            &self.segments,
            &self.rounds,
            &self.progress,
            &self.deferred,
            &self.validators,
        ]))
    }
}

/// One holder's lists after sealing.
pub(super) struct SealedLists<C> {
    pub(super) holder: HolderNo,
    pub(super) classes: Bounded<ClassList, BATCH_CLASSES_MAX>,
    changes: Vec<C>,
}

impl State {
    /// Hashes everything that changed since the last seal, and tells what it was.
    pub(crate) fn seal(&mut self) -> Diff {
        let mut diff = Diff::default();
        for sealed in self.seal_lists(TableChanges::of_slots) {
            self.holder_mut(sealed.holder).lists = sealed.classes;
            sealed.changes.into_iter().for_each(|changes| diff.append(changes));
        }
        self.seal_tables(TableChanges::of, |changes| diff.append(changes));
        diff
    }

    /// Seals the changed lists. Their roots still have to be written into the records of their holders.
    pub(super) fn seal_lists<C: Changes>(
        &mut self,
        collector: impl Fn(HolderNo, u8) -> C + Sync,
    ) -> Vec<SealedLists<C>> {
        let dirty = self.lists.take_dirty();
        let seal =
            |(holder, lists): (usize, &mut HolderLists)| lists.seal(HolderNo::new(next_number(holder)), &collector);
        if dirty.len() >= PARALLEL_HOLDERS {
            dirty.into_par_iter().map(seal).collect()
        } else {
            dirty.into_iter().map(seal).collect()
        }
    }

    /// Seals every table but the lists, and hands out what was collected, table by table.
    pub(super) fn seal_tables<C: Changes>(&mut self, collector: impl Fn(Table) -> C, mut told: impl FnMut(C)) {
        if std::mem::take(&mut self.chain_changed) {
            let bytes = borsh::to_vec(self.chain()).expect("a chain record encodes into memory");
            self.roots.chain = merkle::leaf(&bytes);
            let mut changes = collector(Table::Chain);
            changes.put(0, &bytes);
            told(changes);
        }
        let (roots, told) = (&mut self.roots, &mut told);
        roots.accounts = seal_vector(&mut self.accounts, collector(Table::Accounts), told);
        roots.holders = seal_vector(&mut self.holders, collector(Table::Holders), told);
        roots.contracts = seal_vector(&mut self.contracts, collector(Table::Contracts), told);
        roots.segments = seal_vector(&mut self.segments, collector(Table::Segments), told);
        roots.rounds = seal_vector(&mut self.rounds, collector(Table::Rounds), told);
        roots.progress = seal_vector(&mut self.progress, collector(Table::Progress), told);
        roots.deferred = seal_vector(&mut self.deferred, collector(Table::Deferred), told);
        roots.validators = seal_vector(&mut self.validators, collector(Table::Validators), told);
    }
}

impl HolderLists {
    fn seal<C: Changes>(&mut self, holder: HolderNo, collector: impl Fn(HolderNo, u8) -> C) -> SealedLists<C> {
        let mut classes = Vec::with_capacity(self.0.len());
        let mut told = Vec::with_capacity(self.0.len());
        for (batch_log2, list) in &mut self.0 {
            let mut changes = collector(holder, *batch_log2);
            let list_root = list.seal_into(&mut changes);
            told.push(changes);
            if !list.is_empty() {
                classes.push(ClassList { batch_log2: *batch_log2, batches: list.len() as u64, list_root });
            }
        }
        let classes = Bounded::new(classes).expect("a network has at most BATCH_CLASSES_MAX sizes");
        SealedLists { holder, classes, changes: told }
    }
}

fn seal_vector<T, C>(vector: &mut MerkleVec<T>, mut changes: C, told: &mut impl FnMut(C)) -> Hash
where
    T: Clone + BorshSerialize + Send + Sync,
    C: Changes,
{
    let root = vector.seal_into(&mut changes);
    told(changes);
    root
}

/// What the root says about the network's rules.
pub(crate) fn params_digest(params: &Params) -> Hash {
    let bytes = borsh::to_vec(params).expect("parameters encode into memory");
    sha256_parts(&[b"holdfast/params/v1\0", &bytes])
}
