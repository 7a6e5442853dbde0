//! The further validators of a devnet: `holdfast heavy` processes on this machine that end with the one that started them.

use crate::failure::{Exit, Failure};
use holdfast_ledger::GenesisValidator;
use holdfast_network::NodeAddr;
use holdfast_node::NodeKeys;
use holdfast_primitives::{Address, Amount};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// What each validator of a devnet bonds.
const DEVNET_BOND: Amount = Amount::hold(1_000);

/// Where a validator of a devnet lives and listens.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its folder.
    pub dir: PathBuf,
    /// What the genesis lists.
    pub validator: GenesisValidator,
    /// Its socket for light nodes and for the gossip.
    pub udp: SocketAddr,
    /// Where its consensus listens.
    pub consensus: SocketAddr,
}

/// A validator that runs as a process of its own.
pub struct ValidatorProcess {
    child: Child,
    /// Closed, it tells the process to end; so does the death of this one.
    stdin: Option<ChildStdin>,
    /// Its account.
    pub address: Address,
    /// Where its JSON-RPC answers.
    pub rpc: String,
}

impl Seat {
    /// A seat in `dir` on free ports of the loopback interface; keys are made if they are missing.
    pub fn take(dir: PathBuf) -> Result<Self, Failure> {
        let keys = NodeKeys::load_or_create(&dir.join("keys")).map_err(Failure::other)?;
        let validator =
            GenesisValidator { address: keys.identity.address(), vrf: keys.vrf.public(), bond: DEVNET_BOND };
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // The sockets are closed again when this returns; nobody else is likely to be given the same ports so soon.
        let (udp, tcp) = (UdpSocket::bind(anywhere)?, TcpListener::bind(anywhere)?);
        Ok(Self { dir, validator, udp: udp.local_addr()?, consensus: tcp.local_addr()? })
    }

    /// How other heavy nodes reach it.
    pub fn node(&self) -> NodeAddr {
        NodeAddr::new(self.validator.address, vec![self.udp], None).expect("one address is within the limit")
    }

    /// Where its consensus listens, as a multiaddr.
    pub fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.consensus.ip(), self.consensus.port())
    }

    /// Starts it as a process that knows all `seats` and rule books up to `rule_book`. It may be asked once [`ValidatorProcess::ready`] returns.
    pub async fn start(
        &self,
        genesis: &Path,
        seats: &[Self],
        rule_book: u32,
        snapshot_interval: u64,
    ) -> Result<ValidatorProcess, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["heavy", "--json", "--until-stdin-closes", "--rpc-listen", "127.0.0.1:0", "--sync", "blocks"]);
        command.arg("--snapshot-interval").arg(snapshot_interval.to_string());
        command.arg("--dir").arg(&self.dir).arg("--genesis").arg(genesis);
        command.arg("--listen").arg(self.udp.to_string()).arg("--consensus-listen").arg(self.multiaddr());
        command.arg("--rule-book").arg(rule_book.to_string());
        for other in seats.iter().filter(|other| other.validator.address != self.validator.address) {
            command.arg("--peer").arg(other.node().to_string()).arg("--consensus-peer").arg(other.multiaddr());
        }
        std::fs::create_dir_all(&self.dir)?;
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (stdin, out) = (child.stdin.take(), child.stdout.take());
        let mut lines = BufReader::new(out.expect("the output is a pipe")).lines();
        let line = lines.next_line().await?.ok_or_else(|| self.failed())?;
        // Whoever reads no further would block the process once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let said: Value = serde_json::from_str(&line).map_err(Failure::other)?;
        let rpc = said["rpc"].as_str().ok_or_else(|| self.failed())?.to_owned();
        Ok(ValidatorProcess { child, stdin, address: self.validator.address, rpc })
    }

    fn failed(&self) -> Failure {
        let message = format!("the validator in {} did not start", self.dir.display());
        Failure::new(Exit::Failed, "validator", message).hint(format!("{} says why", self.dir.join("log").display()))
    }
}

impl ValidatorProcess {
    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Tells it to end and waits for that.
    pub async fn shutdown(mut self) {
        drop(self.stdin.take());
        let patience = std::time::Duration::from_secs(10);
        // One that does not listen is killed when `child` is dropped.
        let _ = tokio::time::timeout(patience, self.child.wait()).await;
    }
}
