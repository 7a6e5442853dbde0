//! How a new node comes to a state of a million batches: by a snapshot and by blocks, side by side.
//!
//! Both do in one process what two nodes do, without the network between them: the one that helps reads and encodes, the
//! one that joins decodes, verifies, writes and opens what it wrote. So a figure is the CPU time of both ends together.

use crate::clock::CpuClock;
use crate::grown::{Grown, batches, genesis};
use crate::harness::{Report, interleave};
use anyhow::{Context as _, Result, ensure};
use holdfast_ledger::{
    CHUNK_BYTES_MAX, CheckedManifest, Chunk, ChunkAsk, FullBlock, ListIndex, MANIFEST_BYTES_MAX, Manifest, State,
    Trusted, check_block,
};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Height, decode_exact};
use holdfast_store::{ChainDb, CommitInput, Joining, Target};
use std::path::Path;
use std::time::Instant;

const BATCHES: u64 = 1_000_000;
const RUNS: usize = 3;
const GIBIBYTE: f64 = 1_073_741_824.0;

/// What one way took.
struct Way {
    cpu_seconds: f64,
    wall_seconds: f64,
    bytes: u64,
}

struct Ways {
    snapshot: Way,
    blocks: Way,
    count: u64,
}

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("source");
    let mut grown = Grown::start(&source)?;
    grown.grow_to(&source, BATCHES)?;
    let db = ChainDb::open(&source, &genesis()?)?;
    let runs = interleave(report, "join", RUNS, || {
        let here = tempfile::tempdir_in(folder.path())?;
        let snapshot = timed(|| by_snapshot(&db, grown.state(), here.path()))?;
        let blocks = timed(|| by_blocks(&db, grown.state(), &here.path().join("blocks")))?;
        Ok(Ways { snapshot, blocks, count: db.tip().height.get() })
    })?;
    let millions = batches(grown.state()) as f64 / 1e6;
    let way = |name: &str, of: fn(&Ways) -> &Way| {
        let cpu = runs.median(|run| of(&run.sides).cpu_seconds);
        let ratio = runs.median(|run| of(&run.sides).cpu_seconds / run.sha256(GIBIBYTE));
        report.figure(format!("{name}, {millions:.2} M batches"), cpu, "CPU-s", Some(ratio), "SHA-256 of 1 GiB");
        report.figure(format!("{name}: wall"), runs.median(|run| of(&run.sides).wall_seconds), "s", None, "");
        report.figure(format!("{name}: bytes"), runs.median(|run| of(&run.sides).bytes as f64) / 1e6, "MB", None, "");
        let rate = runs.median(|run| of(&run.sides).bytes as f64 / of(&run.sides).cpu_seconds);
        report.figure(format!("{name}: rate"), rate / 1e6, "MB/CPU-s", None, "");
    };
    way("join by snapshot", |ways| &ways.snapshot);
    way("join by blocks", |ways| &ways.blocks);
    let rate = runs.median(|run| run.sides.count as f64 / run.sides.blocks.cpu_seconds);
    report.figure("join by blocks: rate in blocks of 6,000 batches", rate, "blocks/CPU-s", None, "");
    Ok(())
}

fn timed(way: impl FnOnce() -> Result<u64>) -> Result<Way> {
    let (cpu, wall) = (CpuClock::now()?, Instant::now());
    let bytes = way()?;
    Ok(Way { cpu_seconds: CpuClock::now()?.since(&cpu), wall_seconds: wall.elapsed().as_secs_f64(), bytes })
}

/// Bytes that travelled.
fn by_snapshot(db: &ChainDb, state: &State, folder: &Path) -> Result<u64> {
    let genesis = genesis()?;
    let tip = db.tip().height;
    let (block, certificate) = (db.block(tip)?.context("the tip")?, db.certificate(tip)?.context("the tip's")?);
    let sent = borsh::to_vec(&Manifest::new(state, block, certificate))?;
    let mut bytes = sent.len() as u64;
    let trusted = Trusted::genesis(&genesis)?;
    let manifest = decode_exact::<Manifest>(&sent, MANIFEST_BYTES_MAX)?.check(&trusted, &genesis.params)?;
    let joining = Joining::open(&folder.join("chain.joining"), &genesis)?;
    joining.plan(Target { block: manifest.trusted().hash, at_lists: false }, &manifest.vector_asks())?;
    bytes += fetch(&joining, &manifest, &ListIndex::default(), state)?;
    let lists = joining.lists()?;
    joining.plan(Target { block: manifest.trusted().hash, at_lists: true }, &manifest.list_asks(&lists))?;
    bytes += fetch(&joining, &manifest, &lists, state)?;
    joining.finish(&genesis, &manifest, &[], (Height::GENESIS, &trusted.validators))?;
    let chain = folder.join("chain");
    joining.install(&chain)?;
    arrived(&ChainDb::open(&chain, &genesis)?, state)?;
    Ok(bytes)
}

fn fetch(joining: &Joining, manifest: &CheckedManifest, lists: &ListIndex, state: &State) -> Result<u64> {
    let mut bytes = 0;
    for (number, ask) in joining.asks()? {
        let mut next: Option<ChunkAsk> = Some(ask);
        while let Some(ask) = next {
            let sent = borsh::to_vec(&state.chunk(&ask).context("the state has what is asked for")?)?;
            bytes += sent.len() as u64;
            let verified = manifest.verify_chunk(lists, &ask, decode_exact::<Chunk>(&sent, CHUNK_BYTES_MAX)?)?;
            joining.take(number, &verified.diff, verified.next.as_ref())?;
            next = verified.next;
        }
    }
    Ok(bytes)
}

fn by_blocks(source: &ChainDb, state: &State, folder: &Path) -> Result<u64> {
    let genesis = genesis()?;
    let db = ChainDb::open(folder, &genesis)?;
    let (mut here, mut bytes) = (db.load_state(&genesis)?, 0);
    for height in (1..=source.tip().height.get()).map(Height::new) {
        let (full, certificate) = source.decided(height)?.context("every block is whole")?;
        let sent = borsh::to_vec(&full)?;
        bytes += sent.len() as u64;
        let full: FullBlock = decode_exact(&sent, 2 * BLOCK_BYTES_MAX)?;
        certificate.verify(&genesis.chain_id(), &here.chain().validators)?;
        let latest = full.block.header.time;
        let applied = check_block(&here, db.tip().hash, full, latest)?.apply();
        db.commit(CommitInput { applied: &applied, certificate: &certificate, evidence: &[] })?;
        here = applied.state;
    }
    arrived(&db, state)?;
    Ok(bytes)
}

/// Opens the state as a start does: both ways end with it.
fn arrived(db: &ChainDb, state: &State) -> Result<()> {
    ensure!(db.load_state(&genesis()?)?.root() == state.root(), "the state is the one it was taken from");
    Ok(())
}
