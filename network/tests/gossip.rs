//! Gossip among heavy nodes over the network in memory: nothing is missed, nothing echoes, villains are turned away.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::*;
use holdfast_network::gossip::{Gossip, TAKEN_TOGETHER, Taken, TxPool};
use holdfast_network::heavies::{CARD_MS, CARD_SPACING_MS, HeavyBook, Noted, Rank, usable_url};
use holdfast_network::memory::MemoryNetwork;
use holdfast_network::wire::{
    FromPeer, GOSSIP_VERSION, GossipTx, HeavyCard, RefusalCode, Signed, Text, read_frame, write_frame,
};
use holdfast_network::{CloseReason, Endpoint, NodeAddr, Protocol};
use holdfast_primitives::limits::HEAVY_CARDS_MAX;
use holdfast_primitives::{Address, Bounded, ChainId, TimeMs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const STALL: Duration = Duration::from_secs(30);
/// What no honest node passes on.
const GARBAGE: u8 = 0xff;
const STRANGER: u8 = 99;
/// The first who is not bonded.
const UNBONDED: u8 = 50;

/// A pool that takes everything but garbage.
#[derive(Default)]
struct Pool {
    txs: Mutex<BTreeSet<Bytes>>,
    taken: Mutex<usize>,
    slow: Option<Duration>,
}

#[async_trait]
impl TxPool for Pool {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn now(&self) -> TimeMs {
        TimeMs::new(START_MS)
    }

    fn is_bonded(&self, node: &Address) -> bool {
        (1..UNBONDED).any(|seed| id(seed) == *node)
    }

    fn welcomes(&self, peer: &Address) -> bool {
        *peer != id(STRANGER)
    }

    async fn take(&self, _from: Address, txs: &[GossipTx]) -> Vec<Taken> {
        if let Some(slow) = self.slow {
            tokio::time::sleep(slow * txs.len() as u32).await;
        }
        *self.taken.lock().unwrap() += txs.len();
        let take = |tx: &GossipTx| match tx.first() {
            None | Some(&GARBAGE) => Taken::Garbage,
            _ if self.txs.lock().unwrap().insert(Bytes::copy_from_slice(tx)) => Taken::New,
            _ => Taken::Passed,
        };
        txs.iter().map(take).collect()
    }

    fn waiting(&self) -> Vec<Bytes> {
        self.txs.lock().unwrap().iter().cloned().collect()
    }
}

struct Node {
    seed: u8,
    pool: Arc<Pool>,
    gossip: Arc<Gossip<Pool>>,
    endpoint: Arc<dyn Endpoint>,
}

impl Node {
    fn start(network: &MemoryNetwork, seed: u8) -> Self {
        Self::with(network, seed, Pool::default())
    }

    fn with(network: &MemoryNetwork, seed: u8, pool: Pool) -> Self {
        let (pool, endpoint) = (Arc::new(pool), Arc::new(network.endpoint(id(seed))));
        let gossip = Gossip::new(pool.clone());
        open_doors(endpoint.clone(), vec![gossip.clone()]);
        Self { seed, pool, gossip, endpoint }
    }

    fn knows(&self, other: &Self) {
        tokio::spawn(self.gossip.clone().keep(self.endpoint.clone(), bare(other.seed)));
    }

    /// A wallet hands it a transaction.
    fn submit(&self, tx: &[u8]) {
        let tx = Bytes::copy_from_slice(tx);
        if self.pool.txs.lock().unwrap().insert(tx.clone()) {
            self.gossip.spread(&tx, None);
        }
    }

    async fn has(&self, count: usize) {
        let all = async {
            while self.pool.txs.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let late = tokio::time::timeout(Duration::from_secs(300), all).await;
        late.unwrap_or_else(|_| panic!("node {} has {} of {count}", self.seed, self.pool.txs.lock().unwrap().len()));
    }

    async fn meets(&self, peers: usize) {
        while self.gossip.peers().len() != peers {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn txs(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|number| [&[1][..], &number.to_le_bytes(), &random.random::<[u8; 32]>()].concat()).collect()
}

#[tokio::test(start_paused = true)]
async fn along_a_line_of_nodes_everyone_gets_everything_once() {
    let network = network(3);
    let nodes: Vec<Node> = (1..=4).map(|seed| Node::start(&network, seed)).collect();
    for pair in nodes.windows(2) {
        pair[0].knows(&pair[1]);
        pair[1].knows(&pair[0]);
    }
    nodes[1].meets(2).await;
    nodes[2].meets(2).await;
    for (number, tx) in txs(1, 40).iter().enumerate() {
        nodes[number % 4].submit(tx);
    }
    for node in &nodes {
        node.has(40).await;
    }
    let taken: usize = nodes.iter().map(|node| *node.pool.taken.lock().unwrap()).sum();
    assert_eq!(taken, 40 * 3, "each crossed each of the three edges once");
}

#[tokio::test(start_paused = true)]
async fn in_a_full_mesh_nothing_echoes() {
    let network = network(4);
    let nodes: Vec<Node> = (1..=5).map(|seed| Node::start(&network, seed)).collect();
    for one in &nodes {
        nodes.iter().filter(|other| other.seed != one.seed).for_each(|other| one.knows(other));
    }
    for node in &nodes {
        node.meets(4).await;
    }
    txs(2, 30).iter().for_each(|tx| nodes[0].submit(tx));
    for node in &nodes {
        node.has(30).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let taken: usize = nodes.iter().map(|node| *node.pool.taken.lock().unwrap()).sum();
    // Over each of ten edges at most once in each direction, and never back to the first.
    assert!((30 * 4..=30 * 20).contains(&taken), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn who_was_away_is_told_everything_on_coming_back() {
    let network = network(5);
    let (one, other) = (Node::start(&network, 1), Node::start(&network, 2));
    one.knows(&other);
    one.meets(1).await;
    network.partition(id(1), id(2));
    one.meets(0).await;
    txs(3, 500).iter().for_each(|tx| one.submit(tx));
    txs(4, 500).iter().for_each(|tx| other.submit(tx));
    network.heal(id(1), id(2));
    one.has(1_000).await;
    other.has(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn the_slow_reader_gets_all_of_it_in_the_end() {
    let network = network(6);
    let one = Node::start(&network, 1);
    let slow = Node::with(&network, 2, Pool { slow: Some(Duration::from_millis(1)), ..Pool::default() });
    one.knows(&slow);
    one.meets(1).await;
    // More than its queue and the stream's window hold together.
    for tx in txs(5, 20_000) {
        one.submit(&tx);
    }
    slow.has(20_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_transaction_travels_like_a_small_one() {
    let network = network(7);
    let (one, other) = (Node::start(&network, 1), Node::start(&network, 2));
    one.knows(&other);
    one.meets(1).await;
    for size in [1, 600_000, 600_000, 1_800_000, 7] {
        one.submit(&[&[1][..], &vec![size as u8; size]].concat());
    }
    other.has(4).await;
}

/// Says hello as a villain would go on to talk.
async fn infiltrate(network: &MemoryNetwork, seed: u8, chain: ChainId, messages: Vec<FromPeer>) -> Option<RefusalCode> {
    let endpoint = network.endpoint(id(seed));
    let connection = endpoint.connect(&bare(1), Protocol::Gossip).await.unwrap();
    let talk = async {
        // It may be turned away at any of these steps; the code it is turned away with is what counts.
        let Ok(mut stream) = connection.open_bi().await else { return };
        let _ = write_frame(&mut stream.send, &FromPeer::Hello { version: GOSSIP_VERSION, chain }, STALL).await;
        for message in messages {
            let _ = write_frame(&mut stream.send, &message, STALL).await;
        }
        while let Ok(Some(_)) = read_frame::<FromPeer>(&mut stream.recv).await {}
    };
    let (reason, ()) = tokio::join!(connection.closed(), talk);
    match reason {
        CloseReason::Remote { code, .. } => RefusalCode::from_number(code),
        other => panic!("{other}"),
    }
}

fn saying(txs: Vec<Vec<u8>>) -> FromPeer {
    let txs = txs.into_iter().map(|tx| GossipTx::new(tx).unwrap()).collect();
    FromPeer::Transactions(Bounded::new(txs).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_babbler_is_turned_away_and_the_honest_go_on() {
    let network = network(8);
    let (one, honest) = (Node::start(&network, 1), Node::start(&network, 2));
    honest.knows(&one);
    honest.meets(1).await;
    let babble = saying((0..4_000_u32).map(|number| [&[GARBAGE][..], &number.to_le_bytes()].concat()).collect());
    assert_eq!(infiltrate(&network, 3, CHAIN, vec![babble]).await, Some(RefusalCode::Malformed));
    assert!(*one.pool.taken.lock().unwrap() <= TAKEN_TOGETHER, "the first that are judged are enough");
    txs(6, 10).iter().for_each(|tx| honest.submit(tx));
    one.has(10).await;
    assert_eq!(one.gossip.peers(), [id(2)]);
}

#[tokio::test(start_paused = true)]
async fn strangers_followers_of_other_chains_and_those_who_repeat_themselves_are_refused() {
    let network = network(9);
    let one = Node::start(&network, 1);
    assert_eq!(infiltrate(&network, STRANGER, CHAIN, vec![]).await, Some(RefusalCode::NotWelcome));
    let other = ChainId::new([8; 32]);
    assert_eq!(infiltrate(&network, 3, other, vec![]).await, Some(RefusalCode::WrongChain));
    let again = FromPeer::Hello { version: GOSSIP_VERSION, chain: CHAIN };
    assert_eq!(infiltrate(&network, 4, CHAIN, vec![again]).await, Some(RefusalCode::Malformed));
    assert_eq!(one.gossip.peers(), []);
}

/// A card of a node in its own words.
fn card(seed: u8, url: Option<&str>, written: u64) -> Signed<HeavyCard> {
    let rpc_url = url.map(|url| Text::new(url).unwrap());
    let card = HeavyCard { node: bare(seed), rpc_url, written: TimeMs::new(written) };
    Signed::new(card, &key(seed), &CHAIN)
}

impl Node {
    fn knows_the_way_to(&self) -> Vec<(Address, Option<String>)> {
        let way = |card: HeavyCard| (card.node.id, usable_url(&card).map(str::to_owned));
        self.gossip.cards().into_iter().map(way).collect()
    }

    async fn knows_ways(&self, count: usize) {
        let all = async {
            while self.gossip.cards().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let late = tokio::time::timeout(Duration::from_secs(300), all).await;
        late.unwrap_or_else(|_| panic!("node {} knows {:?}, not {count}", self.seed, self.knows_the_way_to()));
    }
}

#[tokio::test(start_paused = true)]
async fn everyone_along_a_line_learns_how_everyone_is_reached() {
    let network = network(9);
    let nodes: Vec<Node> = (1..=4).map(|seed| Node::start(&network, seed)).collect();
    nodes.windows(2).for_each(|pair| pair[0].knows(&pair[1]));
    for node in &nodes {
        let url = format!("http://192.0.2.{}:7450", node.seed);
        node.gossip.introduce(card(node.seed, Some(&url), START_MS));
    }
    for node in &nodes {
        node.knows_ways(4).await;
        assert!(node.knows_the_way_to().contains(&(id(4), Some("http://192.0.2.4:7450".to_owned()))));
    }
    // One moves.
    nodes[0].gossip.introduce(card(1, Some("http://198.51.100.1:7450"), START_MS + CARD_SPACING_MS));
    while !nodes[3].knows_the_way_to().contains(&(id(1), Some("http://198.51.100.1:7450".to_owned()))) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(nodes[3].gossip.cards().len(), 4, "one card for each");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_bonded_is_known_to_its_neighbours_and_to_nobody_else() {
    let network = network(10);
    let nodes: Vec<Node> = [1, 2, 3, UNBONDED].map(|seed| Node::start(&network, seed)).into_iter().collect();
    nodes[0].knows(&nodes[1]);
    nodes[1].knows(&nodes[2]);
    nodes[3].knows(&nodes[0]);
    nodes.iter().for_each(|node| node.gossip.introduce(card(node.seed, None, START_MS)));
    nodes[0].knows_ways(4).await;
    nodes[2].knows_ways(3).await;
    nodes[3].knows_ways(4).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((nodes[1].gossip.cards().len(), nodes[2].gossip.cards().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_forger_of_cards_is_turned_away_and_nobody_believes_it() {
    let network = network(11);
    let node = Node::start(&network, 1);
    let forger = network.endpoint(id(2));
    let connection = forger.connect(&bare(1), Protocol::Gossip).await.unwrap();
    let mut stream = connection.open_bi().await.unwrap();
    write_frame(&mut stream.send, &FromPeer::Hello { version: GOSSIP_VERSION, chain: CHAIN }, STALL).await.unwrap();
    let forged = Signed { signature: card(2, None, START_MS).signature, ..card(3, Some("http://evil"), START_MS) };
    let cards = Bounded::new(vec![forged; 16]).unwrap();
    write_frame(&mut stream.send, &FromPeer::Cards(cards), STALL).await.unwrap();
    let reason = connection.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::Malformed.number()), "{reason}");
    assert!(node.gossip.cards().is_empty());
}

#[test]
fn a_book_keeps_one_young_card_of_each_and_no_more_than_it_has_room_for() {
    let (mut book, now) = (HeavyBook::new(), TimeMs::new(START_MS));
    let mut note = |card, rank| book.note(card, rank, &CHAIN, now);
    assert_eq!(note(card(1, None, START_MS), Rank::Bonded), Noted::Spread);
    assert_eq!(note(card(1, None, START_MS), Rank::Bonded), Noted::Passed, "the same");
    assert_eq!(note(card(1, None, START_MS + CARD_SPACING_MS - 1), Rank::Bonded), Noted::Passed, "too soon");
    assert_eq!(note(card(1, None, START_MS + CARD_SPACING_MS), Rank::Bonded), Noted::Spread);
    assert_eq!(note(card(2, None, START_MS - CARD_MS), Rank::Bonded), Noted::Passed, "too old");
    assert_eq!(note(card(2, None, START_MS + 3_600_000), Rank::Bonded), Noted::Passed, "of the future");
    assert_eq!(note(card(2, None, START_MS), Rank::Stranger), Noted::Passed);
    assert_eq!(note(card(2, None, START_MS), Rank::Neighbour), Noted::Kept);
    assert_eq!(book.to_tell(id(9)).count(), 1);
    assert_eq!(book.to_tell(id(2)).count(), 2, "its own");
    assert_eq!(book.cards(TimeMs::new(START_MS + CARD_MS)).count(), 1);

    for number in 0..2 * HEAVY_CARDS_MAX as u16 {
        let mut seed = [3; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        let key = holdfast_primitives::SecretKey::from_seed(seed);
        let card = HeavyCard { node: NodeAddr::bare(key.address()), rpc_url: None, written: now };
        book.note(Signed::new(card, &key, &CHAIN), Rank::Bonded, &CHAIN, now);
    }
    assert_eq!(book.cards(now).count(), HEAVY_CARDS_MAX);
}

#[test]
fn a_url_of_the_loopback_interface_counts_for_nodes_of_this_machine_only() {
    let far: std::net::SocketAddr = "192.0.2.1:4433".parse().unwrap();
    let here: std::net::SocketAddr = "127.0.0.1:4433".parse().unwrap();
    let usable = |direct, url: &str| {
        let node = NodeAddr::new(id(1), vec![direct], None).unwrap();
        usable_url(&HeavyCard { node, rpc_url: Some(Text::new(url).unwrap()), written: TimeMs::new(1) }).is_some()
    };
    for url in ["http://127.0.0.1:7450", "http://localhost:7450/", "https://[::1]:7450", "http://127.9.9.9"] {
        assert!(usable(here, url) && !usable(far, url), "{url}");
    }
    for url in ["http://192.0.2.1:7450", "https://heavy.example", "http://[2001:db8::1]:7450"] {
        assert!(usable(far, url), "{url}");
    }
}
