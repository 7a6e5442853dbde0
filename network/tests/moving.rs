//! Light nodes that move from parent to parent, over the network in memory: who notices, how soon, and what goes on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_network::Endpoint;
use holdfast_network::control::{
    ControlClient, ControlClientConfig, ControlConfig, ControlServer, ParentStatus, Reach, keep_online,
};
use holdfast_network::memory::MemoryNetwork;
use holdfast_network::parents::{BondStanding, HeavyNode};
use holdfast_network::transfer::{Resuming, RetryPolicy, TransferClientConfig, TransferConfig, TransferServer};
use holdfast_network::wire::{Access, Direction, HolderOffer, RefusalCode, Role, Signed, Ticket};
use holdfast_primitives::{Address, RequestId, TimeMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const HEAVIES: [u8; 3] = [1, 2, 3];
const OWNER: u8 = 20;
const HOLDER: u8 = 30;
const REQUEST: RequestId = RequestId::new([5; 16]);
/// From a parent's death to a child's place at another, at most: the issue says seconds.
const SECONDS: Duration = Duration::from_secs(6);

struct Stage {
    network: MemoryNetwork,
    servers: Vec<Arc<ControlServer<TestLedger>>>,
    clock: Arc<TestClock>,
}

/// A holder that keeps online, and what it says of that.
struct Child {
    endpoint: Arc<dyn Endpoint>,
    status: watch::Receiver<ParentStatus>,
    known: watch::Sender<Vec<HeavyNode>>,
    _offers: watch::Sender<HolderOffer>,
}

fn heavies(standing: BondStanding) -> Vec<HeavyNode> {
    HEAVIES.map(|seed| HeavyNode { standing, ..HeavyNode::unknown(bare(seed)) }).to_vec()
}

impl Stage {
    fn new() -> Self {
        let (network, clock) = (network(1), TestClock::start());
        let ledger = TestLedger::with_holders((HOLDER..HOLDER + 40).map(id));
        let serve = |seed: u8| {
            let server =
                Arc::new(ControlServer::new(ControlConfig::default(), key(seed), ledger.clone(), clock.clone()));
            open_doors(Arc::new(network.endpoint(id(seed))), vec![server.clone()]);
            server
        };
        let servers = HEAVIES.map(serve).to_vec();
        Self { network, servers, clock }
    }

    /// Nothing passes between a heavy node and anybody any more: what its death looks like from outside.
    fn bury(&self, heavy: Address, mourners: &[Address]) {
        mourners.iter().for_each(|mourner| self.network.partition(heavy, *mourner));
    }

    fn child(&self, seed: u8) -> Child {
        self.child_that_knows(seed, heavies(BondStanding::Good))
    }

    fn child_that_knows(&self, seed: u8, known: Vec<HeavyNode>) -> Child {
        let endpoint: Arc<dyn Endpoint> = Arc::new(self.network.endpoint(id(seed)));
        let (offers, offered) = watch::channel(offer(10));
        let (status, seen) = watch::channel(ParentStatus::Connecting);
        let (known, told) = watch::channel(known);
        let reach = Reach::new(endpoint.clone(), CHAIN, self.clock.clone(), Role::Holder);
        let quoter = Arc::new(Quoter { key: key(seed), price: 10, refuses: None });
        tokio::spawn(keep_online(reach, told, offered, quoter, status));
        Child { endpoint, status: seen, known, _offers: offers }
    }

    /// At which heavy nodes a holder is a child now.
    fn parents_of(&self, holder: Address) -> Vec<Address> {
        let has = |server: &&Arc<ControlServer<TestLedger>>| server.holders().iter().any(|(child, _)| *child == holder);
        let places = HEAVIES.iter().zip(&self.servers).filter(|(_, server)| has(server));
        places.map(|(seed, _)| id(*seed)).collect()
    }

    async fn owner_at(&self, heavy: Address) -> ControlClient {
        let endpoint = self.network.endpoint(id(OWNER));
        let heavy = HEAVIES.into_iter().find(|seed| id(*seed) == heavy).unwrap();
        let config = ControlClientConfig::default();
        ControlClient::connect(&endpoint, &bare(heavy), CHAIN, Role::Owner, self.clock.clone(), config).await.unwrap()
    }
}

impl Child {
    /// The parent, once there is one that `fits`.
    async fn parent(&mut self, fits: impl Fn(Address) -> bool) -> Address {
        let fits = |status: &ParentStatus| match status {
            ParentStatus::Online { parents, .. } => fits(parents[0].id()),
            ParentStatus::Connecting | ParentStatus::Offline { .. } => false,
        };
        let found = tokio::time::timeout(Duration::from_secs(300), self.status.wait_for(fits)).await;
        match &*found.expect("a parent is found in time").unwrap() {
            ParentStatus::Online { parents, .. } => parents[0].id(),
            other => panic!("{other:?}"),
        }
    }

    fn backups(&self) -> Vec<Address> {
        match &*self.status.borrow() {
            ParentStatus::Online { parents, .. } => parents[1..].iter().map(HeavyNode::id).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_has_one_parent_and_two_backups_and_moves_within_seconds_of_its_death() {
    let stage = Stage::new();
    let mut child = stage.child(HOLDER);
    let first = child.parent(|_| true).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.parents_of(id(HOLDER)), [first], "a child of one at a time");
    let backups = child.backups();
    assert!(backups.len() == 2 && !backups.contains(&first));

    let died = Instant::now();
    stage.bury(first, &[id(HOLDER), id(OWNER)]);
    let second = child.parent(|parent| parent != first).await;
    assert!(died.elapsed() < SECONDS, "{:?}", died.elapsed());
    assert!(backups.contains(&second));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let offers = stage.owner_at(second).await;
    let second_seed = HEAVIES.into_iter().find(|seed| id(*seed) == second).unwrap();
    let offers = offers.place(sign(placement(OWNER, second_seed, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers.len(), 1, "its offer was told to the new parent");
}

#[tokio::test(start_paused = true)]
async fn forty_children_of_a_dead_parent_are_shared_by_the_others() {
    let stage = Stage::new();
    let mut children: Vec<Child> = (HOLDER..HOLDER + 40).map(|seed| stage.child(seed)).collect();
    let mut parents = Vec::new();
    for child in &mut children {
        parents.push(child.parent(|_| true).await);
    }
    let everyone: Vec<Address> = children.iter().map(|child| child.endpoint.id()).collect();
    stage.bury(id(1), &everyone);
    let died = Instant::now();
    for child in &mut children {
        child.parent(|parent| parent != id(1)).await;
    }
    assert!(died.elapsed() < SECONDS, "{:?}", died.elapsed());
    tokio::time::sleep(Duration::from_secs(40)).await;
    let counts: Vec<usize> = stage.servers.iter().map(|server| server.children()).collect();
    assert_eq!(counts[0], 0, "the dead one, too, has noticed that they are gone");
    assert!(counts[1] + counts[2] == 40 && counts[1] >= 8 && counts[2] >= 8, "{counts:?}");
    let stayed = children.iter_mut().zip(&parents).filter(|(_, parent)| **parent != id(1));
    for (child, parent) in stayed {
        assert_eq!(child.parent(|_| true).await, *parent, "who had another parent stays");
    }
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_answers_late_once_is_kept() {
    let stage = Stage::new();
    let mut child = stage.child_that_knows(HOLDER, heavies(BondStanding::Good)[..1].to_vec());
    let only = child.parent(|_| true).await;
    for _ in 0..20 {
        stage.bury(only, &[id(HOLDER)]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.network.heal(only, id(HOLDER));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(matches!(*child.status.borrow(), ParentStatus::Online { .. }));
    assert!(!child.status.has_changed().unwrap(), "it was never lost");
}

#[tokio::test(start_paused = true)]
async fn who_is_jailed_loses_its_children_in_peace() {
    let stage = Stage::new();
    let mut child = stage.child(HOLDER);
    let first = child.parent(|_| true).await;
    let told = heavies(BondStanding::Good).into_iter().map(|node| match node.id() == first {
        true => HeavyNode { standing: BondStanding::Jailed, ..node },
        false => node,
    });
    child.known.send_replace(told.collect());
    let second = child.parent(|parent| parent != first).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.parents_of(id(HOLDER)), [second]);
    assert!(!child.backups().contains(&first));
}

#[tokio::test(start_paused = true)]
async fn with_all_heavy_nodes_dead_a_child_waits_and_comes_back() {
    let stage = Stage::new();
    let mut child = stage.child(HOLDER);
    child.parent(|_| true).await;
    HEAVIES.iter().for_each(|heavy| stage.bury(id(*heavy), &[id(HOLDER)]));
    let mut status = child.status.clone();
    status.wait_for(|status| matches!(status, ParentStatus::Offline { .. })).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    HEAVIES.iter().for_each(|heavy| stage.network.heal(id(*heavy), id(HOLDER)));
    let healed = Instant::now();
    child.parent(|_| true).await;
    assert!(healed.elapsed() < Duration::from_secs(150), "{:?}", healed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_untouched_while_owner_and_holder_lose_their_parent() {
    let stage = Stage::new();
    let mut child = stage.child(HOLDER);
    let first = child.parent(|_| true).await;
    let owner = Arc::new(stage.network.endpoint(id(OWNER)));
    let (bytes, source, meta, _) = batch(3, 22);
    let disk = Disk::new(HOLDER, first);
    disk.quote_for(id(OWNER), REQUEST, 22);
    let server = TransferServer::new(TransferConfig::default(), id(HOLDER), disk.clone(), stage.clock.clone());
    open_doors(child.endpoint.clone(), vec![Arc::new(server)]);
    let issuer = HEAVIES.into_iter().find(|seed| id(*seed) == first).unwrap();
    let ticket = Ticket {
        issuer: first,
        client: id(OWNER),
        holder: id(HOLDER),
        holder_addr: bare(HOLDER),
        request: REQUEST,
        direction: Direction::Write,
        bytes_max: meta.batch_bytes(),
        expires: TimeMs::new(START_MS + 3_600_000),
    };
    let upload = Resuming {
        endpoint: owner,
        holder: bare(HOLDER),
        chain: CHAIN,
        access: Access::Write { ticket: Signed::new(ticket, &key(issuer), &CHAIN) },
        config: TransferClientConfig { wait_direct: Duration::from_millis(1), ..TransferClientConfig::default() },
        retry: RetryPolicy::default(),
        introducer: None,
    };
    let (network, done) = (stage.network.clone(), AtomicU64::new(0));
    let half = meta.batch_bytes() / 2;
    let client = upload
        .upload(Arc::new(source), &|progress| {
            if done.swap(progress.done_bytes, Ordering::Relaxed) < half && progress.done_bytes >= half {
                network.partition(first, id(HOLDER));
                network.partition(first, id(OWNER));
            }
        })
        .await
        .unwrap();
    client.close().await;
    assert!(disk.bytes_of(id(OWNER), &meta.root) == bytes);
    assert_eq!(*disk.put_bytes.lock().unwrap(), meta.batch_bytes(), "nothing was sent twice");
    child.parent(|parent| parent != first).await;
}

#[tokio::test(start_paused = true)]
async fn a_placement_that_the_parent_died_over_succeeds_at_the_next() {
    let stage = Stage::new();
    let mut children: Vec<Child> = (HOLDER..HOLDER + 4).map(|seed| stage.child(seed)).collect();
    for child in &mut children {
        child.parent(|_| true).await;
    }
    let first = stage.parents_of(id(HOLDER))[0];
    let owner = stage.owner_at(first).await;
    let seed_of = |heavy: Address| HEAVIES.into_iter().find(|seed| id(*seed) == heavy).unwrap();
    let everyone: Vec<Address> = (HOLDER..HOLDER + 4).chain([OWNER]).map(id).collect();
    stage.bury(first, &everyone);
    let placed = owner.place(sign(placement(OWNER, seed_of(first), 1), OWNER)).await;
    let failed = match placed {
        Ok(stream) => stream.collect().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(failed.unwrap_err().is_passing(), "another may have an answer");
    let second = children[0].parent(|parent| parent != first).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let owner = stage.owner_at(second).await;
    let offers = owner.place(sign(placement(OWNER, seed_of(second), 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert!(!offers.offers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_visitor_measures_the_way_and_gets_nothing_else() {
    let stage = Stage::new();
    let endpoint = Arc::new(stage.network.endpoint(id(OWNER)));
    let visit = Reach::new(endpoint, CHAIN, stage.clock.clone(), Role::Visitor);
    let round_trip = visit.probe(&bare(1)).await.unwrap();
    assert!((Duration::from_millis(10)..Duration::from_millis(45)).contains(&round_trip), "{round_trip:?}");
    let session = visit.connect(&bare(1)).await.unwrap();
    for _ in 0..100 {
        session.ping(Duration::from_secs(5)).await.unwrap();
    }
    assert_eq!(stage.servers[0].children(), 0);
    let refused = session.locate(&[id(HOLDER)]).await.unwrap_err();
    assert!(refused.to_string().contains("visitor"), "{refused}");
    session.offer(offer(1)).await.unwrap();
    assert_eq!(close_code(&session).await, RefusalCode::Malformed.number(), "it has nothing to offer");
    let session = visit.connect(&bare(1)).await.unwrap();
    let came = Instant::now();
    assert_eq!(close_code(&session).await, RefusalCode::TooSlow.number(), "it was only to measure the way");
    assert!(came.elapsed() <= ControlConfig::default().visit + Duration::from_secs(1));
}

async fn close_code(session: &ControlClient) -> u32 {
    match session.closed().await {
        holdfast_network::CloseReason::Remote { code, .. } => code,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_idle_children_are_answered_for_an_hour_and_found_when_looked_for() {
    let stage = Stage::new();
    let server = &stage.servers[0];
    let sessions = (0..1_000u16).map(|number| {
        let mut seed = [201; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        let endpoint = Arc::new(stage.network.endpoint(holdfast_primitives::SecretKey::from_seed(seed).address()));
        let reach = Reach::new(endpoint, CHAIN, stage.clock.clone(), Role::Owner);
        async move { (reach.connect(&bare(1)).await.unwrap(), reach) }
    });
    let sessions = futures::future::join_all(sessions).await;
    assert_eq!(server.children(), 1_000);
    for _minute in 0..60 {
        let answers =
            futures::future::join_all(sessions.iter().map(|(session, _)| session.ping(Duration::from_secs(5))));
        assert!(answers.await.into_iter().all(|answer| answer.is_ok()));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let child = stage.child_that_knows(HOLDER, heavies(BondStanding::Good)[..1].to_vec());
    let mut child = child;
    child.parent(|_| true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let owner = stage.owner_at(id(1)).await;
    assert!(owner.locate(&[id(HOLDER)]).await.unwrap()[0].ticket.is_some());
    drop(sessions);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.children(), 2, "places are given back");
}

#[tokio::test(start_paused = true)]
async fn one_network_address_cannot_take_all_places() {
    let stage = Stage::new();
    let crowd = std::net::IpAddr::from([192, 0, 2, 66]);
    let mut inside = Vec::new();
    for number in 0..400u16 {
        let mut seed = [202; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        let key = holdfast_primitives::SecretKey::from_seed(seed);
        let endpoint = Arc::new(stage.network.endpoint_at(key.address(), crowd));
        let reach = Reach::new(endpoint, CHAIN, stage.clock.clone(), Role::Owner);
        inside.extend(reach.connect(&bare(1)).await.ok().map(|session| (session, reach)));
    }
    assert_eq!(inside.len(), holdfast_network::serve::ServeLimits::default().per_ip_max);
    assert_eq!(stage.servers[0].children(), inside.len());
    let mut child = stage.child_that_knows(HOLDER, heavies(BondStanding::Good)[..1].to_vec());
    child.parent(|_| true).await;
}
