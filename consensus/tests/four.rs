//! Four validators in one process on the loopback interface: the same code path as one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{CHAIN, Rules, TestApp, Trouble, keys};
use holdfast_consensus::{EngineConfig, EngineHandle, Publish, Stopped, start};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A node with its disk.
struct Node {
    dir: TempDir,
    app: Arc<TestApp>,
    handle: EngineHandle,
}

/// A network that nodes may join one by one.
struct Network {
    rules: Rules,
    publish: Publish,
    stall: Option<Duration>,
    nodes: Vec<Node>,
}

impl Network {
    fn new(publish: Publish) -> Self {
        Self { rules: Rules::of(&keys(4)), publish, stall: None, nodes: Vec::new() }
    }

    /// Starts the next validator on an empty disk and connects it with all that run.
    async fn join(&mut self) {
        self.join_from(tempfile::tempdir().unwrap()).await;
    }

    /// Starts the next validator on a disk.
    async fn join_from(&mut self, dir: TempDir) {
        let index = self.nodes.len();
        let app = TestApp::open(dir.path(), self.rules.clone());
        let peers: Vec<String> = self.nodes.iter().map(|node| node.handle.listening()[0].clone()).collect();
        let config = EngineConfig {
            moniker: format!("node-{index}"),
            peers,
            publish: self.publish,
            stall: self.stall,
            ..EngineConfig::new(dir.path().join("engine"))
        };
        let handle = start(config, keys(4).remove(index), CHAIN, app.clone()).await.unwrap();
        for other in &self.nodes {
            other.handle.add_peer(&handle.listening()[0]).await.unwrap();
        }
        self.nodes.push(Node { dir, app, handle });
    }

    async fn of(count: usize, publish: Publish) -> Self {
        Self::new(publish).grown_to(count).await
    }

    async fn grown_to(mut self, count: usize) -> Self {
        while self.nodes.len() < count {
            self.join().await;
        }
        self
    }

    /// Gives everyone the same work, as a network's gossip of transactions would, and waits until all have it.
    async fn work(&self, entry: &[u8]) {
        let next = self.highest() + 1;
        self.nodes.iter().for_each(|node| node.app.submit(entry));
        for node in &self.nodes {
            node.app.reached(next).await;
        }
    }

    fn highest(&self) -> u64 {
        self.nodes.iter().map(|node| node.app.height()).max().unwrap()
    }

    /// Stops all and compares what they decided, byte by byte.
    async fn compare(self) -> u64 {
        let lowest = self.nodes.iter().map(|node| node.app.height()).min().unwrap();
        for node in &self.nodes {
            for height in 1..=lowest {
                assert_eq!(node.app.block(height), self.nodes[0].app.block(height), "height {height}");
            }
            node.app.audit();
        }
        for node in self.nodes {
            assert_eq!(node.handle.shutdown().await, Stopped::Shutdown);
            drop(node.dir);
        }
        lowest
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_agree_on_ten_heights_by_gossip() {
    let network = Network::of(4, Publish::Gossip).await;
    for number in 0..10u8 {
        network.work(&[number]).await;
    }
    assert!(network.compare().await >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_agree_on_ten_heights_by_direct_broadcast() {
    let network = Network::of(4, Publish::Direct).await;
    for number in 0..10u8 {
        network.work(&[number]).await;
    }
    assert!(network.compare().await >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_one_wakes_all_that_rest() {
    let network = Network::of(4, Publish::Gossip).await;
    network.work(b"shared").await;
    for (index, node) in network.nodes.iter().enumerate() {
        for rest in &network.nodes {
            rest.app.rests_after(network.highest()).await;
        }
        let entry = vec![index as u8];
        node.app.submit(entry.clone());
        for other in &network.nodes {
            other.app.holds(&entry).await;
        }
    }
    network.compare().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_go_on_when_one_is_down() {
    let mut network = Network::of(4, Publish::Gossip).await;
    network.work(b"all").await;
    network.nodes.remove(3).handle.shutdown().await;
    for number in 0..5u8 {
        network.work(&[number]).await;
    }
    assert!(network.compare().await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_late_catches_up_with_full_blocks_and_takes_part() {
    let mut network = Network::of(3, Publish::Gossip).await;
    let full = EngineConfig::new("").block_bytes_max - 1_000;
    for number in 0..5u8 {
        network.work(&vec![number; full]).await;
    }
    network.join().await;
    network.nodes[3].app.reached(network.highest()).await;
    network.work(b"together").await;
    assert!(network.compare().await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposer_of_invalid_blocks_is_outvoted() {
    let network = Network::of(4, Publish::Gossip).await;
    network.work(b"good").await;
    let liar = &network.nodes[0].app;
    liar.submit(common::BAD_ENTRY);
    for number in 0..4u8 {
        network.work(&[number]).await;
    }
    assert!(!liar.built().is_empty(), "the liar had its turn");
    assert!(network.nodes[1].app.entries().iter().all(|entry| entry != common::BAD_ENTRY));
    assert!(network.compare().await >= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_four_decide_nothing_and_all_four_go_on_after_a_restart() {
    // Long enough for a busy machine to start four nodes and agree for the first time.
    let stall = Some(Duration::from_secs(8));
    let mut network = Network { stall, ..Network::new(Publish::Gossip) }.grown_to(4).await;
    network.work(b"before").await;
    network.stall = None;
    let down: Vec<Node> = network.nodes.drain(2..).collect();
    let mut dirs: Vec<TempDir> = Vec::new();
    let before = network.highest();
    for node in down {
        assert_eq!(node.handle.shutdown().await, Stopped::Shutdown);
        dirs.push(node.dir);
    }
    network.nodes.iter().for_each(|node| node.app.submit("during"));
    for mut node in network.nodes.drain(..) {
        let stopped = node.handle.stopped().await;
        assert!(matches!(stopped, Stopped::Stalled { .. }), "{stopped}");
        assert!(node.app.height() <= before + 1, "at most the block that was under way");
        dirs.insert(dirs.len() - 2, node.dir);
    }
    for dir in dirs {
        network.join_from(dir).await;
    }
    network.work(b"after").await;
    assert!(network.compare().await > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_judge_blocks_yet_follows_those_who_can() {
    let network = Network::of(4, Publish::Gossip).await;
    network.work(b"together").await;
    *network.nodes[3].app.trouble.lock().unwrap() = Some(Trouble::JudgesLater);
    for number in 0..5u8 {
        network.work(&[number]).await;
    }
    assert!(network.compare().await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_never_judges_ends_its_own_validator_and_no_other() {
    // Long enough for a busy machine to start four nodes and agree for the first time.
    let stall = Some(Duration::from_secs(8));
    let mut network = Network { stall, ..Network::new(Publish::Gossip) }.grown_to(4).await;
    network.work(b"together").await;
    let mut stuck = network.nodes.remove(3);
    *stuck.app.trouble.lock().unwrap() = Some(Trouble::JudgeHangs);
    for number in 0..5u8 {
        network.work(&[number]).await;
    }
    let stopped = tokio::time::timeout(common::PATIENCE, stuck.handle.stopped()).await.unwrap();
    assert!(matches!(stopped, Stopped::Stalled { .. }), "{stopped}");
    assert!(network.compare().await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_changes_at_the_heights_that_the_ledger_names() {
    let (sizes, every) = ([4, 3, 4, 1, 4], 4);
    let set = |size: usize| Rules::of(&keys(4)[..size]).validators;
    let changes = (0u64..).map(|index| 1 + index * every).zip(sizes.map(set)).collect();
    let mut network = Network::new(Publish::Gossip);
    network.rules.changes = changes;
    let network = network.grown_to(4).await;
    let heights = every * sizes.len() as u64;
    for number in 0..heights as u8 {
        network.work(&[number]).await;
    }
    for height in 1..=heights {
        let (app, size) = (&network.nodes[3].app, sizes[(height as usize - 1) / every as usize]);
        let (proposer, voters) = (app.parsed(height).proposer, &app.certificate(height).signatures);
        let members: Vec<_> = keys(4)[..size].iter().map(|key| key.address()).collect();
        assert!(members.contains(&proposer), "height {height} with {size} validators");
        assert!(voters.iter().all(|commit| members.contains(&commit.validator)), "height {height}");
    }
    assert!(network.compare().await >= heights);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_down_fetches_blocks_of_exactly_the_limit() {
    let mut network = Network::of(4, Publish::Gossip).await;
    network.work(b"together").await;
    let Node { dir, app, handle } = network.nodes.remove(3);
    let before = app.height();
    assert_eq!(handle.shutdown().await, Stopped::Shutdown);
    let limit = EngineConfig::new("").block_bytes_max;
    for number in 0..5u8 {
        let around = common::Block { entries: vec![vec![]], ..network.nodes[0].app.parsed(before) };
        network.work(&vec![number; limit - around.bytes().len()]).await;
    }
    let full = (1..=network.highest()).filter(|height| network.nodes[0].app.block(*height).len() == limit);
    assert_eq!(full.count(), 5);
    network.join_from(dir).await;
    network.nodes[3].app.reached(network.highest()).await;
    network.work(b"again").await;
    assert!(network.compare().await >= before + 6);
}
