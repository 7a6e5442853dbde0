//! The real engine with a validator set of one: the default.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Block, CHAIN, PATIENCE, Rules, TestApp, keys};
use holdfast_consensus::{ConsensusError, EngineConfig, EngineHandle, Stopped, metrics_text, start};
use holdfast_primitives::Height;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn try_engine(dir: &Path, app: &Arc<TestApp>) -> Result<EngineHandle, ConsensusError> {
    start(EngineConfig::new(dir.join("engine")), keys(1).remove(0), CHAIN, app.clone()).await
}

async fn engine(dir: &Path, app: &Arc<TestApp>) -> EngineHandle {
    try_engine(dir, app).await.unwrap()
}

fn alone() -> Rules {
    Rules::of(&keys(1))
}

async fn ended(mut handle: EngineHandle) -> Stopped {
    tokio::time::timeout(PATIENCE, handle.stopped()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_heights_are_decided_and_a_restart_goes_on_at_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let handle = engine(dir.path(), &app).await;
    for number in 1..=20u8 {
        app.submit([number]);
        app.reached(u64::from(number)).await;
    }
    assert_eq!(handle.shutdown().await, Stopped::Shutdown);
    let before = app.height();

    let again = TestApp::open(dir.path(), alone());
    assert_eq!(again.height(), before);
    let handle = engine(dir.path(), &again).await;
    again.reached(before + 1).await;
    handle.shutdown().await;
    again.audit();
    assert_eq!(again.entries(), (1..=20u8).map(|number| vec![number]).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_was_proposed_before_a_crash_is_the_one_that_is_decided_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    *app.refuse_commit.lock().unwrap() = Some(1);
    let stopped = ended(engine(dir.path(), &app).await).await;
    let Stopped::App { action: "commit", height, reason } = stopped else { panic!("{stopped}") };
    assert_eq!((height, reason.as_str()), (Height::new(1), "no space left on device"));
    let [(_, 0, proposed)] = app.built()[..] else { panic!("{:?}", app.built()) };

    let again = TestApp::open(dir.path(), alone());
    let handle = engine(dir.path(), &again).await;
    again.reached(1).await;
    handle.shutdown().await;
    assert_eq!(again.certificate(1).block, proposed);
    assert!(again.built().iter().all(|(height, ..)| *height > Height::new(1)), "no second block for height 1");
    again.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_carry_the_name_of_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let config = EngineConfig { moniker: "lighthouse".to_owned(), ..EngineConfig::new(dir.path().join("engine")) };
    let handle = start(config, keys(1).remove(0), CHAIN, app.clone()).await.unwrap();
    app.reached(1).await;
    handle.shutdown().await;
    let counted = |line: &str| line.contains("moniker=\"lighthouse\"") && line.contains("consensus_round");
    let text = metrics_text();
    assert!(text.lines().any(counted), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_chain_rests_until_there_is_work() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let handle = engine(dir.path(), &app).await;
    app.rests_after(1).await;
    assert_eq!(app.height(), 1, "the first block, then rest");
    app.submit("work");
    app.rests_after(2).await;
    assert_eq!(app.height(), 2, "one block for the work, then rest");
    assert_eq!(app.entries(), [b"work"]);
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heartbeat_makes_empty_blocks_even_for_a_deaf_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), Rules { heartbeat: Duration::from_millis(20), ..alone() });
    app.deaf.store(true, Ordering::SeqCst);
    let handle = engine(dir.path(), &app).await;
    app.reached(5).await;
    handle.shutdown().await;
    assert_eq!(app.entries(), [[0u8; 0]; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_of_exactly_the_limit_is_decided() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let limit = EngineConfig::new(dir.path()).block_bytes_max;
    let around = Block {
        height: Height::new(2),
        parent: common::GENESIS,
        proposer: keys(1)[0].address(),
        nonce: 0,
        entries: vec![vec![]],
    };
    let handle = engine(dir.path(), &app).await;
    app.rests_after(1).await;
    app.submit(vec![0xaa; limit - around.bytes().len()]);
    app.reached(2).await;
    handle.shutdown().await;
    assert_eq!(app.block(2).len(), limit);
    app.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_stands_still_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    // The second validator is not there, so nothing can be decided.
    let app = TestApp::open(dir.path(), Rules::of(&keys(2)));
    let config =
        EngineConfig { stall: Some(Duration::from_millis(500)), ..EngineConfig::new(dir.path().join("engine")) };
    let handle = start(config, keys(1).remove(0), CHAIN, app).await.unwrap();
    let stopped = ended(handle).await;
    assert!(matches!(stopped, Stopped::Stalled { height, .. } if height == Height::new(1)), "{stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resting_chain_does_not_count_as_standing_still() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let stall = Duration::from_millis(10);
    let config = EngineConfig { stall: Some(stall), ..EngineConfig::new(dir.path().join("engine")) };
    let mut handle = start(config, keys(1).remove(0), CHAIN, app.clone()).await.unwrap();
    app.rests_after(1).await;
    let early = tokio::time::timeout(Duration::from_millis(1_500), handle.stopped()).await;
    assert!(early.is_err(), "the watchdog looks every second: {early:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_engines_do_not_share_a_write_ahead_log() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let handle = engine(dir.path(), &app).await;
    let refused = try_engine(dir.path(), &app).await.err().unwrap();
    assert!(matches!(&refused, ConsensusError::Engine { reason } if reason.contains("lock")), "{refused}");
    assert_eq!(handle.shutdown().await, Stopped::Shutdown, "the first one is not disturbed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_reported() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let app = TestApp::open(first.path(), alone());
    let config = EngineConfig { listen: listen.clone(), ..EngineConfig::new(second.path()) };
    let refused = start(config, keys(1).remove(0), CHAIN, app).await;
    assert!(matches!(refused, Err(ConsensusError::NotListening { listen: found, .. }) if found == listen));
}

#[tokio::test]
async fn limits_that_would_keep_a_node_from_ever_catching_up_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), alone());
    let config = EngineConfig::new(dir.path());
    let response_bytes_max = 2 * config.block_bytes_max - 1;
    let refused = start(EngineConfig { response_bytes_max, ..config }, keys(1).remove(0), CHAIN, app.clone()).await;
    assert!(matches!(refused, Err(ConsensusError::Limits { .. })));

    for listen in ["nonsense", "/ip4/127.0.0.1/udp/1"] {
        let config = EngineConfig { listen: listen.to_owned(), ..EngineConfig::new(dir.path()) };
        let refused = start(config, keys(1).remove(0), CHAIN, app.clone()).await;
        assert!(matches!(refused, Err(ConsensusError::Address { text, .. }) if text == listen));
    }
}
