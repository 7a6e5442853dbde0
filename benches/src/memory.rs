//! What a heavy node needs per million batches: memory, disk, and CPU time to start. By slope: a chain is grown to 0, 1, 2
//! and 4 million batches, and at each size another process opens it as a node does.
//!
//! The memory is what that process has once the state is loaded and its root verified; the disk is the whole folder, blocks
//! and indices included. Rounds are not part of it: they cost per holder and round, not per batch.

use crate::child::Child;
use crate::clock::CpuClock;
use crate::grown::{BATCHES_AT_ONCE, Grown, batches, genesis};
use crate::harness::{RUNS, Report, interleave};
use anyhow::{Context as _, Result, ensure};
use holdfast_store::ChainDb;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

const MILLION: u64 = 1_000_000;
const SIZES: [u64; 4] = [0, MILLION, 2 * MILLION, 4 * MILLION];
const GIBIBYTE: f64 = 1_073_741_824.0;
/// The hidden argument of the process that starts cold.
pub const COLD_START: &str = "--child-cold-start";

/// What a process that started cold says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    cpu_seconds: f64,
    batches: u64,
    root: String,
    memory_bytes: u64,
    memory_peak_bytes: u64,
}

/// One size: bytes of memory and disk.
struct Sized {
    millions: f64,
    memory: f64,
    disk: f64,
}

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut grown = Grown::start(folder.path())?;
    let mut sizes = Vec::new();
    for size in SIZES {
        grown.grow_to(folder.path(), size)?;
        let started = start(folder.path(), &grown)?;
        let disk = disk_bytes(folder.path())?;
        let millions = started.batches as f64 / MILLION as f64;
        let (memory, peak) = (started.memory_bytes as f64, started.memory_peak_bytes as f64);
        report.figure(format!("memory at {millions:.2} M batches"), memory / 1e6, "MB", None, "");
        report.figure(format!("memory at {millions:.2} M batches, peak"), peak / 1e6, "MB", None, "");
        report.figure(format!("disk at {millions:.2} M batches"), disk as f64 / 1e6, "MB", None, "");
        sizes.push(Sized { millions, memory, disk: disk as f64 });
    }
    let (first, last) = (sizes.first().context("four sizes")?, sizes.last().context("four sizes")?);
    let per_million = |of: fn(&Sized) -> f64| (of(last) - of(first)) / (last.millions - first.millions) / 1e6;
    report.figure("memory per million batches", per_million(|size| size.memory), "MB", None, "");
    report.figure("disk per million batches", per_million(|size| size.disk), "MB", None, "");
    let runs = interleave(report, "cold start", RUNS, || Ok(start(folder.path(), &grown)?.cpu_seconds))?;
    report.figure(
        format!("cold start with {:.2} M batches", last.millions),
        runs.median(|run| run.sides),
        "CPU-s",
        Some(runs.median(|run| run.sides / run.sha256(GIBIBYTE))),
        "SHA-256 of 1 GiB",
    );
    Ok(())
}

/// Starts cold in another process, which must find exactly what was committed.
fn start(folder: &Path, grown: &Grown) -> Result<Started> {
    let path = folder.to_str().context("a temporary path is text")?;
    let said = Child::of_this_program(&[COLD_START, path])?.last_words()?;
    let started: Started = serde_json::from_str(&said)?;
    ensure!(
        started.batches == grown.batches(),
        "every batch is there again: {} of {}",
        started.batches,
        grown.batches()
    );
    ensure!(started.batches.is_multiple_of(BATCHES_AT_ONCE), "registrations are whole");
    ensure!(started.root == grown.state().root().to_string(), "the root is the one that was committed");
    Ok(started)
}

/// What the other process does: opens the chain, loads and verifies the state, and says what that took.
pub fn cold_start(folder: &str) -> Result<String> {
    let genesis = genesis()?;
    let before = CpuClock::now()?;
    let db = ChainDb::open(Path::new(folder), &genesis)?;
    let state = db.load_state(&genesis)?;
    let cpu_seconds = CpuClock::now()?.since(&before);
    let started = Started {
        cpu_seconds,
        batches: batches(&state),
        root: state.root().to_string(),
        memory_bytes: status_bytes("VmRSS:")?,
        memory_peak_bytes: status_bytes("VmHWM:")?,
    };
    Ok(serde_json::to_string(&started)?)
}

fn status_bytes(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("/proc/self/status names memory")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// Bytes of disk that a folder takes up.
fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // A block of `st_blocks` is 512 bytes, whatever the file system.
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
