//! Four validators, four processes on the same two processors: how fast, how soon a payment is final, how fast a node that
//! was away catches up, and what each keeps in memory.

use super::client::{Driven, IN_FLIGHT, Orders, finality, standing};
use super::network::{FUNDED, Network};
use super::people::{People, left_over};
use super::yardstick::batch_verify_per_second;
use crate::clock::CpuClock;
use crate::harness::Report;
use crate::put::peak_of;
use anyhow::{Context as _, Result, ensure};
use holdfast_ledger::TxEnvelope;
use std::time::{Duration, Instant};

const VALIDATORS: usize = 4;
const PEOPLE: u32 = 2_048;
/// Payments of everybody while all validators run, and while one is away.
const EACH: u64 = 20;
const EACH_AWAY: u64 = 15;
/// People who pay once in a while and wait for it, and how often each does.
const WAITERS: u32 = 8;
const WAITS: u64 = 12;
const WARM_UP: usize = 3;
/// Connections that hand in.
const CONNECTIONS: usize = 8;
/// Transactions in flight while one is away: few, so that there are many blocks.
const IN_FLIGHT_AWAY: u64 = 2_000;
const INTERVAL_MS: u64 = 250;
const CORES: f64 = 2.0;
/// How long a node may take to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (people, waiters) = (People::new(0..PEOPLE), People::new(PEOPLE..PEOPLE + WAITERS));
    let mut network = Network::start(folder.path(), VALIDATORS, INTERVAL_MS, &[&people, &waiters])?;
    quiet(report, &network, &waiters)?;
    let payments = people.payments(&network.genesis, 0, EACH)?;
    let left = left_over(FUNDED, &payments[0], EACH)?;
    under_load(report, &network, Orders::write(&payments, people.len(), CONNECTIONS))?;
    network.check_accounts(&people, left, EACH)?;
    memory(report, &network)?;
    let payments = people.payments(&network.genesis, EACH, EACH + EACH_AWAY)?;
    catch_up(report, &mut network, Orders::write(&payments, people.len(), CONNECTIONS))
}

fn name(what: &str) -> String {
    format!("transfers, four validators: {what}")
}

/// A payment now and then on an idle network.
fn quiet(report: &Report, network: &Network, waiters: &People) -> Result<()> {
    let payments = waiters.payments(&network.genesis, 0, WAITS)?;
    let own = |waiter: usize| payments.iter().skip(waiter).step_by(waiters.len()).cloned().collect();
    let rpc = network.validator(0)?.rpc;
    let mut own: Vec<Vec<TxEnvelope>> = (0..waiters.len()).map(own).collect();
    // The first ones find validators that do not know each other yet.
    let first = own.iter_mut().map(|own| own.drain(..WARM_UP).collect()).collect();
    finality(rpc, first)?;
    let (before, started) = (standing(rpc)?.height, Instant::now());
    let took = finality(rpc, own)?;
    let blocks = standing(rpc)?.height - before;
    let interval = started.elapsed().as_secs_f64() * 1e3 / blocks as f64;
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    report.figure(
        name("block interval, a few payments"),
        interval,
        "ms",
        Some(interval / INTERVAL_MS as f64),
        "the genesis's",
    );
    report.figure(name("final after, half of them"), at(0.5), "ms", None, "");
    report.figure(name("final after, 99 of 100"), at(0.99), "ms", None, "");
    Ok(())
}

fn under_load(report: &Report, network: &Network, orders: Orders) -> Result<()> {
    let txs = orders.txs() as f64;
    let validators: Vec<_> = (0..VALIDATORS).map(|number| network.validator(number)).collect::<Result<_>>()?;
    let spent = || validators.iter().map(|one| CpuClock::of(one.pid())).collect::<Result<Vec<_>>>();
    let yardstick = batch_verify_per_second()?;
    let before = spent()?;
    let Driven { wall, blocks } = orders.drive(validators[0].rpc, IN_FLIGHT)?;
    let cpu: Vec<f64> = spent()?.iter().zip(&before).map(|(now, before)| now.since(before)).collect();
    let per_second = txs / wall.as_secs_f64();
    let ratio = per_second / (CORES * yardstick);
    report.figure(
        name("client to durable block, wall"),
        per_second,
        "per s",
        Some(ratio),
        "batch verification on two cores",
    );
    report.figure(name("block interval under load"), wall.as_secs_f64() * 1e3 / blocks as f64, "ms", None, "");
    report.figure(name("transactions per block"), txs / blocks as f64, "", None, "");
    let (asked, others) = (cpu[0], cpu[1..].iter().sum::<f64>() / (VALIDATORS - 1) as f64);
    for (what, seconds) in [("the validator that is asked", asked), ("each of the others", others)] {
        let each = seconds * 1e6 / txs;
        report.figure(name(what), each, "CPU-us/tx", Some(each * yardstick / 1e6), "batch verification of one");
    }
    Ok(())
}

fn memory(report: &Report, network: &Network) -> Result<()> {
    let mut peaks = (0..VALIDATORS)
        .map(|number| Ok(peak_of(network.validator(number)?.pid()).context("a validator runs")? as f64 / 1e6))
        .collect::<Result<Vec<f64>>>()?;
    peaks.sort_by(f64::total_cmp);
    report.figure(name("peak memory, the smallest"), peaks[0], "MB", None, "");
    report.figure(name("peak memory, the largest"), peaks[VALIDATORS - 1], "MB", None, "");
    Ok(())
}

/// Kills the last validator, makes blocks without it and starts it again: from the start of its process until it has them.
fn catch_up(report: &Report, network: &mut Network, orders: Orders) -> Result<()> {
    let away = VALIDATORS - 1;
    network.kill(away);
    let rpc = network.validator(0)?.rpc;
    let before = standing(rpc)?;
    orders.drive(rpc, IN_FLIGHT_AWAY)?;
    let after = standing(rpc)?;
    let started = Instant::now();
    network.start_one(away)?;
    let restarted = network.validator(away)?;
    while standing(restarted.rpc)?.height < after.height {
        ensure!(started.elapsed() < PATIENCE, "the validator that was away does not catch up");
        std::thread::sleep(Duration::from_millis(5));
    }
    let wall = started.elapsed().as_secs_f64();
    let (blocks, bytes) = (after.height - before.height, after.bytes - before.bytes);
    report.figure(name("caught up after a restart, blocks"), blocks as f64, "blocks", None, "");
    report.figure(name("caught up in, start of the process included"), wall, "s", None, "");
    report.figure(name("catching up"), blocks as f64 / wall, "blocks/s", None, "");
    report.figure(name("catching up, bytes"), bytes as f64 / 1e6 / wall, "MB/s", None, "");
    Ok(())
}
