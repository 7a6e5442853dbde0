//! A round from freeze to settlement, and the clock that drives it.

use crate::market::{HEAVY, Market, PRICE, START_MS};
use crate::signing::Deal;
use crate::villains::record;
use holdfast_ledger::{Deferred, Event, Phase, Profile, TxBody, TxEnvelope};
use holdfast_por::{ClassCount, set_root};
use holdfast_primitives::{Amount, Bounded, ContractNo, HolderNo, RoundNo, SegmentNo};

#[test]
fn an_idle_chain_settles_an_empty_round_in_one_block() {
    let mut market = Market::open();
    let events = market.freeze();
    let settled = record(&events);
    assert_eq!((settled.round, settled.holders, settled.batches), (RoundNo::new(0), 0, 0));
    assert_eq!(settled.paid, Amount::ZERO);
    let running = &market.state.chain().running;
    assert_eq!((running.phase.clone(), running.round), (Phase::Open, RoundNo::new(1)));
    assert_eq!(running.due.get(), START_MS + 120_000);
}

#[test]
fn freezes_keep_to_their_plan_and_rounds_are_numbered_without_gaps() {
    let mut market = Market::open();
    // The first freeze comes 7 s late; the plan does not move.
    market.block_at(START_MS + 67_000, HEAVY[0], Vec::new());
    assert_eq!(market.state.chain().running.due.get(), START_MS + 120_000);
    // Ten plans pass by unused.
    market.block_at(START_MS + 11 * 60_000 + 5, HEAVY[0], Vec::new());
    assert_eq!(market.state.chain().running.due.get(), START_MS + 12 * 60_000);
    assert_eq!(market.state.chain().running.round, RoundNo::new(2));
    assert_eq!(market.state.rounds(), 2);
}

#[test]
fn the_seed_is_the_beacon_two_blocks_after_the_freeze() {
    let mut market = Market::stored();
    market.freeze();
    let frozen_at = market.state.chain().height;
    market.block(Vec::new());
    assert_eq!(market.state.chain().running.phase, Phase::AwaitingSeed);
    market.block(Vec::new());
    let chain = market.state.chain();
    let expected = Phase::Proving { seed_height: frozen_at.next().next(), seed: chain.beacon };
    assert_eq!(chain.running.phase, expected);
}

#[test]
fn slow_blocks_leave_the_holders_half_of_the_window() {
    let mut market = Market::stored();
    market.freeze();
    let (frozen_at, deadline) = (market.time, market.state.chain().running.due.get());
    assert_eq!(deadline, frozen_at + 20_000);
    for seconds in [9, 18] {
        market.block_at(frozen_at + seconds * 1_000, HEAVY[0], Vec::new());
    }
    assert!(matches!(market.state.chain().running.phase, Phase::Proving { .. }));
    assert_eq!(market.state.chain().running.due.get(), frozen_at + 28_000);
}

#[test]
fn a_freeze_binds_each_holder_to_its_lists_and_its_revenue() {
    let mut market = Market::stored();
    let events = market.freeze();
    let frozen = |event: &Event| match event {
        Event::HolderFrozen(row) => Some(row.clone()),
        _ => None,
    };
    let rows: Vec<_> = events.iter().filter_map(frozen).collect();
    assert_eq!(rows.len(), 3, "Frank holds nothing");
    for row in &rows {
        let holder = market.state.holder(row.number).unwrap();
        assert_eq!(holder.frozen.as_ref(), Some(&row.frozen));
        assert_eq!(
            row.frozen.classes.iter().map(|class| class.count()).collect::<Vec<_>>(),
            [ClassCount { batch_log2: 20, batches: 2 }]
        );
        assert_eq!(row.frozen.set_root, set_root(&holder.lists));
        assert_eq!(row.frozen.revenue.get(), 2 * PRICE.get());
        assert_eq!(row.frozen.challenges, 16);
    }
    assert_eq!(holdfast_ledger::rows_root(&rows), market.state.chain().running.frozen_root);
}

#[test]
fn a_missed_round_pays_nothing_and_costs_a_fifth_of_the_revenue() {
    let mut market = Market::stored();
    let (balance, deposit) = (market.balance("erin"), market.holder("erin").deposit);
    let settled = record(&market.round(&["carol", "dave"]));
    assert_eq!((settled.missed, settled.newly_faulty), (1, 0));
    assert_eq!(settled.fines.get(), (2 * PRICE.get()).div_ceil(5));
    assert_eq!(market.balance("erin"), balance);
    assert_eq!(market.holder("erin").deposit.get(), deposit.get() - settled.fines.get());
    assert_eq!(market.state.chain().reserve, settled.fines);
    assert_eq!((market.holder("erin").rounds_missed, market.holder("carol").rounds_proved), (1, 1));
    assert_eq!(settled.paid.get(), 4 * PRICE.get());
}

#[test]
fn a_lost_batch_is_unpaid_from_the_round_that_finds_it() {
    let mut market = Market::stored();
    let state = market.state.clone();
    market.vault.lose(&state, "erin", 20, 1);
    market.freeze_and_seed();
    let failing = market.challenge("erin").unwrap().positions().filter(|at| at.slot == 1).count() as u64;
    assert!(failing > 0, "sixteen challenges over two batches find both");
    let proof = market.proof("erin");
    market.block(proof);
    let settled = record(&market.settle());
    assert_eq!((settled.newly_faulty, settled.missed), (1, 2));
    assert_eq!(settled.paid, PRICE, "Erin's sound batch");
    let each = (2 * PRICE.get()).div_ceil(16) * 10;
    let missed = 2 * (2 * PRICE.get()).div_ceil(5);
    assert_eq!(settled.fines.get(), failing * each + missed);
    let again = record(&market.round(&["erin"]));
    assert_eq!(again.newly_faulty, 0);
    assert_eq!(again.fines.get(), missed, "what is known to be faulty costs no second fine");
}

#[test]
fn a_contract_ends_with_its_term_and_returns_what_it_did_not_pay() {
    let mut market = Market::open();
    let joins = vec![market.join("carol"), market.join("dave")];
    market.block(joins);
    let deals = ["carol", "dave"].map(|holder| Deal { rounds: 2, ..Deal::with(holder) });
    let register = market.register("alice", 20, 3, &deals);
    market.block(vec![register]);
    market.round(&["carol", "dave"]);
    let before = market.balance("alice");
    let events = market.round(&["carol"]);
    let refund = |event: &Event| match event {
        Event::ContractEnded { contract, refund } => Some((*contract, refund.get())),
        _ => None,
    };
    let ended: Vec<_> = events.iter().filter_map(refund).collect();
    assert_eq!(ended, [(ContractNo::new(0), 0), (ContractNo::new(1), 3 * PRICE.get())]);
    assert_eq!(market.balance("alice").get(), before.get() + 3 * PRICE.get());
    for name in ["carol", "dave"] {
        let holder = market.holder(name);
        assert_eq!((holder.used_bytes, holder.locked), (0, Amount::ZERO));
        assert!(holder.lists.iter().all(|list| list.batches == 0));
    }
    assert!(market.state.iter_segments().all(|(_, segment)| segment.members.iter().all(|member| member.is_gone())));
    let idle = record(&market.freeze());
    assert_eq!(idle.holders, 0, "nobody has anything to prove");
}

#[test]
fn what_is_registered_while_a_round_is_pending_is_paid_from_the_next_on() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let register = market.register("bob", 21, 1, &[Deal { rounds: 1, ..Deal::with("frank") }]);
    market.block(vec![register]);
    let contract = ContractNo::new(3);
    let found = market.state.contract(contract).unwrap();
    assert_eq!((found.first_round, found.end_round), (RoundNo::new(1), RoundNo::new(2)));
    market.settle();
    assert_eq!(market.state.contract(contract).unwrap().escrow, PRICE, "the pending round was not Frank's");
    market.round(&["frank"]);
    assert_eq!(market.state.contract(contract).unwrap().escrow, Amount::ZERO);
}

#[test]
fn a_release_returns_the_prepayment_at_once_or_after_the_pending_round() {
    let mut market = Market::stored();
    let release = |market: &Market, ordinal| {
        let ordinals = Bounded::new(vec![ordinal]).unwrap();
        market.tx("alice", TxBody::Release { ordinals, catalog_head: None })
    };
    let tx = release(&market, 0);
    let (fee, before) = (tx.signed.tx.fee.get(), market.balance("alice").get());
    market.block(vec![tx]);
    assert_eq!(market.balance("alice").get(), before - fee + 3 * 10 * PRICE.get(), "ten rounds of three batches");

    market.freeze_and_seed();
    let tx = release(&market, 1);
    let again = TxEnvelope::bare(market.sign("alice", {
        let mut tx = tx.signed.tx.clone();
        tx.sequence += 1;
        tx
    }));
    market.block(vec![tx, again]);
    let waiting = Deferred::Release { segment: SegmentNo::new(1) };
    assert_eq!(market.state.deferred().cloned().collect::<Vec<_>>(), [waiting.clone(), waiting]);
    let before = market.balance("alice").get();
    let settled = record(&market.settle());
    assert_eq!(settled.missed, 3);
    assert_eq!(market.balance("alice").get(), before + 3 * 10 * PRICE.get(), "nine rounds and the one that was missed");
    assert_eq!(market.holder("carol").used_bytes, 0);
}

#[test]
fn the_proof_fee_goes_to_the_proposers_that_verified() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let balances = |market: &Market| HEAVY.map(|name| market.balance(name).get());
    let before = balances(&market);
    for (proposer, holder) in [(HEAVY[1], "carol"), (HEAVY[2], "dave"), (HEAVY[1], "erin")] {
        let txs = market.admit_all(market.proof(holder));
        market.block_at(market.time + 1_000, proposer, txs);
    }
    let settled = record(&market.settle());
    assert_eq!(settled.proof_fees.get(), 3 * 16 * 7);
    let gained: Vec<u64> = balances(&market).iter().zip(before).map(|(after, before)| after - before).collect();
    let relay = settled.relay_fees.get();
    assert_eq!(gained, [relay, 2 * 16 * 7, 16 * 7, 0]);
}

#[test]
fn a_holder_may_leave_with_its_bond_once_it_holds_nothing() {
    let mut market = Market::stored();
    let leave = |market: &Market, name: &str, accepting: bool| {
        let (price, deposit_add, deposit_take) = (PRICE, Amount::ZERO, Amount::hold(10));
        market.tx(
            name,
            TxBody::HolderUpdate {
                quota_bytes: 2 << 20,
                price,
                accepting,
                profile: Profile::default(),
                deposit_add,
                deposit_take,
            },
        )
    };
    assert_eq!(market.refusal(&leave(&market, "carol", false)).code(), "deposit_not_free");
    assert_eq!(market.refusal(&leave(&market, "frank", true)).code(), "deposit_not_free");
    let tx = leave(&market, "frank", false);
    market.block(vec![tx]);
    assert_eq!(market.holder("frank").deposit, Amount::ZERO);
    assert!(!market.holder("frank").accepting);
    assert!(market.state.holder(HolderNo::new(3)).is_some(), "its record stays");
}
