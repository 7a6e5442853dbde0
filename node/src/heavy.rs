//! A whole heavy node: database, consensus, mempool, address book, relay. JSON-RPC is put on top by whoever starts it.

use crate::app::NodeApp;
use crate::clock::NodeClock;
use crate::core::NodeCore;
use crate::gossip::{GossipPool, encode};
use crate::grid::RelayGuests;
use crate::introduce::Introducer;
use crate::join::{self, Checkpoint, JoinDesk, JoinError, SyncMode};
use crate::keys::{KeyFileError, NodeKeys};
use crate::mempool::{MempoolLimits, SubmitError};
use crate::placement::LedgerPolicy;
use holdfast_consensus::{ConsensusError, EngineConfig, EngineHandle, Stopped};
use holdfast_ledger::{Genesis, TxEnvelope};
use holdfast_network::control::{ControlConfig, ControlServer};
use holdfast_network::gossip::Gossip;
use holdfast_network::heavies::{is_usable, usable_url};
use holdfast_network::heavy::{GraphFigures, HeavyServer};
use holdfast_network::join::{JoinLimits, JoinServer};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::relay::{RelayError, RelayMeter, RelayServer, RelayServerConfig};
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::{Endpoint, NodeAddr, Protocol, TransportError};
use holdfast_primitives::{Address, Height, TxId};
use holdfast_store::{ChainDb, StoreError};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the operator of a heavy node chooses.
#[derive(Clone, Debug)]
pub struct HeavyConfig {
    /// Folder of keys, chain database and write-ahead log.
    pub dir: PathBuf,
    /// The network's first state and rules.
    pub genesis: Genesis,
    /// Sockets for light nodes; empty binds all interfaces on a free port.
    pub bind: Vec<SocketAddr>,
    /// Where the relay listens (plain HTTP); none for no relay.
    pub relay: Option<SocketAddr>,
    /// Under which URL light nodes reach the relay, if not by the address it listens on.
    pub relay_url: Option<String>,
    /// Where consensus listens, as a multiaddr.
    pub consensus_listen: String,
    /// The other validators, as multiaddrs.
    pub consensus_peers: Vec<String>,
    /// The other heavy nodes, with whom waiting transactions are exchanged, and who help with joining.
    pub peers: Vec<NodeAddr>,
    /// The newest rule book that the node takes itself to know: [`holdfast_ledger::PROTOCOL_VERSION_MAX`], unless an
    /// upgrade is rehearsed.
    pub rule_book: u32,
    /// How an empty database comes to the chain's newest state.
    pub sync: SyncMode,
    /// A block that lies on the chain for certain.
    pub checkpoint: Option<Checkpoint>,
    /// A snapshot is kept of every height that this divides; zero for none but the one at the start.
    pub snapshot_interval: u64,
    /// What time it is.
    pub clock: NodeClock,
    /// How many may come.
    pub limits: HeavyLimits,
}

/// How many light nodes and other nodes a heavy node serves at once.
#[derive(Clone, Debug, Default)]
pub struct HeavyLimits {
    /// Connections in all, from one network address and of one identity.
    pub connections: ServeLimits,
    /// Children, and what one of them may ask for.
    pub children: ControlConfig,
    /// Bytes per second that one light node may send through the relay; as many as it likes, if none.
    pub relay_client_bytes_per_second: Option<NonZeroU32>,
}

/// Why a heavy node did not start, or stopped.
#[derive(Debug, Error)]
pub enum HeavyError {
    /// A key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The chain database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Consensus.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The endpoint for light nodes.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The relay.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Joining did not succeed.
    #[error(transparent)]
    Join(JoinError),
    /// The database could not be opened because the task that does it ended.
    #[error("opening the chain database did not finish: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<JoinError> for HeavyError {
    /// What is wrong with a folder is so whoever finds it.
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Store(error) => Self::Store(error),
            error => Self::Join(error),
        }
    }
}

/// Why a heavy node is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeStopped {
    /// Consensus ended.
    #[error(transparent)]
    Consensus(#[from] Stopped),
    /// No peer has the blocks any more that this node needs next.
    #[error(
        "no peer has block {needed} any more, they begin at {first}: blocks alone do not lead from height {tip} to the chain's newest state"
    )]
    HistoryGone {
        /// The block that would be next.
        needed: Height,
        /// The first that anyone has.
        first: Height,
        /// Where this node is.
        tip: Height,
    },
}

/// A running heavy node.
pub struct HeavyNode {
    core: Arc<NodeCore>,
    address: Address,
    control: Arc<ControlServer<LedgerPolicy>>,
    endpoint: Arc<QuicEndpoint>,
    engine: EngineHandle,
    relay: Option<RelayServer>,
    gossip: Arc<Gossip<GossipPool>>,
    graph: Arc<HeavyServer<LedgerPolicy>>,
    /// The accept loop, and a few tasks for each peer.
    tasks: JoinSet<()>,
    /// Told when no peer has the next block any more.
    stuck: watch::Receiver<Option<NodeStopped>>,
    /// Heavy nodes that the operator named.
    named: Vec<NodeAddr>,
    /// Under which URL JSON-RPC answers; said by whoever puts it on top.
    rpc_url: watch::Sender<Option<String>>,
}

/// What the faces of a heavy node need of it.
#[derive(Clone)]
pub struct HeavyHandle {
    /// Tip, database, mempool.
    pub core: Arc<NodeCore>,
    /// Its account.
    pub address: Address,
    /// Its light nodes.
    pub control: Arc<ControlServer<LedgerPolicy>>,
    gossip: Arc<Gossip<GossipPool>>,
    graph: Arc<HeavyServer<LedgerPolicy>>,
    endpoint: Arc<QuicEndpoint>,
    relay: Option<RelayMeter>,
    consensus: Vec<String>,
    named: Vec<NodeAddr>,
    rpc_url: watch::Sender<Option<String>>,
}

impl HeavyNode {
    /// Starts relay and endpoint, joins the chain if the database is empty, opens the database and starts consensus, in
    /// this order: nobody is answered before there is an answer.
    pub async fn start(config: HeavyConfig) -> Result<Self, HeavyError> {
        let keys = Arc::new(NodeKeys::load_or_create(&config.dir.join("keys"))?);
        let chain = config.genesis.chain_id();
        let guests = Arc::new(RelayGuests::new(config.genesis.clone(), config.peers.iter().map(|peer| peer.id)));
        let relay = match config.relay {
            Some(bind) => {
                let relay = RelayServerConfig {
                    public_url: config.relay_url.clone(),
                    client_bytes_per_second: config.limits.relay_client_bytes_per_second,
                    ..RelayServerConfig::new(bind)
                };
                Some(RelayServer::start(relay, Arc::clone(&guests) as _).await?)
            }
            None => None,
        };
        let relay_url = relay.as_ref().map(|relay| relay.url().to_owned());
        let endpoint = Arc::new(QuicEndpoint::bind(quic_config(&config, &keys, relay_url.as_deref())).await?);
        let db = join::prepare(&config, Arc::clone(&endpoint) as Arc<dyn Endpoint>).await?;
        let core = Arc::new(open_core(&config, db).await?);
        guests.follow(Arc::clone(&core));
        let control = Arc::new(ControlServer::new(
            ControlConfig { relay_url, ..config.limits.children.clone() },
            keys.identity.clone(),
            Arc::new(LedgerPolicy::new(Arc::clone(&core))),
            Arc::new(config.clock),
        ));
        let named = config.peers.iter().map(|peer| peer.id);
        let gossip = Gossip::new(Arc::new(GossipPool::new(Arc::clone(&core), named)));
        let desk = JoinDesk::new(Arc::clone(&core), config.peers.clone(), config.consensus_peers.clone());
        let desk = Arc::new(JoinServer::new(Arc::new(desk), JoinLimits::default()));
        let graph = HeavyServer::new(Arc::clone(&control));
        let handlers: Vec<Arc<dyn Handler>> =
            vec![Arc::clone(&control) as _, Arc::clone(&gossip) as _, desk, Arc::clone(&graph) as _];
        let mut tasks = JoinSet::new();
        let connections = config.limits.connections.clone();
        tasks.spawn(serve(Arc::clone(&endpoint) as Arc<dyn Endpoint>, handlers, connections));
        for peer in &config.peers {
            tasks.spawn(Arc::clone(&gossip).keep(Arc::clone(&endpoint) as Arc<dyn Endpoint>, peer.clone()));
            tasks.spawn(Arc::clone(&graph).keep(Arc::clone(&endpoint) as Arc<dyn Endpoint>, peer.clone()));
        }
        let (rpc_url, answers_at) = watch::channel(None);
        let introducer = Introducer {
            gossip: Arc::clone(&gossip),
            endpoint: Arc::clone(&endpoint) as Arc<dyn Endpoint>,
            key: keys.identity.clone(),
            chain,
            clock: config.clock,
            rpc_url: answers_at,
        };
        tasks.spawn(introducer.run());
        let (told, stuck) = watch::channel(None);
        let dialler = Arc::clone(&endpoint) as Arc<dyn Endpoint>;
        tasks.spawn(join::watch_history(Arc::clone(&core), dialler, config.peers.clone(), told));
        let engine = EngineConfig {
            listen: config.consensus_listen.clone(),
            peers: config.consensus_peers.clone(),
            moniker: keys.identity.address().short(),
            block_bytes_max: config.genesis.params.block_bytes_max as usize,
            ..EngineConfig::new(config.dir.join("consensus"))
        };
        let app = Arc::new(NodeApp::new(Arc::clone(&core), Arc::clone(&keys), Arc::clone(&gossip), config.rule_book));
        let engine = holdfast_consensus::start(engine, keys.identity.clone(), chain, app).await?;
        let dialler = Arc::clone(&endpoint) as Arc<dyn Endpoint>;
        let known = config.consensus_peers.clone();
        tasks.spawn(join::widen(engine.dialler(), dialler, chain, config.peers.clone(), known));
        let (address, named) = (keys.identity.address(), config.peers);
        Ok(Self { core, address, control, endpoint, engine, relay, gossip, graph, tasks, stuck, named, rpc_url })
    }

    /// What the faces need.
    pub fn handle(&self) -> HeavyHandle {
        HeavyHandle {
            core: Arc::clone(&self.core),
            address: self.address,
            control: Arc::clone(&self.control),
            gossip: Arc::clone(&self.gossip),
            graph: Arc::clone(&self.graph),
            endpoint: Arc::clone(&self.endpoint),
            relay: self.relay.as_ref().map(RelayServer::meter),
            consensus: self.engine.listening().to_vec(),
            named: self.named.clone(),
            rpc_url: self.rpc_url.clone(),
        }
    }

    /// Waits until the node is of no use any more.
    pub async fn stopped(&mut self) -> NodeStopped {
        let stuck = async {
            match self.stuck.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().expect("waited until there is a reason"),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            stopped = self.engine.stopped() => stopped.into(),
            reason = stuck => reason,
        }
    }

    /// Stops everything in the order in which others depend on it.
    pub async fn shutdown(mut self) {
        self.endpoint.close().await;
        self.tasks.shutdown().await;
        if let Some(relay) = self.relay {
            relay.close().await;
        }
        let stopped = self.engine.shutdown().await;
        tracing::info!(%stopped, "heavy node stopped");
    }
}

impl HeavyHandle {
    /// Admits a transaction and passes it on to the other heavy nodes.
    ///
    /// # Errors
    /// Why it may not wait.
    pub async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, SubmitError> {
        let travelling = encode(&envelope);
        let id = self.core.submit(envelope).await?;
        self.gossip.spread(&travelling, None);
        Ok(id)
    }

    /// Heavy nodes with whom transactions are exchanged now.
    pub fn peers(&self) -> Vec<Address> {
        self.gossip.peers()
    }

    /// Tells light nodes, through the other heavy nodes too, under which URL JSON-RPC answers them.
    pub fn answers_at(&self, url: String) {
        self.rpc_url.send_replace(Some(url));
    }

    /// The heavy nodes that are known here: this one first, then those that introduced themselves by identity, then those
    /// that the operator named and that said nothing yet. With each its JSON-RPC's URL, if it has one for others.
    pub fn heavies(&self) -> Vec<(NodeAddr, Option<String>)> {
        let (own, url) = (self.addr(), self.rpc_url.borrow().clone());
        let url = url.filter(|url| is_usable(&own, url));
        let mut heavies = vec![(own, url)];
        let cards = self.gossip.cards();
        let others = cards.iter().filter(|card| card.node.id != self.address);
        heavies.extend(others.map(|card| (card.node.clone(), usable_url(card).map(str::to_owned))));
        for named in &self.named {
            if !heavies.iter().any(|(known, _)| known.id == named.id) {
                heavies.push((named.clone(), None));
            }
        }
        heavies
    }

    /// Whether a holder is online here, or somewhere that neighbours say.
    pub fn is_online(&self, holder: &Address) -> bool {
        self.graph.is_online(holder)
    }

    /// The graph around it: neighbours, and what was looked for.
    pub fn graph(&self) -> GraphFigures {
        self.graph.figures()
    }

    /// Where its consensus listens, as multiaddrs.
    pub fn consensus(&self) -> &[String] {
        &self.consensus
    }

    /// Counters of the node and of its consensus, in the OpenMetrics text format.
    pub fn metrics(&self) -> String {
        let (graph, relay) = (self.graph.figures(), self.relay.as_ref().map(RelayMeter::figures).unwrap_or_default());
        let node = self.core.metrics().text(self.core.mempool_size().0, self.control.children(), graph, relay);
        // The mark of the end stands behind both.
        format!("{}{}", node.trim_end_matches("# EOF\n"), holdfast_consensus::metrics_text())
    }

    /// How light nodes reach it.
    pub fn addr(&self) -> NodeAddr {
        self.endpoint.addr()
    }
}

/// Opening reads and hashes the whole state: off the runtime.
async fn open_core(config: &HeavyConfig, db: Option<ChainDb>) -> Result<NodeCore, HeavyError> {
    let (folder, genesis, clock) = (config.dir.join("chain"), config.genesis.clone(), config.clock);
    let (interval, checkpoint) = (config.snapshot_interval, config.checkpoint);
    let open = move || -> Result<NodeCore, HeavyError> {
        let db = db.map_or_else(|| ChainDb::open(&folder, &genesis), Ok)?;
        Ok(NodeCore::open(genesis, db, MempoolLimits::default(), clock)?.guarded(interval, checkpoint)?)
    };
    tokio::task::spawn_blocking(open).await?
}

fn quic_config(config: &HeavyConfig, keys: &NodeKeys, relay_url: Option<&str>) -> QuicConfig {
    QuicConfig {
        bind: config.bind.clone(),
        accept: vec![Protocol::Control, Protocol::Gossip, Protocol::Join, Protocol::Heavy],
        relays: relay_url.map(str::to_owned).into_iter().collect(),
        port_mapping: false,
        ..QuicConfig::new(keys.identity.clone())
    }
}
