//! Letting go of batches: by their owner, or because their term is over.

use crate::block::Event;
use crate::execute::Execution;
use crate::execute::ledger::{credit, minus, times};
use crate::records::{CatalogHead, Contract, Deferred, Member, Phase, Slot};
use crate::state::State;
use holdfast_primitives::{AccountNo, Amount, ContractNo, HolderNo, RoundNo, SegmentNo};

/// Releases now while the round is open; a frozen list waits for its settlement.
pub(super) fn execute(execution: &mut Execution, owner: AccountNo, ordinals: &[u32], head: Option<&CatalogHead>) {
    if let Some(head) = head {
        execution.state.account_mut(owner).catalog_head = head.clone();
    }
    let open = execution.state.chain().running.phase == Phase::Open;
    for &ordinal in ordinals {
        let segment = execution.state.segment_of(owner, ordinal).expect("the check found the segment");
        if open {
            let round = execution.state.chain().running.round;
            release_segment(execution, segment, round);
        } else {
            execution.state.defer(Deferred::Release { segment });
        }
    }
}

/// Takes what is left of a segment out of its holders' lists. `unpaid` is the first round that is not settled yet: what
/// was prepaid for the released batches from there on returns to the owner at once. What an escrow kept for faulty
/// batches and missed rounds returns when the contract ends, which it does here if no batch is left to it.
///
/// Doing this to a segment twice changes nothing the second time, so a release may wait in the list of deferred changes
/// more than once.
pub(crate) fn release_segment(execution: &mut Execution, segment: SegmentNo, unpaid: RoundNo) {
    let record = execution.state.segment(segment).expect("segment numbers come from records");
    let batch_log2 = record.batch_log2;
    let here: Vec<Member> = record.members.iter().copied().collect();
    let mut released = false;
    for index in 0..here.len() {
        // Read again each time: removing one batch may move another of the same segment.
        let member = execution.state.segment(segment).expect("it was just read").members[index];
        if !member.is_gone() {
            release_batch(execution, member, batch_log2, unpaid);
            released = true;
        }
    }
    if released {
        execution.events.push(Event::SegmentReleased { segment });
    }
}

/// Ends a contract that has no batch left: what its escrow still holds returns to the owner.
pub(crate) fn end_contract(execution: &mut Execution, number: ContractNo) {
    let contract = execution.state.contract_mut(number);
    let refund = std::mem::take(&mut contract.escrow);
    let owner = contract.owner;
    credit(&mut execution.state, owner, refund);
    execution.events.push(Event::ContractEnded { contract: number, refund });
}

/// Takes a batch out of its holder's list: the list's last batch moves into its place, the segment forgets the slot, the
/// holder's space and collateral are free again. The contract is the caller's to settle.
pub(crate) fn unlist(state: &mut State, number: HolderNo, batch_log2: u8, slot: u32) -> Slot {
    let (gone, _) = state.swap_remove_slot(number, batch_log2, slot);
    let segment = state.segment_mut(gone.segment);
    segment.members[usize::from(gone.index)].slot = Member::GONE;
    let collateral = state.contract(gone.contract).expect("a slot names a contract that exists").collateral;
    let holder = state.holder_mut(number);
    holder.used_bytes -= 1 << batch_log2;
    holder.locked = minus(holder.locked, collateral);
    holder.faulty -= u32::from(gone.faulty_since.is_some());
    gone
}

fn release_batch(execution: &mut Execution, member: Member, batch_log2: u8, unpaid: RoundNo) {
    let gone = unlist(&mut execution.state, member.holder, batch_log2, member.slot);
    let contract = execution.state.contract_mut(gone.contract);
    let refund = prepaid(contract, unpaid);
    contract.batches -= 1;
    contract.faulty -= u32::from(gone.faulty_since.is_some());
    contract.escrow = minus(contract.escrow, refund);
    let (owner, is_empty) = (contract.owner, contract.batches == 0);
    credit(&mut execution.state, owner, refund);
    if is_empty {
        end_contract(execution, gone.contract);
    }
}

/// What one batch's prepayment still holds for the rounds from `unpaid` on. An escrow never holds less than this for
/// each of its batches: every round takes at most `price` per batch, and a batch that leaves takes its own share along.
fn prepaid(contract: &Contract, unpaid: RoundNo) -> Amount {
    times(contract.price, contract.end_round.since(unpaid.max(contract.first_round)))
}
