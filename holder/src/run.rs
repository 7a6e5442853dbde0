//! One holder from start to stop: joins, serves, proves, keeps house, and finds its parent again when it was away.

use crate::housekeeping::{Housekeeper, Sweep};
use crate::issuers::Issuers;
use crate::ledger::{ChainView, Ledger, LedgerError};
use crate::membership::Membership;
use crate::offer::Offer;
use crate::promises::Promises;
use crate::prover::{Proven, Prover};
use crate::readers::Readers;
use crate::service::{Doors, HolderService, SharedService};
use crate::submit::Sender;
use holdfast_ledger::{Params, Profile};
use holdfast_network::control::{ParentStatus, Reach, keep_online};
use holdfast_network::parents::HeavyNode;
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::time::{Clock, SystemClock};
use holdfast_network::transfer::{TransferConfig, TransferServer};
use holdfast_network::wire::{HolderOffer, Role};
use holdfast_network::{Endpoint, Protocol, TransportError};
use holdfast_primitives::{Address, Amount, Bounded, Height, HolderNo, SecretKey};
use holdfast_store::{Vault, VaultError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Bytes of a disk that stay free whatever the quota says.
const RESERVE_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// How often it is looked at what the parent should be told of what is free.
const OFFER_EVERY: Duration = Duration::from_secs(5);
/// How often the ledger is asked which heavy nodes there are.
const HEAVIES_EVERY: Duration = Duration::from_secs(30);
/// Pause after the ledger was not there.
const AWAY: Duration = Duration::from_secs(1);
/// News that may wait for a reader.
const NEWS_KEPT: usize = 256;

/// What the operator of a holder chooses.
#[derive(Clone, Debug)]
pub struct HolderConfig {
    /// Folder of the batches.
    pub dir: PathBuf,
    /// The holder's key.
    pub key: SecretKey,
    /// What it offers; the sizes it takes are the network's.
    pub quota_bytes: u64,
    /// Asking price per MiB per round.
    pub price: Amount,
    /// Longest term, region, operator and topics.
    pub profile: Profile,
    /// Deposit, if other than what covers the whole quota.
    pub deposit: Option<Amount>,
    /// Whether a holder that is leaving, or has left, takes new batches again.
    pub rejoin: bool,
    /// Heavy nodes that it knows: one of them becomes its parent, and two its backups. The ledger names more.
    pub parents: Vec<HeavyNode>,
    /// Sockets to bind; empty binds all interfaces on a free port.
    pub bind: Vec<SocketAddr>,
}

/// Why a holder did not start.
#[derive(Debug, Error)]
pub enum HolderError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The endpoint.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The folder of promises.
    #[error("the promises in {} cannot be read: {source}", path.display())]
    Promises {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was told to leave, and nothing binds it any more.
    #[error("this holder has left: it takes nothing new and holds nothing")]
    Left,
    /// Too little money to join.
    #[error("the account has {balance}, a deposit of {deposit} is needed")]
    NoDeposit {
        /// What it has.
        balance: Amount,
        /// What it needs.
        deposit: Amount,
    },
}

/// What a running holder tells its operator.
#[derive(Clone, Debug)]
pub enum HolderNews {
    /// A round was proved.
    Proven(Proven),
    /// The vault was swept, and something was done.
    Swept(Sweep),
    /// A parent is there.
    Connected {
        /// The parent, then its backups.
        parents: Vec<HeavyNode>,
    },
    /// The parent or the ledger is away.
    Away(String),
}

/// A running holder. Dropping it stops it.
pub struct HolderHandle {
    /// Its number on the ledger.
    pub number: HolderNo,
    /// Whether it takes new batches: not when it was told to leave and keeps what it has until the terms are over.
    pub accepting: bool,
    /// What happens.
    pub news: mpsc::Receiver<HolderNews>,
    endpoint: Arc<QuicEndpoint>,
    tasks: JoinSet<()>,
}

/// Joins the ledger, opens the vault and begins to serve.
pub async fn start(config: HolderConfig, ledger: Arc<dyn Ledger>) -> Result<HolderHandle, HolderError> {
    let genesis = ledger.genesis().await?;
    let (chain, params) = (genesis.chain_id(), genesis.params);
    let offer = offer(&config, &params);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let vault = open_vault(&config).await?;
    let promises = open_promises(&config, &vault)?;
    let sender = Arc::new(Sender::new(Arc::clone(&ledger), config.key.clone(), chain, params.fee_per_byte));
    let number = join(&config, &ledger, &sender, &params, &offer).await?;
    let offer = Offer { accepting: ledger.holder(number).await?.accepting, ..offer };
    let accepting = offer.accepting;
    let issuers = Arc::new(Issuers::new(Arc::clone(&clock)));
    let service = Arc::new(HolderService::new(
        config.key.clone(),
        chain,
        Doors { issuers: Arc::clone(&issuers), readers: Readers::new(Arc::clone(&ledger), params.clone()) },
        offer,
        vault.clone(),
        Arc::clone(&promises),
        Arc::clone(&clock),
    ));
    let endpoint = Arc::new(QuicEndpoint::bind(quic_config(&config)).await?);
    let transfers = TransferServer::new(
        TransferConfig::default(),
        config.key.address(),
        Arc::new(SharedService(Arc::clone(&service))),
        Arc::clone(&clock),
    );
    let (news, receiver) = mpsc::channel(NEWS_KEPT);
    let mut tasks = JoinSet::new();
    let handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(transfers)];
    tasks.spawn(serve(Arc::clone(&endpoint) as Arc<dyn Endpoint>, handlers, ServeLimits::default()));
    let (offers, offered) = watch::channel(offer_of(&service));
    let (status, standing) = watch::channel(ParentStatus::Connecting);
    let (heavies, known) = watch::channel(config.parents.clone());
    let reach = Reach::new(Arc::clone(&endpoint) as Arc<dyn Endpoint>, chain, clock, Role::Holder);
    let answers = Arc::new(SharedService(Arc::clone(&service)));
    tasks.spawn(keep_online(reach, known, offered, answers, status));
    tasks.spawn(keep_knowing(Arc::clone(&ledger), heavies));
    tasks.spawn(keep_offering(Arc::clone(&service), offers));
    tasks.spawn(tell_standing(standing, issuers, Arc::clone(&ledger), news.clone()));
    let rounds = Rounds {
        prover: Prover::new(
            Arc::clone(&ledger),
            vault.clone(),
            Arc::clone(&sender),
            number,
            chain,
            params.proof_part_openings,
        ),
        housekeeper: Housekeeper::new(Arc::clone(&ledger), vault, sender, number),
        ledger,
        service,
        promises,
        number,
        params,
        news,
    };
    tasks.spawn(rounds.keep());
    Ok(HolderHandle { number, accepting, news: receiver, endpoint, tasks })
}

impl HolderHandle {
    /// Stops serving and proving.
    pub async fn shutdown(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.endpoint.close().await;
    }
}

fn offer(config: &HolderConfig, params: &Params) -> Offer {
    Offer {
        quota_bytes: config.quota_bytes,
        price: config.price,
        profile: Profile {
            rounds_max: config.profile.rounds_max.min(params.contract_rounds_max),
            ..config.profile.clone()
        },
        batch_classes: params.batch_classes.to_vec(),
        accepting: true,
    }
}

async fn open_vault(config: &HolderConfig) -> Result<Vault, HolderError> {
    let (folder, quota) = (config.dir.join("vault"), config.quota_bytes);
    let opened = tokio::task::spawn_blocking(move || Vault::open(&folder, quota, RESERVE_FREE_BYTES)).await;
    let opened = opened.map_err(|error| LedgerError::Unavailable { reason: error.to_string() })?;
    Ok(opened?)
}

fn open_promises(config: &HolderConfig, vault: &Vault) -> Result<Arc<Promises>, HolderError> {
    let path = config.dir.join("promises");
    let batches = vault.list().into_iter().map(|batch| batch.tag);
    Promises::open(&path, batches).map(Arc::new).map_err(|source| HolderError::Promises { path, source })
}

async fn join(
    config: &HolderConfig,
    ledger: &Arc<dyn Ledger>,
    sender: &Arc<Sender>,
    params: &Params,
    offer: &Offer,
) -> Result<HolderNo, HolderError> {
    let membership = Membership::new(Arc::clone(ledger), Arc::clone(sender), params.clone());
    let account = ledger.account(&sender.address()).await?;
    if account.as_ref().is_none_or(|account| account.holder.is_none()) {
        let deposit = config.deposit.map_or_else(|| membership.full_deposit(offer), Ok)?.max(params.holder_bond);
        let balance = account.as_ref().map_or(Amount::ZERO, |account| account.balance);
        if balance <= deposit {
            return Err(HolderError::NoDeposit { balance, deposit });
        }
    }
    let left = match account.and_then(|account| account.holder) {
        Some(number) if !config.rejoin => Some(ledger.holder(number).await?).filter(|holder| !holder.accepting),
        _ => None,
    };
    match left {
        Some(holder) if holder.used_bytes == 0 => Err(HolderError::Left),
        // What it keeps until the terms are over, it keeps as the ledger has it: no new offer, no new deposit.
        Some(_) => membership.number().await?.ok_or(HolderError::Left),
        None => Ok(membership.ensure(offer, config.deposit).await?.number),
    }
}

fn quic_config(config: &HolderConfig) -> QuicConfig {
    QuicConfig { bind: config.bind.clone(), accept: vec![Protocol::Transfer], ..QuicConfig::new(config.key.clone()) }
}

/// Keeps the list of heavy nodes as new as the ledger's.
async fn keep_knowing(ledger: Arc<dyn Ledger>, heavies: watch::Sender<Vec<HeavyNode>>) {
    while !heavies.is_closed() {
        match ledger.heavies().await {
            Ok(known) if !known.is_empty() => {
                heavies.send_if_modified(|told| std::mem::replace(told, known.clone()) != known);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "nobody says which heavy nodes there are"),
        }
        tokio::time::sleep(HEAVIES_EVERY).await;
    }
}

/// What the parent is told of this holder.
fn offer_of(service: &HolderService) -> HolderOffer {
    let offer = service.offer();
    HolderOffer {
        free_bytes: service.free_bytes(),
        price: offer.price,
        classes: Bounded::new(offer.batch_classes.clone()).expect("a network has few batch sizes"),
        accepting: service.accepting(),
    }
}

/// Keeps the parent's picture of this holder true.
async fn keep_offering(service: Arc<HolderService>, offers: watch::Sender<HolderOffer>) {
    while !offers.is_closed() {
        let offer = offer_of(&service);
        offers.send_if_modified(|told| std::mem::replace(told, offer.clone()) != offer);
        tokio::time::sleep(OFFER_EVERY).await;
    }
}

/// Trusts whoever the holder leans on, and tells the operator how that stands.
async fn tell_standing(
    mut standing: watch::Receiver<ParentStatus>,
    issuers: Arc<Issuers>,
    ledger: Arc<dyn Ledger>,
    news: mpsc::Sender<HolderNews>,
) {
    let mut told = Vec::new();
    while standing.changed().await.is_ok() {
        let status = standing.borrow_and_update().clone();
        match status {
            ParentStatus::Connecting => {}
            ParentStatus::Online { parents, .. } => {
                let ids: Vec<Address> = parents.iter().map(HeavyNode::id).collect();
                issuers.lean_on(&ids);
                ledger.lean_on(&parents).await;
                if std::mem::replace(&mut told, ids) != told {
                    tell(&news, HolderNews::Connected { parents });
                }
            }
            ParentStatus::Offline { reason, .. } => {
                told.clear();
                tell(&news, HolderNews::Away(reason));
            }
        }
    }
}

/// Follows the chain and does what each round asks.
struct Rounds {
    prover: Prover,
    housekeeper: Housekeeper,
    ledger: Arc<dyn Ledger>,
    service: Arc<HolderService>,
    promises: Arc<Promises>,
    number: HolderNo,
    params: Params,
    news: mpsc::Sender<HolderNews>,
}

impl Rounds {
    async fn keep(mut self) {
        let mut seen = Height::GENESIS;
        loop {
            match self.step(seen).await {
                Ok(height) => seen = height,
                Err(error) => {
                    tell(&self.news, HolderNews::Away(error.to_string()));
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
    }

    async fn step(&mut self, seen: Height) -> Result<Height, LedgerError> {
        let view = match seen {
            Height::GENESIS => self.ledger.chain().await?,
            seen => self.ledger.chain_after(seen).await?,
        };
        self.learn(&view).await?;
        if let Some(proven) = self.prover.step(&view).await? {
            tell(&self.news, HolderNews::Proven(proven));
        }
        if let Some(sweep) = self.housekeeper.step(&view).await?
            && sweep != Sweep::default()
        {
            tell(&self.news, HolderNews::Swept(sweep));
        }
        Ok(view.height)
    }

    async fn learn(&self, view: &ChainView) -> Result<(), LedgerError> {
        let holder = self.ledger.holder(self.number).await?;
        let free = holder.deposit.saturating_sub(self.params.holder_bond).saturating_sub(holder.locked);
        let per_mebibyte = holder.price.checked_mul(u64::from(self.params.collateral_rounds)).unwrap_or(Amount::ZERO);
        let mebibytes = free.get().checked_div(per_mebibyte.get()).unwrap_or(u64::MAX);
        let secured_bytes = mebibytes.saturating_mul(1 << 20);
        self.service.learn(view.height, secured_bytes, holder.used_bytes, holder.accepting);
        self.promises.expire(view.height).map_err(|error| LedgerError::Unavailable { reason: error.to_string() })
    }
}

/// Nobody has to listen: when the queue is full the news is dropped, the log has it.
fn tell(news: &mpsc::Sender<HolderNews>, item: HolderNews) {
    match &item {
        HolderNews::Away(reason) => tracing::warn!(%reason, "away"),
        other => tracing::info!(news = ?other, "holder"),
    }
    let _ = news.try_send(item);
}
