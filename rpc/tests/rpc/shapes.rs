//! The shapes are frozen: a change of any answer shows up here and is a change of the interface.

use crate::common::{Served, served};
use insta::assert_json_snapshot;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use serde_json::{Value, json};

async fn ask(served: &Served, method: &str, params: Value) -> Value {
    let mut array = rpc_params![];
    for param in params.as_array().unwrap() {
        array.insert(param).unwrap();
    }
    shape(served.client.request(method, array).await.unwrap())
}

/// Hashes and records change with every rule of the ledger; that they are there, and how long ids are, does not.
fn shape(answer: Value) -> Value {
    match answer {
        Value::String(text) if text.len() >= 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Value::String(match text.len() {
                64 => "(32 bytes)".into(),
                128 => "(64 bytes)".into(),
                _ => "(bytes)".into(),
            })
        }
        Value::Array(items) => items.into_iter().map(shape).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| if name == "raw" { (name, json!("(record)")) } else { (name, shape(value)) })
            .collect(),
        other => other,
    }
}

macro_rules! frozen {
    ($($name:ident: $method:literal $params:tt;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let served = served().await;
            assert_json_snapshot!(stringify!($name), ask(&served, $method, json!($params)).await);
        }
    )*};
}

frozen! {
    chain_status: "chain_status" [];
    chain_genesis: "chain_genesis" [];
    chain_header: "chain_header" [1];
    chain_block: "chain_block" [1];
    chain_block_raw: "chain_block_raw" [3];
    chain_certificate: "chain_certificate" [1];
    chain_events_of_a_settlement: "chain_events" [5];
    chain_events_of_everything_else: "chain_events" [7];
    tx_status: "tx_status" [(crate::common::world::proof().id())];
    tx_get_proof: "tx_get" [(crate::common::world::proof().id())];
    account_get: "account_get" [(crate::common::text_of(0))];
    account_segments: "account_segments" [(crate::common::text_of(0))];
    account_contracts: "account_contracts" [(crate::common::text_of(0)), { "first": 0, "limit": 1 }];
    market_params: "market_params" [];
    market_holder: "market_holder" [1];
    market_batches: "market_batches" [1, 20];
    market_node: "market_node" [];
    market_quote: "market_quote" [{ "bytes": 5_000_000, "rounds": 100, "data": 1, "parity": 0 }];
    stake_set: "stake_set" [];
    stake_validators: "stake_validators" [];
    stake_validator: "stake_validator" [(crate::common::records::validator().address().to_text(holdfast_primitives::NetworkPrefix::Devnet))];
    round_running: "round_running" [];
    round_record: "round_record" [0];
    round_results: "round_results" [0];
    round_frozen: "round_frozen" [0, { "limit": 1 }];
    round_payments: "round_payments" [0];
    audit_bundle: "audit_bundle" [0, 0];
    audit_slots: "audit_slots" [0, 0, 20, [0]];
    audit_record: "audit_record" [{ "table": "round", "number": 0 }];
    dev_faucet_limit: "dev_faucet_limit" [];
}

#[tokio::test]
async fn the_methods_and_their_parameters_are_frozen() {
    let document = served().await.client.discover().await.unwrap_or_default();
    assert_eq!(document["openrpc"], "1.2.6");
    let methods = document["methods"].as_array().unwrap().iter().map(|method| {
        let params = method["params"].as_array().unwrap().iter().map(|param| {
            let optional = if param["required"] == true { "" } else { "?" };
            format!("{}{optional}", param["name"].as_str().unwrap())
        });
        format!("{}({})", method["name"].as_str().unwrap(), params.collect::<Vec<_>>().join(", "))
    });
    assert_json_snapshot!("methods", methods.collect::<Vec<_>>());
}

#[test]
fn every_reference_of_the_description_leads_somewhere_and_every_method_says_what_it_does() {
    let document = holdfast_rpc::discover::document(true);
    let schemas = &document["components"]["schemas"];
    let text = document.to_string();
    let references = text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut found = 0;
    for reference in references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap_or_else(|| panic!("{reference}"));
        assert!(schemas.get(name).is_some(), "{reference}");
        found += 1;
    }
    assert!(found > 50);
    for method in document["methods"].as_array().unwrap() {
        assert!(method["summary"].as_str().unwrap().ends_with(['.', ';']), "{method}");
        assert!(method["result"]["schema"].is_object(), "{method}");
    }
    assert!(!holdfast_rpc::discover::document(false)["methods"].to_string().contains("dev_"));
}
