//! Blocks that somebody tampered with, and what building leaves out.

use crate::market::{BLOCK_MS, HEAVY, Market, PEOPLE, STAKE, address, vrf};
use holdfast_ledger::{
    BlockError, FullBlock, Header, InclusionProof, Proposer, TxEnvelope, build_block, check_block, event_proof,
    next_beacon, tx_proof, verify_inclusion,
};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, BlockHash, Bounded, ChainId, Digest, Height, StateRoot, TimeMs, merkle};

/// The code of a rule, and what breaks it and no earlier one.
type Breaker = (&'static str, fn(&mut FullBlock, &Market));

const BREAKERS: &[Breaker] = &[
    ("block_version", |full, _| header(full).protocol_version += 1),
    ("block_chain", |full, _| header(full).chain = ChainId::new([9; 32])),
    ("block_height", |full, _| header(full).height = header(full).height.next()),
    ("block_parent", |full, _| header(full).parent = BlockHash::new([9; 32])),
    ("block_time_not_after_parent", |full, market| header(full).time = TimeMs::new(market.time)),
    ("block_time_ahead", |full, market| header(full).time = TimeMs::new(market.time + BLOCK_MS + 2_001)),
    ("block_proposer", |full, _| header(full).proposer = address("mallory")),
    ("block_validators", |full, _| header(full).validators = Digest::new([9; 32])),
    ("block_vrf", |full, _| header(full).proposer = address(HEAVY[1])),
    ("block_vrf", |full, _| header(full).vrf.proof[3] ^= 1),
    ("block_vrf", |full, _| header(full).vrf.pre_output[3] ^= 1),
    ("block_beacon", |full, _| header(full).beacon[0] ^= 1),
    ("block_too_large", |full, _| {
        let buffer = Bounded::new(vec![0; 800_000]).unwrap();
        full.openings = Bounded::new(vec![buffer; 6]).unwrap();
    }),
    ("block_openings_count", |full, _| full.openings = Bounded::empty()),
    ("block_tx_root", |full, _| header(full).tx_root = Digest::ZERO),
    ("block_tx_root", |full, _| {
        let mut txs = full.block.txs.to_vec();
        txs.swap(0, 1);
        full.block.txs = Bounded::new(txs).unwrap();
    }),
    ("block_tx", |full, _| {
        let mut openings = full.openings.to_vec();
        let mut first = openings[0].to_vec();
        first[0] ^= 1;
        openings[0] = Bounded::new(first).unwrap();
        full.openings = Bounded::new(openings).unwrap();
    }),
    ("block_next_validators", |full, _| header(full).next_validators = Digest::ZERO),
    ("block_result_root", |full, _| header(full).result_root = Digest::ZERO),
    ("block_state_root", |full, _| header(full).state_root = StateRoot::ZERO),
    // A time that no rule of its own refuses: the state remembers it.
    ("block_state_root", |full, _| header(full).time = header(full).time.saturating_add(1)),
];

#[test]
fn every_rule_of_blocks_has_its_breaker() {
    let (market, good) = busy_block();
    let now = TimeMs::new(market.time + BLOCK_MS);
    for (number, (code, breaker)) in BREAKERS.iter().enumerate() {
        let mut full = good.clone();
        breaker(&mut full, &market);
        let error = check_block(&market.state, market.parent, full, now).unwrap_err();
        assert_eq!(error.code(), *code, "breaker {number} met: {error}");
    }
    let source = include_str!("../../src/error/block.rs");
    let codes = source.lines().filter(|line| line.trim_start().starts_with("Self::")).count();
    let broken: std::collections::BTreeSet<&str> = BREAKERS.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, broken.len(), "a rule is without a breaker");
    check_block(&market.state, market.parent, good, now).unwrap();
}

#[test]
fn a_forged_transaction_is_named_by_its_place() {
    let (market, mut full) = busy_block();
    let mut txs = full.block.txs.to_vec();
    txs[1].signature = txs[0].signature;
    let leaves: Vec<_> = txs.iter().map(|tx| merkle::leaf(&tx.to_bytes())).collect();
    full.block.txs = Bounded::new(txs).unwrap();
    header(&mut full).tx_root = holdfast_ledger::leaves_root(&leaves);
    let error = check_block(&market.state, market.parent, full, TimeMs::new(market.time + BLOCK_MS)).unwrap_err();
    match error {
        BlockError::Tx { index, error } => assert_eq!((index, error.code()), (1, "bad_signature")),
        other => panic!("{other}"),
    }
}

#[test]
fn a_block_on_another_parent_is_refused() {
    let (market, full) = busy_block();
    let error = check_block(&market.state, BlockHash::new([1; 32]), full, TimeMs::new(u64::MAX / 2)).unwrap_err();
    assert_eq!(error.code(), "block_parent");
}

#[test]
fn what_breaks_a_rule_is_skipped_and_what_finds_no_room_waits() {
    let market = Market::open();
    let rich = market.admit(&market.transfer("alice", "bob", STAKE.get() / 2)).unwrap();
    let mut tx = market.transfer("alice", "bob", STAKE.get() / 2).signed.tx;
    tx.expires = Height::new(9);
    let same_sequence = market.admit(&TxEnvelope::bare(market.sign("alice", tx))).unwrap();
    let twice = same_sequence.sound().id();
    let built = build(&market, vec![rich, same_sequence], BLOCK_BYTES_MAX);
    assert_eq!(
        built.skipped.iter().map(|(id, error)| (*id, error.code())).collect::<Vec<_>>(),
        [(twice, "wrong_sequence")]
    );

    let txs = market.admit_all(four_transfers(&market));
    let one = txs[0].sound().block_bytes();
    let empty = build(&market, Vec::new(), BLOCK_BYTES_MAX);
    let bytes = borsh::object_length(empty.checked.full()).unwrap();
    let built = build(&market, txs, bytes + 2 * one);
    assert_eq!(built.checked.full().block.txs.len(), 2);
    assert_eq!(built.skipped, []);
    assert!(borsh::object_length(built.checked.full()).unwrap() <= bytes + 2 * one);
}

#[test]
fn a_full_block_keeps_to_its_bytes_and_is_accepted() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let mut txs = market.admit_all(market.proof("carol"));
    txs.extend(market.admit_all(four_transfers(&market)));
    let room = txs.iter().map(|tx| tx.sound().block_bytes()).sum::<usize>();
    for bytes_max in [600, 5_000, 20_000, room + 100, room + 1_000] {
        let built = build(&market, txs.clone(), bytes_max);
        assert!(borsh::object_length(built.checked.full()).unwrap() <= bytes_max);
        let now = built.checked.header().time;
        check_block(&market.state, market.parent, built.checked.full().clone(), now).unwrap();
    }
    assert_eq!(build(&market, txs.clone(), room + 1_000).checked.full().block.txs.len(), txs.len());
}

#[test]
fn the_beacon_grows_from_the_one_before() {
    let market = Market::open();
    let before = market.state.chain().beacon;
    let built = build(&market, Vec::new(), BLOCK_BYTES_MAX);
    let (output, _) = vrf(HEAVY[0]).evaluate(&market.state.chain().chain, &before);
    assert_eq!(built.checked.header().beacon, next_beacon(&before, &output));
}

#[test]
fn transactions_and_events_are_provable_from_the_header() {
    let (market, full) = busy_block();
    let now = TimeMs::new(market.time + BLOCK_MS);
    let checked = check_block(&market.state, market.parent, full, now).unwrap();
    let header = checked.header();
    let block = &checked.full().block;
    for (index, tx) in block.txs.iter().enumerate() {
        let (bytes, proof) = (tx.to_bytes(), tx_proof(block, index).unwrap());
        assert!(verify_inclusion(&header.tx_root, &bytes, &proof));
        assert!(!verify_inclusion(&header.result_root, &bytes, &proof));
        let elsewhere = InclusionProof { index: proof.index ^ 1, ..proof };
        assert!(!verify_inclusion(&header.tx_root, &bytes, &elsewhere));
    }
    for (index, event) in checked.events().iter().enumerate() {
        let proof = event_proof(checked.events(), index).unwrap();
        assert!(verify_inclusion(&header.result_root, &borsh::to_vec(event).unwrap(), &proof));
    }
    assert_eq!(tx_proof(block, block.txs.len()), None);
    assert_eq!(event_proof(checked.events(), checked.events().len()), None);
}

/// A block with two transfers and a proof part, not committed.
fn busy_block() -> (Market, FullBlock) {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let part = market.proof("carol").remove(0);
    let txs = vec![market.transfer("alice", "bob", 1), market.transfer("bob", "alice", 2), part];
    let full = build(&market, market.admit_all(txs), BLOCK_BYTES_MAX).checked.full().clone();
    assert_eq!((full.block.txs.len(), full.openings.len()), (3, 1));
    (market, full)
}

fn build(market: &Market, txs: Vec<holdfast_ledger::AdmittedTx>, bytes_max: usize) -> holdfast_ledger::Built {
    let vrf = vrf(HEAVY[0]);
    let proposer = Proposer { address: address(HEAVY[0]), vrf: &vrf };
    let time = TimeMs::new(market.time + BLOCK_MS);
    build_block(&market.state, market.parent, txs.into_iter(), proposer, time, bytes_max)
}

fn four_transfers(market: &Market) -> Vec<TxEnvelope> {
    let to: Address = address(PEOPLE[0]);
    assert_ne!(to, address("bob"));
    let mut txs = Vec::new();
    for step in 0..4 {
        let mut tx = market.transfer("bob", PEOPLE[0], 1).signed.tx;
        tx.sequence += step;
        txs.push(TxEnvelope::bare(market.sign("bob", tx)));
    }
    txs
}

fn header(full: &mut FullBlock) -> &mut Header {
    &mut full.block.header
}
