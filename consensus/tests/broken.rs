//! A ledger that hangs, panics or has no disk left: consensus ends with a reason, so that the process can end with it and be
//! started again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{CHAIN, PATIENCE, Rules, TestApp, Trouble, keys};
use holdfast_consensus::{EngineConfig, EngineHandle, Stopped, start};
use holdfast_primitives::Height;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Shorter than any trouble lasts, longer than a lone validator needs for a block.
const STALL: Duration = Duration::from_secs(2);

async fn alone(dir: &Path, app: &Arc<TestApp>) -> EngineHandle {
    let config = EngineConfig { stall: Some(STALL), ..EngineConfig::new(dir.join("engine")) };
    start(config, keys(1).remove(0), CHAIN, app.clone()).await.unwrap()
}

/// Decides two heights, then gets into trouble at the third; afterwards a sound process goes on where it was.
async fn ends_in(trouble: Trouble) -> Stopped {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), Rules::of(&keys(1)));
    let mut handle = alone(dir.path(), &app).await;
    app.rests_after(1).await;
    app.submit("one");
    app.rests_after(2).await;
    *app.trouble.lock().unwrap() = Some(trouble);
    app.submit("two");
    let stopped = tokio::time::timeout(PATIENCE, handle.stopped()).await.expect("it ends by itself");

    let again = TestApp::open(dir.path(), Rules::of(&keys(1)));
    assert_eq!(again.height(), 2, "{trouble:?}");
    let handle = alone(dir.path(), &again).await;
    again.submit("two");
    again.holds(b"two").await;
    assert_eq!(handle.shutdown().await, Stopped::Shutdown);
    again.audit();
    stopped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_returns_is_a_stall() {
    let stopped = ends_in(Trouble::CommitHangs).await;
    assert!(matches!(stopped, Stopped::Stalled { height, .. } if height == Height::new(3)), "{stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_never_built_is_a_stall() {
    let stopped = ends_in(Trouble::BuildHangs).await;
    assert!(matches!(stopped, Stopped::Stalled { height, .. } if height == Height::new(3)), "{stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_ledger_ends_consensus_and_is_named() {
    for trouble in [Trouble::CommitPanics, Trouble::BuildPanics] {
        let stopped = ends_in(trouble).await;
        let Stopped::Ended { reason } = &stopped else { panic!("{stopped}") };
        assert!(reason.contains("driver") && reason.contains("panic"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_cannot_be_kept_is_never_proposed() {
    let stopped = ends_in(Trouble::KeepFails).await;
    let Stopped::App { action: "keep", height, reason } = &stopped else { panic!("{stopped}") };
    assert_eq!((*height, reason.as_str()), (Height::new(3), "no space left on device"));
}
