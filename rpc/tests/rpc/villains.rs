//! Those who mean the port harm: the hoarder, the giant, the babbler, the sleeper, the dribbler, the foreign page.

use crate::common::{Served, read_all, served, served_with};
use holdfast_rpc::{Origins, RpcConfig, RpcError, ServeError, serve};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const STATUS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"chain_status"}"#;

/// Short patience, so that tests need none.
fn impatient() -> RpcConfig {
    RpcConfig { first_request_timeout_ms: 150, idle_timeout_ms: 150, request_timeout_ms: 300, ..RpcConfig::default() }
}

async fn still_answers(served: &Served) {
    assert!(served.post(STATUS, "").await.1.contains("\"height\":7"));
}

#[tokio::test]
async fn a_batch_has_a_limit() {
    let served = served_with(RpcConfig { batch_calls_max: 3, ..RpcConfig::default() }).await;
    let batch = |calls: usize| format!("[{}]", vec![STATUS; calls].join(","));
    let (_, answer) = served.post(&batch(3), "").await;
    assert_eq!(answer.matches("\"height\":7").count(), 3);
    let (_, answer) = served.post(&batch(4), "").await;
    assert!(answer.contains("-32010") && !answer.contains("height"), "{answer}");
}

#[tokio::test]
async fn the_giant_sends_more_than_a_request_may_hold() {
    let served = served_with(RpcConfig { request_bytes_max: 1_000, ..RpcConfig::default() }).await;
    let (head, _) = served.post(&format!("{{\"pad\":\"{}\"}}", "x".repeat(2_000)), "").await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    // A length that is only claimed is refused before a byte of the body came.
    let claim =
        b"POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n";
    let mut socket = TcpStream::connect(served.server.addr()).await.unwrap();
    socket.write_all(claim).await.unwrap();
    let mut head = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
    still_answers(&served).await;
}

#[tokio::test]
async fn an_answer_that_outgrows_its_limit_is_an_error_and_not_a_flood() {
    let served = served_with(RpcConfig { response_bytes_max: 700, ..RpcConfig::default() }).await;
    let error = served.client.chain_genesis().await.unwrap_err();
    assert!(error.is_reason("oversized_response"), "{error:?}");
}

#[tokio::test]
async fn the_hoarder_keeps_connections_and_the_next_one_is_told_to_come_back() {
    let served = served_with(RpcConfig { connections_max: 2, ..RpcConfig::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(served.server.addr()).await.unwrap();
        socket.write_all(b"GET /livez HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        tokio::io::AsyncReadExt::read_exact(&mut socket, &mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        held.push(socket);
    }
    assert!(served.page("/livez").await.0.starts_with("HTTP/1.1 503"));
    let mut says_nothing = TcpStream::connect(served.server.addr()).await.unwrap();
    assert_eq!(read_all(&mut says_nothing).await, "");
    drop(held);
    // The places come free when the server has noticed; until then it goes on refusing.
    while !served.page("/livez").await.0.starts_with("HTTP/1.1 200") {}
}

#[tokio::test]
async fn a_websocket_counts_as_a_connection_for_as_long_as_it_lives() {
    let served = served_with(RpcConfig { connections_max: 1, ..RpcConfig::default() }).await;
    let feed = served.client.subscribe_blocks().await.unwrap();
    assert!(served.page("/livez").await.0.starts_with("HTTP/1.1 503"));
    drop(feed);
}

#[tokio::test]
async fn one_connection_has_so_many_subscriptions_and_no_more() {
    let served = served_with(RpcConfig { subscriptions_max: 2, ..RpcConfig::default() }).await;
    let _first = served.client.subscribe_blocks().await.unwrap();
    let _second = served.client.subscribe_rounds().await.unwrap();
    let Err(error) = served.client.subscribe_blocks().await else { panic!("a third subscription") };
    assert!(error.is_reason("too_many_subscriptions"), "{error:?}");
}

#[tokio::test]
async fn the_babbler_sends_garbage_and_is_sent_away() {
    let served = served().await;
    let tls_hello =
        [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0, 0, b'\r', b'\n', b'\r', b'\n'];
    let long_head = [b"GET /".to_vec(), vec![b'a'; 600_000]].concat();
    for garbage in [&tls_hello[..], b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", &long_head] {
        let mut socket = TcpStream::connect(served.server.addr()).await.unwrap();
        // The server may hang up in the middle of it.
        let _ = socket.write_all(garbage).await;
        let answer = read_all(&mut socket).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    still_answers(&served).await;
}

#[tokio::test]
async fn the_sleeper_says_nothing_and_the_dribbler_never_ends_and_both_are_dropped() {
    let served = served_with(impatient()).await;
    let connect = async || TcpStream::connect(served.server.addr()).await.unwrap();

    let mut silent = connect().await;
    let mut half_a_head = connect().await;
    half_a_head.write_all(b"POST / HTTP/1.1\r\nhost: no").await.unwrap();
    let mut quiet_afterwards = connect().await;
    quiet_afterwards.write_all(b"GET /livez HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
    let mut half_a_body = connect().await;
    let head =
        b"POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"jsonrpc\"";
    half_a_body.write_all(head).await.unwrap();

    let all_end = async {
        assert_eq!(read_all(&mut silent).await, "");
        assert_eq!(read_all(&mut half_a_head).await, "");
        assert!(read_all(&mut quiet_afterwards).await.starts_with("HTTP/1.1 200"));
        assert!(read_all(&mut half_a_body).await.starts_with("HTTP/1.1 408"));
    };
    tokio::time::timeout(Duration::from_secs(10), all_end).await.expect("the server ends every one of them");
    still_answers(&served).await;
}

#[tokio::test]
async fn a_foreign_web_page_cannot_reach_the_node_and_an_allowed_one_can() {
    let closed = served().await;
    let (head, _) = closed.post(STATUS, "origin: https://evil.example\r\n").await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    let upgrade =
        b"GET / HTTP/1.1\r\nhost: node\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: https://evil.example\r\n\r\n";
    let mut socket = TcpStream::connect(closed.server.addr()).await.unwrap();
    socket.write_all(upgrade).await.unwrap();
    let mut first = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 403");

    let origins = Origins::Only(vec!["https://explorer.example".into()]);
    let open = served_with(RpcConfig { origins, ..RpcConfig::default() }).await;
    let (head, body) = open.post(STATUS, "origin: https://explorer.example\r\n").await;
    assert!(head.contains("access-control-allow-origin: https://explorer.example"), "{head}");
    assert!(body.contains("\"height\":7"));
    let preflight = "OPTIONS / HTTP/1.1\r\nhost: node\r\nconnection: close\r\norigin: https://explorer.example\r\n\r\n";
    assert!(open.raw(preflight.as_bytes()).await.contains("access-control-allow-headers: content-type"));

    let bad = RpcConfig { origins: Origins::Only(vec!["explorer.example".into()]), ..RpcConfig::default() };
    let world = Arc::new(crate::common::world::World::new());
    assert!(matches!(serve(bad, world).await, Err(ServeError::Origin { .. })));
}

#[tokio::test]
async fn an_operator_reads_how_the_node_is() {
    let served = served().await;
    assert_eq!(served.page("/livez").await, ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    assert_eq!(served.page("/readyz").await, ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    assert_eq!(served.page("/readyz?verbose").await.1, "[+]store ok\n[+]peers ok: 1 connected\nready\n");
    assert!(served.page("/metrics").await.1.contains("holdfast_height 7"));
    assert!(served.page("/").await.1.contains("rpc.discover"));
    assert!(served.page("/etc/passwd").await.0.starts_with("HTTP/1.1 4"));
    served.world.fall_ill();
    let (status, body) = served.page("/readyz?verbose").await;
    assert!(status.contains("503"));
    assert_eq!(body, "[+]store ok\n[!]peers failed: 0 connected\nnot ready\n");
    assert!(served.page("/readyz").await.0.contains("503"));
    assert!(served.page("/livez").await.0.contains("200"));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = served().await;
    let addr = first.server.addr();
    let second = serve(RpcConfig::at(addr), first.world.clone()).await;
    assert!(matches!(second, Err(ServeError::Listen { addr: taken, .. }) if taken == addr));
    let error: Result<(), RpcError> = first.client.chain_status().await.map(drop);
    assert_eq!(error, Ok(()));
}

#[test]
fn a_misspelt_setting_is_refused() {
    let config: RpcConfig =
        serde_json::from_str(r#"{"listen":"127.0.0.1:4000","origins":{"only":["http://a"]}}"#).unwrap();
    assert_eq!(config.origins, Origins::Only(vec!["http://a".into()]));
    assert!(config.listen.ip().is_loopback() && RpcConfig::default().listen.ip().is_loopback());
    assert!(serde_json::from_str::<RpcConfig>(r#"{"max_connections":5}"#).is_err());
}
