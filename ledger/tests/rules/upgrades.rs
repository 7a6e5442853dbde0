//! The way to another rule book: who is ready, from which height on it rules, and what that height refuses.

use crate::market::{BLOCK_MS, HEAVY, Market, params};
use crate::stake::{record, refusal, transfer_to};
use holdfast_ledger::{
    BlockError, Event, Params, ReplayError, StakeRule, TxBody, TxEnvelope, Upgrade, check_block, replay_block,
};
use holdfast_primitives::{Height, TimeMs};

fn ready(market: &Market, name: &str, version: u32, height: u64) -> TxEnvelope {
    market.tx(name, TxBody::Ready { upgrade: Upgrade { version, height: Height::new(height) } })
}

/// Money for fees, so that heavy nodes can speak.
fn with_money(params: Params) -> Market {
    let mut market = Market::with(params);
    for name in HEAVY {
        let tx = market.tx("alice", transfer_to(name));
        market.block(vec![tx]);
    }
    market
}

#[test]
fn a_rule_book_begins_where_more_than_two_thirds_agreed_and_not_a_block_earlier() {
    let mut market = with_money(params());
    for name in &HEAVY[..2] {
        let tx = ready(&market, name, 2, 30);
        market.block(vec![tx]);
    }
    let other = ready(&market, HEAVY[2], 2, 31);
    market.block(vec![other]);
    assert_eq!(market.state.chain().upgrade, None, "another height is another plan");
    let third = ready(&market, HEAVY[2], 2, 30);
    let events = market.block(vec![third]);
    let upgrade = Upgrade { version: 2, height: Height::new(30) };
    assert!(events.contains(&Event::UpgradeAgreed(upgrade)));
    assert_eq!(market.state.chain().upgrade, Some(upgrade));

    while market.next_height() < Height::new(30) {
        market.block(Vec::new());
        assert_eq!(market.state.chain().protocol, 1);
    }
    assert_eq!(market.state.protocol_at(market.next_height()), 2);
    let (applied, _) = market.build(market.time + BLOCK_MS, HEAVY[0], Vec::new());
    assert_eq!(applied.full.block.header.protocol_version, 2);
    // A block of the old rule book at that height is refused, whatever else is right about it.
    let mut old = applied.full.clone();
    old.block.header.protocol_version = 1;
    let refused = check_block(&market.state, market.parent, old, TimeMs::new(u64::MAX / 2)).unwrap_err();
    assert_eq!(refused, BlockError::Version { expected: 2, found: 1 });
    // An auditor whose program does not know it says so, and does not guess.
    let replayed = replay_block(&market.state, market.parent, &applied.full.block, Vec::new()).unwrap_err();
    assert_eq!(replayed, ReplayError::TooNew { needed: 2, known: 1 });
    let events = market.commit(applied).unwrap();
    assert!(events.contains(&Event::Upgraded { version: 2 }));
    assert_eq!((market.state.chain().protocol, market.state.chain().upgrade), (2, None));
    assert_eq!(market.reloaded().root(), market.state.root());
}

#[test]
fn being_ready_has_rules_and_can_be_taken_back() {
    let mut market = with_money(params());
    let block = market.next_height().get();
    let backwards = StakeRule::ReadyBackwards { version: 0, protocol: 1 };
    assert_eq!(refusal(&market, &ready(&market, "walter", 0, 99)), backwards);
    let soon = StakeRule::ReadyTooSoon { height: Height::new(block + 9), earliest: Height::new(block + 10) };
    assert_eq!(refusal(&market, &ready(&market, "walter", 2, block + 9)), soon);
    let tx = ready(&market, "walter", 2, block + 10);
    market.block(vec![tx]);
    assert_eq!(record(&market, "walter").ready.unwrap().version, 2);
    let back = ready(&market, "walter", 1, 0);
    market.block(vec![back]);
    assert_eq!(record(&market, "walter").ready, None);
}
