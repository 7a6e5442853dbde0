//! What only the state can tell: one breaker per rule, in the order of the rules.

use crate::market::{BLOCK_MS, Market, PRICE, STAKE, address, params};
use crate::signing::Deal;
use holdfast_ledger::{Params, Profile, Revoked, Tx, TxBody, TxEnvelope};
use holdfast_primitives::limits::REVOKED_MAX;
use holdfast_primitives::{Amount, Bounded, ContractNo, GrantId, RoundNo, TimeMs};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub type Breaker = (&'static str, fn(&mut Market) -> TxEnvelope);

pub const BREAKERS: &[Breaker] = &[
    ("expired", |market| {
        let expires = market.next_height().previous().unwrap();
        altered(market, "alice", |tx| tx.expires = expires)
    }),
    ("unknown_sender", |market| market.transfer("nobody", "bob", 1)),
    ("wrong_sequence", |market| altered(market, "alice", |tx| tx.sequence += 1)),
    ("cost_overflow", |market| market.transfer("alice", "bob", u64::MAX)),
    ("cost_overflow", |market| {
        let dear = Amount::grains(u64::MAX / 20);
        let deals = ["carol", "dave", "erin"].map(|holder| Deal { price: dear, ..Deal::with(holder) });
        market.register("alice", 20, 1, &deals)
    }),
    ("balance_too_low", |market| market.transfer("bob", "alice", STAKE.get())),
    ("holder_already", |market| market.join("carol")),
    ("not_a_holder", |market| update(market, "bob", 1, Amount::ZERO)),
    ("not_a_holder", |market| declare(market, "bob", 20, 0)),
    ("not_a_holder", |market| {
        market.freeze_and_seed();
        stolen_proof(market, "bob")
    }),
    ("not_admitted", |market| {
        close_grid(market);
        market.join("bob")
    }),
    ("not_admitted", |market| {
        close_grid(market);
        market.register("bob", 20, 1, &["carol", "dave", "erin"].map(Deal::with))
    }),
    ("grant_over", |market| revoke(market, 1, market.time)),
    ("grant_revoked", |market| {
        let first = revoke(market, 1, market.time + DAY_MS);
        market.block(vec![first]);
        revoke(market, 1, market.time + 2 * DAY_MS)
    }),
    ("revoked_full", |market| {
        for grant in 0..REVOKED_MAX as u8 {
            let one = revoke(market, grant, market.time + DAY_MS);
            market.block(vec![one]);
        }
        revoke(market, REVOKED_MAX as u8, market.time + DAY_MS)
    }),
    ("quota_below_used", |market| update(market, "carol", (2 << 20) - 1, Amount::ZERO)),
    ("deposit_not_free", |market| {
        // Ten HOLD less the bond of one HOLD, less two batches' price for ten rounds.
        let free = 9_000_000_000 - 2 * 10 * PRICE.get();
        update(market, "carol", 2 << 20, Amount::grains(free + 1))
    }),
    ("wrong_ordinal", |market| {
        let mut register = market.registration("alice", 20, 1, &["carol", "dave", "erin"].map(Deal::with));
        register.first_ordinal = 1;
        market.tx("alice", TxBody::Register(register))
    }),
    ("quote_expired", |market| {
        let deal = Deal { expires: market.next_height().previous().unwrap(), ..Deal::with("carol") };
        market.register("alice", 20, 1, &[deal])
    }),
    ("receipt_expired", |market| {
        let deals = [Deal::with("carol")];
        let mut register = market.registration("alice", 20, 1, &deals);
        let mut placements = register.placements.to_vec();
        placements[0].receipt.expires = market.next_height().previous().unwrap();
        register.placements = Bounded::new(placements).unwrap();
        market.sign_receipts("alice", &deals, &mut register);
        market.tx("alice", TxBody::Register(register))
    }),
    ("holder_unknown", |market| market.register("alice", 20, 1, &[Deal::with("trudy")])),
    ("holder_closed", |market| {
        let (price, deposit_add, deposit_take) = (PRICE, Amount::ZERO, Amount::ZERO);
        let body = TxBody::HolderUpdate {
            quota_bytes: 1 << 30,
            price,
            accepting: false,
            profile: Profile::default(),
            deposit_add,
            deposit_take,
        };
        let close = market.tx("carol", body);
        market.block(vec![close]);
        market.register("alice", 20, 1, &[Deal::with("carol")])
    }),
    ("hop_unknown", |market| market.register("alice", 20, 1, &[Deal { path: vec!["trudy"], ..Deal::with("carol") }])),
    ("quota_exceeded", |market| {
        let tight = update(market, "carol", 3 << 20, Amount::ZERO);
        market.block(vec![tight]);
        market.register("alice", 20, 2, &[Deal::with("carol")])
    }),
    ("collateral_missing", |market| {
        // Nine HOLD are free; ten rounds of a price of one HOLD are not.
        market.register("alice", 20, 1, &[Deal { price: Amount::hold(1), ..Deal::with("carol") }])
    }),
    ("unknown_segment", |market| release(market, 2)),
    ("released_already", |market| {
        let release_it = release(market, 1);
        market.block(vec![release_it]);
        release(market, 1)
    }),
    ("cost_overflow", |market| extend(market, "alice", 0, u64::MAX)),
    ("unknown_contract", |market| extend(market, "alice", 3, 11)),
    ("contract_of_another", |market| extend(market, "bob", 0, 11)),
    ("contract_over", |market| {
        let both = TxBody::Release { ordinals: Bounded::new(vec![0, 1]).unwrap(), catalog_head: None };
        let release_both = market.tx("alice", both);
        market.block(vec![release_both]);
        extend(market, "alice", 0, 11)
    }),
    ("extend_backwards", |market| extend(market, "alice", 0, 10)),
    // The quote offers a thousand rounds, the network allows a hundred.
    ("extend_too_long", |market| extend(market, "alice", 0, 101)),
    ("extend_closed", |market| {
        let (price, deposit_add, deposit_take) = (PRICE, Amount::ZERO, Amount::ZERO);
        let body = TxBody::HolderUpdate {
            quota_bytes: 1 << 30,
            price,
            accepting: false,
            profile: Profile::default(),
            deposit_add,
            deposit_take,
        };
        let close = market.tx("carol", body);
        market.block(vec![close]);
        extend(market, "alice", 0, 11)
    }),
    ("round_pending", |market| {
        market.freeze();
        declare(market, "carol", 20, 0)
    }),
    ("unknown_slot", |market| declare(market, "carol", 20, 2)),
    ("unknown_slot", |market| declare(market, "carol", 21, 0)),
    ("faulty_already", |market| {
        let first = declare(market, "carol", 20, 0);
        market.block(vec![first]);
        declare(market, "carol", 20, 0)
    }),
    ("not_proving", |market| {
        market.freeze_and_seed();
        let proof = market.proof("carol").remove(0);
        market.settle();
        proof
    }),
    ("proof_round", |market| {
        market.freeze_and_seed();
        altered_proof(market, |part| part.round = RoundNo::new(1))
    }),
    ("nothing_to_prove", |market| {
        market.freeze_and_seed();
        stolen_proof(market, "frank")
    }),
    ("proof_set", |market| {
        market.freeze_and_seed();
        stolen_proof(market, "dave")
    }),
    ("proof_part_bounds", |market| {
        market.freeze_and_seed();
        altered_proof(market, |part| part.first_j = 1)
    }),
    ("proof_part_bounds", |market| {
        market.freeze_and_seed();
        altered_proof(market, |part| part.first_j = 16)
    }),
    ("proof_part_bounds", |market| {
        market.freeze_and_seed();
        altered_proof(market, |part| part.count = 0)
    }),
    ("proof_part_twice", |market| {
        market.freeze_and_seed();
        let part = market.proof("carol").remove(0);
        market.block(vec![part.clone()]);
        part
    }),
    ("openings_length", |market| {
        market.freeze_and_seed();
        let proof = market.proof("carol").remove(0);
        let TxBody::Prove { part, .. } = proof.signed.tx.body else { panic!("not a proof") };
        let mut openings = proof.openings.into_inner();
        openings.push(0);
        market.prove_tx("carol", part, openings)
    }),
];

#[test]
fn every_rule_of_standing_has_its_breaker() {
    for (number, (code, breaker)) in BREAKERS.iter().enumerate() {
        let mut market = Market::stored();
        let envelope = breaker(&mut market);
        let error = market.refusal(&envelope);
        assert_eq!(error.code(), *code, "breaker {number} met: {error}");
    }
}

#[test]
fn a_quote_and_a_transaction_hold_up_to_their_last_height() {
    let mut market = Market::stored();
    let deal = Deal { expires: market.next_height(), ..Deal::with("carol") };
    let mut tx = market.register("alice", 20, 1, &[deal]).signed.tx;
    tx.expires = market.next_height();
    let last_moment = TxEnvelope::bare(market.sign("alice", tx));
    market.block(vec![last_moment]);
    assert_eq!(market.state.segments(), 3);
}

#[test]
fn a_sender_cannot_spend_what_its_waiting_transactions_take() {
    let market = Market::stored();
    let first = market.transfer("bob", "alice", STAKE.get() - 10_000);
    let pending = holdfast_ledger::Pending::none(&market.state, &address("bob"));
    let after = market.admit(&first).unwrap().after(&pending);
    let mut tx = market.transfer("bob", "alice", 10_000).signed.tx;
    tx.sequence = after.next_sequence;
    let second = TxEnvelope::bare(market.sign("bob", tx));
    let error = holdfast_ledger::admit(&market.state, second, &after).unwrap_err();
    assert_eq!(error.code(), "balance_too_low");
}

#[test]
fn a_private_grid_takes_its_members_and_lets_everybody_pay() {
    let mut market = Market::stored();
    close_grid(&mut market);
    let register = market.register("alice", 20, 1, &["carol", "dave", "erin"].map(Deal::with));
    market.block(vec![register]);
    assert_eq!(market.state.segments(), 3, "a member stores");
    let transfer = market.transfer("bob", "alice", 1);
    market.block(vec![transfer]);
}

#[test]
fn a_grant_that_was_taken_back_is_remembered_until_it_would_have_ended() {
    let mut market = Market::stored();
    let until = market.time + 3 * BLOCK_MS;
    let short = revoke(&market, 1, until);
    market.block(vec![short]);
    let long = revoke(&market, 2, until + DAY_MS);
    market.block(vec![long]);
    assert_eq!(revoked(&market), [1, 2]);
    while market.time < until {
        market.block(Vec::new());
    }
    let third = revoke(&market, 3, market.time + DAY_MS / 2);
    market.block(vec![third]);
    assert_eq!(revoked(&market), [3, 2], "in order of their ends, without what is over");
    assert_eq!(market.reloaded().root(), market.state.root());
}

fn revoked(market: &Market) -> Vec<u8> {
    let (_, alice) = market.state.account_by_address(&address("alice")).unwrap();
    alice.revoked.iter().map(|revoked| revoked.grant.as_bytes()[0]).collect()
}

/// The stored market on a grid of Alice and her holders.
fn close_grid(market: &mut Market) {
    let mut grid = ["alice", "carol", "dave", "erin", "frank"].map(address);
    grid.sort();
    *market = Market::stored_with(Params { grid: Bounded::new(grid.to_vec()).unwrap(), ..params() });
}

fn revoke(market: &Market, grant: u8, until: u64) -> TxEnvelope {
    let revoked = Revoked { grant: GrantId::new([grant; 16]), until: TimeMs::new(until) };
    market.tx("alice", TxBody::Revoke { revoked })
}

fn altered(market: &Market, name: &str, change: impl FnOnce(&mut Tx)) -> TxEnvelope {
    let mut tx = market.transfer(name, "bob", 1).signed.tx;
    change(&mut tx);
    TxEnvelope::bare(market.sign(name, tx))
}

fn update(market: &Market, name: &str, quota_bytes: u64, deposit_take: Amount) -> TxEnvelope {
    let (price, deposit_add) = (PRICE, Amount::ZERO);
    market.tx(
        name,
        TxBody::HolderUpdate {
            quota_bytes,
            price,
            accepting: true,
            profile: Profile::default(),
            deposit_add,
            deposit_take,
        },
    )
}

fn release(market: &Market, ordinal: u32) -> TxEnvelope {
    market.tx("alice", TxBody::Release { ordinals: Bounded::new(vec![ordinal]).unwrap(), catalog_head: None })
}

fn extend(market: &Market, name: &str, contract: u32, end_round: u64) -> TxEnvelope {
    let contracts = Bounded::new(vec![ContractNo::new(contract)]).unwrap();
    market.tx(name, TxBody::Extend { contracts, end_round: RoundNo::new(end_round) })
}

fn declare(market: &Market, name: &str, batch_log2: u8, slot: u32) -> TxEnvelope {
    market.tx(name, TxBody::DeclareFaulty { batches: Bounded::new(vec![(batch_log2, slot)]).unwrap() })
}

/// Carol's first proof part with another header, signed by Carol.
fn altered_proof(market: &Market, change: impl FnOnce(&mut holdfast_por::ProofPart)) -> TxEnvelope {
    let proof = market.proof("carol").remove(0);
    let TxBody::Prove { mut part, .. } = proof.signed.tx.body else { panic!("not a proof") };
    change(&mut part);
    market.prove_tx("carol", part, proof.openings.into_inner())
}

/// Carol's first proof part in somebody else's name, signed by that somebody.
fn stolen_proof(market: &Market, thief: &str) -> TxEnvelope {
    let proof = market.proof("carol").remove(0);
    let TxBody::Prove { mut part, .. } = proof.signed.tx.body else { panic!("not a proof") };
    part.holder = address(thief);
    market.prove_tx(thief, part, proof.openings.into_inner())
}
