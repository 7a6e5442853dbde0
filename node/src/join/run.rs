//! Joining by a snapshot: whom to ask, whom to believe (nobody), what to do when one lies or goes away.

use super::policy::{Checkpoint, Decision, SyncMode, decide};
use super::sink::Sink;
use crate::heavy::HeavyConfig;
use futures::future::join_all;
use holdfast_ledger::{
    CheckedManifest, FollowError, Genesis, ListIndex, MANIFEST_BYTES_MAX, Manifest, STEP_BYTES_MAX, Step, Steps,
    Trusted,
};
use holdfast_network::join::{JoinClient, JoinError as TalkError, Peer, fetch};
use holdfast_network::wire::{JOIN_DATA_BYTES_MAX, SourceOffer, ToSource};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{Address, ChainId, Height, ValidatorSet, decode_exact};
use holdfast_store::{ChainDb, Joining, StoreError, Target};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long peers may take to answer before the node begins by blocks.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for the validators of the genesis: when a network starts, nobody is there yet.
const FOUNDERS_PATIENCE: Duration = Duration::from_secs(2);
/// How long a snapshot may be looked for without any record coming in.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(180);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long one peer may take to say what it has.
const OFFER_WITHIN: Duration = Duration::from_secs(5);
/// Nodes that are asked, those named by others included.
const PEERS_MAX: usize = 64;

/// Why a node did not join.
#[derive(Debug, Error)]
pub enum JoinError {
    /// Nobody to ask.
    #[error("joining by a snapshot needs a peer to ask")]
    NoPeers,
    /// Nobody gave a snapshot that holds.
    #[error("no peer gave a snapshot within {waited:?} ({answered} answered, {liars} lied)")]
    NoSnapshot {
        /// How long it was tried.
        waited: Duration,
        /// Peers that answered the last time.
        answered: usize,
        /// Peers that lied.
        liars: usize,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] holdfast_ledger::GenesisError),
    /// A record could not be kept.
    #[error("what was fetched could not be kept: {0}")]
    Fault(Box<dyn std::error::Error + Send + Sync>),
    /// A task ended by itself.
    #[error("joining did not finish: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Leaves `chain/` as it is to be opened: as it was, or installed from a snapshot. Hands it out where it was opened.
pub async fn prepare(config: &HeavyConfig, endpoint: Arc<dyn Endpoint>) -> Result<Option<ChainDb>, JoinError> {
    let joiner = Joiner {
        chain: config.dir.join("chain"),
        staging: config.dir.join("chain.joining"),
        genesis: Arc::new(config.genesis.clone()),
        checkpoint: config.checkpoint,
        peers: config.peers.clone(),
        endpoint,
    };
    if let Some(db) = joiner.recover().await? {
        return Ok(Some(db));
    }
    match (config.peers.is_empty(), config.sync) {
        (true, SyncMode::Snapshot) => return Err(JoinError::NoPeers),
        (true, _) => return Ok(None),
        (false, sync) if joiner.way(sync).await == Decision::Snapshot => joiner.by_snapshot().await?,
        (false, _) => joiner.by_blocks().await?,
    }
    Ok(None)
}

/// The peers and those whom they name.
pub(crate) async fn find_peers(endpoint: &Arc<dyn Endpoint>, chain: ChainId, named: &[NodeAddr]) -> Vec<NodeAddr> {
    let mut known: Vec<NodeAddr> = named.to_vec();
    for (_, offer) in ask_around(endpoint, chain, named).await {
        for peer in offer.peers.into_inner() {
            let is_new =
                peer.id != endpoint.id() && peer.is_reachable() && known.iter().all(|known| known.id != peer.id);
            if is_new && known.len() < PEERS_MAX {
                known.push(peer);
            }
        }
    }
    known
}

/// What each of them has, of those who answer.
pub(crate) async fn ask_around(
    endpoint: &Arc<dyn Endpoint>,
    chain: ChainId,
    peers: &[NodeAddr],
) -> Vec<(NodeAddr, SourceOffer)> {
    let asked = peers.iter().map(|peer| async move {
        let ask = async { JoinClient::connect(&**endpoint, peer, chain).await?.offer().await };
        match tokio::time::timeout(OFFER_WITHIN, ask).await {
            Ok(Ok(offer)) => Some((peer.clone(), offer)),
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.id, %error, "a peer does not say what it has");
                None
            }
            Err(_) => None,
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

struct Joiner {
    chain: PathBuf,
    staging: PathBuf,
    genesis: Arc<Genesis>,
    checkpoint: Option<Checkpoint>,
    peers: Vec<NodeAddr>,
    endpoint: Arc<dyn Endpoint>,
}

/// A snapshot that is true, and how that is known.
struct Found {
    manifest: Arc<CheckedManifest>,
    steps: Vec<Step>,
    first: (Height, ValidatorSet),
}

/// Why one peer's word on a snapshot did not lead to one.
enum Useless {
    /// It lies.
    Lie(String),
    /// It does not have it, or went away.
    Gone(String),
}

impl Joiner {
    /// Finishes what only lacks its last step, and opens the chain database if it has blocks.
    async fn recover(&self) -> Result<Option<ChainDb>, JoinError> {
        let (chain, staging, genesis) = (self.chain.clone(), self.staging.clone(), Arc::clone(&self.genesis));
        let recover = move || -> Result<Option<ChainDb>, StoreError> {
            if staging.exists() {
                let joining = Joining::open(&staging, &genesis)?;
                if joining.is_finished()? {
                    joining.install(&chain)?;
                }
            }
            ChainDb::open_with_blocks(&chain, &genesis)
        };
        Ok(tokio::task::spawn_blocking(recover).await??)
    }

    /// Asks the peers until it is clear which way to go.
    async fn way(&self, mode: SyncMode) -> Decision {
        let founder = self.genesis.validators.iter().any(|validator| validator.address == self.endpoint.id());
        let patience = match mode {
            SyncMode::Blocks => return Decision::Blocks,
            SyncMode::Snapshot => return Decision::Snapshot,
            SyncMode::Auto if founder => FOUNDERS_PATIENCE,
            SyncMode::Auto => PATIENCE,
        };
        let asked = Instant::now();
        loop {
            let peers = tokio::time::timeout(patience, self.offers()).await.unwrap_or_default();
            let offers: Vec<SourceOffer> = peers.into_iter().map(|(_, offer)| offer).collect();
            match decide(mode, &offers) {
                Decision::Wait if asked.elapsed() < patience => tokio::time::sleep(ASK_AGAIN_AFTER / 4).await,
                // Whoever has no one to ask may be the first; if not, the watch says so.
                Decision::Wait => return Decision::Blocks,
                decision => return decision,
            }
        }
    }

    async fn offers(&self) -> Vec<(NodeAddr, SourceOffer)> {
        let chain = self.genesis.chain_id();
        ask_around(&self.endpoint, chain, &find_peers(&self.endpoint, chain, &self.peers).await).await
    }

    async fn by_blocks(&self) -> Result<(), JoinError> {
        if self.staging.exists() {
            let (staging, genesis) = (self.staging.clone(), Arc::clone(&self.genesis));
            tokio::task::spawn_blocking(move || Joining::open(&staging, &genesis)?.discard()).await??;
        }
        tracing::info!("begins with the first block");
        Ok(())
    }

    async fn by_snapshot(&self) -> Result<(), JoinError> {
        tracing::info!(peers = self.peers.len(), "looks for a snapshot of the state");
        let (mut liars, mut since) = (BTreeSet::new(), Instant::now());
        loop {
            let mut offers = self.offers().await;
            offers.retain(|(peer, _)| !liars.contains(&peer.id));
            for height in heights(&offers, self.checkpoint) {
                let helpers: Vec<NodeAddr> = offers
                    .iter()
                    .filter(|(peer, offer)| offer.snapshots.contains(&height) && !liars.contains(&peer.id))
                    .map(|(peer, _)| peer.clone())
                    .collect();
                let Some(found) = self.find(height, &offers, &helpers, &mut liars).await? else { continue };
                if self.fetch(&found, &helpers, &mut liars, &mut since).await? {
                    return self.finish(found).await;
                }
            }
            if since.elapsed() > SNAPSHOT_PATIENCE {
                let (waited, answered, liars) = (SNAPSHOT_PATIENCE, offers.len(), liars.len());
                return Err(JoinError::NoSnapshot { waited, answered, liars });
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// A snapshot of `height` that is true, from the first helper whose word holds.
    async fn find(
        &self,
        height: Height,
        offers: &[(NodeAddr, SourceOffer)],
        helpers: &[NodeAddr],
        liars: &mut BTreeSet<Address>,
    ) -> Result<Option<Found>, JoinError> {
        for peer in helpers {
            let offer = offers.iter().find(|(offering, _)| offering.id == peer.id).map(|(_, offer)| offer);
            let follow_from = offer.map_or(Height::GENESIS, |offer| offer.follow_from);
            match self.ask_for(peer, height, follow_from).await? {
                Ok(found) => return Ok(Some(found)),
                Err(Useless::Lie(reason)) => {
                    tracing::warn!(peer = %peer.id, %reason, "a node that was to help with joining lies; it is asked no more");
                    liars.insert(peer.id);
                }
                Err(Useless::Gone(reason)) => {
                    tracing::info!(peer = %peer.id, %height, %reason, "a peer does not help with this snapshot");
                }
            }
        }
        Ok(None)
    }

    async fn ask_for(
        &self,
        peer: &NodeAddr,
        height: Height,
        follow_from: Height,
    ) -> Result<Result<Found, Useless>, JoinError> {
        let genesis = Trusted::genesis(&self.genesis)?;
        let asked = async {
            let mut client = JoinClient::connect(&*self.endpoint, peer, self.genesis.chain_id()).await?;
            let mut trusted = match self.checkpoint.filter(|checkpoint| checkpoint.height < height) {
                Some(checkpoint) => at_checkpoint(&mut client, checkpoint, genesis.chain).await?,
                None => genesis,
            };
            if trusted.height < follow_from {
                return Err(Useless::Gone("it does not know the validators of old".to_owned()));
            }
            let first = (trusted.height, trusted.validators.clone());
            let steps = follow(&mut client, &mut trusted, height).await?;
            let data = client.ask(&ToSource::Manifest { height }).await?;
            let manifest: Manifest = decode_exact(&data, MANIFEST_BYTES_MAX).map_err(lie)?;
            if manifest.height() != height {
                return Err(lie(format!("asked for height {height}, it gave {}", manifest.height())));
            }
            let manifest = Arc::new(manifest.check(&trusted, &self.genesis.params).map_err(lie)?);
            Ok(Found { manifest, steps, first })
        };
        Ok(asked.await)
    }

    /// Fetches all records that are not there yet; whether everything is there.
    async fn fetch(
        &self,
        found: &Found,
        helpers: &[NodeAddr],
        liars: &mut BTreeSet<Address>,
        since: &mut Instant,
    ) -> Result<bool, JoinError> {
        let joining = Arc::new(self.begin(found).await?);
        let height = found.manifest.trusted().height;
        let begun = Instant::now();
        loop {
            let target = blocking(&joining, |joining| joining.target()).await?;
            let at_lists = target.is_some_and(|target| target.at_lists);
            let asks = blocking(&joining, |joining| joining.asks()).await?;
            let lists =
                if at_lists { blocking(&joining, |joining| joining.lists()).await? } else { ListIndex::default() };
            let manifest = Arc::clone(&found.manifest);
            let sink = Arc::new(Sink::new(Arc::clone(&joining), manifest, lists));
            let peers: Vec<Peer> = helpers
                .iter()
                .filter(|peer| !liars.contains(&peer.id))
                .map(|addr| Peer { addr: addr.clone(), endpoint: Arc::clone(&self.endpoint) })
                .collect();
            let fetched = fetch(&peers, self.genesis.chain_id(), Arc::clone(&sink), asks).await;
            liars.extend(fetched.liars.iter().map(|liar| liar.peer));
            if sink.has_taken() {
                *since = Instant::now();
            }
            if let Some(fault) = fetched.fault {
                return Err(JoinError::Fault(fault));
            }
            if !fetched.complete {
                tracing::info!(%height, "nobody is left who has this snapshot; looks for another");
                return Ok(false);
            }
            if at_lists {
                tracing::info!(%height, took = ?begun.elapsed(), "every record of the snapshot is here");
                return Ok(true);
            }
            let manifest = Arc::clone(&found.manifest);
            blocking(&joining, move |joining| {
                let asks = manifest.list_asks(&joining.lists()?);
                joining.plan(Target { block: manifest.trusted().hash, at_lists: true }, &asks)
            })
            .await?;
        }
    }

    /// Goes on with what was begun of this snapshot, or begins anew.
    async fn begin(&self, found: &Found) -> Result<Joining, JoinError> {
        let (staging, genesis, manifest) =
            (self.staging.clone(), Arc::clone(&self.genesis), Arc::clone(&found.manifest));
        let begin = move || -> Result<Joining, StoreError> {
            let target = Target { block: manifest.trusted().hash, at_lists: false };
            let mut joining = Joining::open(&staging, &genesis)?;
            match joining.target()? {
                Some(begun) if begun.block == target.block => {
                    tracing::info!(height = %manifest.trusted().height, left = joining.asks()?.len(), "goes on with a snapshot");
                    return Ok(joining);
                }
                Some(_) => {
                    joining.discard()?;
                    joining = Joining::open(&staging, &genesis)?;
                }
                None => {}
            }
            tracing::info!(height = %manifest.trusted().height, "begins with a snapshot");
            joining.plan(target, &manifest.vector_asks())?;
            Ok(joining)
        };
        Ok(tokio::task::spawn_blocking(begin).await??)
    }

    /// Hashes everything once more and puts it in its place.
    async fn finish(&self, found: Found) -> Result<(), JoinError> {
        let (chain, staging, genesis) = (self.chain.clone(), self.staging.clone(), Arc::clone(&self.genesis));
        let finish = move || -> Result<(), StoreError> {
            let begun = Instant::now();
            let joining = Joining::open(&staging, &genesis)?;
            joining.finish(&genesis, &found.manifest, &found.steps, (found.first.0, &found.first.1))?;
            joining.install(&chain)?;
            let trusted = found.manifest.trusted();
            tracing::info!(height = %trusted.height, block = %trusted.hash, took = ?begun.elapsed(), "joined: the state is verified");
            Ok(())
        };
        Ok(tokio::task::spawn_blocking(finish).await??)
    }
}

/// The heights that are offered, newest first, and of use: later than the checkpoint, unless there is none such.
fn heights(offers: &[(NodeAddr, SourceOffer)], checkpoint: Option<Checkpoint>) -> Vec<Height> {
    let offered: BTreeSet<Height> = offers.iter().flat_map(|(_, offer)| offer.snapshots.iter().copied()).collect();
    let useful = offered.into_iter().filter(|height| checkpoint.is_none_or(|checkpoint| checkpoint.height != *height));
    useful.rev().collect()
}

async fn at_checkpoint(client: &mut JoinClient, checkpoint: Checkpoint, chain: ChainId) -> Result<Trusted, Useless> {
    let data = client.ask(&ToSource::At { height: checkpoint.height }).await?;
    let step: Step = decode_exact(&data, STEP_BYTES_MAX).map_err(lie)?;
    let next = step.next.as_ref().ok_or_else(|| lie("the set after the checkpoint is missing"))?;
    Trusted::checkpoint(chain, (checkpoint.height, checkpoint.hash), &step.header, next).map_err(|error| match error {
        // Either it lies, or the checkpoint is of another chain: worth saying, and no reason to ask it again.
        FollowError::OtherBlock { .. } => Useless::Lie(format!("{error}: the checkpoint may be wrong")),
        error => lie(error),
    })
}

/// Follows the validators to the last change before `height`.
async fn follow(client: &mut JoinClient, trusted: &mut Trusted, height: Height) -> Result<Vec<Step>, Useless> {
    let mut taken = Vec::new();
    loop {
        let data = client.ask(&ToSource::Steps { after: trusted.height }).await?;
        let steps: Steps = decode_exact(&data, JOIN_DATA_BYTES_MAX).map_err(lie)?;
        let before = trusted.height;
        for step in steps.into_inner() {
            if step.header.height >= height {
                return Ok(taken);
            }
            *trusted = trusted.follow(&step).map_err(lie)?;
            taken.push(step);
        }
        if trusted.height == before {
            return Ok(taken);
        }
    }
}

fn lie(reason: impl std::fmt::Display) -> Useless {
    Useless::Lie(reason.to_string())
}

impl From<TalkError> for Useless {
    fn from(error: TalkError) -> Self {
        if error.is_garbage() { Self::Lie(error.to_string()) } else { Self::Gone(error.to_string()) }
    }
}

async fn blocking<T: Send + 'static>(
    joining: &Arc<Joining>,
    work: impl FnOnce(&Joining) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, JoinError> {
    let joining = Arc::clone(joining);
    Ok(tokio::task::spawn_blocking(move || work(&joining)).await??)
}
