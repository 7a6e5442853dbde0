//! Fetching from many over the network in memory: liars are named and left out, whoever goes away is replaced.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use async_trait::async_trait;
use common::*;
use holdfast_network::join::{
    Fetched, JoinClient, JoinError, JoinLimits, JoinServer, JoinSink, JoinSource, Peer, TakeError, fetch,
};
use holdfast_network::memory::MemoryNetwork;
use holdfast_network::wire::{
    CHUNK_ASK_BYTES_MAX, FromSource, JOIN_VERSION, Refusal, RefusalCode, SourceOffer, ToSource, read_frame, write_frame,
};
use holdfast_network::{Endpoint, Protocol};
use holdfast_primitives::{Bounded, ChainId, Height, sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const JOINER: u8 = 200;
const CHUNKS: u32 = 60;
const STALL: Duration = Duration::from_secs(30);

/// How a node behaves that has, or says it has, chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Changes every chunk from this one on.
    Liar(u32),
    /// Has nothing any more.
    Forgetful,
    /// Thinks for long.
    Slow,
}

struct Source {
    manner: Manner,
    asked: Mutex<u32>,
}

fn chunk(number: u32) -> Vec<u8> {
    vec![number as u8; 2_000 + number as usize]
}

#[async_trait]
impl JoinSource for Source {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    async fn offer(&self) -> SourceOffer {
        SourceOffer {
            tip: Height::new(90),
            blocks_from: Height::new(1),
            follow_from: Height::GENESIS,
            snapshots: Bounded::new(vec![Height::new(80)]).unwrap(),
            peers: Bounded::new(vec![bare(9)]).unwrap(),
            consensus: Bounded::empty(),
        }
    }

    async fn answer(&self, question: ToSource) -> Result<Vec<u8>, Refusal> {
        let ToSource::Chunk { ask, .. } = question else {
            return Err(Refusal::new(RefusalCode::NoSuchHistory, "only chunks"));
        };
        *self.asked.lock().unwrap() += 1;
        let number = u32::from_le_bytes(ask[..4].try_into().unwrap());
        let mut data = chunk(number);
        match self.manner {
            Manner::Liar(from) if number >= from => data[7] ^= 1,
            Manner::Forgetful => return Err(Refusal::new(RefusalCode::NoSuchHistory, "gone")),
            Manner::Slow => tokio::time::sleep(Duration::from_secs(5)).await,
            Manner::Honest | Manner::Liar(_) => {}
        }
        Ok(data)
    }
}

/// Keeps chunks whose hash is right.
#[derive(Default)]
struct Sink {
    kept: Mutex<BTreeMap<u32, Vec<u8>>>,
    full_after: Option<usize>,
}

#[async_trait]
impl JoinSink for Sink {
    type Job = u32;

    fn question(&self, job: &u32) -> ToSource {
        ToSource::Chunk { height: Height::new(80), ask: Bounded::new(job.to_le_bytes().to_vec()).unwrap() }
    }

    async fn take(&self, job: u32, data: Vec<u8>) -> Result<Option<u32>, TakeError> {
        if sha256(&data) != sha256(&chunk(job)) {
            return Err(TakeError::Lie { reason: format!("chunk {job}") });
        }
        let mut kept = self.kept.lock().unwrap();
        if self.full_after.is_some_and(|full| kept.len() >= full) {
            return Err(TakeError::Fault("the disk is full".into()));
        }
        assert_eq!(kept.insert(job, data), None, "nothing is fetched twice");
        // Every job has a second half, as a span has a next chunk.
        Ok((job < CHUNKS).then_some(job + CHUNKS))
    }
}

fn start(network: &MemoryNetwork, seed: u8, manner: Manner) -> Arc<Source> {
    let source = Arc::new(Source { manner, asked: Mutex::default() });
    open_doors(
        Arc::new(network.endpoint(id(seed))),
        vec![Arc::new(JoinServer::new(source.clone(), JoinLimits::default()))],
    );
    source
}

async fn fetch_from(network: &MemoryNetwork, seeds: &[u8], sink: &Arc<Sink>) -> Fetched {
    let endpoint: Arc<dyn Endpoint> = Arc::new(network.endpoint(id(JOINER)));
    let peers: Vec<Peer> = seeds.iter().map(|seed| Peer { addr: bare(*seed), endpoint: endpoint.clone() }).collect();
    let fetched = fetch(&peers, CHAIN, sink.clone(), (0..CHUNKS).collect());
    tokio::time::timeout(Duration::from_secs(3_600), fetched).await.unwrap()
}

fn everything(sink: &Sink) -> bool {
    *sink.kept.lock().unwrap() == (0..2 * CHUNKS).map(|number| (number, chunk(number))).collect()
}

#[tokio::test(start_paused = true)]
async fn several_nodes_share_the_work() {
    let network = network(1);
    let sources: Vec<_> = (1..=3).map(|seed| start(&network, seed, Manner::Honest)).collect();
    let sink = Arc::new(Sink::default());
    let fetched = fetch_from(&network, &[1, 2, 3], &sink).await;
    assert!(fetched.complete && fetched.liars.is_empty() && fetched.fault.is_none());
    assert!(everything(&sink));
    let asked: Vec<u32> = sources.iter().map(|source| *source.asked.lock().unwrap()).collect();
    assert!(asked.iter().all(|asked| *asked > 10) && asked.iter().sum::<u32>() == 2 * CHUNKS, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_liar_is_named_and_the_honest_are_asked_for_the_same() {
    let network = network(2);
    let liar = start(&network, 1, Manner::Liar(20));
    start(&network, 2, Manner::Honest);
    let sink = Arc::new(Sink::default());
    let fetched = fetch_from(&network, &[1, 2], &sink).await;
    assert!(fetched.complete && everything(&sink));
    assert_eq!(fetched.liars.iter().map(|liar| liar.peer).collect::<Vec<_>>(), [id(1)]);
    assert!(fetched.liars[0].reason.starts_with("chunk "), "{:?}", fetched.liars);
    // Both conversations with it may have had a question under way.
    assert!(*liar.asked.lock().unwrap() <= 20 + 2, "it is asked no more");
}

#[tokio::test(start_paused = true)]
async fn with_liars_alone_it_ends_and_names_them_all() {
    let network = network(3);
    start(&network, 1, Manner::Liar(0));
    start(&network, 2, Manner::Liar(5));
    let sink = Arc::new(Sink::default());
    let fetched = fetch_from(&network, &[1, 2], &sink).await;
    let mut named: Vec<_> = fetched.liars.iter().map(|liar| liar.peer).collect();
    named.sort();
    let mut expected = [id(1), id(2)];
    expected.sort();
    assert!(!fetched.complete);
    assert_eq!(named, expected);
}

#[tokio::test(start_paused = true)]
async fn who_has_forgotten_or_cannot_be_reached_is_no_liar() {
    let network = network(4);
    start(&network, 1, Manner::Forgetful);
    start(&network, 2, Manner::Slow);
    let sink = Arc::new(Sink::default());
    // Nobody lives at 3.
    let fetched = fetch_from(&network, &[1, 2, 3], &sink).await;
    assert!(fetched.complete && everything(&sink));
    assert_eq!(fetched.liars, []);
    let nobody = fetch_from(&network, &[1, 3], &Arc::new(Sink::default())).await;
    assert!(!nobody.complete && nobody.liars.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_called_again_and_goes_on_where_it_was() {
    let network = network(5);
    let source = start(&network, 1, Manner::Honest);
    let sink = Arc::new(Sink::default());
    network.cut_after(id(1), id(JOINER), 30_000);
    let fetched = fetch_from(&network, &[1], &sink).await;
    assert!(fetched.complete && fetched.liars.is_empty());
    assert!(!network.spare(id(1), id(JOINER)), "it was cut");
    assert!(everything(&sink));
    assert!(*source.asked.lock().unwrap() >= 2 * CHUNKS);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_it_at_once() {
    let network = network(6);
    let source = start(&network, 1, Manner::Honest);
    let sink = Arc::new(Sink { full_after: Some(5), ..Sink::default() });
    let fetched = fetch_from(&network, &[1], &sink).await;
    assert!(!fetched.complete);
    assert_eq!(fetched.fault.unwrap().to_string(), "the disk is full");
    assert!(*source.asked.lock().unwrap() <= 5 + 3);
}

async fn client(network: &MemoryNetwork, seed: u8, chain: ChainId) -> Result<JoinClient, JoinError> {
    JoinClient::connect(&network.endpoint(id(JOINER)), &bare(seed), chain).await
}

#[tokio::test(start_paused = true)]
async fn offers_and_refusals_come_as_they_are() {
    let network = network(7);
    start(&network, 1, Manner::Honest);
    let mut asking = client(&network, 1, CHAIN).await.unwrap();
    let offer = asking.offer().await.unwrap();
    assert_eq!((offer.tip, &offer.peers[..]), (Height::new(90), &[bare(9)][..]));
    let refused = asking.ask(&ToSource::Manifest { height: Height::new(1) }).await;
    assert!(matches!(&refused, Err(JoinError::Refused(why)) if why.code == RefusalCode::NoSuchHistory), "{refused:?}");
    // The conversation goes on after a refusal.
    asking.offer().await.unwrap();
    let other = client(&network, 1, ChainId::new([1; 32])).await.err().unwrap();
    assert!(matches!(&other, JoinError::Refused(why) if why.code == RefusalCode::WrongChain), "{other}");
}

#[tokio::test(start_paused = true)]
async fn more_than_its_share_of_joining_nodes_are_sent_elsewhere() {
    let network = network(8);
    let source = Arc::new(Source { manner: Manner::Honest, asked: Mutex::default() });
    let limits = JoinLimits { sessions_max: 2, ..JoinLimits::default() };
    open_doors(Arc::new(network.endpoint(id(1))), vec![Arc::new(JoinServer::new(source, limits))]);
    let _two = (client(&network, 1, CHAIN).await.unwrap(), client(&network, 1, CHAIN).await.unwrap());
    let third = client(&network, 1, CHAIN).await.err().unwrap();
    assert!(matches!(&third, JoinError::Refused(why) if why.code == RefusalCode::Busy), "{third}");
}

#[tokio::test(start_paused = true)]
async fn who_says_what_no_joining_node_says_is_turned_away() {
    let network = network(9);
    start(&network, 1, Manner::Honest);
    let hello = ToSource::Hello { version: JOIN_VERSION, chain: CHAIN };
    for words in [vec![hello.clone(), hello.clone()], vec![ToSource::Offer]] {
        let endpoint = network.endpoint(id(JOINER));
        let connection = endpoint.connect(&bare(1), Protocol::Join).await.unwrap();
        let mut stream = connection.open_bi().await.unwrap();
        for word in &words {
            let _ = write_frame(&mut stream.send, word, STALL).await;
        }
        while let Ok(Some(_)) = read_frame::<FromSource>(&mut stream.recv).await {}
        let closed = connection.closed().await;
        assert!(closed.to_string().contains(&format!("code {}", RefusalCode::Malformed.number())), "{closed}");
    }
    assert!(Bounded::<u8, CHUNK_ASK_BYTES_MAX>::new(vec![0; CHUNK_ASK_BYTES_MAX + 1]).is_err());
}
