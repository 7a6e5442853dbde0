//! What idle children cost a heavy node: memory of each, and CPU while nothing happens but pings.
//!
//! The heavy node is the program itself, a devnet of one; children are other processes with endpoints of their own on real
//! sockets, so that memory and time of the heavy node's process are its own. By difference: the node alone, then with its
//! children. To be within: 200 MB and well under one core for 1,000 children.

use crate::child::{Child, holdfast};
use crate::clock::CpuClock;
use crate::harness::Report;
use anyhow::{Context as _, Result, ensure};
use holdfast_network::control::{ControlClient, ControlError, Reach};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::SystemClock;
use holdfast_network::wire::Role;
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{ChainId, SecretKey};
use holdfast_rpc::RpcClient;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The hidden argument of a process of children.
pub const CHILDREN: &str = "--child-children";
const IDLE_CHILDREN: u32 = 1_000;
const PROCESSES: u32 = 4;
/// For how long the node is watched at rest.
const WATCHED: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(30);

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().display().to_string();
    let words = ["devnet", "--json", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--holders", "0", "--round", "4h"];
    let mut heavy = Child::start(holdfast()?, &words)?;
    let said: serde_json::Value = serde_json::from_str(&heavy.line()?)?;
    let (rpc, node) = (said["rpc"].as_str().context("it says where it answers")?, said["node"].as_str());
    let (rpc, node) = (rpc.to_owned(), node.context("it says how it is reached")?.to_owned());
    let runtime = tokio::runtime::Runtime::new()?;
    let client = RpcClient::connect(&rpc)?;
    let chain = runtime.block_on(client.chain_status())?.chain.to_string();
    let alone = Rest::watch(heavy.id())?;

    let mut crowd = Vec::new();
    for number in 0..PROCESSES {
        let (number, count) = (number.to_string(), (IDLE_CHILDREN / PROCESSES).to_string());
        crowd.push(Child::of_this_program(&[CHILDREN, &node, &chain, &number, &count])?);
    }
    for process in &mut crowd {
        ensure!(process.line()? == "online", "all of its children are online");
    }
    let children = || runtime.block_on(client.market_node()).map(|node| node.children);
    ensure!(children()? == IDLE_CHILDREN, "{} of {IDLE_CHILDREN} children", children()?);
    let crowded = Rest::watch(heavy.id())?;
    ensure!(children()? == IDLE_CHILDREN, "nobody was lost while it was watched");

    let memory = (crowded.memory_bytes - alone.memory_bytes) / 1e6;
    report.figure("heavy node alone", alone.memory_bytes / 1e6, "MB", None, "");
    report.figure("heavy node with 1,000 idle children", crowded.memory_bytes / 1e6, "MB", None, "");
    report.figure("memory of 1,000 idle children", memory, "MB", None, "");
    report.figure("memory of one idle child", memory * 1e3 / f64::from(IDLE_CHILDREN), "kB", None, "");
    report.figure("CPU at rest, alone", alone.cores, "cores", None, "");
    report.figure("CPU at rest, 1,000 children", crowded.cores, "cores", None, "");
    Ok(())
}

/// A process at rest.
struct Rest {
    memory_bytes: f64,
    /// CPU seconds per second.
    cores: f64,
}

impl Rest {
    fn watch(pid: u32) -> Result<Self> {
        let (before, since) = (CpuClock::of(pid)?, Instant::now());
        std::thread::sleep(WATCHED);
        let cores = CpuClock::of(pid)?.since(&before) / since.elapsed().as_secs_f64();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it names its memory")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(Self { memory_bytes: kibibytes * 1024.0, cores })
    }
}

/// A process of children: connects them, says so, and keeps each pinging until its input closes.
pub fn serve(words: &[&str]) -> Result<()> {
    let [node, chain, process, count] = words else { anyhow::bail!("four words are needed") };
    let (node, chain): (NodeAddr, ChainId) = (node.parse()?, chain.parse()?);
    let (process, count): (u32, u32) = (process.parse()?, count.parse()?);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let mut sessions = JoinSet::new();
        for number in 0..count {
            let mut seed = [9; 32];
            seed[..4].copy_from_slice(&(process * 100_000 + number).to_le_bytes());
            let config = QuicConfig { accept: Vec::new(), ..QuicConfig::loopback(SecretKey::from_seed(seed)) };
            let endpoint: Arc<dyn Endpoint> = Arc::new(QuicEndpoint::bind(config).await?);
            let reach = Reach::new(endpoint, chain, Arc::new(SystemClock), Role::Owner);
            let session = reach.connect(&node).await?;
            sessions.spawn(keep_asking(reach, session));
        }
        report_online()?;
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()));
        tokio::select! {
            ended = ended => drop(ended?),
            Some(lost) = sessions.join_next() => return Err(lost?.into()),
        }
        Ok(())
    })
}

/// Asks the parent whether it is there, as an idle child does, until it is not.
async fn keep_asking(reach: Reach, session: ControlClient) -> ControlError {
    loop {
        if let Err(lost) = session.ping(ANSWER).await {
            return lost;
        }
        tokio::time::sleep(reach.timing.ping_every).await;
    }
}

#[expect(clippy::print_stdout, reason = "the process that started this one waits for the word")]
fn report_online() -> Result<()> {
    println!("online");
    Ok(std::io::stdout().flush()?)
}
