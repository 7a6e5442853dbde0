//! One validator: how fast, and where the time goes.

use super::client::{Driven, IN_FLIGHT, Orders};
use super::network::{FUNDED, Network};
use super::people::{People, left_over};
use super::stages;
use super::threads::{Kind, Threads};
use super::yardstick::batch_verify_per_second;
use crate::clock::CpuClock;
use crate::harness::{Report, median};
use anyhow::Result;
use std::collections::BTreeMap;

const PEOPLE: u32 = 4_096;
/// Payments of everybody in one run.
const EACH: u64 = 80;
const RUNS: u64 = 3;
/// Connections that hand in: as many as keep both processors busy.
const CONNECTIONS: usize = 32;
/// Shortest time between two blocks.
const INTERVAL_MS: u64 = 100;
/// Processors that client and validator share.
const CORES: f64 = 2.0;

/// One run, per transaction in microseconds of a processor where nothing else is said.
struct Run {
    per_second: f64,
    txs_per_block: f64,
    yardstick: f64,
    client: f64,
    server: f64,
    kinds: BTreeMap<Kind, f64>,
}

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let people = People::new(0..PEOPLE);
    let network = Network::start(folder.path(), 1, INTERVAL_MS, &[&people])?;
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let payments = people.payments(&network.genesis, number * EACH, (number + 1) * EACH)?;
        let left = left_over(FUNDED, &payments[0], (number + 1) * EACH)?;
        runs.push(measured(&network, Orders::write(&payments, people.len(), CONNECTIONS))?);
        network.check_accounts(&people, left, (number + 1) * EACH)?;
    }
    let of = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of).collect());
    let ratio = of(&|run| run.per_second / (CORES * run.yardstick));
    let name = |what: &str| format!("transfers, one validator: {what}");
    report.figure(name("yardstick, batch verification"), of(&|run| run.yardstick), "per CPU-s", None, "");
    report.figure(
        name("client to durable block, wall"),
        of(&|run| run.per_second),
        "per s",
        Some(ratio),
        "batch verification on two cores",
    );
    // What both processors would do if nothing else ran on them.
    let of_cpu = |run: &Run| CORES * 1e6 / (run.client + run.server);
    report.figure(
        name("client to durable block, by CPU time"),
        of(&of_cpu),
        "per s",
        Some(of(&|run| of_cpu(run) / (CORES * run.yardstick))),
        "batch verification on two cores",
    );
    report.figure(name("transactions per block"), of(&|run| run.txs_per_block), "", None, "");
    let verify = |run: &Run| 1e6 / run.yardstick;
    let figure = |what: &str, of_run: &dyn Fn(&Run) -> f64| {
        let ratio = of(&|run| of_run(run) / verify(run));
        report.figure(name(what), of(of_run), "CPU-us/tx", Some(ratio), "batch verification of one");
    };
    figure("client", &|run| run.client);
    figure("validator, in all", &|run| run.server);
    for (what, kind) in [
        ("  workers (HTTP, JSON, engine)", Kind::Worker),
        ("  blocking (pool, blocks, writes)", Kind::Blocking),
        ("  shared (signatures, wide hashing)", Kind::Shared),
        ("  database's own (sorting, merging)", Kind::Database),
    ] {
        figure(what, &|run| run.kinds.get(&kind).copied().unwrap_or(0.0));
    }
    stages::run(report, &network, &people, of(&|run| run.server))
}

fn measured(network: &Network, orders: Orders) -> Result<Run> {
    let (txs, validator) = (orders.txs() as f64, network.validator(0)?);
    let workers = std::thread::available_parallelism()?.get();
    let before = batch_verify_per_second()?;
    let threads = Threads::of(validator.pid(), workers)?;
    let (server, client) = (CpuClock::of(validator.pid())?, CpuClock::now()?);
    let Driven { wall, blocks } = orders.drive(validator.rpc, IN_FLIGHT)?;
    let client = CpuClock::now()?.since(&client);
    let server = CpuClock::of(validator.pid())?.since(&server);
    let kinds = Threads::of(validator.pid(), workers)?.since(&threads);
    let yardstick = (before + batch_verify_per_second()?) / 2.0;
    let each = |seconds: f64| seconds * 1e6 / txs;
    Ok(Run {
        per_second: txs / wall.as_secs_f64(),
        txs_per_block: txs / blocks as f64,
        yardstick,
        client: each(client),
        server: each(server),
        kinds: kinds.into_iter().map(|(kind, seconds)| (kind, each(seconds))).collect(),
    })
}
