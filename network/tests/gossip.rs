//! Gossip among heavy nodes over the network in memory: nothing is missed, nothing echoes, villains are turned away.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::*;
use holdfast_network::gossip::{Gossip, TAKEN_TOGETHER, Taken, TxPool};
use holdfast_network::memory::MemoryNetwork;
use holdfast_network::wire::{FromPeer, GOSSIP_VERSION, GossipTx, RefusalCode, read_frame, write_frame};
use holdfast_network::{CloseReason, Endpoint, Protocol};
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
