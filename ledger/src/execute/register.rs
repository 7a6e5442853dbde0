//! A registration: one contract per placement, one record per segment, one slot per batch.

use crate::block::Event;
use crate::check::standing::{collateral, heavy_node};
use crate::check::{escrow, placement_counts};
use crate::execute::Execution;
use crate::execute::ledger::{debit, plus, times};
use crate::records::{Contract, Member, Phase, Segment, Slot};
use crate::tx::{NewSegment, Placement, Register};
use holdfast_primitives::{AccountNo, Bounded, ContractNo, HolderNo, RoundNo, SegmentNo};

/// A contract that was just opened, and with whom.
type Opened = (ContractNo, HolderNo);

pub(super) fn execute(execution: &mut Execution, owner: AccountNo, register: &Register) {
    let first_round = first_round(execution);
    let opened: Vec<Opened> = register
        .placements
        .iter()
        .zip(placement_counts(register))
        .map(|(placement, batches)| open(execution, owner, placement, batches, first_round))
        .collect();
    for (segment, ordinal) in register.segments.iter().zip(register.first_ordinal..) {
        add_segment(execution, owner, ordinal, segment, &opened);
    }
    let account = execution.state.account_mut(owner);
    account.segments += u32::try_from(register.segments.len()).expect("a registration has few segments");
    if let Some(head) = &register.catalog_head {
        account.catalog_head = head.clone();
    }
}

/// A pending round's lists are frozen without the new batches, so the first round that pays is the next one.
const fn first_round_of(round: RoundNo, phase: &Phase) -> RoundNo {
    if matches!(phase, Phase::Open) { round } else { round.next() }
}

fn first_round(execution: &Execution) -> RoundNo {
    let running = &execution.state.chain().running;
    first_round_of(running.round, &running.phase)
}

fn open(
    execution: &mut Execution,
    owner: AccountNo,
    placement: &Placement,
    batches: u32,
    first_round: RoundNo,
) -> Opened {
    let state = &mut execution.state;
    let terms = &placement.quote.terms;
    let escrow = escrow(placement, batches).expect("the check computed the prepayment");
    let collateral = collateral(state, terms.price).expect("the check computed the collateral");
    let hops = placement.footprint.iter().map(|hop| heavy_node(state, &hop.node).expect("the check knew every hop"));
    let footprint = Bounded::new(hops.collect()).expect("a footprint's accounts are as few as its hops");
    let (holder, _) = state.holder_by_address(&terms.holder).expect("the check found the holder");
    let rounds_max = state.params().contract_rounds_max;
    debit(state, owner, escrow);
    let record = state.holder_mut(holder);
    record.used_bytes += u64::from(batches) << terms.batch_log2;
    record.locked = plus(record.locked, times(collateral, u64::from(batches)));
    let contract = state.create_contract(Contract {
        owner,
        holder,
        batch_log2: terms.batch_log2,
        batches,
        faulty: 0,
        price: terms.price,
        collateral,
        escrow,
        first_round,
        end_round: first_round.saturating_add(u64::from(placement.rounds)),
        end_round_max: first_round.saturating_add(u64::from(terms.rounds_max.min(rounds_max))),
        footprint,
    });
    execution.events.push(Event::ContractOpened { contract, owner, holder, batches, escrow });
    (contract, holder)
}

fn add_segment(execution: &mut Execution, owner: AccountNo, ordinal: u32, new: &NewSegment, opened: &[Opened]) {
    let NewSegment { batch_log2, data, parity, codec, .. } = *new;
    let state = &mut execution.state;
    let segment = SegmentNo::new(u32::try_from(state.segments()).expect("a table has fewer than 2^32 records"));
    let members = new.batches.iter().zip(0u8..).map(|(batch, index)| {
        let (contract, holder) = opened[usize::from(batch.placement)];
        let entry = Slot { meta: new.meta(batch), contract, segment, index, faulty_since: None };
        Member { holder, slot: state.push_slot(holder, batch_log2, entry) }
    });
    let members = Bounded::new(members.collect()).expect("a segment's members are as few as its batches");
    let number = state.create_segment(Segment { owner, ordinal, batch_log2, data, parity, codec, members });
    assert_eq!(number, segment, "segments are numbered in order");
    execution.events.push(Event::SegmentRegistered { segment, owner, ordinal });
}
