//! Sessions with holders: found through a heavy node, opened when first needed, shared by all ranges.

use super::fault::{Fault, FaultCode};
use super::standing::{Moment, Standings};
use async_trait::async_trait;
use holdfast_network::time::Clock;
use holdfast_network::transfer::{TransferClient, TransferClientConfig};
use holdfast_network::wire::{Access, Capability, Scope, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr, PathKind};
use holdfast_por::BatchMeta;
use holdfast_primitives::{Address, ChainId, GrantId, SecretKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long an owner's own permission to read lasts.
const READ_FOR_MS: u64 = 6 * 60 * 60 * 1_000;
/// How long dialling a holder may take before the read goes on without it.
const DIAL: Duration = Duration::from_secs(8);
/// How long to wait for a direct path before a read begins over the relay; it becomes direct when one opens.
const DIRECT: Duration = Duration::from_millis(500);

/// Finds holders.
#[async_trait]
pub trait Whereabouts: Send + Sync + 'static {
    /// Where a holder is, and the introduction to it, if it wants one.
    async fn find(&self, holder: Address) -> Result<(NodeAddr, Option<Signed<Ticket>>), Fault>;
}

/// By what right a reader reads.
pub enum ReadRight {
    /// Its own batches: it signs a permission for itself.
    Own(SecretKey),
    /// Somebody else's, by the permissions in a grant.
    Granted(Vec<Signed<Capability>>),
}

/// Which of a right's permissions covers a batch: a session is opened by one.
type RightNo = usize;
type Slot = Arc<tokio::sync::Mutex<Option<Arc<TransferClient>>>>;

/// All sessions of one reader, and what they taught about the holders.
pub struct Sessions {
    endpoint: Arc<dyn Endpoint>,
    whereabouts: Arc<dyn Whereabouts>,
    clock: Arc<dyn Clock>,
    chain: ChainId,
    right: ReadRight,
    open: Mutex<HashMap<(Address, RightNo), Slot>>,
    paths: Mutex<BTreeMap<Address, PathKind>>,
    standings: Mutex<Standings>,
    /// Counts how often something became known that other races must look at.
    news: watch::Sender<u64>,
    began: Instant,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(
        endpoint: Arc<dyn Endpoint>,
        whereabouts: Arc<dyn Whereabouts>,
        clock: Arc<dyn Clock>,
        chain: ChainId,
        right: ReadRight,
    ) -> Self {
        Self {
            endpoint,
            whereabouts,
            clock,
            chain,
            right,
            open: Mutex::default(),
            paths: Mutex::default(),
            standings: Mutex::default(),
            news: watch::Sender::new(0),
            began: Instant::now(),
        }
    }

    /// What is known of the holders.
    pub(crate) fn standings(&self) -> MutexGuard<'_, Standings> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How bytes travelled last, per holder.
    pub(crate) fn paths(&self) -> MutexGuard<'_, BTreeMap<Address, PathKind>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all races to look again.
    pub(crate) fn spread_news(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Hears of news from now on.
    pub(crate) fn hear_news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The time that all races share.
    pub(crate) fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// When a race's moment is.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.began + moment
    }

    /// Reads a range of a batch from its holder, verified; `reached` is called once the session stands, `heard` as bytes
    /// come.
    pub(crate) async fn read(
        &self,
        holder: Address,
        meta: &BatchMeta,
        (offset, length): (u64, u64),
        reached: &(dyn Fn() + Send + Sync),
        heard: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Vec<u8>, Fault> {
        let right = self.right_for(&meta.root)?;
        let client = self.session(holder, right).await?;
        reached();
        let read = client.read_range_heard(meta, offset, length, heard).await;
        self.paths().insert(holder, client.path_kind());
        match read {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.code == FaultCode::Lost {
                    self.forget(holder, right, &client).await;
                }
                Err(fault)
            }
        }
    }

    fn right_for(&self, root: &[u8; 32]) -> Result<RightNo, Fault> {
        match &self.right {
            ReadRight::Own(_) => Ok(0),
            ReadRight::Granted(all) => all
                .iter()
                .position(|signed| signed.statement.scope.covers(root))
                .ok_or_else(|| Fault::new(FaultCode::Refused, "the grant does not cover this batch")),
        }
    }

    async fn session(&self, holder: Address, right: RightNo) -> Result<Arc<TransferClient>, Fault> {
        let slot = Arc::clone(self.slots().entry((holder, right)).or_default());
        let mut open = slot.lock().await;
        if let Some(client) = open.as_ref().filter(|client| !client.has_ended()) {
            return Ok(Arc::clone(client));
        }
        let client = match tokio::time::timeout(DIAL, self.dial(holder, right)).await {
            Ok(dialled) => Arc::new(dialled?),
            Err(_) => {
                let waited = format!("no session within {} s", DIAL.as_secs());
                return Err(Fault::new(FaultCode::Unreachable, waited));
            }
        };
        self.paths().insert(holder, client.path_kind());
        *open = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn dial(&self, holder: Address, right: RightNo) -> Result<TransferClient, Fault> {
        let (addr, ticket) = self.whereabouts.find(holder).await?;
        let access = Access::Read { capability: self.capability(holder, right)?, ticket };
        let config = TransferClientConfig { wait_direct: DIRECT, ..TransferClientConfig::default() };
        let dialled = TransferClient::connect(&*self.endpoint, &addr, self.chain, access, config).await;
        dialled.map_err(|error| match Fault::of(&error) {
            fault if fault.code == FaultCode::Lost => Fault::new(FaultCode::Unreachable, fault.detail),
            fault => fault,
        })
    }

    fn capability(&self, holder: Address, right: RightNo) -> Result<Signed<Capability>, Fault> {
        match &self.right {
            ReadRight::Own(key) => {
                let own = Capability {
                    grant: GrantId::ZERO,
                    owner: key.address(),
                    reader: key.address(),
                    holder: Some(holder),
                    scope: Scope::All,
                    expires: self.clock.now().saturating_add(READ_FOR_MS),
                };
                Ok(Signed::new(own, key, &self.chain))
            }
            ReadRight::Granted(all) => {
                let missing = || Fault::new(FaultCode::Refused, "the grant does not cover this batch");
                all.get(right).cloned().ok_or_else(missing)
            }
        }
    }

    /// Forgets a session that broke, so that the next question dials anew; unless somebody else has done so already.
    async fn forget(&self, holder: Address, right: RightNo, broken: &Arc<TransferClient>) {
        let slot = Arc::clone(self.slots().entry((holder, right)).or_default());
        let mut open = slot.lock().await;
        if open.as_ref().is_some_and(|client| Arc::ptr_eq(client, broken)) {
            *open = None;
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(Address, RightNo), Slot>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
