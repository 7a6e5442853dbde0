//! The client's patience: nodes that are not there, come later, forget, or drop.

use crate::common::{Served, served, served_with, world::World};
use holdfast_primitives::{Amount, NetworkPrefix};
use holdfast_rpc::client::ClientConfig;
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{AddressText, RpcClient, RpcConfig, RpcError, serve};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SOON: ClientConfig =
    ClientConfig { request_timeout: Duration::from_secs(5), retry_for: Duration::from_millis(200) };

/// An address where nobody listens now.
async fn free_address() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_where() {
    let url = format!("http://{}", free_address().await);
    let client = RpcClient::connect_with(&url, SOON).unwrap();
    let error = client.chain_status().await.unwrap_err();
    assert!(matches!(&error, RpcError::Unreachable { url: at, .. } if *at == url), "{error:?}");
    assert!(error.hint().contains("holdfast devnet"));
    assert!(matches!(client.subscribe_blocks().await, Err(RpcError::Unreachable { .. })));
}

#[tokio::test]
async fn a_node_that_comes_a_moment_later_is_waited_for() {
    let addr = free_address().await;
    let client = RpcClient::connect(&format!("http://{addr}")).unwrap();
    let asking = tokio::spawn(async move { client.chain_status().await });
    let first_refusal = tokio::net::TcpStream::connect(addr).await;
    assert!(first_refusal.is_err());
    let server = serve(RpcConfig::at(addr), Arc::new(World::new())).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().height.get(), 7);
    server.stop().await;
}

#[tokio::test]
async fn something_else_that_answers_there_is_not_taken_for_a_node() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = RpcClient::connect_with(&format!("http://{}", listener.local_addr().unwrap()), SOON).unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            assert!(socket.read(&mut request).await.unwrap() > 0);
            let page =
                b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
            socket.write_all(page).await.unwrap();
        }
    });
    let error = client.chain_status().await.unwrap_err();
    assert!(matches!(error, RpcError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_crowded_node_is_busy_and_not_gone() {
    let Served { client, server, .. } = served_with(RpcConfig { connections_max: 1, ..RpcConfig::default() }).await;
    let feed = client.subscribe_blocks().await.unwrap();
    let other = RpcClient::connect_with(&server.url(), SOON).unwrap();
    let error = other.chain_status().await.unwrap_err();
    assert!(error.is_reason("server_busy"), "{error:?}");
    drop((feed, client));
    assert!(
        RpcClient::connect(&server.url()).unwrap().chain_status().await.is_ok(),
        "waited for the place to come free"
    );
}

#[test]
fn only_addresses_of_nodes_are_taken() {
    for url in ["127.0.0.1:80", "ftp://node", "http://", "", "dhf1qqq"] {
        assert!(matches!(RpcClient::connect(url), Err(RpcError::Url { .. })), "{url:?}");
    }
    assert_eq!(RpcClient::connect("ws://node:1").unwrap().url(), "http://node:1");
}

#[tokio::test]
async fn a_handed_in_transaction_is_waited_for_until_it_is_final() {
    let Served { world, client, server: _server } = served().await;
    let envelope = world.transfer(Amount::hold(2));
    let waiting = {
        let (client, envelope) = (client.clone(), envelope.clone());
        tokio::spawn(async move { client.submit_and_wait(&envelope, Duration::from_secs(10)).await })
    };
    while client.tx_status(envelope.signed.id()).await.unwrap() != holdfast_rpc::tx::TxStatus::Pending {
        tokio::task::yield_now().await;
    }
    let height = world.make_block();
    let inclusion = waiting.await.unwrap().unwrap();
    assert_eq!((inclusion.tx, inclusion.height, inclusion.index), (envelope.signed.id(), height, 0));
}

#[tokio::test]
async fn a_dropped_transaction_and_one_that_nobody_includes_are_told_apart() {
    let Served { world, client, server: _server } = served().await;
    let envelope = world.transfer(Amount::hold(2));
    let moment = Duration::from_millis(30);
    let error = client.submit_and_wait(&envelope, moment).await.unwrap_err();
    let id = envelope.signed.id();
    assert_eq!(error, RpcError::NotFinal { tx: id, waited: moment });
    assert_eq!(error.hint(), format!("holdfast tx wait {id}"));
    world.drop_waiting();
    let error = client.wait_final(id, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, RpcError::Dropped { code, .. } if code == "expired"));
    world.forget_waiting();
    assert!(matches!(client.wait_final(id, moment).await, Err(RpcError::Forgotten { .. })));
}

#[tokio::test]
async fn what_a_node_forgot_is_handed_in_again_until_it_is_final_or_can_never_be() {
    let Served { world, client, server: _server } = served().await;
    let (wanted, late) = (world.transfer(Amount::hold(2)), world.late_transfer(Amount::hold(3)));
    let settling = |envelope: &holdfast_ledger::TxEnvelope| {
        let (client, envelope) = (client.clone(), envelope.clone());
        tokio::spawn(async move { client.settle(&envelope, Duration::from_secs(60)).await })
    };
    client.tx_submit(&wanted).await.unwrap();
    world.forget_waiting();
    let settled = settling(&wanted);
    while client.tx_status(wanted.signed.id()).await.unwrap() != holdfast_rpc::tx::TxStatus::Pending {
        tokio::task::yield_now().await;
    }
    let height = world.make_block();
    assert_eq!(settled.await.unwrap().unwrap().height, height);

    let never = settling(&late).await.unwrap().unwrap_err();
    let RpcError::Dropped { tx, code, message } = &never else { panic!("{never:?}") };
    assert_eq!((*tx, code.as_str()), (late.signed.id(), "wrong_sequence"));
    assert!(message.contains("sequence number 2"), "{message}");
}

#[tokio::test]
async fn who_waits_for_a_replaced_transaction_is_told_by_which() {
    let Served { world, client, server: _server } = served().await;
    let envelope = world.transfer(Amount::hold(2));
    let id = client.tx_submit(&envelope).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.tx_wait(id, Duration::from_secs(60)).await }
    });
    let by = world.transfer(Amount::hold(3)).signed.id();
    world.replace_waiting(by);
    let told = waiting.await.unwrap().unwrap();
    let TxStatus::Dropped { code, message, replaced_by } = told else { panic!("{told:?}") };
    assert_eq!((code.as_str(), replaced_by), ("tx_replaced", Some(by)));
    assert_eq!(message, format!("replaced by transaction {by}"));
}

#[tokio::test]
async fn a_stopped_server_ends_its_feeds_and_frees_its_port() {
    let Served { client, server, .. } = served().await;
    let addr = server.addr();
    let mut feed = client.subscribe_blocks().await.unwrap();
    server.stop().await;
    assert!(feed.next().await.is_none());
    let again = serve(RpcConfig::at(addr), Arc::new(World::new())).await.unwrap();
    assert_eq!(client.chain_status().await.unwrap().network, NetworkPrefix::Devnet);
    assert!(client.subscribe_blocks().await.is_ok(), "a new socket is opened for the new server");
    again.stop().await;
}

#[tokio::test]
async fn the_faucet_gives_what_it_says() {
    let Served { client, server: _server, .. } = served().await;
    let limit = client.dev_faucet_limit().await.unwrap().per_call;
    let to = AddressText::new(crate::common::records::stranger(), NetworkPrefix::Devnet);
    assert!(client.dev_faucet(to, limit).await.is_ok());
}
