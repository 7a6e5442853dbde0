//! The shortest stories: a transfer, a file stored, a round.

use crate::market::{HEAVY, Market, PRICE, STAKE, address};
use crate::signing::Deal;
use holdfast_ledger::Event;
use holdfast_primitives::Amount;

#[test]
fn a_transfer_moves_money_and_pays_the_proposer() {
    let mut market = Market::open();
    let tx = market.transfer("alice", "zoe", 500);
    let fee = tx.signed.tx.fee;
    market.block(vec![tx]);
    assert_eq!(market.balance("zoe"), Amount::grains(500));
    assert_eq!(market.balance("alice").get(), STAKE.get() - 500 - fee.get());
    assert_eq!(market.balance(HEAVY[0]), fee);
}

#[test]
fn a_round_pays_the_holder_and_the_heavy_node() {
    let mut market = Market::open();
    let joins = vec![market.join("carol"), market.join("dave"), market.join("erin")];
    market.block(joins);
    let deals = ["carol", "dave", "erin"].map(Deal::with);
    let register = market.register("alice", 20, 2, &deals);
    market.block(vec![register]);
    let before = market.balance("carol");
    let events = market.round(&["carol", "dave", "erin"]);
    let settled = events.iter().find_map(|event| match event {
        Event::RoundSettled(record) => Some(record.clone()),
        _ => None,
    });
    let record = settled.unwrap();
    assert_eq!((record.holders, record.missed, record.newly_faulty), (3, 0, 0));
    assert_eq!(record.paid.get(), PRICE.get() * 6);
    let relay_fee = PRICE.get() * 2 * 150 / 10_000;
    let proof_fees = 16 * 7;
    assert_eq!(market.balance("carol").get(), before.get() + 2 * PRICE.get() - relay_fee - proof_fees);
    assert_eq!(record.relay_fees.get(), relay_fee * 3);
    assert_eq!(market.reloaded().root(), market.state.root());
    assert!(market.state.account_by_address(&address("carol")).is_some());
}
