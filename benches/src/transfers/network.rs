//! Validators as processes on this machine, with funded people in their genesis.

use super::people::People;
use crate::child::{Child, holdfast};
use crate::load::Request;
use anyhow::{Context as _, Result, ensure};
use holdfast_genesis::{GenesisFile, to_genesis};
use holdfast_ledger::Genesis;
use holdfast_network::NodeAddr;
use holdfast_node::NodeKeys;
use holdfast_primitives::{Amount, Bounded};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What everybody starts with.
pub const FUNDED: Amount = Amount::hold(1_000);

/// Where a validator lives and listens.
struct Seat {
    dir: PathBuf,
    node: NodeAddr,
    multiaddr: String,
}

/// A running validator.
pub struct Validator {
    process: Child,
    pub rpc: SocketAddr,
}

/// All of them.
pub struct Network {
    pub genesis: Genesis,
    genesis_file: PathBuf,
    seats: Vec<Seat>,
    pub validators: Vec<Option<Validator>>,
}

impl Network {
    /// Starts `count` validators that make a block every `interval_ms` while there is work.
    pub fn start(folder: &Path, count: usize, interval_ms: u64, people: &[&People]) -> Result<Self> {
        let mut validators = Vec::new();
        let mut genesis = None;
        for number in 0..count {
            let made = made(folder, number)?;
            validators.extend(made.validators.iter().cloned());
            genesis.get_or_insert(made);
        }
        let mut genesis = genesis.context("a network has a validator")?;
        genesis.validators = Bounded::new(validators)?;
        let funded = people.iter().flat_map(|people| people.addresses()).map(|address| (address, FUNDED));
        genesis.accounts = Bounded::new(funded.collect())?;
        genesis.params.block_interval_ms = interval_ms;
        let genesis_file = folder.join("genesis.toml");
        std::fs::write(&genesis_file, GenesisFile::from_genesis(&genesis).to_text()?)?;
        let genesis = to_genesis(&GenesisFile::parse(&std::fs::read_to_string(&genesis_file)?)?)?;
        let seats = (0..count).map(|number| Seat::take(dir(folder, number))).collect::<Result<Vec<_>>>()?;
        let mut network = Self { genesis, genesis_file, seats, validators: (0..count).map(|_| None).collect() };
        for number in 0..count {
            network.start_one(number)?;
        }
        Ok(network)
    }

    /// Starts one validator; it answers on return.
    pub fn start_one(&mut self, number: usize) -> Result<()> {
        let (seat, text) =
            (&self.seats[number], |path: &Path| path.to_str().map(str::to_owned).context("a path is text"));
        let mut words: Vec<String> = ["--json", "heavy", "--rpc-listen", "127.0.0.1:0"].map(str::to_owned).into();
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--dir", text(&seat.dir)?);
        option("--genesis", text(&self.genesis_file)?);
        option("--listen", seat.node.direct.first().context("a seat has an address")?.to_string());
        option("--consensus-listen", seat.multiaddr.clone());
        for other in self.seats.iter().filter(|other| other.node.id != seat.node.id) {
            option("--peer", other.node.to_string());
            option("--consensus-peer", other.multiaddr.clone());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut process = Child::start(holdfast()?, &words)?;
        let said: Value = serde_json::from_str(&process.line()?)?;
        let rpc = said["rpc"].as_str().context("a heavy node says where it listens")?;
        self.validators[number] = Some(Validator { process, rpc: rpc.trim_start_matches("http://").parse()? });
        Ok(())
    }

    /// Kills one validator.
    pub fn kill(&mut self, number: usize) {
        self.validators[number] = None;
    }

    /// One that runs.
    pub fn validator(&self, number: usize) -> Result<&Validator> {
        self.validators[number].as_ref().context("it was started")
    }

    /// Its keys, to build blocks as it would.
    pub fn keys(&self, number: usize) -> Result<NodeKeys> {
        Ok(NodeKeys::load_or_create(&self.seats[number].dir.join("keys"))?)
    }

    /// Asks every person's account and compares what is left and how often it paid.
    pub fn check_accounts(&self, people: &People, left: Amount, sequence: u64) -> Result<()> {
        let prefix = self.genesis.params.prefix;
        let addresses: Vec<String> = people.addresses().map(|address| address.to_text(prefix)).collect();
        for asked in addresses.chunks(500) {
            let calls = asked.iter().enumerate().map(
                |(id, address)| json!({ "jsonrpc": "2.0", "id": id, "method": "account_get", "params": [address] }),
            );
            let request = Request::post("/", &Value::Array(calls.collect()).to_string(), 0);
            let answers: Vec<Value> = serde_json::from_slice(&request.once(self.validator(0)?.rpc)?)?;
            for answer in answers {
                let account = &answer["result"];
                let found = (account["balance"].as_str().map(str::to_owned), account["sequence"].as_u64());
                ensure!(
                    found == (Some(left.get().to_string()), Some(sequence)),
                    "an account has {answer}, not {left} after {sequence} payments"
                );
            }
        }
        Ok(())
    }
}

impl Validator {
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Seat {
    fn take(dir: PathBuf) -> Result<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // Closed again on return; nobody else is likely to be given the same ports so soon.
        let (udp, tcp) = (UdpSocket::bind(anywhere)?, TcpListener::bind(anywhere)?);
        let keys = NodeKeys::load_or_create(&dir.join("keys"))?;
        let node = NodeAddr::new(keys.identity.address(), vec![udp.local_addr()?], None)?;
        Ok(Self { dir, node, multiaddr: format!("/ip4/127.0.0.1/tcp/{}", tcp.local_addr()?.port()) })
    }
}

fn dir(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("heavy-{number}"))
}

/// A genesis whose validator is this one alone, by the real command: it makes the keys.
fn made(folder: &Path, number: usize) -> Result<Genesis> {
    let out = folder.join(format!("genesis-{number}.toml"));
    let made = Command::new(holdfast()?)
        .args(["--network", "devnet", "genesis", "new", "--name", "bench", "--out"])
        .arg(&out)
        .arg("--dir")
        .arg(dir(folder, number))
        .output()?;
    ensure!(made.status.success(), "genesis new failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok(to_genesis(&GenesisFile::parse(&std::fs::read_to_string(out)?)?)?)
}
