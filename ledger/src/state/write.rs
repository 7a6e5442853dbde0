//! The writers. Only the rules of this crate use them; every change is visible at once and hashed at the next seal.
//!
//! Numbers come from the state itself, and the rules have checked what they change: a number that names no record is a
//! bug of ours, and panics.

use super::{HolderLists, State};
use crate::{
    Account, CatalogHead, ChainRecord, Contract, Deferred, Holder, Member, ProofProgress, RoundRecord, Segment, Slot,
    ValidatorRecord,
};
use holdfast_primitives::{AccountNo, Address, Amount, Bounded, ContractNo, HolderNo, SegmentNo, ValidatorNo};
use std::sync::Arc;

impl State {
    pub(crate) fn chain_mut(&mut self) -> &mut ChainRecord {
        self.chain_changed = true;
        Arc::make_mut(&mut self.chain)
    }

    pub(crate) fn account_mut(&mut self, number: AccountNo) -> &mut Account {
        self.accounts.get_mut(number.index()).expect("an account number comes from the state")
    }

    /// Makes an empty account; the address must have none yet.
    pub(crate) fn create_account(&mut self, address: Address) -> AccountNo {
        let number = next_number(self.accounts.len());
        self.accounts.push(Account {
            address,
            balance: Amount::ZERO,
            sequence: 0,
            holder: None,
            validator: None,
            segments: 0,
            catalog_head: CatalogHead::empty(),
            revoked: Bounded::empty(),
        });
        self.by_address.insert(&address, number);
        AccountNo::new(number)
    }

    pub(crate) fn holder_mut(&mut self, number: HolderNo) -> &mut Holder {
        self.holders.get_mut(number.index()).expect("a holder number comes from the state")
    }

    pub(crate) fn create_holder(&mut self, holder: Holder) -> HolderNo {
        let number = next_number(self.holders.len());
        self.holders.push(holder);
        self.lists.push(HolderLists::default());
        HolderNo::new(number)
    }

    pub(crate) fn validator_mut(&mut self, number: ValidatorNo) -> &mut ValidatorRecord {
        self.validators.get_mut(number.index()).expect("a validator number comes from the state")
    }

    /// Makes a validator record; its account must have none yet.
    pub(crate) fn create_validator(&mut self, record: ValidatorRecord) -> ValidatorNo {
        let (number, account) = (ValidatorNo::new(next_number(self.validators.len())), record.account);
        self.validators.push(record);
        self.account_mut(account).validator = Some(number);
        number
    }

    pub(crate) fn contract_mut(&mut self, number: ContractNo) -> &mut Contract {
        self.contracts.get_mut(number.index()).expect("a contract number comes from the state")
    }

    pub(crate) fn create_contract(&mut self, contract: Contract) -> ContractNo {
        let number = next_number(self.contracts.len());
        self.contracts.push(contract);
        ContractNo::new(number)
    }

    /// Visits every contract once, in order; the closure says whether it changed it.
    pub(crate) fn contracts_for_each_mut(&mut self, mut change: impl FnMut(ContractNo, &mut Contract) -> bool) {
        self.contracts.for_each_mut(|index, contract| change(ContractNo::new(next_number(index)), contract));
    }

    pub(crate) fn segment_mut(&mut self, number: SegmentNo) -> &mut Segment {
        self.segments.get_mut(number.index()).expect("a segment number comes from the state")
    }

    /// Adds a segment; its owner must not have this ordinal yet.
    pub(crate) fn create_segment(&mut self, segment: Segment) -> SegmentNo {
        let number = next_number(self.segments.len());
        self.by_ordinal.insert(&(segment.owner, segment.ordinal), number);
        self.segments.push(segment);
        SegmentNo::new(number)
    }

    /// Appends to a holder's list and returns the slot.
    ///
    /// # Panics
    /// When there is no such holder.
    pub(crate) fn push_slot(&mut self, holder: HolderNo, batch_log2: u8, slot: Slot) -> u32 {
        let lists = self.lists.get_mut(holder.index()).expect("a batch is only given to a holder that exists");
        let list = lists.get_or_insert(batch_log2);
        list.push(slot);
        next_number(list.len() - 1)
    }

    pub(crate) fn slot_mut(&mut self, holder: HolderNo, batch_log2: u8, slot: u32) -> &mut Slot {
        let lists = self.lists.get_mut(holder.index()).expect("a holder number comes from the state");
        let list = lists.get_mut(batch_log2).expect("a slot is only changed in a list that exists");
        list.get_mut(slot as usize).expect("a slot that is changed exists")
    }

    /// Takes a slot out of a list; the list's last slot moves into its place and its segment is told.
    /// Returns the slot that left and the one that moved, if one did.
    ///
    /// # Panics
    /// When there is no such slot.
    pub(crate) fn swap_remove_slot(&mut self, holder: HolderNo, batch_log2: u8, slot: u32) -> (Slot, Option<Slot>) {
        let lists = self.lists.get_mut(holder.index()).expect("a slot is only taken from a holder that exists");
        let list = lists.get_mut(batch_log2).expect("a slot is only taken from a list that exists");
        let last = list.pop().expect("a slot is only taken from a list that has some");
        if slot as usize == list.len() {
            return (last, None);
        }
        let place = list.get_mut(slot as usize).expect("a slot that is taken exists");
        let removed = std::mem::replace(place, last.clone());
        let segment = self.segment_mut(last.segment);
        segment.members[usize::from(last.index)] = Member { holder, slot };
        (removed, Some(last))
    }

    pub(crate) fn push_round(&mut self, round: RoundRecord) {
        self.rounds.push(round);
    }

    /// The holder's progress in the running round, made if there was none.
    pub(crate) fn progress_mut(&mut self, holder: HolderNo) -> &mut ProofProgress {
        while self.progress.len() <= holder.index() {
            self.progress.push(ProofProgress::default());
        }
        self.progress.get_mut(holder.index()).expect("the vector was just made long enough")
    }

    pub(crate) fn clear_progress(&mut self) {
        self.progress.truncate(0);
    }

    pub(crate) fn defer(&mut self, change: Deferred) {
        self.deferred.push(change);
    }

    pub(crate) fn take_deferred(&mut self) -> Vec<Deferred> {
        let taken = self.deferred.iter().cloned().collect();
        self.deferred.truncate(0);
        taken
    }
}

/// An index as a record number. Numbers have 32 bits; every record costs a fee, so no chain reaches their end.
pub(super) fn next_number(index: usize) -> u32 {
    u32::try_from(index).expect("a table has fewer than 2^32 records")
}
