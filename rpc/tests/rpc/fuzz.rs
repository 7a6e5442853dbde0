//! Fuzz targets for everything that callers send and that a node answers. Invariants:
//!
//! 1. Every parser of a parameter, an answer or a raw record returns, whatever the bytes.
//! 2. What parses says the same when it is written and parsed again; a raw record has no second spelling.
//! 3. A served node answers every call of every method, whatever its parameters: with a result or with a code that has a
//!    name, never with "internal", and it goes on answering.
//! 4. An envelope that is no transaction, or not one that the rule book takes, is refused and does not wait.

use crate::common::{Served, records, served, text_of, world};
use bolero::check;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger as ledger;
use holdfast_primitives::{Amount, Certificate, RoundNo, TxId};
use holdfast_rpc::account::{AccountView, SegmentView};
use holdfast_rpc::audit::{BundleView, PartView, RecordProofView, RecordRef, SlotsView};
use holdfast_rpc::chain::{
    BlockNotice, BlockRef, BlockView, CertificateView, ChainStatus, EventView, GenesisView, HeaderView, ParamsView,
    RawBlock,
};
use holdfast_rpc::dev::FaucetLimit;
use holdfast_rpc::market::{
    ContractView, HolderRef, HolderView, NodeView, OfferView, PricingView, QuoteAsk, QuoteView, SlotView,
};
use holdfast_rpc::round::{FrozenRow, PaymentView, RecordView, ResultView, RoundNotice, RunningView};
use holdfast_rpc::tx::{TxStatus, TxView};
use holdfast_rpc::{AddressText, Backend, HexBytes, Page, PageAsk, Raw, Time, method_names};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Calls `$each::<T>($argument)` for every type that is read from JSON: parameters first, then answers.
macro_rules! every_shape {
    ($each:ident($argument:expr)) => {
        every_shape!(@each $each($argument):
            BlockRef, PageAsk, AddressText, HolderRef, HexBytes, TxId, RoundNo, RecordRef, QuoteAsk, Amount, Vec<u32>,
            ChainStatus, GenesisView, ParamsView, HeaderView, BlockView, RawBlock, CertificateView, Page<EventView>,
            BlockNotice, TxStatus, TxView, AccountView, Page<SegmentView>, Page<ContractView>, PricingView, HolderView,
            Page<SlotView>, ContractView, NodeView, Page<OfferView>, QuoteView, RunningView, RecordView,
            Page<ResultView>, Page<FrozenRow>, Page<PaymentView>, RoundNotice, BundleView, PartView, SlotsView,
            RecordProofView, FaucetLimit, Time)
    };
    (@each $each:ident($argument:expr): $($type:ty),+) => { $($each::<$type>($argument);)+ };
}

/// Calls `$each::<T>($argument)` for every record that travels as the hex of its borsh.
macro_rules! every_record {
    ($each:ident($argument:expr)) => {
        every_record!(@each $each($argument):
            ledger::Account, ledger::Block, Certificate, ledger::Contract, ledger::Event, ledger::FrozenHolder,
            ledger::Genesis, ledger::Header, ledger::Holder, ledger::Params, ledger::RoundRecord, ledger::RoundResult,
            ledger::Segment, ledger::SignedTx, ledger::Slot, ledger::StateProof, ledger::TxEnvelope)
    };
    (@each $each:ident($argument:expr): $($type:ty),+) => { $($each::<$type>($argument);)+ };
}

/// Invariants 1 and 2 for JSON.
fn parses_or_not<T: Serialize + DeserializeOwned>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&value).unwrap();
        let again: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error} in {written}"));
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
    }
}

/// Invariants 1 and 2 for raw records, by way of their hex.
fn decodes_or_not<T: BorshDeserialize + BorshSerialize>(bytes: &[u8]) {
    let raw: Raw<T> = serde_json::from_value(json!(hex::encode(bytes))).unwrap();
    if let Ok(record) = raw.decode() {
        assert_eq!(Raw::of(&record).as_bytes(), bytes);
    }
}

/// A JSON value that grows out of noise, nested as deep as the noise lasts.
fn value(noise: &mut &[u8]) -> Value {
    let Some((first, rest)) = noise.split_first() else { return Value::Null };
    *noise = rest;
    match first % 16 {
        0 => Value::Null,
        1 => json!(first & 16 == 0),
        2 => json!(u64::from(*first) << (first % 57)),
        3 => json!(u64::MAX - u64::from(first >> 4)),
        4 => json!(-i64::from(*first)),
        5 => json!(f64::from(*first) * 1e300),
        6 => json!("x".repeat(usize::from(*first) * 9)),
        7 => json!("0".repeat(64 + usize::from(first >> 6))),
        8 => json!(hex::encode(&rest[..rest.len().min(64)])),
        9 => json!("latest"),
        10 => json!(text_of(u32::from(first >> 6) % 3)),
        11 => json!(TxId::new([*first; 32])),
        12 => json!({ "first": value(noise), "limit": first }),
        13 => json!({ "table": "slot", "holder": 0, "batch_log2": first, "slot": value(noise) }),
        14 => Value::Array((0..first >> 4).map(|_| value(noise)).collect()),
        _ => json!({ "bytes": value(noise), "rounds": first, "table": "holder", "number": value(noise) }),
    }
}

#[test]
fn any_text_where_a_value_is_due() {
    check!().with_iterations(3_000).with_max_len(400).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        every_shape!(parses_or_not(&text));
        let quoted = serde_json::to_string(&text).unwrap();
        every_shape!(parses_or_not(&quoted));
        let grown = value(&mut &bytes[..]).to_string();
        every_shape!(parses_or_not(&grown));
        every_record!(decodes_or_not(bytes));
    });
}

/// One call of every kind, with parameters that fit.
fn honest_calls() -> Vec<(&'static str, Value)> {
    let (owner, holder, proof) = (text_of(0), 0, world::proof().id());
    vec![
        ("chain_status", json!([])),
        ("chain_genesis", json!([])),
        ("chain_params", json!([])),
        ("chain_header", json!([1])),
        ("chain_block", json!([4])),
        ("chain_block_raw", json!(["latest"])),
        ("chain_certificate", json!([1])),
        ("chain_events", json!([5, { "first": 0, "limit": 9 }])),
        ("tx_status", json!([proof])),
        ("tx_get", json!([proof])),
        ("account_get", json!([owner])),
        ("account_segments", json!([owner, null])),
        ("account_contracts", json!([owner, null])),
        ("market_holder", json!([holder])),
        ("market_contract", json!([0])),
        ("market_batches", json!([holder, records::BATCH_LOG2, null])),
        ("round_running", json!([])),
        ("round_record", json!([0])),
        ("round_results", json!([0, null])),
        ("round_frozen", json!([0, null])),
        ("round_payments", json!([0, null])),
        ("audit_bundle", json!([0, holder])),
        ("audit_part", json!([0, holder, 0])),
        ("audit_slots", json!([0, holder, records::BATCH_LOG2, [0]])),
        ("audit_record", json!([{ "table": "holder", "number": holder }])),
    ]
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// Answers that a client may meet, bent in a few places, as a lying node would send them.
#[test]
fn bent_answers_are_read_or_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answers: Vec<Vec<u8>> = runtime.block_on(async {
        let served = served().await;
        let mut answers = Vec::new();
        for (method, params) in honest_calls() {
            let (_, body) = served.post(&call(method, &params).to_string(), "").await;
            let answer: Value = serde_json::from_str(&body).unwrap();
            assert!(answer["error"].is_null(), "{method}: {body}");
            answers.push(answer["result"].to_string().into_bytes());
        }
        answers
    });
    check!().with_iterations(4_000).with_max_len(10).for_each(|noise: &[u8]| {
        let Some((which, noise)) = noise.split_first() else { return };
        let mut bent = answers[usize::from(*which) % answers.len()].clone();
        for change in noise.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bent.len();
            bent[at] = change[2];
        }
        let text = String::from_utf8_lossy(&bent);
        every_shape!(parses_or_not(&text));
    });
}

/// A served node, and the runtime in which a fuzz target asks it.
struct Stage {
    runtime: tokio::runtime::Runtime,
    served: Served,
}

impl Stage {
    /// What a panic leaves behind is not looked at again.
    fn open() -> AssertUnwindSafe<Self> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let served = runtime.block_on(served());
        AssertUnwindSafe(Self { runtime, served })
    }

    /// The head and the JSON of an answer.
    fn post(&self, body: &Value) -> (String, Value) {
        let (head, answer) = self.runtime.block_on(self.served.post(&body.to_string(), ""));
        (head, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}")))
    }

    fn submit(&self, envelope: &[u8]) -> Value {
        self.post(&call("tx_submit", &json!([hex::encode(envelope)]))).1
    }
}

/// `tx_wait` may wait for a minute, and subscriptions need another door; their parameters are those of `tx_status`.
fn callable(served: &Served) -> Vec<&'static str> {
    let backend: Arc<dyn Backend> = served.world.clone();
    let named = method_names(&backend).unwrap().into_iter();
    named.filter(|name| !name.contains("subscribe") && *name != "tx_wait").collect()
}

#[test]
fn any_call_of_a_served_node_gets_an_answer() {
    let stage = Stage::open();
    let methods = callable(&stage.served);
    assert!(methods.len() > 25, "{methods:?}");
    check!().with_iterations(400).with_max_len(120).for_each(|noise: &[u8]| {
        let mut noise = noise;
        let calls: Vec<Value> = (0..8)
            .map(|_| {
                let (first, rest) = noise.split_first().unwrap_or((&7, &[]));
                noise = rest;
                let method = methods[usize::from(*first) % methods.len()];
                let params = (0..first >> 6).map(|_| value(&mut noise)).collect();
                call(method, &Value::Array(params))
            })
            .collect();
        let (head, answers) = stage.post(&Value::Array(calls.clone()));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), calls.len());
        for answer in answers {
            let error = &answer["error"];
            assert!(answer.get("result").is_some() || error["code"].is_i64(), "{answer}");
            assert_ne!(error["code"], json!(holdfast_rpc::error::INTERNAL.code), "{answer} for one of {calls:?}");
        }
    });
    let (_, answer) = stage.post(&call("chain_status", &json!([])));
    assert_eq!(answer["result"]["height"], json!(7), "{answer}");
}

#[test]
fn any_envelope_is_a_transaction_or_refused() {
    let stage = Stage::open();
    let envelope = stage.served.world.transfer(Amount::hold(1));
    let honest = borsh::to_vec(&envelope).unwrap();
    let refused = AtomicU32::new(0);
    check!().with_iterations(300).with_max_len(9).for_each(|noise: &[u8]| {
        let mut bent = honest.clone();
        for change in noise.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bent.len();
            bent[at] = change[2];
        }
        bent.truncate(honest.len() - noise.len() % 3);
        if bent == honest {
            return;
        }
        let answer = stage.submit(&bent);
        let code = answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}"));
        let known = [holdfast_rpc::error::MALFORMED.code, holdfast_rpc::error::TX_REFUSED.code];
        assert!(known.map(i64::from).contains(&code), "{answer}");
        refused.fetch_add(1, Ordering::Relaxed);
    });
    assert!(refused.into_inner() > 100, "most of it is bent");
    assert_eq!(
        stage.submit(&honest)["result"],
        json!(envelope.signed.id()),
        "none of it stands in the way of the honest one"
    );
}
