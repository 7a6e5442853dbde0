//! A wallet's place in the network: its endpoint, its parent heavy node, and sessions with holders.
//!
//! The parent may die while a wallet is at work. Then the next best heavy node answers what the dead one was asked; sessions
//! with holders are connections of their own and go on.

use crate::error::WalletError;
use crate::heavies::{ask_heavies, urls_of};
use crate::session::Session;
use holdfast_network::control::{ControlClient, ControlError, Offers, Reach};
use holdfast_network::parents::{HeavyNode, PARENTS, Roster};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::{Clock, SystemClock};
use holdfast_network::transfer::{Resuming, RetryPolicy, TransferClient, TransferClientConfig, TransferError};
use holdfast_network::wire::{Access, Capability, LocatedHolder, PlacementRequest, Role, Scope, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{Address, ChainId, GrantId, SecretKey, TimeMs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an owner's own permission to read lasts.
const READ_FOR_MS: u64 = 6 * 60 * 60 * 1_000;
/// How long heavy nodes may take to show how far they are, and how many are asked.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const FIRST_LOOK_MAX: usize = 8;
/// How long dialling a holder may take before the read goes on without it.
const DIAL: Duration = Duration::from_secs(8);

/// Connected to the parent.
pub struct Link {
    endpoint: Arc<QuicEndpoint>,
    reach: Reach,
    parent: Mutex<Parent>,
    clock: SystemClock,
    chain: ChainId,
    key: SecretKey,
    readers: Mutex<HashMap<Address, Arc<Mutex<Reader>>>>,
}

/// The heavy nodes that are known, and the session with one of them.
struct Parent {
    roster: Roster,
    client: Option<Arc<ControlClient>>,
    since: Instant,
}

#[derive(Default)]
struct Reader {
    client: Option<Arc<TransferClient>>,
    failed: Option<String>,
}

impl Link {
    /// Asks the session's node which heavy nodes there are and connects to the best as an owner: the node itself, unless
    /// another is clearly better.
    pub async fn connect(session: &Session) -> Result<Self, WalletError> {
        let named: NodeAddr = session.rpc().market_node().await?.node_addr.parse()?;
        let mut heavies = ask_heavies(session.rpc()).await?;
        if !heavies.iter().any(|node| node.id() == named.id) {
            heavies.push(HeavyNode::unknown(named.clone()));
        }
        session.rpc().learn(&urls_of(&heavies));
        if let Err(error) = session.remembered().write(&heavies) {
            tracing::debug!(%error, "the heavy nodes could not be remembered");
        }
        let config = QuicConfig { accept: Vec::new(), port_mapping: false, ..QuicConfig::new(session.key().clone()) };
        let endpoint = Arc::new(QuicEndpoint::bind(config.with_parents(std::slice::from_ref(&named))).await?);
        let (chain, key, clock) = (session.chain(), session.key().clone(), SystemClock);
        let reach = Reach::new(Arc::clone(&endpoint) as Arc<dyn Endpoint>, chain, Arc::new(clock), Role::Owner);
        let (mut roster, since) = (Roster::new(key.address()), Instant::now());
        roster.know(&heavies);
        roster.took(named.id);
        let due = heavies.iter().take(FIRST_LOOK_MAX).map(|node| node.addr.clone()).collect();
        reach.measure(&mut roster, due, since, FIRST_LOOK).await;
        let parent = Mutex::new(Parent { roster, client: None, since });
        let link = Self { endpoint, reach, parent, clock, chain, key, readers: Mutex::default() };
        link.control().await?;
        Ok(link)
    }

    /// A session with the parent, or with the next best heavy node when the parent gives no sign of life.
    pub async fn control(&self) -> Result<Arc<ControlClient>, WalletError> {
        let mut parent = self.parent.lock().await;
        if let Some(client) = parent.client.take() {
            match client.ping(self.reach.timing.suspect_after).await {
                Ok(_) => {
                    parent.client = Some(Arc::clone(&client));
                    return Ok(client);
                }
                Err(error) => {
                    tracing::info!(parent = %client.parent(), %error, "the parent is lost");
                    client.close();
                    let now = parent.since.elapsed();
                    parent.roster.failed(&client.parent(), now);
                }
            }
        }
        let ranked = parent.roster.choice(parent.since.elapsed());
        let (client, failed) = self.reach.connect_first(&ranked).await;
        let now = parent.since.elapsed();
        failed.iter().for_each(|(node, _)| parent.roster.failed(node, now));
        let last = failed.into_iter().next_back().map_or(ControlError::NoParent, |(_, error)| error);
        let client = Arc::new(client.ok_or(last)?);
        parent.roster.took(client.parent());
        parent.client = Some(Arc::clone(&client));
        let addrs: Vec<NodeAddr> = ranked.into_iter().map(|node| node.addr).collect();
        self.endpoint.note_parents(&addrs).await;
        Ok(client)
    }

    /// Asks the parent for holders, and the next heavy node when it dies over that. `request` makes the request to a parent,
    /// which is its first hop; each time another one.
    pub async fn place(
        &self,
        request: impl Fn(Address) -> Result<Signed<PlacementRequest>, WalletError>,
    ) -> Result<Offers, WalletError> {
        let mut tries = PARENTS;
        loop {
            let control = self.control().await?;
            let placed = async { control.place(request(control.parent())?).await?.collect().await.map_err(Into::into) };
            match placed.await {
                Err(WalletError::Control(error)) if tries > 1 && error.is_passing() => {
                    tracing::info!(parent = %control.parent(), %error, "asking another heavy node");
                    tries -= 1;
                }
                placed => return placed,
            }
        }
    }

    /// Where holders are, by the parent, or by the next heavy node when it dies over that.
    async fn locate(&self, holders: &[Address]) -> Result<Vec<LocatedHolder>, WalletError> {
        let mut tries = PARENTS;
        loop {
            let control = self.control().await?;
            match control.locate(holders).await {
                Err(error) if tries > 1 && error.is_passing() => tries -= 1,
                located => return Ok(located?),
            }
        }
    }

    /// Now.
    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// Uploads to the holder that `ticket` introduces.
    pub fn writer(&self, ticket: Signed<Ticket>) -> Resuming {
        Resuming {
            endpoint: Arc::clone(&self.endpoint) as Arc<dyn Endpoint>,
            holder: ticket.statement.holder_addr.clone(),
            chain: self.chain,
            access: Access::Write { ticket },
            config: TransferClientConfig::default(),
            retry: RetryPolicy::default(),
            introducer: None,
        }
    }

    /// A reading session with a holder; one per holder, opened when first needed. A holder that failed once is not asked
    /// again by this link.
    pub async fn reader(&self, holder: Address) -> Result<Arc<TransferClient>, String> {
        let slot = Arc::clone(self.readers.lock().await.entry(holder).or_default());
        let mut reader = slot.lock().await;
        if let Some(reason) = &reader.failed {
            return Err(reason.clone());
        }
        if let Some(client) = &reader.client {
            return Ok(Arc::clone(client));
        }
        match self.open_reader(holder).await {
            Ok(client) => {
                let client = Arc::new(client);
                reader.client = Some(Arc::clone(&client));
                Ok(client)
            }
            Err(reason) => {
                reader.failed = Some(reason.clone());
                Err(reason)
            }
        }
    }

    /// Notes that a holder failed, so that nobody waits for it again.
    pub async fn give_up(&self, holder: Address, error: &TransferError) -> String {
        let slot = Arc::clone(self.readers.lock().await.entry(holder).or_default());
        let reason = error.to_string();
        if !matches!(error, TransferError::Refused { .. }) {
            slot.lock().await.failed = Some(reason.clone());
        }
        reason
    }

    async fn open_reader(&self, holder: Address) -> Result<TransferClient, String> {
        let located = self.locate(&[holder]).await.map_err(|error| error.to_string())?;
        let ticket = located.into_iter().next().and_then(|located| located.ticket).ok_or("it is not online")?;
        let capability = Capability {
            grant: GrantId::ZERO,
            owner: self.key.address(),
            reader: self.key.address(),
            holder: Some(holder),
            scope: Scope::All,
            expires: self.clock.now().saturating_add(READ_FOR_MS),
        };
        let addr = ticket.statement.holder_addr.clone();
        let access = Access::Read { capability: Signed::new(capability, &self.key, &self.chain), ticket: Some(ticket) };
        let dial = TransferClient::connect(&*self.endpoint, &addr, self.chain, access, TransferClientConfig::default());
        match tokio::time::timeout(DIAL, dial).await {
            Ok(dialled) => dialled.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", DIAL.as_secs())),
        }
    }

    /// Says goodbye to everyone.
    pub async fn close(&self) {
        if let Some(client) = self.parent.lock().await.client.take() {
            client.close();
        }
        self.endpoint.close().await;
    }
}
