//! What an operator chooses, and how it becomes the engine's own configuration.

use super::codec::{LIVENESS_BYTES_MAX, PART_MESSAGE_BYTES_MAX, SYNC_BLOCKS_MAX};
use arc_malachitebft_app::config::{
    ChannelNames, ConsensusConfig, DiscoveryConfig, P2pConfig, ProtocolNames, PubSubProtocol, ValuePayload,
    ValueSyncConfig,
};
use arc_malachitebft_app::net::Multiaddr;
use bytesize::ByteSize;
use holdfast_primitives::ChainId;
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, VALIDATORS_MAX};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// What to tell `tracing_subscriber::EnvFilter` about the engine. It reports at level INFO what we count as detail, and
/// a validator that is alone reports at level ERROR that each of its votes found no peer. Why consensus ended is reported by
/// us in any case.
pub const LOG_FILTER: &str = "arc_malachitebft_network=off,arc_malachitebft_engine=warn,arc_malachitebft_engine::node=error,arc_malachitebft_core_consensus=warn,\
arc_malachitebft_core_driver=warn,arc_malachitebft_discovery=warn,arc_malachitebft_sync=warn,arc_malachitebft_app=warn,\
arc_malachitebft_app_channel=warn,arc_malachitebft_wal=warn,ractor=warn,libp2p=warn";

/// Bytes that an answer to a node that catches up may have beyond its blocks.
const RESPONSE_OVERHEAD_BYTES: usize = 1024 * 1024;

/// How consensus messages spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// Gossip: messages are relayed, any connected graph of nodes works.
    #[default]
    Gossip,
    /// To direct peers only: twice the throughput at a fifth of the memory, but every validator must be connected to
    /// every other.
    Direct,
}

/// What the operator of a node chooses.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Directory of the write-ahead log. Belongs to one key; deleting it while the key lives risks a double vote.
    pub home: PathBuf,
    /// Where to listen, as a multiaddr; port 0 takes any free port.
    pub listen: String,
    /// The other nodes, as multiaddrs. Connections to them are kept up and exempt from limits per address.
    pub peers: Vec<String>,
    /// The node's name in logs and metrics.
    pub moniker: String,
    /// How consensus messages spread.
    pub publish: Publish,
    /// Most bytes of an encoded block; the same on all nodes.
    pub block_bytes_max: usize,
    /// Most bytes of one answer to a node that catches up; at least two blocks, or such a node never would.
    pub response_bytes_max: usize,
    /// Whether to fetch decided blocks from peers when behind.
    pub catch_up: bool,
    /// Stop when no height is decided for so long although there is work; `None` never does.
    pub stall: Option<Duration>,
}

/// Why consensus did not start.
#[derive(Debug, Error)]
pub enum ConsensusError {
    /// The block limit does not fit the answer limit or the protocol's.
    #[error(
        "blocks of {block_bytes_max} bytes need answers of twice that and at most {protocol} bytes, answers have {response_bytes_max}"
    )]
    Limits {
        /// The block limit.
        block_bytes_max: usize,
        /// The answer limit.
        response_bytes_max: usize,
        /// The protocol's block limit.
        protocol: usize,
    },
    /// Not a multiaddr, or no transport in it that consensus speaks.
    #[error("{text:?} is not an address to listen on or to dial: {reason}")]
    Address {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The directory of the write-ahead log cannot be made.
    #[error("cannot make {path}: {source}", path = path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The ledger does not know how the next block is decided.
    #[error("{reason}")]
    App {
        /// The ledger's reason.
        reason: String,
    },
    /// The engine did not come up.
    #[error("the engine did not start: {reason}")]
    Engine {
        /// The engine's reason.
        reason: String,
    },
    /// The engine came up but could not listen.
    #[error("not listening on {listen} after {waited:?}: is the address in use?")]
    NotListening {
        /// The address.
        listen: String,
        /// How long we waited.
        waited: Duration,
    },
}

impl EngineConfig {
    /// Alone on the loopback interface, any port.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            listen: "/ip4/127.0.0.1/tcp/0".to_owned(),
            peers: Vec::new(),
            moniker: "holdfast".to_owned(),
            publish: Publish::default(),
            block_bytes_max: BLOCK_BYTES_MAX,
            response_bytes_max: 4 * BLOCK_BYTES_MAX,
            catch_up: true,
            stall: Some(Duration::from_secs(600)),
        }
    }

    /// # Errors
    /// When a limit or an address makes no sense.
    pub(crate) fn check(&self, chain: &ChainId) -> Result<EngineParts, ConsensusError> {
        let Self { block_bytes_max, response_bytes_max, .. } = *self;
        if block_bytes_max > BLOCK_BYTES_MAX || block_bytes_max.saturating_mul(2) > response_bytes_max {
            return Err(ConsensusError::Limits { block_bytes_max, response_bytes_max, protocol: BLOCK_BYTES_MAX });
        }
        let listen = multiaddr(&self.listen)?;
        if !self.listen.contains("/tcp/") && !self.listen.contains("/quic-v1") {
            return Err(ConsensusError::Address {
                text: self.listen.clone(),
                reason: "neither tcp nor quic-v1".to_owned(),
            });
        }
        let peers = self.peers.iter().map(|peer| multiaddr(peer)).collect::<Result<Vec<_>, _>>()?;
        Ok(EngineParts { consensus: self.consensus(chain, listen, peers), sync: self.sync() })
    }

    fn consensus(&self, chain: &ChainId, listen: Multiaddr, peers: Vec<Multiaddr>) -> ConsensusConfig {
        let p2p = P2pConfig {
            listen_addr: listen,
            persistent_peers: peers,
            protocol: match self.publish {
                Publish::Gossip => PubSubProtocol::default(),
                Publish::Direct => PubSubProtocol::Broadcast,
            },
            pubsub_max_size: byte_size(2 * PART_MESSAGE_BYTES_MAX.max(LIVENESS_BYTES_MAX)),
            rpc_max_size: byte_size(self.response_bytes_max + RESPONSE_OVERHEAD_BYTES),
            discovery: self.discovery(),
            protocol_names: protocol_names(chain),
            channel_names: ChannelNames::default(),
            ..P2pConfig::default()
        };
        ConsensusConfig {
            p2p,
            value_payload: ValuePayload::ProposalAndParts,
            queue_per_height_capacity: 4 * VALIDATORS_MAX,
            ..ConsensusConfig::default()
        }
    }

    /// Limits per network address keep one stranger from taking every place; on the loopback interface everyone has the
    /// same address.
    fn discovery(&self) -> DiscoveryConfig {
        let limits = DiscoveryConfig::default();
        if self.listen.contains("/127.") || self.listen.contains("/ip6/::1/") {
            let max_connections_per_ip = limits.num_inbound_peers * limits.max_connections_per_peer;
            return DiscoveryConfig { max_connections_per_ip, ip_throttle_duration: Duration::ZERO, ..limits };
        }
        limits
    }

    fn sync(&self) -> ValueSyncConfig {
        ValueSyncConfig {
            enabled: self.catch_up,
            status_update_interval: Duration::from_secs(2),
            max_response_size: byte_size(self.response_bytes_max),
            batch_size: SYNC_BLOCKS_MAX / 2,
            ..ValueSyncConfig::default()
        }
    }
}

/// The engine's own configuration.
pub(crate) struct EngineParts {
    pub consensus: ConsensusConfig,
    pub sync: ValueSyncConfig,
}

/// Nodes of different chains do not speak with each other.
fn protocol_names(chain: &ChainId) -> ProtocolNames {
    let name = |protocol: &str| format!("/holdfast/{}/{protocol}/1", chain.short());
    ProtocolNames {
        consensus: name("consensus"),
        discovery_kad: name("kad"),
        discovery_regres: name("peers"),
        sync: name("sync"),
        validator_proof: name("validator-proof"),
    }
}

pub(crate) fn multiaddr(text: &str) -> Result<Multiaddr, ConsensusError> {
    text.parse().map_err(|error| ConsensusError::Address { text: text.to_owned(), reason: format!("{error}") })
}

const fn byte_size(bytes: usize) -> ByteSize {
    ByteSize::b(bytes as u64)
}
