//! What each stage costs by itself: the same functions on the same transactions, one after the other and alone in this
//! process. What the validator spent beyond their sum is the engine, HTTP, the runtime and the price of doing all at once.

use super::client::hex;
use super::network::Network;
use super::people::People;
use super::yardstick::{batch_verify_per_second, in_batches_of};
use crate::harness::{Report, measure};
use anyhow::{Context as _, Result, ensure};
use holdfast_ledger::{
    AdmittedTx, Applied, FullBlock, Proposer, SoundTx, State, TxEnvelope, build_block, check_block, sound,
};
use holdfast_node::{Mempool, MempoolLimits};
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, TX_BYTES_MAX};
use holdfast_primitives::{BlockHash, Bounded, Certificate, decode_exact};
use holdfast_rpc::HexBytes;
use holdfast_store::{ChainDb, CommitInput, Undecided};
use serde::Deserialize;
use std::time::Instant;

/// Payments of everybody: together they fit one block.
const EACH: u64 = 4;

/// One call as it is read.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    params: &'a serde_json::value::RawValue,
}

/// Figures go here, per transaction.
struct Ledger<'a> {
    report: &'a Report,
    txs: f64,
    verify: f64,
    sum: f64,
}

impl Ledger<'_> {
    /// Measures a stage that the validator passes once for every transaction.
    fn stage<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (cpu, value) = measure(work)?;
        self.sum += self.tell(name, cpu);
        Ok(value)
    }

    fn tell(&self, name: &str, cpu: f64) -> f64 {
        let each = cpu * 1e6 / self.txs;
        let name = format!("transfers, alone: {name}");
        self.report.figure(name, each, "CPU-us/tx", Some(each / self.verify), "batch verification of one");
        each
    }
}

pub fn run(report: &Report, network: &Network, people: &People, whole: f64) -> Result<()> {
    let genesis = &network.genesis;
    let payments = people.payments(genesis, 0, EACH)?;
    let texts: Vec<String> = payments.iter().map(call).collect();
    let txs = payments.len();
    let yardstick = batch_verify_per_second()?;
    let mut ledger = Ledger { report, txs: txs as f64, verify: 1e6 / yardstick, sum: 0.0 };
    let (folder, state) = (tempfile::tempdir()?, State::genesis(genesis)?);
    let (db, keys) = (ChainDb::open(&folder.path().join("chain"), genesis)?, network.keys(0)?);
    let time = genesis.time.saturating_add(1);

    for batch in [64, 1_024] {
        let value = in_batches_of(batch)?;
        let name = format!("transfers: yardstick in batches of {batch}");
        report.figure(name, value, "per CPU-s", Some(value / yardstick), "batches of 256");
    }
    let envelopes = ledger.stage("JSON, hexadecimal, decoding", || texts.iter().map(|text| read(text)).collect())?;
    let sounds = ledger.stage("signatures, ids and leaves", || admitted_by_themselves(&state, envelopes))?;
    let mut pool = Mempool::new(MempoolLimits::default());
    ledger.stage("mempool, in", || sounds.into_iter().try_for_each(|tx| Ok(pool.insert(&state, tx).map(drop)?)))?;
    let candidates: Vec<AdmittedTx> = ledger.stage("mempool, candidates", || Ok(pool.candidates(BLOCK_BYTES_MAX)))?;
    ensure!(candidates.len() == txs, "all of them fit one block");
    let proposer = Proposer { address: keys.identity.address(), vrf: &keys.vrf };
    let built = ledger.stage("execute, state root, events root, header", || {
        let candidates = candidates.into_iter();
        Ok(build_block(&state, BlockHash::ZERO, candidates, proposer, time, BLOCK_BYTES_MAX))
    })?;
    ensure!(built.checked.full().block.txs.len() == txs, "all of them are in the block");
    let bytes = ledger.stage("encode the block", || Ok(borsh::to_vec(built.checked.full())?))?;
    let (hash, header) = (built.checked.hash(), built.checked.header().clone());
    ledger.stage("database, the proposal", || {
        let kept = Undecided { height: header.height, round: 0, block: hash, bytes: bytes.clone() };
        Ok(db.save_undecided(kept)?)
    })?;
    let Applied { .. } = commit(&mut ledger, &db, built.checked.apply())?;
    let after = db.load_state(genesis)?;
    ensure!(after.root() == header.state_root, "the state on disk has the root in the header");
    let included: Vec<_> = payments.iter().map(|payment| payment.signed.id()).collect();
    ledger.stage("mempool, out", || {
        pool.committed(&after, included, &[]);
        Ok(())
    })?;
    ensure!(pool.is_empty(), "nothing waits any more");
    let (sum, rest) = (ledger.sum, whole - ledger.sum);
    report.figure("transfers, alone: sum of these stages", sum, "CPU-us/tx", Some(sum / whole), "the validator's");
    report.figure(
        "transfers: engine, HTTP, runtime and the rest",
        rest,
        "CPU-us/tx",
        Some(rest / whole),
        "the validator's",
    );
    as_voter(&ledger, &state, &bytes, yardstick)
}

fn commit(ledger: &mut Ledger<'_>, db: &ChainDb, applied: Applied) -> Result<Applied> {
    let height = applied.state.chain().height;
    let certificate = Certificate { height, round: 0, block: applied.hash, signatures: Bounded::empty() };
    ledger.stage("database, the commit", || {
        db.commit(CommitInput { applied: &applied, certificate: &certificate, evidence: &[] })?;
        Ok(applied)
    })
}

/// What somebody else's block costs who has none of its transactions.
fn as_voter(ledger: &Ledger<'_>, state: &State, bytes: &[u8], yardstick: f64) -> Result<()> {
    let decode = || -> Result<FullBlock> { Ok(decode_exact(bytes, BLOCK_BYTES_MAX)?) };
    let (cpu, full) = measure(decode)?;
    ledger.tell("voter: decode a block", cpu);
    let (cpu, checked) = measure(|| Ok(full.check_commitments()?))?;
    ledger.tell("voter: header against contents", cpu);
    let ((), now) = (checked, full.block.header.time);
    let started = Instant::now();
    let (cpu, checked) = measure(|| Ok(check_block(state, BlockHash::ZERO, full, now)?))?;
    let wall = started.elapsed().as_secs_f64();
    ensure!(checked.header().height == state.chain().height.next(), "it is the next block");
    ledger.tell("voter: check a block, signatures included", cpu);
    let per_second = ledger.txs / wall;
    let name = "transfers: check a block of strangers' transfers, wall";
    report_ratio(ledger.report, name, per_second, per_second / (2.0 * yardstick));
    Ok(())
}

fn report_ratio(report: &Report, name: &str, per_second: f64, ratio: f64) {
    report.figure(name, per_second, "per s", Some(ratio), "batch verification on two cores");
}

fn admitted_by_themselves(state: &State, envelopes: Vec<TxEnvelope>) -> Result<Vec<SoundTx>> {
    let verdicts = sound(state.params(), &state.chain().chain, envelopes);
    Ok(verdicts.into_iter().collect::<Result<Vec<_>, _>>()?)
}

fn call(tx: &TxEnvelope) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tx_submit","params":["{}"]}}"#, hex(tx))
}

fn read(text: &str) -> Result<TxEnvelope> {
    let call: Call<'_> = serde_json::from_str(text)?;
    let (HexBytes(bytes),) = serde_json::from_str(call.params.get())?;
    decode_exact(&bytes, TX_BYTES_MAX).context("what was encoded decodes")
}
