//! The accept loop: limits, and handlers that fall.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use async_trait::async_trait;
use common::*;
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::wire::RefusalCode;
use holdfast_network::{CloseReason, Connection, Endpoint, Protocol, TransportError};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Keeps connections until they end; falls over at the sight of one identity.
struct Host;

#[async_trait]
impl Handler for Host {
    fn protocol(&self) -> Protocol {
        Protocol::Control
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        assert!(connection.remote_id() != id(66), "a bug in the handler");
        connection.closed().await;
    }
}

const LIMITS: ServeLimits = ServeLimits {
    connections_max: 5,
    per_ip_max: 3,
    relayed_max: 2,
    per_identity_max: 2,
    handshake: Duration::from_secs(5),
};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[tokio::test(start_paused = true)]
async fn limits_count_in_all_per_network_address_and_per_identity() {
    let network = network(1);
    let host = Arc::new(network.endpoint(id(1)));
    tokio::spawn(serve(host, vec![Arc::new(Host)], LIMITS));
    let refused = |connected: Result<Arc<dyn Connection>, TransportError>| {
        matches!(connected, Err(TransportError::Unreachable { .. }))
    };
    let one = network.endpoint_at(id(2), ip(1));
    let (first, second) = (
        one.connect(&bare(1), Protocol::Control).await.unwrap(),
        one.connect(&bare(1), Protocol::Control).await.unwrap(),
    );
    let third = one.connect(&bare(1), Protocol::Control).await.unwrap();
    let busy = RefusalCode::Busy.number();
    let reason = third.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == busy), "two of one identity: {reason}");

    let neighbour = network.endpoint_at(id(3), ip(1));
    let _third_of_ip = neighbour.connect(&bare(1), Protocol::Control).await.unwrap();
    assert!(refused(neighbour.connect(&bare(1), Protocol::Control).await), "three of one network address");

    let mut others = Vec::new();
    for seed in 4..6 {
        others.push(network.endpoint_at(id(seed), ip(seed)).connect(&bare(1), Protocol::Control).await.unwrap());
    }
    let late = network.endpoint_at(id(7), ip(7));
    assert!(refused(late.connect(&bare(1), Protocol::Control).await), "five in all");
    first.close(0, "bye");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _in_its_place = late.connect(&bare(1), Protocol::Control).await.unwrap();
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_falls_takes_nobody_with_it() {
    let network = network(1);
    tokio::spawn(serve(Arc::new(network.endpoint(id(1))), vec![Arc::new(Host)], LIMITS));
    let guest = network.endpoint_at(id(2), ip(2)).connect(&bare(1), Protocol::Control).await.unwrap();
    for _ in 0..20 {
        let curse = network.endpoint_at(id(66), ip(66)).connect(&bare(1), Protocol::Control).await.unwrap();
        curse.closed().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let still_there = tokio::time::timeout(Duration::from_secs(60), guest.closed()).await;
    assert!(still_there.is_err(), "{still_there:?}");
    network.endpoint_at(id(3), ip(3)).connect(&bare(1), Protocol::Control).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_the_endpoint_ends_the_loop_and_everyone_in_it() {
    let network = network(1);
    let host = Arc::new(network.endpoint(id(1)));
    let serving = tokio::spawn(serve(host.clone(), vec![Arc::new(Host)], LIMITS));
    let guest = network.endpoint(id(2)).connect(&bare(1), Protocol::Control).await.unwrap();
    host.close().await;
    serving.await.unwrap();
    assert!(matches!(guest.closed().await, CloseReason::Remote { code: 0, .. }));
}
