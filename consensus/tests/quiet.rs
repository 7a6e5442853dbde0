//! What an operator of a lone validator finds in the log.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{CHAIN, Rules, TestApp, keys};
use holdfast_consensus::{EngineConfig, LOG_FILTER, start};
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_validator_is_silent_under_the_recommended_filter() {
    let captured = Captured::default();
    let filter = EnvFilter::try_new(format!("info,{LOG_FILTER}")).unwrap();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(captured.clone()).init();

    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), Rules::of(&keys(1)));
    let config = EngineConfig::new(dir.path().join("engine"));
    let handle = start(config, keys(1).remove(0), CHAIN, app.clone()).await.unwrap();
    for number in 1..=5u8 {
        app.submit([number]);
        app.reached(u64::from(number)).await;
    }
    tracing::info!("the end");
    let log = captured.text();
    let lines: Vec<&str> = log.lines().collect();
    assert!(matches!(lines[..], [only] if only.ends_with("the end")), "{log}");

    handle.shutdown().await;
    // Stopped between a flush and its answer, the write-ahead log finds nobody to answer and says so; nothing is lost.
    let log = captured.text();
    let unanswered = |line: &str| line.contains("wal::thread: Failed to send WAL") && line.ends_with("reply");
    assert!(log.lines().skip(1).all(unanswered), "{log}");
}
