//! The heavy nodes of a devnet: where each lives and listens, and those after the first as processes of their own.

use crate::failure::Failure;
use crate::services::part::Part;
use holdfast_ledger::GenesisValidator;
use holdfast_network::NodeAddr;
use holdfast_node::NodeKeys;
use holdfast_primitives::{Address, Amount};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// What each heavy node of a devnet bonds.
const DEVNET_BOND: Amount = Amount::hold(1_000);

/// Where a heavy node of a devnet lives and listens.
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

/// A heavy node that runs as a process of its own.
pub struct HeavyProcess {
    /// The process.
    pub part: Part,
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

    /// Starts it as a process that knows all `seats` and rule books up to `rule_book`.
    pub async fn start(
        &self,
        genesis: &Path,
        seats: &[Self],
        rule_book: u32,
        snapshot_interval: u64,
    ) -> Result<HeavyProcess, Failure> {
        let mut words: Vec<String> =
            ["heavy", "--rpc-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0", "--sync", "blocks"]
                .map(str::to_owned)
                .to_vec();
        let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
        add("--snapshot-interval", snapshot_interval.to_string());
        add("--dir", self.dir.display().to_string());
        add("--genesis", genesis.display().to_string());
        add("--listen", self.udp.to_string());
        add("--consensus-listen", self.multiaddr());
        add("--rule-book", rule_book.to_string());
        for other in seats.iter().filter(|other| other.validator.address != self.validator.address) {
            add("--peer", other.node().to_string());
            add("--consensus-peer", other.multiaddr());
        }
        let part = Part::start(&self.dir, &words).await?;
        let rpc = part.said["rpc"].as_str().ok_or_else(|| Failure::other("a heavy node names no JSON-RPC"))?.to_owned();
        Ok(HeavyProcess { part, address: self.validator.address, rpc })
    }
}
