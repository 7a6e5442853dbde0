//! People who want more than their due, by name.

use crate::market::{BLOCK_MS, HEAVY, Market, PRICE, address, key};
use crate::signing::Deal;
use holdfast_ledger::{Event, Phase, RoundRecord, TxBody, TxEnvelope, TxError};
use holdfast_primitives::{Amount, Bounded, ChainId, Purpose};

#[test]
fn mallory_replays_alices_quote() {
    let mut market = Market::stored();
    let mut register = market.registration("alice", 20, 1, &[Deal::with("carol")]);
    register.first_ordinal = 0;
    let stolen = market.tx("mallory", TxBody::Register(register));
    assert_eq!(market.refusal(&stolen).code(), "quote_owner");
}

#[test]
fn mallory_replays_the_receipt_that_carol_gave_alice() {
    let mut market = Market::stored();
    let alices = market.registration("alice", 20, 1, &[Deal::with("carol")]);
    let mut mallorys = market.arrange("mallory", 20, alices.segments.to_vec(), &[Deal::with("carol")]);
    let mut placements = mallorys.placements.to_vec();
    placements[0].receipt = alices.placements[0].receipt.clone();
    mallorys.placements = Bounded::new(placements).unwrap();
    let tx = market.tx("mallory", TxBody::Register(mallorys));
    let expected = TxError::BadSignature { signer: address("carol"), role: "receipt" };
    assert_eq!(market.refusal(&tx), expected);
}

#[test]
fn mallory_registers_other_batches_than_carol_signed_for() {
    let mut market = Market::stored();
    let deals = [Deal::with("carol")];
    let mut register = market.registration("mallory", 20, 2, &deals);
    let mut segments = register.segments.to_vec();
    segments.swap(0, 1);
    register.segments = Bounded::new(segments).unwrap();
    let tx = market.tx("mallory", TxBody::Register(register));
    assert_eq!(market.refusal(&tx), TxError::BadSignature { signer: address("carol"), role: "receipt" });
}

#[test]
fn mallory_lowers_the_price_that_carol_quoted() {
    let mut market = Market::stored();
    let mut register = market.registration("mallory", 20, 1, &[Deal::with("carol")]);
    let mut placements = register.placements.to_vec();
    placements[0].quote.terms.price = Amount::grains(1);
    register.placements = Bounded::new(placements).unwrap();
    let tx = market.tx("mallory", TxBody::Register(register));
    assert_eq!(market.refusal(&tx), TxError::BadSignature { signer: address("carol"), role: "quote" });
}

#[test]
fn mallory_replays_a_transfer_and_one_from_another_chain() {
    let mut market = Market::stored();
    let tx = market.transfer("alice", "mallory", 5);
    market.block(vec![tx.clone()]);
    assert_eq!(market.refusal(&tx), TxError::WrongSequence { expected: 2, found: 1 });

    let mut abroad = market.transfer("alice", "mallory", 5);
    let payload = abroad.signed.tx.payload();
    abroad.signed.signature = key("alice").sign(Purpose::Transaction, &ChainId::new([1; 32]), &payload);
    assert_eq!(market.refusal(&abroad).code(), "bad_signature");
}

#[test]
fn trudy_sends_carols_proof_part_again() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let proof = market.proof("carol");
    market.block(proof.clone());
    for part in &proof {
        assert_eq!(market.refusal(part).code(), "proof_part_twice");
    }
    market.settle();
    market.freeze_and_seed();
    for part in &proof {
        assert_eq!(market.refusal(part).code(), "proof_round");
    }
}

#[test]
fn trudy_keeps_two_copies_of_a_part_in_one_block() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let part = market.proof("carol").remove(0);
    let both = vec![market.admit(&part).unwrap(), market.admit(&part).unwrap()];
    let (_, skipped) = market.block_of(both);
    assert_eq!(skipped.iter().map(|(_, error)| error.code()).collect::<Vec<_>>(), ["proof_part_twice"]);
}

#[test]
fn dave_answers_with_what_carol_holds() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let carols = market.proof("carol").remove(0);
    let own = market.proof("dave").remove(0);
    let TxBody::Prove { part, .. } = own.signed.tx.body else { panic!("not a proof") };
    let borrowed = market.prove_tx("dave", part, carols.openings.into_inner());
    let events = market.block(vec![borrowed]);
    // The openings are well formed and fail: Dave's leaves stand at other places.
    let failed = events.iter().find_map(|event| match event {
        Event::ProofVerified { failed, count, .. } => Some((failed.len(), *count as usize)),
        _ => None,
    });
    let (failed, count) = failed.unwrap();
    assert!(failed > 0 && failed <= count, "{failed} of {count}");
}

#[test]
fn erin_leaves_out_the_part_in_which_she_would_fail() {
    let honest = erins_round(|market| {
        let proof = market.proof("erin");
        market.block(proof);
    });
    let hiding = erins_round(|market| {
        let proof = market.proof("erin").split_off(1);
        market.block(proof);
    });
    assert!(honest.newly_faulty > 0);
    assert!(hiding.newly_faulty > 0);
    assert!(hiding.fines >= honest.fines, "leaving a part out is no cheaper: {} {}", hiding.fines, honest.fines);
    assert!(hiding.paid <= honest.paid);
}

/// A round in which Erin has lost everything and answers in her own way.
fn erins_round(answer: impl FnOnce(&mut Market)) -> RoundRecord {
    let mut market = Market::stored();
    for slot in 0..2 {
        let state = market.state.clone();
        market.vault.lose(&state, "erin", 20, slot);
    }
    market.freeze_and_seed();
    answer(&mut market);
    record(&market.settle())
}

#[test]
fn dave_declares_a_dead_disk_only_after_the_freeze() {
    let mut market = Market::stored();
    let declare = |market: &Market| {
        let batches = Bounded::new(vec![(20, 0), (20, 1)]).unwrap();
        market.tx("dave", TxBody::DeclareFaulty { batches })
    };
    market.freeze();
    assert_eq!(market.refusal(&declare(&market)).code(), "round_pending");
    market.settle();
    let before = market.holder("dave").deposit.get();
    let tx = declare(&market);
    market.block(vec![tx]);
    let fine = 2 * PRICE.get().div_ceil(10);
    assert_eq!(market.holder("dave").deposit.get(), before - fine, "a tenth of the price for each");
    for slot in 0..2 {
        let state = market.state.clone();
        market.vault.lose(&state, "dave", 20, slot);
    }
    let settled = record(&market.round(&["carol", "dave", "erin"]));
    assert_eq!((settled.newly_faulty, settled.fines), (0, Amount::ZERO), "what was declared costs no second fine");
    assert_eq!(settled.paid.get(), 4 * PRICE.get(), "and is not paid for");
    assert_eq!(market.holder("dave").deposit.get(), before - fine - 16 * 7, "the deposit pays for the verification");
}

#[test]
fn bob_registers_with_a_quote_that_expired() {
    let mut market = Market::stored();
    let deal = Deal { expires: market.next_height(), ..Deal::with("carol") };
    let tx = market.register("bob", 20, 1, &[deal]);
    let admitted = market.admit(&tx).unwrap();
    market.block(Vec::new());
    assert_eq!(market.refusal(&tx).code(), "quote_expired");
    let (_, skipped) = market.block_of(vec![admitted]);
    assert_eq!(skipped[0].1.code(), "quote_expired");
}

#[test]
fn alice_pays_herself_and_loses_the_relay_fee_only() {
    let mut market = Market::open();
    let join = market.join("alice");
    market.block(vec![join]);
    let register = market.register("alice", 20, 1, &[Deal { rounds: 2, ..Deal::with("alice") }]);
    market.block(vec![register]);
    let wealth = |market: &Market| {
        let escrows: u64 = market.state.iter_contracts().map(|(_, contract)| contract.escrow.get()).sum();
        market.balance("alice").get() + market.holder("alice").deposit.get() + escrows
    };
    let before = wealth(&market);
    let proof_fees: u64 = (0..2).map(|_| record(&market.round(&["alice"])).proof_fees.get()).sum();
    let relay_fees = 2 * (PRICE.get() * 150 / 10_000);
    assert_eq!(before - wealth(&market), relay_fees + proof_fees);
    assert_eq!(market.state.contract(holdfast_primitives::ContractNo::new(0)).unwrap().escrow, Amount::ZERO);
}

#[test]
fn walter_stops_the_clock_to_make_everybody_miss_the_round() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let round = market.state.chain().running.round;
    // Hours without a block, then the chain moves on: the holders still get their time.
    market.block_at(market.time + 8 * 3_600_000, HEAVY[0], Vec::new());
    assert!(matches!(market.state.chain().running.phase, Phase::Proving { .. }));
    for holder in ["carol", "dave", "erin"] {
        let proof = market.proof(holder);
        market.block(proof);
    }
    assert_eq!(market.state.chain().running.round, round);
    let settled = record(&market.settle());
    assert_eq!((settled.missed, settled.newly_faulty), (0, 0));
    let due = market.state.chain().running.due.get();
    assert!(due > market.time && due <= market.time + 60_000, "the next freeze is the next one planned");
}

#[test]
fn victor_knows_the_seed_one_block_early_and_cannot_use_it() {
    let mut market = Market::stored();
    market.freeze();
    let frozen = market.holder("carol").frozen.clone();
    let register = market.register("alice", 20, 1, &[Deal::with("carol"), Deal::with("dave")]);
    let ordinals = Bounded::new(vec![0]).unwrap();
    let release = market.tx("alice", TxBody::Release { ordinals, catalog_head: None });
    let mut second = release.signed.tx.clone();
    second.sequence += 1;
    let release = TxEnvelope::bare(market.sign("alice", second));
    let txs = market.admit_all(vec![register, release]);
    let (_, skipped) = market.block_at(market.time + BLOCK_MS, HEAVY[1], txs);
    assert_eq!(skipped, []);
    assert_eq!(market.holder("carol").frozen, frozen, "what is frozen does not move");
    while !matches!(market.state.chain().running.phase, Phase::Proving { .. }) {
        market.block(Vec::new());
    }
    for holder in ["carol", "dave", "erin"] {
        let proof = market.proof(holder);
        market.block(proof);
    }
    let settled = record(&market.settle());
    assert_eq!((settled.batches, settled.missed, settled.newly_faulty), (6, 0, 0));
    assert_eq!(market.holder("erin").used_bytes, 1 << 20, "the release ran once the round was over");
}

pub fn record(events: &[Event]) -> RoundRecord {
    let settled = |event: &Event| match event {
        Event::RoundSettled(record) => Some(record.clone()),
        _ => None,
    };
    events.iter().find_map(settled).expect("the round was settled")
}
