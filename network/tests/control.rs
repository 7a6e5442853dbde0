//! The control protocol over the network in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_network::control::{
    ControlClient, ControlClientConfig, ControlConfig, ControlError, ControlServer, ParentStatus, Reach, keep_online,
};
use holdfast_network::memory::{MemoryEndpoint, MemoryNetwork};
use holdfast_network::parents::HeavyNode;
use holdfast_network::wire::{
    CONTROL_VERSION, ChildHello, PlacementRequest, QuoteRefusal, Refusal, RefusalCode, RefusalKind, Role, Signed,
    ToParent, encode_frame,
};
use holdfast_network::{CloseReason, Endpoint, NodeAddr, Protocol, TransportError};
use holdfast_primitives::{Amount, Bounded, ChainId, TimeMs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

const PARENT: u8 = 1;
const OWNER: u8 = 2;

struct Stage {
    network: MemoryNetwork,
    server: Arc<ControlServer<TestLedger>>,
    ledger: Arc<TestLedger>,
    clock: Arc<TestClock>,
}

impl Stage {
    fn new(holders: &[u8]) -> Self {
        Self::with(holders, ControlConfig::default())
    }

    fn with(holders: &[u8], config: ControlConfig) -> Self {
        let (network, clock) = (network(1), TestClock::start());
        let ledger = TestLedger::with_holders(holders.iter().map(|holder| id(*holder)));
        let server = Arc::new(ControlServer::new(config, key(PARENT), ledger.clone(), clock.clone()));
        open_doors(Arc::new(network.endpoint(id(PARENT))), vec![server.clone()]);
        Self { network, server, ledger, clock }
    }

    async fn connect(&self, endpoint: &MemoryEndpoint, role: Role) -> Result<ControlClient, ControlError> {
        let config = ControlClientConfig::default();
        ControlClient::connect(endpoint, &bare(PARENT), CHAIN, role, self.clock.clone(), config).await
    }

    /// A holder that is online and answers for as long as the test runs.
    async fn holder(&self, seed: u8, price: u64, refuses: Option<QuoteRefusal>) {
        let endpoint = self.network.endpoint(id(seed));
        let client = self.connect(&endpoint, Role::Holder).await.unwrap();
        client.offer(offer(price)).await.unwrap();
        let quoter = Arc::new(Quoter { key: key(seed), price, refuses });
        tokio::spawn(async move {
            let _endpoint = endpoint;
            client.serve_quotes(quoter).await
        });
    }

    async fn owner(&self) -> ControlClient {
        self.connect(&self.network.endpoint(id(OWNER)), Role::Owner).await.unwrap()
    }

    /// Lets everything under way arrive.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn refusal(error: ControlError) -> Refusal {
    match error {
        ControlError::Refused { refusal, .. } => refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_finds_the_holder_that_would_do_among_one_that_refuses_and_one_that_is_dead() {
    let stage = Stage::new(&[3, 4, 5]);
    stage.holder(3, 10, None).await;
    stage.holder(4, 20, Some(QuoteRefusal::TermTooLong { rounds_max: 50 })).await;
    stage.holder(5, 30, None).await;
    stage.settle().await;
    assert_eq!(stage.server.children(), 3);
    stage.network.partition(id(PARENT), id(5));

    let owner = stage.owner().await;
    assert_eq!(owner.welcome().you, id(OWNER));
    let offers = owner.place(sign(placement(OWNER, PARENT, 3), OWNER)).await.unwrap().collect().await.unwrap();
    assert!(offers.dropped.is_empty(), "{:?}", offers.dropped);
    let [offer] = &offers.offers[..] else { panic!("one holder would do: {offers:?}") };
    assert_eq!(offer.quote().terms.holder, id(3));
    assert_eq!(offer.holder_addr().id, id(3));
    assert_eq!(offer.footprint()[0].node, id(PARENT));
    assert_eq!(offer.ticket().statement.bytes_max, 4 << 20);
    let done = offers.done;
    assert_eq!((done.asked, done.offered, done.longest_rounds), (3, 1, Some(50)));
    assert_eq!(done.refused.to_vec(), vec![(RefusalKind::TermTooLong, 1), (RefusalKind::Silent, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_come_first_and_there_are_more_than_were_wanted() {
    let stage = Stage::new(&[3, 4, 5, 6, 7]);
    for (holder, price) in [(3, 50), (4, 10), (5, 40), (6, 20), (7, 30)] {
        stage.holder(holder, price, None).await;
    }
    stage.settle().await;
    let owner = stage.owner().await;
    let offers = owner.place(sign(placement(OWNER, PARENT, 2), OWNER)).await.unwrap().collect().await.unwrap();
    let mut prices: Vec<u64> = offers.offers.iter().map(|offer| offer.quote().terms.price.get()).collect();
    prices.sort_unstable();
    assert_eq!(prices, [10, 20, 30, 40], "twice as many as wanted, and not the dearest");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_excluded_or_unfit_on_the_ledger_is_not_asked() {
    let stage = Stage::new(&[3, 4, 5]);
    for holder in [3, 4, 5] {
        stage.holder(holder, 10, None).await;
    }
    stage.settle().await;
    stage.ledger.holders.lock().unwrap().get_mut(&id(4)).unwrap().free_bytes = (1 << 20) - 1;
    let owner = stage.owner().await;
    let exclude = Bounded::new(vec![id(3)]).unwrap();
    let request = PlacementRequest { exclude, ..placement(OWNER, PARENT, 3) };
    let offers = owner.place(sign(request, OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.done.asked, 1);
    assert_eq!(offers.offers[0].quote().terms.holder, id(5));
}

#[tokio::test(start_paused = true)]
async fn a_placement_says_what_would_succeed() {
    let stage = Stage::new(&[3, 4, 5]);
    let dear = |price| Some(QuoteRefusal::TooDear { price: Amount::grains(price) });
    stage.holder(3, 10, dear(2_000)).await;
    stage.holder(4, 10, dear(1_500)).await;
    stage.holder(5, 10, Some(QuoteRefusal::NoRoom { batches_free: 2 })).await;
    stage.settle().await;
    let owner = stage.owner().await;
    let offers = owner.place(sign(placement(OWNER, PARENT, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert!(offers.offers.is_empty());
    assert_eq!(offers.done.cheapest, Some(Amount::grains(1_500)));
    assert_eq!(offers.done.roomiest, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_gouger_whose_quote_is_above_the_price_is_not_passed_on() {
    let stage = Stage::new(&[3]);
    stage.holder(3, 1_001, None).await;
    stage.settle().await;
    let owner = stage.owner().await;
    let offers = owner.place(sign(placement(OWNER, PARENT, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.done.refused.to_vec(), vec![(RefusalKind::BadQuote, 1)]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_hold_are_refused_with_their_code() {
    let stage = Stage::new(&[3]);
    let owner = stage.owner().await;
    let fine = || placement(OWNER, PARENT, 1);
    let forged = Signed { statement: fine(), ..sign(fine(), 9) };
    let expired = PlacementRequest { expires: TimeMs::new(START_MS), ..fine() };
    let cases = [
        (forged, RefusalCode::BadSignature),
        (sign(expired, OWNER), RefusalCode::Expired),
        (sign(placement(9, PARENT, 1), 9), RefusalCode::Foreign),
        (sign(placement(OWNER, 9, 1), OWNER), RefusalCode::Foreign),
        (sign(placement(OWNER, PARENT, 0), OWNER), RefusalCode::Malformed),
        (sign(placement(OWNER, PARENT, 257), OWNER), RefusalCode::Malformed),
    ];
    for (request, code) in cases {
        let error = owner.place(request).await.unwrap().collect().await.unwrap_err();
        assert_eq!(refusal(error).code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_on_another_chain_is_turned_away() {
    let stage = Stage::new(&[]);
    let endpoint = stage.network.endpoint(id(OWNER));
    let (other, config) = (ChainId::new([8; 32]), ControlClientConfig::default());
    let connected =
        ControlClient::connect(&endpoint, &bare(PARENT), other, Role::Owner, stage.clock.clone(), config).await;
    assert_eq!(refusal(connected.err().unwrap()).code, RefusalCode::WrongChain);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_the_ledger_does_not_know_is_turned_away() {
    let stage = Stage::new(&[3]);
    let endpoint = stage.network.endpoint(id(4));
    let error = stage.connect(&endpoint, Role::Holder).await.err().unwrap();
    assert_eq!(refusal(error).code, RefusalCode::UnknownHolder);
    assert_eq!(stage.server.children(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_impersonator_cannot_give_another_nodes_address_and_an_old_version_is_named() {
    let stage = Stage::new(&[]);
    let villain = stage.network.endpoint(id(9));
    for (hello, code) in [
        (hello(CONTROL_VERSION, bare(OWNER)), RefusalCode::Foreign),
        (hello(CONTROL_VERSION + 1, bare(9)), RefusalCode::Version),
    ] {
        let connection = villain.connect(&bare(PARENT), Protocol::Control).await.unwrap();
        let mut stream = connection.open_bi().await.unwrap();
        stream.send.write_all(&encode_frame(&hello).unwrap()).await.unwrap();
        let reason = connection.closed().await;
        assert!(matches!(reason, CloseReason::Remote { code: found, .. } if found == code.number()), "{reason}");
    }
}

fn hello(version: u8, addr: NodeAddr) -> ToParent {
    ToParent::Hello(ChildHello { version, chain: CHAIN, role: Role::Owner, addr })
}

#[tokio::test(start_paused = true)]
async fn the_newer_of_two_sessions_of_one_holder_counts() {
    let stage = Stage::new(&[3]);
    let endpoint = stage.network.endpoint(id(3));
    let old = stage.connect(&endpoint, Role::Holder).await.unwrap();
    let _new = stage.connect(&endpoint, Role::Holder).await.unwrap();
    let reason = old.closed().await;
    let replaced = RefusalCode::Replaced.number();
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == replaced), "{reason}");
    stage.settle().await;
    assert_eq!(stage.server.children(), 1, "the end of the old session did not remove the new one");
}

#[tokio::test(start_paused = true)]
async fn a_parent_tells_where_online_holders_are() {
    let stage = Stage::new(&[3]);
    stage.holder(3, 10, None).await;
    let owner = stage.owner().await;
    let located = owner.locate(&[id(3), id(4)]).await.unwrap();
    let ticket = located[0].ticket.as_ref().unwrap();
    assert_eq!((ticket.statement.holder, ticket.statement.client), (id(3), id(OWNER)));
    assert_eq!(located[1].ticket, None, "nobody of that name is online");
}

#[tokio::test(start_paused = true)]
async fn a_half_open_child_is_forgotten_after_the_idle_time() {
    let stage = Stage::new(&[3]);
    stage.holder(3, 10, None).await;
    assert_eq!(stage.server.children(), 1);
    stage.network.partition(id(PARENT), id(3));
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(stage.server.children(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.server.children(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_holder_comes_back_when_its_parent_does() {
    let stage = Stage::new(&[3]);
    let endpoint: Arc<dyn Endpoint> = Arc::new(stage.network.endpoint(id(3)));
    let (_offers, told) = watch::channel(offer(10));
    let status = watch::Sender::new(ParentStatus::Connecting);
    let mut seen = status.subscribe();
    let quoter = Arc::new(Quoter { key: key(3), price: 10, refuses: None });
    let (_known, heavies) = watch::channel(vec![HeavyNode::unknown(bare(PARENT))]);
    let reach = Reach::new(endpoint, CHAIN, stage.clock.clone(), Role::Holder);
    tokio::spawn(keep_online(reach, heavies, told, quoter, status));
    seen.wait_for(|status| matches!(status, ParentStatus::Online { .. })).await.unwrap();

    stage.settle().await;
    let owner = stage.owner().await;
    let ticket = owner.locate(&[id(3)]).await.unwrap().remove(0).ticket.unwrap();
    let [seen_at] = &ticket.statement.holder_addr.direct[..] else { panic!("it was told where its parent sees it") };
    assert_eq!(seen_at.port(), 4_433);

    stage.network.cut(id(PARENT), id(3));
    seen.wait_for(|status| matches!(status, ParentStatus::Offline { .. })).await.unwrap();
    seen.wait_for(|status| matches!(status, ParentStatus::Online { .. })).await.unwrap();
    stage.settle().await;
    let offers = owner.place(sign(placement(OWNER, PARENT, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers.len(), 1, "its offer was told again");
}

#[tokio::test(start_paused = true)]
async fn a_pest_that_asks_too_often_is_told_so_and_others_are_served() {
    let stage = Stage::new(&[]);
    let pest = stage.owner().await;
    let mut refused = 0;
    for _ in 0..300 {
        if let Err(error) = pest.locate(&[id(3)]).await {
            assert_eq!(refusal(error).code, RefusalCode::Busy);
            refused += 1;
        }
    }
    assert!((50..=60).contains(&refused), "twice the quota of a minute passed, {refused} were refused");
    let other = stage.connect(&stage.network.endpoint(id(8)), Role::Owner).await.unwrap();
    other.locate(&[id(3)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_garbage_frames_change_nothing() {
    let stage = Stage::new(&[3]);
    stage.holder(3, 10, None).await;
    let villain = stage.network.endpoint(id(9));
    let mut rng = StdRng::seed_from_u64(9);
    let mut frames = 0;
    while frames < 10_000 {
        let connection = villain.connect(&bare(PARENT), Protocol::Control).await.unwrap();
        let mut session = connection.open_bi().await.unwrap();
        session.send.write_all(&encode_frame(&hello(CONTROL_VERSION, bare(9))).unwrap()).await.unwrap();
        for _ in 0..250 {
            let Ok(mut stream) = connection.open_bi().await else { break };
            if stream.send.write_all(&garbage(&mut rng)).await.is_err() {
                break;
            }
            let _ = stream.send.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.recv.read_to_end(&mut answer).await;
            frames += 1;
        }
    }
    let owner = stage.owner().await;
    assert!(owner.locate(&[id(3)]).await.unwrap()[0].ticket.is_some());
}

/// A frame with a plausible length and kind, and random fields; or no frame at all.
fn garbage(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(1..120)];
    rng.fill(&mut bytes[..]);
    if rng.random_bool(0.7) && bytes.len() > 5 {
        let length = (bytes.len() as u32 - 4).to_le_bytes();
        bytes[..4].copy_from_slice(&length);
        bytes[4] = rng.random_range(0..6);
    }
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_dropped_in_time() {
    let stage = Stage::new(&[]);
    let mute = stage.network.endpoint(id(9));
    let connection = mute.connect(&bare(PARENT), Protocol::Control).await.unwrap();
    let started = tokio::time::Instant::now();
    let reason = connection.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::TooSlow.number()), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn no_more_children_than_there_is_room_for() {
    let stage = Stage::with(&[], ControlConfig { children_max: 2, ..ControlConfig::default() });
    let endpoints: Vec<_> = (10..13).map(|seed| stage.network.endpoint(id(seed))).collect();
    let _one = stage.connect(&endpoints[0], Role::Owner).await.unwrap();
    let _two = stage.connect(&endpoints[1], Role::Owner).await.unwrap();
    assert_eq!(refusal(stage.connect(&endpoints[2], Role::Owner).await.err().unwrap()).code, RefusalCode::Busy);
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_on_the_transfer_protocol_of_a_plain_heavy_node() {
    let stage = Stage::new(&[]);
    let connection = stage.network.endpoint(id(9)).connect(&bare(PARENT), Protocol::Transfer).await.unwrap();
    let not_welcome = RefusalCode::NotWelcome.number();
    let reason = connection.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == not_welcome), "{reason}");
    assert!(matches!(connection.open_bi().await, Err(TransportError::Closed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_idle_children_cost_a_placement_nothing() {
    let holders: Vec<u8> = vec![3];
    let stage = Stage::new(&holders);
    stage.holder(3, 10, None).await;
    let endpoints: Vec<MemoryEndpoint> = (0..1_000u16)
        .map(|number| {
            let mut seed = [200; 32];
            seed[..2].copy_from_slice(&number.to_le_bytes());
            stage.network.endpoint(holdfast_primitives::SecretKey::from_seed(seed).address())
        })
        .collect();
    let idle = futures::future::join_all(endpoints.iter().map(|endpoint| stage.connect(endpoint, Role::Owner))).await;
    assert!(idle.iter().all(Result::is_ok));
    assert_eq!(stage.server.children(), 1_001);
    let owner = stage.owner().await;
    let offers = owner.place(sign(placement(OWNER, PARENT, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers.len(), 1);
}
