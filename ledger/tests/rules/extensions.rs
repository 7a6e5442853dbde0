//! Contracts that are paid for longer: the escrow grows by exactly what the further rounds cost, batches stay and are paid,
//! and what is not used comes back.

use crate::market::{Market, PRICE};
use crate::signing::Deal;
use holdfast_ledger::{Event, TxBody, TxEnvelope};
use holdfast_primitives::{Amount, Bounded, ContractNo, RoundNo};

fn extend(market: &Market, contracts: &[u32], end_round: u64) -> TxEnvelope {
    let contracts = contracts.iter().map(|number| ContractNo::new(*number)).collect();
    market
        .tx("alice", TxBody::Extend { contracts: Bounded::new(contracts).unwrap(), end_round: RoundNo::new(end_round) })
}

/// Two contracts of three batches for two rounds.
fn short() -> Market {
    let mut market = Market::open();
    let joins = vec![market.join("carol"), market.join("dave")];
    market.block(joins);
    let deals = ["carol", "dave"].map(|holder| Deal { rounds: 2, ..Deal::with(holder) });
    let register = market.register("alice", 20, 3, &deals);
    market.block(vec![register]);
    market
}

fn ended(events: &[Event]) -> Vec<(u32, u64)> {
    let end = |event: &Event| match event {
        Event::ContractEnded { contract, refund } => Some((contract.get(), refund.get())),
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

#[test]
fn an_extended_contract_is_paid_for_its_further_rounds_and_the_other_ends() {
    let mut market = short();
    let before = market.balance("alice");
    let extension = extend(&market, &[0], 4);
    let fee = extension.signed.tx.fee;
    let events = market.block(vec![extension]);
    let (contract, end_round, added) = (ContractNo::new(0), RoundNo::new(4), Amount::grains(2 * 3 * PRICE.get()));
    assert!(events.contains(&Event::ContractExtended { contract, end_round, added }));
    assert_eq!(market.balance("alice").get(), before.get() - fee.get() - added.get());
    assert_eq!(ended(&market.round(&["carol", "dave"])), []);
    assert_eq!(ended(&market.round(&["carol", "dave"])), [(1, 0)], "Dave's ends with its term");
    assert_eq!(ended(&market.round(&["carol"])), []);
    let earned = market.holder("carol").earned;
    assert_eq!(ended(&market.round(&["carol"])), [(0, 0)], "four rounds were paid, nothing is left");
    let round = 3 * PRICE.get();
    assert_eq!(market.holder("carol").earned.get() - earned.get(), round - round * 150 / 10_000);
}

#[test]
fn it_can_be_extended_while_its_last_round_is_pending_and_again() {
    let mut market = short();
    market.round(&["carol", "dave"]);
    market.freeze_and_seed();
    let drawn = |market: &Market| market.challenge("carol").unwrap().positions().collect::<Vec<_>>();
    let challenge = drawn(&market);
    let extension = extend(&market, &[0, 1], 3);
    market.block(vec![extension]);
    assert_eq!(drawn(&market), challenge, "a pending challenge stays as it is");
    for holder in ["carol", "dave"] {
        let proof = market.proof(holder);
        market.block(proof);
    }
    assert_eq!(ended(&market.settle()), []);
    let extension = extend(&market, &[0, 1], 100);
    market.block(vec![extension]);
    assert_eq!(market.refusal(&extend(&market, &[0], 101)).code(), "extend_too_long");
}

#[test]
fn what_a_missed_or_released_extension_does_not_use_comes_back() {
    let mut market = short();
    let extension = extend(&market, &[0, 1], 4);
    market.block(vec![extension]);
    let events = [market.round(&["carol"]), market.round(&["carol"]), market.round(&["carol"])];
    assert!(events.iter().all(|events| ended(events).is_empty()));
    let before = market.balance("alice");
    let refunds = ended(&market.round(&["carol"]));
    assert_eq!(refunds, [(0, 0), (1, 4 * 3 * PRICE.get())], "Dave proved nothing and is paid nothing");
    assert_eq!(market.balance("alice").get(), before.get() + 4 * 3 * PRICE.get());

    let mut market = short();
    let start = market.balance("alice");
    let extension = extend(&market, &[0, 1], 50);
    let release = TxBody::Release { ordinals: Bounded::new(vec![0, 1, 2]).unwrap(), catalog_head: None };
    let extension_fee = extension.signed.tx.fee;
    market.block(vec![extension]);
    let release = market.tx("alice", release);
    let fees = extension_fee.get() + release.signed.tx.fee.get();
    market.block(vec![release]);
    let first_terms = 2 * 2 * 3 * PRICE.get();
    assert_eq!(market.balance("alice").get(), start.get() + first_terms - fees, "all prepaid rounds return at once");
}
