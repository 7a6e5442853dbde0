//! Megabytes a second and CPU seconds a gibibyte: a batch up, a batch down, and bare streams, in turns.

use super::ends::{DROP, Ends, Path, TREE, send_bare};
use crate::clock::CpuClock;
use crate::harness::{Report, Runs, interleave};
use anyhow::{Context as _, Result, ensure};
use holdfast_network::transfer::{Download, TransferClientConfig};
use std::time::Instant;
use tokio::runtime::Runtime;

const RUNS: usize = 7;
const GIB: f64 = 1_073_741_824.0;
/// Bytes of what is sent, as powers of two. Through a relay every byte is copied five times.
const DIRECT_LOG2: u8 = 28;
const RELAYED_LOG2: u8 = 26;

/// What one side took for all the bytes.
#[derive(Clone, Copy)]
struct Took {
    cpu: f64,
    wall: f64,
}

struct Sides {
    bare_one: Took,
    bare: Took,
    bare_tree: Took,
    up: Took,
    down: Took,
}

pub fn run(report: &Report, runtime: &Runtime) -> Result<()> {
    one_path(report, runtime, Path::Direct, DIRECT_LOG2)?;
    one_path(report, runtime, Path::Relayed, RELAYED_LOG2)
}

fn one_path(report: &Report, runtime: &Runtime, path: Path, log2: u8) -> Result<()> {
    let name = if path == Path::Direct { "network: direct" } else { "network: relayed" };
    let ends = runtime.block_on(Ends::meet(path, log2))?;
    runtime.block_on(check(&ends))?;
    let runs = interleave(report, name, RUNS, || runtime.block_on(all(&ends)))?;
    let bytes = ends.bytes.len() as f64;
    let streams = TransferClientConfig::default().streams;
    let shown = |what: &str, of: fn(&Sides) -> Took| figures(report, &runs, &format!("{name}, {what}"), bytes, of);
    shown("bare, one stream", |sides| sides.bare_one);
    shown(&format!("bare, {streams} streams"), |sides| sides.bare);
    shown(&format!("bare, {streams} streams, and the tree"), |sides| sides.bare_tree);
    shown("batch up", |sides| sides.up);
    shown("batch down", |sides| sides.down);
    for (what, of) in [("up", (|sides| sides.up) as fn(&Sides) -> Took), ("down", |sides| sides.down)] {
        let ratio = |against: fn(&Sides) -> f64, mine: fn(Took) -> f64| {
            runs.median(|run| against(&run.sides) / mine(of(&run.sides)))
        };
        let named = |unit: &str, of: &str| format!("{name}, batch {what}: {unit} against {of}");
        let figure = |text: String, value: f64| report.figure(text, value, "x", None, "");
        figure(named("CPU", "bare"), ratio(|sides| sides.bare.cpu, |took| took.cpu));
        figure(named("CPU", "bare with tree"), ratio(|sides| sides.bare_tree.cpu, |took| took.cpu));
        figure(named("MB/s", "bare"), ratio(|sides| sides.bare.wall, |took| took.wall));
    }
    Ok(())
}

fn figures(report: &Report, runs: &Runs<Sides>, name: &str, bytes: f64, of: fn(&Sides) -> Took) {
    let cpu = runs.median(|run| of(&run.sides).cpu * GIB / bytes);
    let ratio = runs.median(|run| of(&run.sides).cpu / run.sha256(bytes));
    report.figure(name, cpu, "CPU-s/GiB", Some(ratio), "SHA-256");
    report.figure(format!("{name}: wall"), runs.median(|run| bytes / of(&run.sides).wall / 1e6), "MB/s", None, "");
}

/// Sends the batch up once and compares every byte: kept bytes cost fresh memory, so those that are timed are counted only.
async fn check(ends: &Ends) -> Result<()> {
    ends.shelf.keep();
    let writer = ends.writer().await?;
    writer.upload(ends.source.clone(), &|_| {}).await?;
    writer.close().await;
    let mut next = 0;
    for (_, leaves) in ends.shelf.take().1.context("it was kept")? {
        ensure!(ends.bytes[next..next + leaves.len()] == leaves, "other bytes came up");
        next += leaves.len();
    }
    ensure!(next == ends.bytes.len(), "not all of it came up");
    Ok(())
}

/// Every side once, each on a connection of its own that is ready before its time begins.
async fn all(ends: &Ends) -> Result<Sides> {
    let streams = TransferClientConfig::default().streams;
    let bare = ends.bare().await?;
    let bare_one = timed(send_bare(&bare, &ends.bytes, 1, DROP)).await?;
    let many = timed(send_bare(&bare, &ends.bytes, streams, DROP)).await?;
    let bare_tree = timed(send_bare(&bare, &ends.bytes, streams, TREE)).await?;
    bare.close(0, "done");

    let writer = ends.writer().await?;
    let up = timed(async { Ok(writer.upload(ends.source.clone(), &|_| {}).await?) }).await?;
    writer.close().await;
    ensure!(ends.shelf.take().0 == ends.bytes.len(), "not all of it came up");

    let reader = ends.reader().await?;
    let mut download = Download::new(ends.meta)?;
    let down = timed(async { Ok(reader.fetch(&mut download, &|_| {}).await?) }).await?;
    reader.close().await;
    ensure!(download.into_bytes().context("all of it came")? == ends.bytes, "other bytes came down");
    Ok(Sides { bare_one, bare: many, bare_tree, up, down })
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Took> {
    let (cpu, wall) = (CpuClock::now()?, Instant::now());
    work.await?;
    Ok(Took { cpu: CpuClock::now()?.since(&cpu), wall: wall.elapsed().as_secs_f64() })
}
