//! The state of the ledger as one persistent value: a clone is cheap and shares everything, a write copies only the
//! pages it touches. So a speculative next state, the committed state that is read, and a state kept for an audit live
//! side by side.
//!
//! ```text
//! params digest = SHA256("holdfast/params/v1\0" | borsh(Params))
//! state root    = SHA256("holdfast/state/v1\0" | params digest | leaf(borsh(ChainRecord)) | roots of: accounts |
//!                 holders | contracts | segments | rounds | progress | deferred | validators)
//! ```
//! A holder's batch lists hang from its record (`Holder::lists`), so their roots are in the root of the holders.

mod genesis;
mod genesis_rules;
mod index;
mod load;
mod prove;
mod seal;
mod serve;
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use seal::params_digest;

pub use genesis_rules::GenesisError;
pub use load::{EachRecord, LoadError, StateSource};
pub use seal::StateRoots;

use crate::merkle_vec::MerkleVec;
use crate::pages::Pages;
use crate::{
    Account, ChainRecord, Contract, Deferred, Holder, Params, ProofProgress, RoundRecord, Segment, Slot,
    ValidatorRecord,
};
use holdfast_primitives::{AccountNo, Address, ContractNo, HolderNo, RoundNo, SegmentNo, StateRoot, ValidatorNo};
use index::NumberIndex;
use std::sync::Arc;

/// Everything the chain has agreed on.
#[derive(Clone, Debug)]
pub struct State {
    params: Arc<Params>,
    chain: Arc<ChainRecord>,
    chain_changed: bool,
    accounts: MerkleVec<Account>,
    holders: MerkleVec<Holder>,
    contracts: MerkleVec<Contract>,
    segments: MerkleVec<Segment>,
    rounds: MerkleVec<RoundRecord>,
    progress: MerkleVec<ProofProgress>,
    deferred: MerkleVec<Deferred>,
    validators: MerkleVec<ValidatorRecord>,
    /// Indexed by holder number, as long as `holders`.
    lists: Pages<HolderLists, ()>,
    by_address: NumberIndex,
    by_ordinal: NumberIndex,
    roots: StateRoots,
}

/// One holder's batch lists, ascending by size. A list that became empty may stay.
#[derive(Clone, Debug, Default)]
struct HolderLists(Vec<(u8, MerkleVec<Slot>)>);

impl State {
    /// The state's root as of the last seal.
    pub fn root(&self) -> StateRoot {
        self.roots.root()
    }

    /// What the root is made of, as of the last seal.
    pub const fn roots(&self) -> &StateRoots {
        &self.roots
    }

    /// The network's rules.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What there is only one of.
    pub fn chain(&self) -> &ChainRecord {
        &self.chain
    }

    /// An account by number.
    pub fn account(&self, number: AccountNo) -> Option<&Account> {
        self.accounts.get(number.index())
    }

    /// An account by address.
    pub fn account_by_address(&self, address: &Address) -> Option<(AccountNo, &Account)> {
        let is_it = |number| self.account(AccountNo::new(number)).is_some_and(|account| account.address == *address);
        let number = AccountNo::new(self.by_address.get(address, is_it)?);
        Some((number, self.account(number)?))
    }

    /// A holder by number.
    pub fn holder(&self, number: HolderNo) -> Option<&Holder> {
        self.holders.get(number.index())
    }

    /// A holder by its account's address.
    pub fn holder_by_address(&self, address: &Address) -> Option<(HolderNo, &Holder)> {
        let (_, account) = self.account_by_address(address)?;
        let number = account.holder?;
        Some((number, self.holder(number)?))
    }

    /// Whether a heavy node's key: one that is bonded now, so that its footprint earns.
    pub fn is_heavy_node(&self, address: &Address) -> bool {
        let number = self.account_by_address(address).map(|(number, _)| number);
        number.is_some_and(|number| self.chain.heavy_nodes.binary_search(&number).is_ok())
    }

    /// A contract by number.
    pub fn contract(&self, number: ContractNo) -> Option<&Contract> {
        self.contracts.get(number.index())
    }

    /// A segment by number.
    pub fn segment(&self, number: SegmentNo) -> Option<&Segment> {
        self.segments.get(number.index())
    }

    /// The number of an owner's segment.
    pub fn segment_of(&self, owner: AccountNo, ordinal: u32) -> Option<SegmentNo> {
        let is_it = |number| {
            self.segment(SegmentNo::new(number))
                .is_some_and(|segment| segment.owner == owner && segment.ordinal == ordinal)
        };
        self.by_ordinal.get(&(owner, ordinal), is_it).map(SegmentNo::new)
    }

    /// A holder's list of batches of one size: the vector itself, for proofs against a frozen prefix of it. `None` when
    /// the holder never had a batch of this size.
    pub fn list(&self, holder: HolderNo, batch_log2: u8) -> Option<&MerkleVec<Slot>> {
        self.lists.get(holder.index())?.get(batch_log2)
    }

    /// A holder's batches of one size, in order of slot.
    pub fn slots(&self, holder: HolderNo, batch_log2: u8) -> impl Iterator<Item = &Slot> {
        self.list(holder, batch_log2).into_iter().flat_map(MerkleVec::iter)
    }

    /// One batch of a holder.
    pub fn slot(&self, holder: HolderNo, batch_log2: u8, slot: u32) -> Option<&Slot> {
        self.list(holder, batch_log2)?.get(slot as usize)
    }

    /// A settled round.
    pub fn round(&self, number: RoundNo) -> Option<&RoundRecord> {
        self.rounds.get(usize::try_from(number.get()).ok()?)
    }

    /// What of a holder's proof has arrived in the running round.
    pub fn progress(&self, holder: HolderNo) -> Option<&ProofProgress> {
        self.progress.get(holder.index())
    }

    /// Changes to lists that wait for the round's end.
    pub fn deferred(&self) -> impl Iterator<Item = &Deferred> {
        self.deferred.iter()
    }

    /// A validator by number.
    pub fn validator(&self, number: ValidatorNo) -> Option<&ValidatorRecord> {
        self.validators.get(number.index())
    }

    /// A validator by its account's address, whether it decides blocks now or not.
    pub fn validator_by_address(&self, address: &Address) -> Option<(ValidatorNo, &ValidatorRecord)> {
        let (_, account) = self.account_by_address(address)?;
        let number = account.validator?;
        Some((number, self.validator(number)?))
    }

    /// All who ever bonded, in order of number.
    pub fn iter_validators(&self) -> impl Iterator<Item = (ValidatorNo, &ValidatorRecord)> {
        (0..).map(ValidatorNo::new).zip(self.validators.iter())
    }

    /// All accounts, in order of number.
    pub fn iter_accounts(&self) -> impl Iterator<Item = (AccountNo, &Account)> {
        (0..).map(AccountNo::new).zip(self.accounts.iter())
    }

    /// All holders, in order of number.
    pub fn iter_holders(&self) -> impl Iterator<Item = (HolderNo, &Holder)> {
        (0..).map(HolderNo::new).zip(self.holders.iter())
    }

    /// All contracts, in order of number.
    pub fn iter_contracts(&self) -> impl Iterator<Item = (ContractNo, &Contract)> {
        (0..).map(ContractNo::new).zip(self.contracts.iter())
    }

    /// All segments, in order of number.
    pub fn iter_segments(&self) -> impl Iterator<Item = (SegmentNo, &Segment)> {
        (0..).map(SegmentNo::new).zip(self.segments.iter())
    }

    /// All settled rounds, in order.
    pub fn iter_rounds(&self) -> impl Iterator<Item = &RoundRecord> {
        self.rounds.iter()
    }

    /// How many accounts there are.
    pub const fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How many holders there are.
    pub const fn holders(&self) -> usize {
        self.holders.len()
    }

    /// How many contracts were ever opened.
    pub const fn contracts(&self) -> usize {
        self.contracts.len()
    }

    /// How many segments were ever registered.
    pub const fn segments(&self) -> usize {
        self.segments.len()
    }

    /// How many ever bonded.
    pub const fn validators(&self) -> usize {
        self.validators.len()
    }

    /// How many rounds are settled.
    pub const fn rounds(&self) -> usize {
        self.rounds.len()
    }
}

impl HolderLists {
    fn get(&self, batch_log2: u8) -> Option<&MerkleVec<Slot>> {
        let place = self.0.binary_search_by_key(&batch_log2, |(size, _)| *size).ok()?;
        Some(&self.0[place].1)
    }

    fn get_mut(&mut self, batch_log2: u8) -> Option<&mut MerkleVec<Slot>> {
        let place = self.0.binary_search_by_key(&batch_log2, |(size, _)| *size).ok()?;
        Some(&mut self.0[place].1)
    }

    fn get_or_insert(&mut self, batch_log2: u8) -> &mut MerkleVec<Slot> {
        let place = self.0.binary_search_by_key(&batch_log2, |(size, _)| *size).unwrap_or_else(|place| {
            self.0.insert(place, (batch_log2, MerkleVec::new()));
            place
        });
        &mut self.0[place].1
    }
}
