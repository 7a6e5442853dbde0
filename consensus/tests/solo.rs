//! The solo engine: a block on demand, with certificates like any other.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{CHAIN, Rules, TestApp, keys};
use holdfast_consensus::{Solo, SoloError};
use std::sync::Arc;

fn solo(app: &Arc<TestApp>, key: usize) -> Solo<TestApp> {
    Solo::new(app.clone(), keys(2).remove(key), CHAIN, 1_000)
}

#[tokio::test]
async fn twenty_steps_make_twenty_certified_blocks_that_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::of(&keys(1));
    let app = TestApp::open(dir.path(), rules.clone());
    let engine = solo(&app, 0);
    for number in 0..20u8 {
        app.submit([number]);
        engine.step().await.unwrap();
    }
    app.audit();

    let again = TestApp::open(dir.path(), rules);
    assert_eq!(again.height(), 20);
    assert_eq!(solo(&again, 0).step().await.unwrap().height.get(), 21);
    assert_eq!(again.entries(), (0..20u8).map(|number| vec![number]).collect::<Vec<_>>());
    again.audit();
}

#[tokio::test]
async fn a_key_without_a_quorum_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), Rules::of(&keys(1)));
    let refused = solo(&app, 1).step().await.unwrap_err();
    assert!(matches!(refused, SoloError::NotAlone { .. }), "{refused}");
    assert_eq!(app.height(), 0);
}

#[tokio::test]
async fn a_block_that_its_own_ledger_refuses_is_not_committed() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), Rules::of(&keys(1)));
    app.submit(common::BAD_ENTRY);
    let refused = solo(&app, 0).step().await.unwrap_err();
    assert!(matches!(refused, SoloError::OwnBlockRefused { .. }), "{refused}");
    assert_eq!(app.height(), 0);
}
