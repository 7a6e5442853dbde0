//! What comes back over HTTP for every shape of body: the JSON-RPC 2.0 specification's own cases, with our methods.

use crate::common::{Served, served, served_with};
use holdfast_primitives::Amount;
use holdfast_rpc::RpcConfig;
use serde_json::{Value, json};

const STATUS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"chain_status"}"#;

/// The answer, once it was seen to be a success of HTTP.
async fn ask(served: &Served, body: &str) -> String {
    let (head, answer) = served.post(body, "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    answer
}

async fn ask_json(served: &Served, body: &str) -> Value {
    serde_json::from_str(&ask(served, body).await).unwrap()
}

/// An answer's id and error code; code 0 for a result.
fn gist(answer: &Value) -> (Value, i64) {
    assert_eq!(answer["jsonrpc"], "2.0");
    (answer["id"].clone(), answer["error"]["code"].as_i64().unwrap_or(0))
}

#[tokio::test]
async fn one_call_has_one_answer_with_its_id() {
    let served = served().await;
    for (id, of) in [(json!(7), "7"), (json!("seven"), "\"seven\""), (Value::Null, "null")] {
        let answer = ask_json(&served, &format!(r#"  {{"jsonrpc":"2.0","method":"chain_status","id":{of}}}"#)).await;
        assert_eq!(gist(&answer), (id, 0));
        assert_eq!(answer["result"]["height"], 7);
    }
}

#[tokio::test]
async fn a_call_that_is_none_is_told_why() {
    let served = served().await;
    for (body, id, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain_nothing"}"#, json!(1), -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"account_get","params":[5]}"#, json!(1), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, json!(1), -32600),
        (r#"{"jsonrpc":"1.0","id":2,"method":"chain_status"}"#, json!(2), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain_status"#, Value::Null, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"chain_status"},"#, Value::Null, -32700),
        ("[]", Value::Null, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain_subscribe_blocks"}"#, json!(1), -32603),
    ] {
        assert_eq!(gist(&ask_json(&served, body).await), (id, code), "{body}");
    }
}

#[tokio::test]
async fn a_notification_is_not_answered() {
    let served = served().await;
    let notification = r#"{"jsonrpc":"2.0","method":"chain_status"}"#;
    assert_eq!(ask(&served, notification).await, "");
    assert_eq!(ask(&served, &format!("[{notification},{notification}]")).await, "");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_whatever_is_in_it() {
    let served = served().await;
    let blocking = r#"{"jsonrpc":"2.0","id":"b","method":"chain_block","params":[3]}"#;
    let batch = format!(
        r#" [{STATUS}, 1, {blocking}, {{"foo":"boo"}}, {{"jsonrpc":"2.0","method":"chain_status"}}, {{"jsonrpc":"2.0","id":9,"method":"foo.get"}}]"#
    );
    let answers: Vec<Value> = serde_json::from_value(ask_json(&served, &batch).await).unwrap();
    let gists: Vec<_> = answers.iter().map(gist).collect();
    let expected = [(json!(1), 0), (Value::Null, -32600), (json!("b"), 0), (Value::Null, -32600), (json!(9), -32601)];
    assert_eq!(gists, expected);
    assert_eq!(answers[2]["result"]["header"]["height"], 3);
}

#[tokio::test]
async fn a_batch_whose_answers_outgrow_the_limit_is_refused_as_a_whole() {
    let served = served_with(RpcConfig { response_bytes_max: 1_500, ..RpcConfig::default() }).await;
    let batch = |calls: usize| format!("[{}]", vec![STATUS; calls].join(","));
    let two = ask(&served, &batch(2)).await;
    assert!(two.len() <= 1_500 && two.matches("\"height\":7").count() == 2);
    let answer = ask_json(&served, &batch(3)).await;
    assert_eq!(gist(&answer), (Value::Null, -32011));
}

#[tokio::test]
async fn only_json_is_posted_here() {
    let served = served().await;
    assert!(served.post("no json at all", "").await.0.starts_with("HTTP/1.1 400"));
    let plain = format!(
        "POST / HTTP/1.1\r\nhost: node\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{STATUS}",
        STATUS.len()
    );
    assert!(served.raw(plain.as_bytes()).await.starts_with("HTTP/1.1 415"));
    let put = "PUT / HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(served.raw(put.as_bytes()).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_body_may_come_in_pieces_and_still_has_a_limit() {
    let served = served_with(RpcConfig { request_bytes_max: 1_000, ..RpcConfig::default() }).await;
    let chunked = |body: &str| {
        let chunks = body
            .as_bytes()
            .chunks(10)
            .map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)));
        let head = "POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\nconnection: close\r\n";
        format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.collect::<String>())
    };
    assert!(served.raw(chunked(STATUS).as_bytes()).await.contains("\"height\":7"));
    let long = format!("{}{STATUS}", " ".repeat(2_000));
    assert!(served.raw(chunked(&long).as_bytes()).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn neighbours_in_a_batch_that_hand_in_are_answered_each_in_its_place() {
    let served = served().await;
    let call = |id: usize, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let hex = |amount| hex::encode(borsh::to_vec(&served.world.transfer(Amount::hold(amount))).unwrap());
    let submit = |id, text: String| call(id, "tx_submit", json!([text]));
    let good = served.world.transfer(Amount::hold(2)).signed.id();
    let batch =
        json!([submit(0, hex(2)), submit(1, "00".into()), call(2, "tx_status", json!([good])), submit(3, hex(3)),]);
    let answers = ask_json(&served, &batch.to_string()).await;
    let ids: Vec<u64> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    assert_eq!(answers[0]["result"], json!(good));
    assert_eq!(answers[1]["error"]["data"]["reason"], "malformed");
    assert_eq!(answers[2]["result"]["status"], "pending", "what stands before it in the batch is done");
}
