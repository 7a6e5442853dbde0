//! JSON-RPC calls per CPU second of the server, against a bare hyper server that answers a constant body of the same size.
//!
//! Both servers are processes of their own, and only their CPU time is counted: the client's is not. The one is `holdfast
//! heavy` as anyone runs it, with its database, consensus and network, on a chain of 10,000 accounts. Client, connections
//! and wall time are the same for both, and the sides take turns. A batch is one request with many calls in it; its figure
//! counts calls, and stands beside the requests of the bare server for a single call.

use crate::bare::SERVE_BARE;
use crate::child::{Child, holdfast};
use crate::clock::CpuClock;
use crate::harness::{RUNS, Report, interleave};
use crate::load::{Request, load};
use anyhow::{Context as _, Result, ensure};
use holdfast_genesis::{GenesisFile, to_genesis};
use holdfast_primitives::limits::RPC_BATCH_CALLS_MAX;
use holdfast_primitives::{Address, Amount, Bounded, NetworkPrefix, sha256};
use holdfast_rpc::account::AccountView;
use holdfast_rpc::audit::RecordProofView;
use holdfast_rpc::chain::ChainStatus;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const ACCOUNTS: u32 = 10_000;
/// The account that is asked about.
const ASKED: u32 = 7_777;
const BATCHES: [u32; 3] = [20, 100, RPC_BATCH_CALLS_MAX];
/// How long one side is under load each time.
const LOAD: Duration = Duration::from_millis(1_000);

/// One call: what it asks, and whether an answer is right.
struct Call {
    name: &'static str,
    params: Value,
    check: fn(&Value) -> Result<()>,
}

/// Per CPU second: requests of the bare server, single calls, and calls in batches of each size.
struct Sides {
    bare: f64,
    single: f64,
    batches: Vec<f64>,
}

/// A server under load.
struct Server {
    process: Child,
    addr: SocketAddr,
}

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, bare) = (Server::node(folder.path())?, Server::bare()?);
    for call in calls()? {
        call.measure(report, &node, &bare)?;
    }
    Ok(())
}

/// The cheapest, a record by name, and a record with its Merkle proof.
fn calls() -> Result<[Call; 3]> {
    let asked = account(ASKED).to_text(NetworkPrefix::Devnet);
    Ok([
        Call { name: "chain_status", params: json!([]), check: is_status },
        Call { name: "account_get", params: json!([asked]), check: is_account },
        Call { name: "audit_record", params: json!([{ "table": "account", "number": ASKED }]), check: is_proof },
    ])
}

fn is_status(result: &Value) -> Result<()> {
    let status = ChainStatus::deserialize(result)?;
    ensure!(status.network == NetworkPrefix::Devnet && status.name == "bench", "it is the chain of this bench");
    Ok(())
}

fn is_account(result: &Value) -> Result<()> {
    let view = AccountView::deserialize(result)?;
    ensure!(view.address.address == account(ASKED) && view.raw.decode()?.balance == view.balance, "it is the account");
    Ok(())
}

fn is_proof(result: &Value) -> Result<()> {
    let view = RecordProofView::deserialize(result)?;
    view.proof.decode()?.verify(&view.state_root)?;
    ensure!(view.header.context("there is a block")?.decode()?.state_root == view.state_root, "the header says so");
    Ok(())
}

impl Call {
    fn measure(&self, report: &Report, node: &Server, bare: &Server) -> Result<()> {
        let name = self.name;
        let one = self.checked(node, &self.request(0).to_string(), |answer: Answer| answer.check(self))?;
        let bare_one = Request::post(&format!("/{}", one.1), &self.request(0).to_string(), one.1);
        let mut batches = Vec::new();
        for calls in BATCHES {
            let body = Value::Array((0..calls).map(|id| self.request(id)).collect()).to_string();
            let (request, _) = self.checked(node, &body, |answers: Vec<Answer>| {
                ensure!(answers.len() == calls as usize, "every call of a batch is answered");
                answers.iter().try_for_each(|answer| answer.check(self))
            })?;
            batches.push((calls, request));
        }
        let runs = interleave(report, &format!("rpc {name}"), RUNS, || {
            let bare = bare.calls_per_cpu_second(&bare_one, 1)?;
            let single = node.calls_per_cpu_second(&one.0, 1)?;
            let batch = |(calls, request): &(u32, Request)| node.calls_per_cpu_second(request, *calls);
            Ok(Sides { bare, single, batches: batches.iter().map(batch).collect::<Result<_>>()? })
        })?;
        let bytes = one.1;
        report.figure(
            format!("rpc bare hyper, body of {bytes} B"),
            runs.median(|run| run.sides.bare),
            "per CPU-s",
            None,
            "",
        );
        let figure = |kind: String, of: &dyn Fn(&Sides) -> f64| {
            let ratio = runs.median(|run| of(&run.sides) / run.sides.bare);
            let value = runs.median(|run| of(&run.sides));
            report.figure(format!("rpc {name}, {kind}"), value, "calls/CPU-s", Some(ratio), "bare hyper");
        };
        figure("single".into(), &|sides| sides.single);
        for (place, calls) in BATCHES.iter().enumerate() {
            figure(format!("batches of {calls}"), &|sides| sides.batches[place]);
        }
        Ok(())
    }

    fn request(&self, id: u32) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "method": self.name, "params": self.params })
    }

    /// The request, once an answer was found right, and the bytes of that answer.
    fn checked<T: DeserializeOwned>(
        &self,
        node: &Server,
        body: &str,
        check: impl FnOnce(T) -> Result<()>,
    ) -> Result<(Request, usize)> {
        let answer = Request::post("/", body, 0).once(node.addr)?;
        check(serde_json::from_slice(&answer)?).with_context(|| format!("the answer to {}", self.name))?;
        Ok((Request::post("/", body, answer.len()), answer.len()))
    }
}

/// One JSON-RPC response.
#[derive(Deserialize)]
struct Answer {
    result: Value,
}

impl Answer {
    fn check(&self, call: &Call) -> Result<()> {
        (call.check)(&self.result)
    }
}

impl Server {
    /// A heavy node with its first block made.
    fn node(folder: &std::path::Path) -> Result<Self> {
        let path = |name: &str| -> Result<String> {
            Ok(folder.join(name).to_str().context("a temporary path is text")?.to_owned())
        };
        let (program, genesis, dir) = (holdfast()?, path("genesis.toml")?, path("heavy")?);
        let words = ["--network", "devnet", "genesis", "new", "--name", "bench", "--out", &genesis, "--dir", &dir];
        let made = Command::new(&program).args(words).output()?;
        ensure!(made.status.success(), "genesis new failed: {}", String::from_utf8_lossy(&made.stderr));
        fund(&genesis)?;
        let words = ["--json", "heavy", "--dir", &dir, "--genesis", &genesis, "--rpc-listen", "127.0.0.1:0"];
        let mut process = Child::start(program, &words)?;
        let said: Value = serde_json::from_str(&process.line()?)?;
        let url = said["rpc"].as_str().context("a heavy node says where it listens")?;
        let addr = url.trim_start_matches("http://").parse()?;
        let node = Self { process, addr };
        node.wait_for_a_block()?;
        Ok(node)
    }

    fn bare() -> Result<Self> {
        let mut process = Child::of_this_program(&[SERVE_BARE])?;
        let addr = process.line()?.parse()?;
        Ok(Self { process, addr })
    }

    /// Calls answered per CPU second that the process spent meanwhile.
    fn calls_per_cpu_second(&self, request: &Request, calls: u32) -> Result<f64> {
        let before = CpuClock::of(self.process.id())?;
        let answers = load(self.addr, request, LOAD)?;
        Ok((answers * u64::from(calls)) as f64 / CpuClock::of(self.process.id())?.since(&before))
    }

    /// A proof comes with a header, which the genesis has not.
    fn wait_for_a_block(&self) -> Result<()> {
        let status = Request::post("/", r#"{"jsonrpc":"2.0","id":0,"method":"chain_status"}"#, 0);
        for _ in 0..600 {
            let answer: Answer = serde_json::from_slice(&status.once(self.addr)?)?;
            if ChainStatus::deserialize(&answer.result)?.height.get() > 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("the node made no block within a minute")
    }
}

/// Adds the accounts to a genesis file.
fn fund(path: &str) -> Result<()> {
    let mut genesis = to_genesis(&GenesisFile::parse(&std::fs::read_to_string(path)?)?)?;
    let accounts = (0..ACCOUNTS).map(|number| (account(number), Amount::hold(1_000))).collect();
    genesis.accounts = Bounded::new(accounts)?;
    Ok(std::fs::write(path, GenesisFile::from_genesis(&genesis).to_text()?)?)
}

/// An address that nobody has the key of.
fn account(number: u32) -> Address {
    Address::new(sha256(&number.to_le_bytes()))
}
