//! A parent that dies over real sockets: it falls silent, as a killed process does, in the middle of an upload.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_network::control::{ControlConfig, ControlServer, ParentStatus, Reach, keep_online};
use holdfast_network::parents::{BondStanding, HeavyNode};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::transfer::{Resuming, RetryPolicy, TransferClientConfig, TransferConfig, TransferServer};
use holdfast_network::wire::{Access, Direction, Role, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr, Protocol};
use holdfast_primitives::{RequestId, TimeMs};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

const OWNER: u8 = 20;
const HOLDER: u8 = 30;
const REQUEST: RequestId = RequestId::new([5; 16]);

/// A heavy node that lives in threads of its own, which can be taken from it at once.
struct Heavy {
    addr: NodeAddr,
    life: Runtime,
}

impl Heavy {
    fn start(seed: u8) -> Self {
        let life = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let addr = std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                life.block_on(async {
                    let config = QuicConfig { accept: vec![Protocol::Control], ..QuicConfig::loopback(key(seed)) };
                    let endpoint = Arc::new(QuicEndpoint::bind(config).await.unwrap());
                    let ledger = TestLedger::with_holders([id(HOLDER)]);
                    let server = ControlServer::new(ControlConfig::default(), key(seed), ledger, TestClock::start());
                    open_doors(endpoint.clone(), vec![Arc::new(server)]);
                    endpoint.addr()
                })
            });
            started.join().unwrap()
        });
        Self { addr, life }
    }

    /// Not a word more, not even a goodbye.
    fn die(self) {
        self.life.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_while_the_holder_moves_away_from_a_parent_that_fell_silent() {
    let mut heavies: BTreeMap<_, _> = (1..=3).map(|seed| (id(seed), (seed, Heavy::start(seed)))).collect();
    let node = |heavy: &Heavy| HeavyNode { standing: BondStanding::Good, ..HeavyNode::unknown(heavy.addr.clone()) };
    let (_known, told) = watch::channel(heavies.values().map(|(_, heavy)| node(heavy)).collect());
    let config = QuicConfig { accept: vec![Protocol::Transfer], ..QuicConfig::loopback(key(HOLDER)) };
    let endpoint: Arc<dyn Endpoint> = Arc::new(QuicEndpoint::bind(config).await.unwrap());
    let (_offers, offered) = watch::channel(offer(10));
    let (status, mut seen) = watch::channel(ParentStatus::Connecting);
    let reach = Reach::new(endpoint.clone(), CHAIN, TestClock::start(), Role::Holder);
    let quoter = Arc::new(Quoter { key: key(HOLDER), price: 10, refuses: None });
    tokio::spawn(keep_online(reach, told, offered, quoter, status));
    let parent_now = |status: &ParentStatus| match status {
        ParentStatus::Online { parents, .. } => Some(parents[0].id()),
        ParentStatus::Connecting | ParentStatus::Offline { .. } => None,
    };
    let online = tokio::time::timeout(Duration::from_secs(60), seen.wait_for(|status| parent_now(status).is_some()));
    let first = parent_now(&online.await.unwrap().unwrap().clone()).unwrap();
    let (seed, parent) = heavies.remove(&first).unwrap();

    let (bytes, source, meta, _) = batch(7, 24);
    let disk = Disk::new(HOLDER, first);
    disk.quote_for(id(OWNER), REQUEST, 24);
    let transfers = TransferServer::new(TransferConfig::default(), id(HOLDER), disk.clone(), TestClock::start());
    open_doors(endpoint.clone(), vec![Arc::new(transfers)]);
    let owner = Arc::new(QuicEndpoint::bind(QuicConfig::loopback(key(OWNER))).await.unwrap());
    let ticket = Ticket {
        issuer: first,
        client: id(OWNER),
        holder: id(HOLDER),
        holder_addr: endpoint.addr(),
        request: REQUEST,
        direction: Direction::Write,
        bytes_max: meta.batch_bytes(),
        expires: TimeMs::new(START_MS + 3_600_000),
    };
    let upload = Resuming {
        endpoint: owner.clone(),
        holder: endpoint.addr(),
        chain: CHAIN,
        access: Access::Write { ticket: Signed::new(ticket, &key(seed), &CHAIN) },
        config: TransferClientConfig::default(),
        retry: RetryPolicy { attempts: 0, ..RetryPolicy::default() },
        introducer: None,
    };
    let doomed = Mutex::new(Some(parent));
    let half = meta.batch_bytes() / 2;
    let client = upload
        .upload(Arc::new(source), &|progress| {
            if progress.done_bytes >= half
                && let Some(parent) = doomed.lock().unwrap().take()
            {
                parent.die();
            }
        })
        .await
        .expect("one session is enough: nobody had to come back");
    client.close().await;
    assert!(disk.bytes_of(id(OWNER), &meta.root) == bytes);
    assert_eq!(*disk.put_bytes.lock().unwrap(), meta.batch_bytes(), "nothing was sent twice");

    let elsewhere = |status: &ParentStatus| parent_now(status).is_some_and(|parent| parent != first);
    let moved = tokio::time::timeout(Duration::from_secs(60), seen.wait_for(elsewhere)).await;
    assert!(heavies.contains_key(&parent_now(&moved.unwrap().unwrap().clone()).unwrap()));
    heavies.into_values().for_each(|(_, heavy)| heavy.die());
    owner.close().await;
    endpoint.close().await;
}
