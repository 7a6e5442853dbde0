//! The transport over real sockets on this machine.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod garbage;
mod kills;

use common::*;
use holdfast_network::control::{ControlClient, ControlClientConfig, ControlConfig, ControlServer};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::relay::{RelayPolicy, RelayServer, RelayServerConfig};
use holdfast_network::transfer::{
    Download, TransferClient, TransferClientConfig, TransferConfig, TransferError, TransferServer,
};
use holdfast_network::wire::{Access, Capability, Direction, Role, Scope, Signed, Ticket};
use holdfast_network::{CloseReason, Endpoint, NodeAddr, PathKind, Protocol};
use holdfast_primitives::{Address, GrantId, Height, RequestId, TimeMs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn two_nodes_connect_and_each_knows_who_the_other_is() {
    let server = QuicEndpoint::bind(QuicConfig::loopback(key(1))).await.unwrap();
    let client = QuicEndpoint::bind(QuicConfig::loopback(key(2))).await.unwrap();
    let (address, echo) = (server.addr(), async {
        let connection = server.accept().await.unwrap().accept().await.unwrap();
        assert_eq!(connection.remote_id(), key(2).address());
        let mut stream = connection.accept_bi().await.unwrap();
        let mut heard = Vec::new();
        stream.recv.read_to_end(&mut heard).await.unwrap();
        stream.send.write_all(&heard).await.unwrap();
        stream.send.shutdown().await.unwrap();
        connection.closed().await
    });
    let call = async {
        let connection = client.connect(&address, Protocol::Transfer).await.unwrap();
        assert_eq!(connection.remote_id(), key(1).address());
        assert_eq!(connection.wait_direct(Duration::from_secs(3)).await, PathKind::Direct);
        let mut stream = connection.open_bi().await.unwrap();
        stream.send.write_all(b"hold fast").await.unwrap();
        stream.send.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.recv.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"hold fast");
        connection.close(0, "done");
    };
    let (reason, ()) = tokio::join!(echo, call);
    assert!(matches!(reason, CloseReason::Remote { code: 0, .. }), "{reason}");
    client.close().await;
    server.close().await;
}

const HEAVY: u8 = 1;
const OWNER: u8 = 2;
const HOLDER: u8 = 3;
const REQUEST: RequestId = RequestId::new([5; 16]);

/// A holder on the real network with its transfer server.
async fn holder(config: QuicConfig, batch_log2: u8) -> (Arc<QuicEndpoint>, Arc<Disk>) {
    let endpoint = Arc::new(QuicEndpoint::bind(config).await.unwrap());
    let disk = Disk::new(HOLDER, id(HEAVY));
    disk.quote_for(id(OWNER), REQUEST, batch_log2);
    let clock = TestClock::start();
    let server = TransferServer::new(TransferConfig::default(), id(HOLDER), disk.clone(), clock);
    open_doors(endpoint.clone(), vec![Arc::new(server)]);
    (endpoint, disk)
}

fn write_access(holder: &NodeAddr, bytes_max: u64) -> Access {
    Access::Write { ticket: Signed::new(write_ticket(holder, bytes_max), &key(HEAVY), &CHAIN) }
}

fn write_ticket(holder: &NodeAddr, bytes_max: u64) -> Ticket {
    Ticket {
        issuer: id(HEAVY),
        client: id(OWNER),
        holder: id(HOLDER),
        holder_addr: holder.clone(),
        request: REQUEST,
        direction: Direction::Write,
        bytes_max,
        expires: TimeMs::new(START_MS + 3_600_000),
    }
}

fn read_access() -> Access {
    let expires = TimeMs::new(START_MS + 3_600_000);
    let capability = Capability {
        grant: GrantId::ZERO,
        owner: id(OWNER),
        reader: id(OWNER),
        holder: None,
        scope: Scope::All,
        expires,
    };
    Access::Read { capability: Signed::new(capability, &key(OWNER), &CHAIN), ticket: None }
}

/// Waits for something that is bound to happen.
async fn eventually(mut happens: impl FnMut() -> bool) {
    let waiting = async {
        while !happens() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it happens in time");
}

async fn session(endpoint: &QuicEndpoint, holder: &NodeAddr, access: Access) -> TransferClient {
    let config = TransferClientConfig { wait_direct: Duration::from_millis(500), ..TransferClientConfig::default() };
    TransferClient::connect(endpoint, holder, CHAIN, access, config).await.unwrap()
}

/// Up, receipt, down: the bytes are the same at every place.
async fn there_and_back(owner: &QuicEndpoint, holder: &NodeAddr, disk: &Disk, batch_log2: u8) -> PathKind {
    let (bytes, source, meta, _) = batch(u64::from(batch_log2), batch_log2);
    let client = session(owner, holder, write_access(holder, meta.batch_bytes())).await;
    client.upload(Arc::new(source), &|_| {}).await.unwrap();
    client.receipt(REQUEST, &[meta], Height::new(9)).await.unwrap();
    let path = client.path_kind();
    client.close().await;
    assert!(disk.bytes_of(id(OWNER), &meta.root) == bytes, "other bytes at the holder");

    let reader = session(owner, holder, read_access()).await;
    let mut download = Download::new(meta).unwrap();
    reader.fetch(&mut download, &|_| {}).await.unwrap();
    reader.close().await;
    assert!(download.into_bytes().unwrap() == bytes, "other bytes came back");
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_mebibytes_go_there_and_back_directly() {
    let (endpoint, disk) = holder(QuicConfig::loopback(key(HOLDER)), 23).await;
    let owner = QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap();
    let path = there_and_back(&owner, &endpoint.addr(), &disk, 23).await;
    assert_eq!(path, PathKind::Direct);
    owner.close().await;
    endpoint.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_go_there_and_back_directly() {
    let (endpoint, disk) = holder(QuicConfig::loopback(key(HOLDER)), 26).await;
    let owner = QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap();
    there_and_back(&owner, &endpoint.addr(), &disk, 26).await;
    owner.close().await;
    endpoint.close().await;
}

struct Everyone;

impl RelayPolicy for Everyone {
    fn admits(&self, _node: &Address) -> bool {
        true
    }
}

struct AllBut(u8);

impl RelayPolicy for AllBut {
    fn admits(&self, node: &Address) -> bool {
        *node != id(self.0)
    }
}

async fn relay(policy: Arc<dyn RelayPolicy>) -> RelayServer {
    RelayServer::start(RelayServerConfig::new(([127, 0, 0, 1], 0).into()), policy).await.unwrap()
}

fn via(relay: &RelayServer, seed: u8, relay_only: bool) -> QuicConfig {
    QuicConfig { relays: vec![relay.url().to_owned()], relay_only, ..QuicConfig::loopback(key(seed)) }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_without_a_direct_path_meet_at_the_relay_which_meters_them() {
    let relay = relay(Arc::new(Everyone)).await;
    let (endpoint, disk) = holder(via(&relay, HOLDER, true), 22).await;
    let owner = QuicEndpoint::bind(via(&relay, OWNER, true)).await.unwrap();
    assert!(endpoint.wait_online(PATIENCE).await && owner.wait_online(PATIENCE).await);
    let address = endpoint.addr();
    assert!(address.direct.is_empty() && address.relay() == Some(relay.url()), "{address}");

    let path = there_and_back(&owner, &address, &disk, 22).await;
    assert_eq!(path, PathKind::Relayed);
    let figures = relay.meter().figures();
    assert!(figures.received_bytes > 2 << 22 && figures.sent_bytes > 2 << 22, "{figures:?}");
    assert_eq!((figures.clients, figures.slowed_bytes), (2, 0), "{figures:?}");
    let config = TransferClientConfig { allow_relayed: false, ..TransferClientConfig::default() };
    let direct_only = TransferClient::connect(&owner, &address, CHAIN, read_access(), config).await;
    assert!(matches!(direct_only.err().unwrap(), TransferError::RelayedOnly { .. }));
    owner.close().await;
    endpoint.close().await;
    relay.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_made_through_the_relay_becomes_direct_and_outlives_the_relay() {
    let relay = relay(Arc::new(Everyone)).await;
    let (endpoint, disk) = holder(via(&relay, HOLDER, false), 21).await;
    let owner = QuicEndpoint::bind(via(&relay, OWNER, false)).await.unwrap();
    assert!(endpoint.wait_online(PATIENCE).await && owner.wait_online(PATIENCE).await);
    let by_relay = NodeAddr::new(id(HOLDER), vec![], Some(relay.url())).unwrap();
    let (bytes, source, meta, _) = batch(1, 21);
    let client = session(&owner, &by_relay, write_access(&by_relay, meta.batch_bytes())).await;
    assert_eq!(client.path_kind(), PathKind::Direct, "the path that was found while connecting");
    relay.close().await;
    client.upload(Arc::new(source), &|_| {}).await.unwrap();
    assert!(disk.bytes_of(id(OWNER), &meta.root) == bytes);
    owner.close().await;
    endpoint.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_serves_whom_its_policy_admits_and_survives_garbage() {
    let relay = relay(Arc::new(AllBut(9))).await;
    let mut pests = Vec::new();
    for round in 0..200u32 {
        let mut pest = tokio::net::TcpStream::connect(relay.addr()).await.unwrap();
        // It may be thrown out before it has said anything.
        let _ = pest.write_all(&round.to_le_bytes().repeat(100)).await;
        pests.push(pest);
    }
    let outcast = QuicEndpoint::bind(via(&relay, 9, true)).await.unwrap();
    let guest = QuicEndpoint::bind(via(&relay, OWNER, true)).await.unwrap();
    assert!(guest.wait_online(PATIENCE).await);
    assert!(!outcast.wait_online(Duration::from_secs(2)).await);
    assert_eq!(relay.meter().figures().clients, 1);
    outcast.close().await;
    guest.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_over_real_sockets() {
    let heavy = Arc::new(QuicEndpoint::bind(QuicConfig::loopback(key(HEAVY))).await.unwrap());
    let clock = TestClock::start();
    let ledger = TestLedger::with_holders([id(HOLDER)]);
    let control = Arc::new(ControlServer::new(ControlConfig::default(), key(HEAVY), ledger, clock.clone()));
    open_doors(heavy.clone(), vec![control.clone()]);
    let parent = heavy.addr();
    let config = ControlClientConfig::default;

    let endpoint = QuicEndpoint::bind(QuicConfig::loopback(key(HOLDER))).await.unwrap();
    let holding =
        ControlClient::connect(&endpoint, &parent, CHAIN, Role::Holder, clock.clone(), config()).await.unwrap();
    holding.offer(offer(7)).await.unwrap();
    tokio::spawn(
        async move { holding.serve_quotes(Arc::new(Quoter { key: key(HOLDER), price: 7, refuses: None })).await },
    );
    eventually(|| control.holders().iter().any(|(_, offer)| offer.is_some())).await;
    let place = QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap();
    let owner = ControlClient::connect(&place, &parent, CHAIN, Role::Owner, clock, config()).await.unwrap();
    let offers = owner.place(sign(placement(OWNER, HEAVY, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers[0].holder_addr(), &endpoint.addr());
    heavy.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_endpoint_whose_relay_died_is_rebuilt() {
    let relay = relay(Arc::new(Everyone)).await;
    let config = QuicConfig { relay_patience: Duration::from_millis(400), ..via(&relay, HOLDER, false) };
    let (endpoint, _disk) = holder(config, 20).await;
    assert!(endpoint.wait_online(PATIENCE).await);
    assert_eq!(endpoint.rebuilds(), 0);
    relay.close().await;
    eventually(|| endpoint.rebuilds() > 0).await;
    eventually(|| !endpoint.bound().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_note_of_where_its_parent_sees_it() {
    let node = QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap();
    for outside in ["192.0.2.7:1000", "192.0.2.7:2000", "[2001:db8::7]:3000"] {
        node.note_observed(outside.parse().unwrap()).await;
    }
    let direct = || node.addr().direct.to_vec();
    eventually(|| direct().contains(&"[2001:db8::7]:3000".parse().unwrap())).await;
    assert!(direct().contains(&"192.0.2.7:2000".parse().unwrap()));
    assert!(!direct().contains(&"192.0.2.7:1000".parse().unwrap()), "the newest of each family counts");
}
