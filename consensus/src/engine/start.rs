//! Starts everything, in this order, and stops it again.
//!
//! | what | whose | does |
//! |---|---|---|
//! | supervisor, network, log, connector, consensus, sync | the engine's actors | agree, gossip, remember, fetch |
//! | driver | ours | answers the connector's questions by asking the application |
//! | watchdog | ours | sees any of these end, stops the rest, tells the handle why |

use super::codec::Wire;
use super::config::{ConsensusError, EngineConfig, EngineParts};
use super::driver::{Driver, NextHeight};
use super::handle::EngineHandle;
use super::network;
use super::shared::Shared;
use super::signing::{ChainSigner, ChainVerifier};
use super::types::{EngineAddress, Holdfast};
use super::watchdog::{self, Stopped, Watched};
use crate::app::LedgerApp;
use arc_malachitebft_app::events::TxEvent;
use arc_malachitebft_app::metrics::{Metrics, SharedRegistry};
use arc_malachitebft_app::spawn;
use arc_malachitebft_app_channel::spawn::{spawn_host_actor, spawn_network_actor};
use arc_malachitebft_app_channel::{AppMsg, NetworkMsg};
use arc_malachitebft_engine::consensus::ConsensusRef;
use arc_malachitebft_engine::network::NetworkRef;
use arc_malachitebft_engine::node::NodeRef;
use arc_malachitebft_engine::util::output_port::{OutputPort, OutputPortSubscriberTrait};
use holdfast_primitives::{ChainId, SecretKey};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long the engine may take to listen.
const LISTEN_WITHIN: Duration = Duration::from_secs(5);
/// How long the engine's parts may take to stop, each.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How often the write-ahead log's lock is tried while it is being closed.
const LOCK_TRY_EVERY: Duration = Duration::from_millis(10);
const LOG_FILE: &str = "consensus.wal";

/// The engine's own tasks.
pub(crate) struct Actors {
    node: NodeRef,
    metrics: Metrics,
    /// The write-ahead log, once it is open.
    log: Option<PathBuf>,
    pub supervisor: JoinHandle<()>,
}

/// What the driver needs of them.
struct Spawned {
    actors: Actors,
    network: NetworkRef<Holdfast>,
    publish: mpsc::Sender<NetworkMsg<Holdfast>>,
    questions: mpsc::Receiver<AppMsg<Holdfast>>,
    consensus: ConsensusRef<Holdfast>,
    events: TxEvent<Holdfast>,
}

/// Starts consensus at the height after the application's tip and returns once it listens.
///
/// Signs with `key` for `chain`; whether that makes this node a validator is for the application's state to say.
///
/// # Errors
/// When the configuration makes no sense, the directory cannot be made or is in use, or the address is taken.
pub async fn start<A: LedgerApp>(
    config: EngineConfig,
    key: SecretKey,
    chain: ChainId,
    app: Arc<A>,
) -> Result<EngineHandle, ConsensusError> {
    let parts = config.check(&chain)?;
    std::fs::create_dir_all(&config.home)
        .map_err(|source| ConsensusError::Home { path: config.home.clone(), source })?;
    let next = NextHeight::new(app.as_ref(), false)
        .map_err(|fault| ConsensusError::App { reason: Stopped::from(fault).to_string() })?;
    let signer = ChainSigner { chain, key };
    let spawned = spawn_actors(&config, parts, &signer).await?;
    let Spawned { actors, network, publish, questions, consensus, events } = spawned;

    let (shared, faults) = Shared::new(app, signer, consensus, config.block_bytes_max);
    let progress = shared.progress.clone();
    let driver = Driver::new(shared, faults, publish, events, config.response_bytes_max, next);
    let (ready_sender, ready) = oneshot::channel();
    let driver = tokio::spawn(driver.run(questions, ready_sender));

    let (reason_sender, reason) = watch::channel(None);
    let (shutdown, shutdown_receiver) = oneshot::channel();
    let watched = Watched { actors, driver, progress, stall: config.stall };
    tokio::spawn(watchdog::watch(watched, shutdown_receiver, reason_sender));

    let mut handle = EngineHandle { listening: Vec::new(), network, reason, shutdown };
    match tokio::time::timeout(LISTEN_WITHIN, ready).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(ConsensusError::Engine { reason: handle.stopped().await.to_string() }),
        Err(_) => {
            handle.shutdown().await;
            return Err(ConsensusError::NotListening { listen: config.listen, waited: LISTEN_WITHIN });
        }
    }
    handle.listening = network::listening(&handle.network).await.iter().map(ToString::to_string).collect();
    Ok(handle)
}

async fn spawn_actors(
    config: &EngineConfig,
    parts: EngineParts,
    signer: &ChainSigner,
) -> Result<Spawned, ConsensusError> {
    let failed = |error: String| ConsensusError::Engine { reason: error };
    let registry = SharedRegistry::global().with_moniker(config.moniker.as_str());
    let metrics = Metrics::register(&registry);
    let (node, supervisor) =
        spawn::spawn_node_actor(metrics.clone()).await.map_err(|error| failed(error.to_string()))?;
    let mut actors = Actors { node, metrics, log: None, supervisor };
    match spawn_children(config, parts, signer, &registry, &mut actors).await {
        Ok((network, publish, questions, consensus, events)) => {
            Ok(Spawned { actors, network, publish, questions, consensus, events })
        }
        Err(error) => {
            actors.stop().await;
            Err(failed(error))
        }
    }
}

type Children = (
    NetworkRef<Holdfast>,
    mpsc::Sender<NetworkMsg<Holdfast>>,
    mpsc::Receiver<AppMsg<Holdfast>>,
    ConsensusRef<Holdfast>,
    TxEvent<Holdfast>,
);

async fn spawn_children(
    config: &EngineConfig,
    parts: EngineParts,
    signer: &ChainSigner,
    registry: &SharedRegistry,
    actors: &mut Actors,
) -> Result<Children, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let codec = Wire { response_bytes_max: config.response_bytes_max };
    let identity = network::identity(config.moniker.clone(), signer, &codec).await?;
    let EngineParts { consensus: settings, sync: sync_settings } = parts;

    let (network, publish) = spawn_network_actor(identity, &settings, &sync_settings, registry, codec)
        .await
        .map_err(|error| text(&error))?;
    network.link(actors.node.get_cell());
    let path = config.home.join(LOG_FILE);
    let log = spawn::spawn_wal_actor(&Holdfast, codec, &path, registry, actors.node.clone())
        .await
        .map_err(|error| text(&error))?;
    log.link(actors.node.get_cell());
    actors.log = Some(path);
    let (connector, questions) = spawn_host_actor(actors.metrics.clone()).await.map_err(|error| text(&error))?;
    connector.link(actors.node.get_cell());

    let events = TxEvent::new();
    let to_sync = Arc::new(OutputPort::new());
    let consensus = spawn::spawn_consensus_actor(
        Holdfast,
        EngineAddress(signer.key.address()),
        settings,
        Box::new(ChainVerifier { chain: signer.chain }),
        Some(Box::new(signer.clone())),
        network.clone(),
        connector.clone(),
        log,
        to_sync.clone(),
        actors.metrics.clone(),
        events.clone(),
        actors.node.clone(),
    )
    .await
    .map_err(|error| text(&error))?;
    consensus.link(actors.node.get_cell());

    let sync = spawn::spawn_sync_actor(
        Holdfast,
        network.clone(),
        connector,
        consensus.clone(),
        codec,
        &sync_settings,
        registry,
    )
    .await
    .map_err(|error| text(&error))?;
    if let Some(sync) = sync {
        sync.link(actors.node.get_cell());
        sync.subscribe_to_port(&to_sync);
    }
    Ok((network, publish, questions, consensus, events))
}

impl Actors {
    /// Whether the engine has frozen itself because its write-ahead log failed.
    pub(crate) fn is_unsafe(&self) -> bool {
        self.metrics.node_safety_failure.get() != 0
    }

    /// Stops all of them and waits until the write-ahead log is closed.
    pub(crate) async fn stop(&self) {
        self.node.stop_children_and_wait(None, Some(STOP_WITHIN)).await;
        // An error means that it has stopped already, or will not: then it is killed below with what is left.
        if self.node.stop_and_wait(None, Some(STOP_WITHIN)).await.is_err() {
            self.node.kill();
        }
        let Some(log) = &self.log else { return };
        if !unlocked(log, STOP_WITHIN).await {
            tracing::warn!(log = %log.display(), "the write-ahead log is still open");
        }
    }
}

/// Waits until nobody holds the lock of `path`; whether that came true in time.
async fn unlocked(path: &Path, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        match File::open(path).map(|file| file.try_lock()) {
            Ok(Err(_)) if Instant::now() < until => tokio::time::sleep(LOCK_TRY_EVERY).await,
            Ok(Err(_)) => return false,
            Ok(Ok(())) | Err(_) => return true,
        }
    }
}
