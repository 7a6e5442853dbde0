//! Fuzz targets for every type that travels or is stored. Invariants:
//!
//! 1. Every decoder returns, whatever the bytes.
//! 2. What decodes encodes back to the same bytes: nothing holds more than was sent, and no value has two spellings.
//! 3. A record that is cut short, or has a byte too many, is refused.
//! 4. A length that lies reserves no memory for what does not come.
//! 5. Any transaction that decodes gets an answer from `sound` and `admit`; any block, from `check_block`; any proof, from
//!    its verifier. None of them makes money.

use crate::disk::count_money;
use crate::market::{BLOCK_MS, HEAVY, Market, key};
use crate::signing::Deal;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::Profile;
use holdfast_ledger::statement::{Footprint, FootprintHop, Quote, QuoteTerms, Receipt};
use holdfast_ledger::*;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{AccountNo, Bounded, ContractNo, Digest, HolderNo, RoundNo, SegmentNo, TimeMs, decode_exact};
use std::process::Command;

/// Calls `$each::<T>($argument)` for every type of this crate that is read from bytes.
macro_rules! every_type {
    ($each:ident($argument:expr)) => {
        every_type!(@each $each($argument):
            Tx, TxBody, SignedTx, TxEnvelope, Register, NewSegment, NewBatch, Placement, Quote, QuoteTerms, FootprintHop,
            Footprint, Receipt, Header, Block, FullBlock, Payment, Event, Account, Frozen, Holder, Contract, Member,
            Segment, Slot, RoundResult, RoundRecord, FrozenHolder, ProofProgress, PartOutcome, Phase, RunningRound,
            Deferred, ChainRecord, InclusionProof, SlotEvidence, StateRoots, RecordKey, VectorPath, Place, StateProof,
            Params, Genesis)
    };
    (@each $each:ident($argument:expr): $($type:ty),+) => { $($each::<$type>($argument);)+ };
}

/// Invariants 1 and 2.
fn total<T: BorshDeserialize + BorshSerialize>(bytes: &[u8]) {
    if let Ok(value) = decode_exact::<T>(bytes, bytes.len()) {
        assert_eq!(borsh::to_vec(&value).unwrap(), bytes, "{}", std::any::type_name::<T>());
    }
}

#[test]
fn any_bytes_give_an_answer_from_every_decoder() {
    bolero::check!().with_iterations(4_000).with_max_len(1_024).for_each(|bytes: &[u8]| {
        every_type!(total(bytes));
    });
}

/// A real record as bytes, and the decoder of its type.
struct Specimen {
    bytes: Vec<u8>,
    total: fn(&[u8]),
    decodes: fn(&[u8]) -> bool,
}

fn specimen<T: BorshDeserialize + BorshSerialize>(value: &T) -> Specimen {
    let decodes = |bytes: &[u8]| decode_exact::<T>(bytes, BLOCK_BYTES_MAX).is_ok();
    Specimen { bytes: borsh::to_vec(value).unwrap(), total: total::<T>, decodes }
}

/// What a market leaves behind in two rounds, in the second of which one holder stays away.
fn specimens() -> Vec<Specimen> {
    let mut market = Market::stored();
    let mut found = vec![specimen(&market.genesis), specimen(&market.genesis.params)];
    let mut events = market.round(&["carol", "dave", "erin"]);
    let register = market.register("alice", 20, 1, &[Deal::with("carol"), Deal::with("frank"), Deal::with("dave")]);
    if let TxBody::Register(register) = &register.signed.tx.body {
        found.extend([specimen(register), specimen(&register.placements[0]), specimen(&register.segments[0])]);
    }
    let (applied, _) = market.build(market.time + BLOCK_MS, HEAVY[1], market.admit_all(vec![register.clone()]));
    found.extend([specimen(&register), specimen(&register.signed), specimen(&register.signed.tx.body)]);
    events.extend(market.commit(applied).unwrap());
    market.freeze_and_seed();
    let proof = market.proof("carol");
    let (applied, _) = market.build(market.time + BLOCK_MS, HEAVY[0], market.admit_all(proof.clone()));
    found.extend([specimen(&proof[0]), specimen(&applied.full), specimen(&applied.full.block.header)]);
    events.extend(market.commit(applied).unwrap());
    found.extend(records(&market));
    events.extend(market.settle());
    found.extend(events.iter().map(specimen));
    found.push(specimen(market.state.round(RoundNo::new(1)).unwrap()));
    found
}

fn records(market: &Market) -> Vec<Specimen> {
    let state = &market.state;
    let (holder, zero) = (HolderNo::new(0), 0);
    let evidence = slot_evidence(state, holder).unwrap();
    let prove = |key: RecordKey| specimen(&state.prove(&key).unwrap());
    vec![
        specimen(state.account(AccountNo::new(zero)).unwrap()),
        specimen(state.holder(holder).unwrap()),
        specimen(state.contract(ContractNo::new(zero)).unwrap()),
        specimen(state.segment(SegmentNo::new(zero)).unwrap()),
        specimen(state.slot(holder, 20, zero).unwrap()),
        specimen(state.progress(holder).unwrap()),
        specimen(state.chain()),
        specimen(&evidence[0]),
        prove(RecordKey::Chain),
        prove(RecordKey::Holder(holder)),
        prove(RecordKey::Slot { holder, batch_log2: 20, slot: zero }),
    ]
}

#[test]
fn records_that_are_cut_short_or_grow_are_refused() {
    for Specimen { bytes, total, decodes } in specimens() {
        assert!(decodes(&bytes));
        total(&bytes);
        let step = bytes.len().div_ceil(2_000);
        for length in (0..bytes.len()).step_by(step) {
            assert!(!decodes(&bytes[..length]), "{length} of {} bytes", bytes.len());
        }
        assert!(!decodes(&[&bytes[..], &[0]].concat()));
    }
}

/// Changes bytes of `record` as `noise` says: three bytes of it make one change.
fn bend(record: &mut [u8], noise: &[u8]) {
    for change in noise.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % record.len();
        record[at] = change[2];
    }
}

#[test]
fn bent_records_are_refused_or_mean_what_they_say() {
    let specimens = specimens();
    bolero::check!().with_iterations(30_000).with_max_len(13).for_each(|noise: &[u8]| {
        let Some((which, noise)) = noise.split_first() else { return };
        let Specimen { bytes, total, .. } = &specimens[usize::from(*which) % specimens.len()];
        let mut bent = bytes.clone();
        bend(&mut bent, noise);
        total(&bent);
    });
}

/// Set for the process that has little memory.
const LITTLE_MEMORY: &str = "HOLDFAST_TEST_LITTLE_MEMORY";

/// Every four bytes of every record, in turn, as the largest length there is. Played in a process to which the system gives
/// no more than a gigabyte: who reserves what a length promises dies of it.
#[test]
fn a_length_that_lies_reserves_nothing() {
    if std::env::var_os(LITTLE_MEMORY).is_none() {
        let test = "fuzz::a_length_that_lies_reserves_nothing";
        let limited = "ulimit -v 1048576 && exec \"$0\" --exact \"$1\" --nocapture --test-threads 1";
        let mut command = Command::new("sh");
        command.args(["-c", limited]).arg(std::env::current_exe().unwrap()).arg(test);
        let played = command.env(LITTLE_MEMORY, "1").output().unwrap();
        let said = String::from_utf8_lossy(&played.stdout) + String::from_utf8_lossy(&played.stderr);
        assert!(played.status.success() && said.contains("1 passed"), "with little memory:\n{said}");
        return;
    }
    for Specimen { bytes, total, .. } in specimens() {
        let step = bytes.len().div_ceil(1_000);
        for at in (0..bytes.len().saturating_sub(3)).step_by(step) {
            for lie in [u32::MAX, 1 << 24] {
                let mut lying = bytes.clone();
                lying[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                total(&lying);
            }
        }
    }
    for lie in [u32::MAX, 1 << 30, 1 << 24] {
        let bytes = [lie.to_le_bytes(); 64].concat();
        every_type!(total(&bytes));
    }
}

/// Transactions of every kind, each by someone who may send it now, while proofs are taken.
fn transactions(market: &mut Market) -> Vec<(&'static str, TxEnvelope)> {
    let update = TxBody::HolderUpdate {
        quota_bytes: 1 << 30,
        price: crate::market::PRICE,
        accepting: true,
        profile: Profile::default(),
        deposit_add: holdfast_primitives::Amount::grains(5),
        deposit_take: holdfast_primitives::Amount::grains(3),
    };
    let release = TxBody::Release { ordinals: Bounded::new(vec![0, 1]).unwrap(), catalog_head: None };
    let declare = TxBody::DeclareFaulty { batches: Bounded::new(vec![(20, 0)]).unwrap() };
    vec![
        ("bob", market.transfer("bob", "alice", 7)),
        ("trudy", market.join("trudy")),
        ("carol", market.tx("carol", update)),
        ("alice", market.register("alice", 20, 1, &["carol", "dave", "erin"].map(Deal::with))),
        ("alice", market.tx("alice", release)),
        ("dave", market.tx("dave", declare)),
        ("erin", market.proof("erin").swap_remove(0)),
    ]
}

#[test]
fn any_transaction_that_decodes_gets_an_answer() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let honest = transactions(&mut market);
    let chain = market.state.chain().chain;
    bolero::check!().with_iterations(3_000).with_max_len(20).for_each(|noise: &[u8]| {
        let Some((which, noise)) = noise.split_first() else { return };
        let (sender, envelope) = &honest[usize::from(*which) % honest.len()];
        let mut bytes = borsh::to_vec(envelope).unwrap();
        bend(&mut bytes, noise);
        let Ok(bent) = decode_exact::<TxEnvelope>(&bytes, BLOCK_BYTES_MAX) else { return };
        let resigned = TxEnvelope { signed: bent.signed.tx.clone().sign(&key(sender), &chain), ..bent.clone() };
        let verdicts = sound(market.state.params(), &chain, vec![bent.clone(), resigned.clone()]);
        assert_eq!(verdicts.len(), 2);
        for envelope in [bent, resigned] {
            let Ok(admitted) = market.admit(&envelope) else { continue };
            let (applied, skipped) = market.build(market.time + BLOCK_MS, HEAVY[0], vec![admitted]);
            assert_eq!(skipped, [], "what is admitted at the tip goes into the next block");
            assert_eq!(count_money(&applied.state), u128::from(market.state.chain().supply.get()));
        }
    });
}

#[test]
fn any_block_that_decodes_gets_an_answer() {
    let mut market = Market::stored();
    market.freeze_and_seed();
    let txs = transactions(&mut market).into_iter().map(|(_, envelope)| envelope);
    let sound: Vec<AdmittedTx> = txs.filter_map(|envelope| market.admit(&envelope).ok()).collect();
    assert!(sound.len() >= 4, "a block of several kinds");
    let time = market.time + BLOCK_MS;
    let (applied, _) = market.build(time, HEAVY[0], sound);
    let (honest, hash) = (borsh::to_vec(&applied.full).unwrap(), applied.hash);
    bolero::check!().with_iterations(800).with_max_len(12).for_each(|noise: &[u8]| {
        let mut bytes = honest.clone();
        bend(&mut bytes, noise);
        let Ok(full) = decode_exact::<FullBlock>(&bytes, BLOCK_BYTES_MAX) else { return };
        match check_block(&market.state, market.parent, full, TimeMs::new(time)) {
            Ok(checked) => assert!(bytes == honest && checked.hash() == hash, "an altered block passes"),
            Err(error) => assert!(bytes != honest, "{error}"),
        }
    });
}

#[test]
fn any_proof_that_decodes_gets_an_answer() {
    let market = Market::stored();
    let root = market.state.root();
    let key = RecordKey::Slot { holder: HolderNo::new(0), batch_log2: 20, slot: 1 };
    let proven = market.state.prove(&key).unwrap();
    let honest = borsh::to_vec(&proven).unwrap();
    assert!(proven.verify(&root).is_ok());
    bolero::check!().with_iterations(10_000).with_max_len(12).for_each(|noise: &[u8]| {
        let mut bytes = honest.clone();
        bend(&mut bytes, noise);
        if let Ok(proof) = decode_exact::<StateProof>(&bytes, honest.len()) {
            let says_the_same = (proof.key, &proof.record) == (proven.key, &proven.record);
            assert!(proof.verify(&root).is_err() || says_the_same, "a proof of what is not so");
        }
        if let Ok(inclusion) = decode_exact::<InclusionProof>(noise, noise.len()) {
            assert!(!verify_inclusion(&Digest::new([7; 32]), &[9; 32], &inclusion));
        }
    });
}
