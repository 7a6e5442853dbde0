//! What a transaction shows by itself: one breaker per rule, in the order of the rules.

use crate::market::{HEAVY, Market, address, key};
use crate::signing::Deal;
use crate::standing;
use holdfast_ledger::statement::path_digest;
use holdfast_ledger::{NewBatch, NewSegment, Placement, Profile, Register, Tx, TxBody, TxEnvelope, TxError};
use holdfast_primitives::{Amount, Bounded, ContractNo, Purpose, RoundNo};
use std::collections::BTreeSet;

/// The code of a rule, and a transaction that breaks it and no earlier one.
pub type Breaker = (&'static str, fn(&mut Market) -> TxEnvelope);

pub const BREAKERS: &[Breaker] = &[
    ("too_large", |market| {
        let segments = (0..1_000).map(|_| segment(40)).collect();
        let register = market.arrange("alice", 20, segments, &[]);
        market.tx("alice", TxBody::Register(register))
    }),
    ("fee_too_low", |market| {
        let mut tx = market.transfer("alice", "bob", 1).signed.tx;
        tx.fee = Amount::grains(tx.fee.get() - 1);
        signed(market, "alice", tx)
    }),
    ("openings_unexpected", |market| TxEnvelope {
        openings: Bounded::new(vec![0]).unwrap(),
        ..market.transfer("alice", "bob", 1)
    }),
    ("transfer_nothing", |market| market.transfer("alice", "bob", 0)),
    ("holder_price_zero", |market| join(market, 1, Amount::ZERO, Amount::hold(1))),
    ("holder_price_zero", |market| {
        let (price, deposit_add, deposit_take) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
        let body = TxBody::HolderUpdate {
            quota_bytes: 1 << 30,
            price,
            accepting: true,
            profile: Profile::default(),
            deposit_add,
            deposit_take,
        };
        market.tx("carol", body)
    }),
    ("holder_quota_zero", |market| join(market, 0, Amount::grains(1), Amount::hold(1))),
    ("deposit_below_bond", |market| join(market, 1, Amount::grains(1), Amount::grains(999_999_999))),
    ("register_nothing", |market| registering(market, |register| register.segments = Bounded::empty())),
    ("too_many_batches", |market| {
        registering(market, |register| {
            register.segments = Bounded::new((0..49).map(|_| segment(126)).collect()).unwrap();
        })
    }),
    ("segment_class", |market| in_segment(market, |segment| segment.batch_log2 = 22)),
    ("segment_shape", |market| in_segment(market, |segment| (segment.data, segment.parity) = (0, 3))),
    ("segment_shape", |market| in_segment(market, |segment| (segment.data, segment.parity) = (65, 0))),
    ("segment_shape", |market| in_segment(market, |segment| (segment.data, segment.parity) = (64, 65))),
    ("segment_codec", |market| in_segment(market, |segment| segment.codec = 2)),
    ("segment_batches", |market| in_segment(market, |segment| segment.data += 1)),
    ("segment_placement_unknown", |market| in_batch(market, |batch| batch.placement = 3)),
    ("segment_placement_twice", |market| in_batch(market, |batch| batch.placement = 1)),
    ("placement_holder_twice", |market| {
        registering(market, |register| {
            let mut placements = register.placements.to_vec();
            placements[2].quote.terms.holder = placements[0].quote.terms.holder;
            register.placements = Bounded::new(placements).unwrap();
        })
    }),
    ("placement_unused", |market| {
        registering(market, |register| {
            let mut placements = register.placements.to_vec();
            let mut unused = placements[0].clone();
            unused.quote.terms.holder = address("frank");
            placements.insert(0, unused);
            let mut segments = register.segments.to_vec();
            for segment in &mut segments {
                let batches = segment.batches.iter().map(|batch| NewBatch { placement: batch.placement + 1, ..*batch });
                segment.batches = Bounded::new(batches.collect()).unwrap();
            }
            register.placements = Bounded::new(placements).unwrap();
            register.segments = Bounded::new(segments).unwrap();
        })
    }),
    ("quote_owner", |market| in_placement(market, |placement| placement.quote.terms.owner = address("mallory"))),
    ("quote_price_zero", |market| in_placement(market, |placement| placement.quote.terms.price = Amount::ZERO)),
    ("quote_batches", |market| in_placement(market, |placement| placement.quote.terms.batches_max = 0)),
    ("placement_rounds", |market| in_placement(market, |placement| placement.rounds = 0)),
    ("placement_rounds", |market| in_placement(market, |placement| placement.rounds = 101)),
    ("placement_rounds", |market| in_placement(market, |placement| placement.quote.terms.rounds_max = 9)),
    ("footprint_repeats", |market| {
        in_placement(market, |placement| {
            let hop = placement.footprint[0].clone();
            placement.footprint = Bounded::new(vec![hop.clone(), hop]).unwrap();
        })
    }),
    ("footprint_empty", |market| in_placement(market, |placement| placement.footprint = Bounded::empty())),
    ("other_path", |market| {
        in_placement(market, |placement| placement.quote.terms.path = path_digest([&address(HEAVY[1])]))
    }),
    ("escrow_overflow", |market| {
        in_placement(market, |placement| placement.quote.terms.price = Amount::grains(u64::MAX))
    }),
    ("quote_class", |market| in_placement(market, |placement| placement.quote.terms.batch_log2 = 21)),
    ("release_nothing", |market| release(market, &[])),
    ("release_twice", |market| release(market, &[0, 1, 0])),
    ("extend_nothing", |market| extend(market, &[])),
    ("extend_twice", |market| extend(market, &[0, 2, 0])),
    ("declare_nothing", |market| declare(market, &[])),
    ("declare_twice", |market| declare(market, &[(20, 1), (20, 1)])),
    ("proof_sequence", |market| prove(market, |tx| tx.sequence = 1)),
    ("proof_fee", |market| prove(market, |tx| tx.fee = Amount::grains(1))),
    ("proof_version", |market| prove(market, |tx| part_of(tx).version = 2)),
    ("proof_sender", |market| prove(market, |tx| part_of(tx).holder = address("dave"))),
    ("openings_digest", |market| {
        let mut proof = prove(market, |_| ());
        let mut openings = std::mem::take(&mut proof.openings).into_inner();
        openings[0] ^= 1;
        TxEnvelope { openings: Bounded::new(openings).unwrap(), ..proof }
    }),
    ("bad_signature", |market| {
        let mut envelope = market.transfer("alice", "bob", 1);
        envelope.signed.signature = market.transfer("alice", "bob", 2).signed.signature;
        envelope
    }),
];

#[test]
fn every_rule_of_shape_has_its_breaker() {
    for (number, (code, breaker)) in BREAKERS.iter().enumerate() {
        let mut market = Market::stored();
        let envelope = breaker(&mut market);
        let error = market.refusal(&envelope);
        assert_eq!(error.code(), *code, "breaker {number} met: {error}");
        assert!(!error.to_string().is_empty());
    }
}

/// The codes stand in the source once each; a rule that is added without a breaker fails here.
#[test]
fn no_rule_is_without_a_breaker() {
    let source = [include_str!("../../src/error.rs"), include_str!("../../src/error/register.rs")].concat();
    let codes: Vec<&str> = source
        .lines()
        .filter(|line| line.trim_start().starts_with("Self::"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    let broken: BTreeSet<&str> = BREAKERS.iter().chain(standing::BREAKERS).map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), 77, "a rule was added or removed");
    assert_eq!(codes.iter().copied().collect::<BTreeSet<_>>(), broken);
}

#[test]
fn a_bad_signature_is_found_among_good_ones_and_named() {
    let market = Market::stored();
    let mut txs: Vec<TxEnvelope> = (1..20).map(|grains| market.transfer("alice", "bob", grains)).collect();
    txs[7].signed.signature = txs[8].signed.signature;
    let verdicts = holdfast_ledger::sound(market.state.params(), &market.state.chain().chain, txs);
    for (index, verdict) in verdicts.iter().enumerate() {
        let expected = TxError::BadSignature { signer: address("alice"), role: "sender" };
        assert_eq!(verdict.as_ref().err(), (index == 7).then_some(&expected));
    }
}

/// As what somebody signed, and how the signed thing is changed afterwards.
type Forgery = (&'static str, fn(&mut Placement));

#[test]
fn every_signature_of_a_registration_counts() {
    let forgeries: [Forgery; 3] = [
        ("quote", |placement| placement.quote.terms.batches_max += 1),
        ("footprint hop", |placement| placement.quote.terms.request = holdfast_primitives::RequestId::new([9; 16])),
        ("receipt", |placement| placement.receipt.expires = placement.receipt.expires.previous().unwrap()),
    ];
    for (role, forge) in forgeries {
        let mut market = Market::stored();
        let chain = market.state.chain().chain;
        let envelope = in_placement(&mut market, |placement| {
            forge(placement);
            if role != "quote" {
                placement.quote = placement.quote.terms.clone().sign(&key("carol"), &chain);
            }
        });
        match market.refusal(&envelope) {
            TxError::BadSignature { role: found, .. } => assert_eq!(found, role),
            other => panic!("{role}: {other}"),
        }
    }
}

#[test]
fn a_signature_for_one_purpose_is_worth_nothing_for_another() {
    let market = Market::stored();
    let mut envelope = market.transfer("alice", "bob", 1);
    let payload = envelope.signed.tx.payload();
    envelope.signed.signature = key("alice").sign(Purpose::Quote, &market.state.chain().chain, &payload);
    assert_eq!(market.refusal(&envelope).code(), "bad_signature");
}

fn signed(market: &Market, name: &str, tx: Tx) -> TxEnvelope {
    TxEnvelope::bare(market.sign(name, tx))
}

fn join(market: &Market, quota_bytes: u64, price: Amount, deposit: Amount) -> TxEnvelope {
    market.tx("bob", TxBody::HolderJoin { quota_bytes, price, profile: Profile::default(), deposit })
}

fn release(market: &Market, ordinals: &[u32]) -> TxEnvelope {
    market.tx("alice", TxBody::Release { ordinals: Bounded::new(ordinals.to_vec()).unwrap(), catalog_head: None })
}

fn extend(market: &Market, contracts: &[u32]) -> TxEnvelope {
    let contracts = contracts.iter().map(|number| ContractNo::new(*number)).collect();
    market.tx("alice", TxBody::Extend { contracts: Bounded::new(contracts).unwrap(), end_round: RoundNo::new(20) })
}

fn declare(market: &Market, batches: &[(u8, u32)]) -> TxEnvelope {
    market.tx("carol", TxBody::DeclareFaulty { batches: Bounded::new(batches.to_vec()).unwrap() })
}

/// A segment that is not worth signing.
fn segment(batches: u8) -> NewSegment {
    let batch = |placement| NewBatch { root: [1; 32], placement };
    let parity = batches / 2;
    let batches_of = (0..u16::from(batches)).map(batch).collect();
    NewSegment { batch_log2: 20, data: batches - parity, parity, codec: 1, batches: Bounded::new(batches_of).unwrap() }
}

/// A good registration of Alice's, then changed.
fn registering(market: &mut Market, change: impl FnOnce(&mut Register)) -> TxEnvelope {
    let mut register = market.registration("alice", 20, 2, &["carol", "dave", "erin"].map(Deal::with));
    change(&mut register);
    market.tx("alice", TxBody::Register(register))
}

fn in_segment(market: &mut Market, change: impl FnOnce(&mut NewSegment)) -> TxEnvelope {
    registering(market, |register| {
        let mut segments = register.segments.to_vec();
        change(&mut segments[1]);
        register.segments = Bounded::new(segments).unwrap();
    })
}

fn in_batch(market: &mut Market, change: impl FnOnce(&mut NewBatch)) -> TxEnvelope {
    in_segment(market, |segment| {
        let mut batches = segment.batches.to_vec();
        change(&mut batches[0]);
        segment.batches = Bounded::new(batches).unwrap();
    })
}

fn in_placement(market: &mut Market, change: impl FnOnce(&mut Placement)) -> TxEnvelope {
    registering(market, |register| {
        let mut placements = register.placements.to_vec();
        change(&mut placements[0]);
        register.placements = Bounded::new(placements).unwrap();
    })
}

/// Carol's first proof part, changed before it is signed.
fn prove(market: &mut Market, change: impl FnOnce(&mut Tx)) -> TxEnvelope {
    market.freeze_and_seed();
    let mut proof = market.proof("carol").remove(0);
    let mut tx = proof.signed.tx;
    change(&mut tx);
    proof.signed = market.sign("carol", tx);
    proof
}

fn part_of(tx: &mut Tx) -> &mut holdfast_por::ProofPart {
    match &mut tx.body {
        TxBody::Prove { part, .. } => part,
        _ => panic!("not a proof"),
    }
}
