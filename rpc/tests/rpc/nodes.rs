//! Several nodes for one client: who is away is left, who answers never is, and nobody goes back in time.

use crate::common::{Served, served, world::World};
use holdfast_primitives::{Amount, ChainId, NetworkPrefix};
use holdfast_rpc::client::{ClientConfig, NODES_MAX};
use holdfast_rpc::{AddressText, RpcClient, RpcConfig, RpcError, serve};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

const SOON: ClientConfig =
    ClientConfig { request_timeout: Duration::from_secs(60), retry_for: Duration::from_millis(200) };

fn of(nodes: &[&str]) -> RpcClient {
    RpcClient::connect_with(&nodes.join(","), SOON).unwrap()
}

/// A node that takes every connection and says nothing.
async fn mute() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            held.push(tokio::spawn(
                async move { while socket.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} },
            ));
        }
    });
    url
}

#[tokio::test]
async fn calls_and_feeds_go_to_the_next_node_when_one_stops() {
    let (first, second) = (served().await, served().await);
    let client = of(&[&first.server.url(), &second.server.url()]);
    assert_eq!(client.url(), first.server.url());
    assert_eq!(client.chain_status().await.unwrap().height.get(), 7);
    let mut feed = client.subscribe_blocks().await.unwrap();
    first.server.stop().await;
    assert!(feed.next().await.is_none());
    let mut feed = client.subscribe_blocks().await.unwrap();
    assert_eq!(client.url(), second.server.url());
    second.world.make_block();
    assert_eq!(feed.next().await.unwrap().unwrap().header.height.get(), 8);
    assert_eq!(client.chain_status().await.unwrap().height.get(), 8);
}

#[tokio::test]
async fn a_node_that_says_no_is_not_left_for_another() {
    let (first, second) = (served().await, served().await);
    let client = of(&[&first.server.url(), &second.server.url()]);
    let stranger = AddressText::new(crate::common::records::stranger(), NetworkPrefix::Devnet);
    assert!(client.account_get(stranger).await.unwrap_err().is_reason("account_unknown"));
    let late = first.world.late_transfer(Amount::hold(1));
    assert!(matches!(client.tx_submit(&late).await, Err(RpcError::Answered { .. })));
    assert_eq!(client.url(), first.server.url());
}

#[tokio::test]
async fn a_node_that_falls_silent_is_left_long_before_a_call_times_out() {
    let second = served().await;
    let client = of(&[&mute().await, &second.server.url()]);
    let asked = tokio::time::timeout(Duration::from_secs(30), client.chain_status());
    assert_eq!(asked.await.expect("half of the time that one call may take").unwrap().height.get(), 7);
    assert_eq!(client.url(), second.server.url());
}

#[tokio::test]
async fn a_transaction_that_the_next_node_knows_already_was_handed_in_once() {
    let (first, second) = (served().await, served().await);
    let client = of(&[&first.server.url(), &second.server.url()]);
    let envelope = second.world.transfer(Amount::hold(2));
    let elsewhere = RpcClient::connect(&second.server.url()).unwrap();
    // The first node admitted it, passed it on and died before it said so.
    elsewhere.tx_submit(&envelope).await.unwrap();
    second.world.make_block();
    first.server.stop().await;
    assert_eq!(client.tx_submit(&envelope).await.unwrap(), envelope.signed.id());
    let inclusion = client.submit_and_wait(&envelope, Duration::from_secs(10)).await;
    assert!(inclusion.is_err() || inclusion.unwrap().height.get() == 8, "handed in again by hand, it is known");
    assert_eq!(client.settle(&envelope, Duration::from_secs(10)).await.unwrap().height.get(), 8);
}

#[tokio::test]
async fn a_node_that_is_behind_is_waited_for_until_it_has_seen_what_the_client_has() {
    let (first, second) = (served().await, served().await);
    let client = of(&[&first.server.url(), &second.server.url()]);
    first.world.make_block();
    first.world.make_block();
    assert_eq!(client.chain_status().await.unwrap().height.get(), 9);
    first.server.stop().await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.chain_status().await.map(|status| status.height.get()) }
    });
    second.world.make_block();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asking.is_finished(), "height 8 would be going back in time");
    second.world.make_block();
    assert_eq!(asking.await.unwrap().unwrap(), 9);
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_asked() {
    let (first, second) = (served().await, served().await);
    let client = of(&[&first.server.url(), &second.server.url()]);
    client.follow(ChainId::new([1; 32]));
    first.server.stop().await;
    let error = client.account_contracts(owner(), None).await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error:?}");
    assert_ne!(client.url(), second.server.url());
}

fn owner() -> AddressText {
    AddressText::new(crate::common::records::owner().address(), NetworkPrefix::Devnet)
}

#[tokio::test]
async fn further_nodes_are_learned_and_the_parents_is_preferred() {
    let Served { server: first, .. } = served().await;
    let (second, third) = (served().await, served().await);
    let client = of(&[&first.url()]);
    client.learn(&[second.server.url(), "no address".to_owned(), second.server.url(), third.server.url()]);
    assert_eq!(client.urls(), [first.url(), second.server.url(), third.server.url()]);
    client.prefer(&format!("{}/", third.server.url())).await;
    assert_eq!(client.url(), third.server.url());
    client.prefer("http://127.0.0.1:1").await;
    assert_eq!(client.url(), third.server.url(), "one that is not known");
    third.server.stop().await;
    client.chain_status().await.unwrap();
    assert_eq!(client.url(), first.url());
    client.learn(&(0..100).map(|number| format!("http://192.0.2.{number}:1")).collect::<Vec<_>>());
    assert_eq!(client.urls().len(), NODES_MAX);
}

#[tokio::test]
async fn the_faucet_is_not_asked_twice() {
    let second = served().await;
    // It takes the call and dies over it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dying = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 16]).await;
        }
    });
    let client = of(&[&dying, &second.server.url()]);
    let error = client.dev_faucet(owner(), Amount::hold(1)).await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error:?}");
    assert!(client.chain_status().await.is_ok(), "what only asks goes on");
}

#[tokio::test]
async fn heavy_nodes_are_listed_with_what_the_ledger_says_of_them() {
    let Served { client, server: _server, .. } = served().await;
    let page = client.market_heavies(None).await.unwrap();
    let [node, other] = &page.rows[..] else { panic!("{page:?}") };
    assert_eq!(node.address.address, crate::common::records::validator().address());
    assert!(!node.bonded.is_zero() && node.standing.is_some() && node.since.is_some());
    assert_eq!(node.rpc_url.as_deref(), Some("http://127.0.0.1:7450"));
    assert!(other.bonded.is_zero() && other.standing.is_none() && other.rpc_url.is_none());
    let again = serve(RpcConfig::default(), Arc::new(World::new())).await.unwrap();
    again.stop().await;
}
