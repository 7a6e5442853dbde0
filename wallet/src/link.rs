//! A wallet's place in the network: its endpoint, its parent heavy node, and sessions with holders.

use crate::error::WalletError;
use crate::session::Session;
use holdfast_network::control::{ControlClient, ControlClientConfig};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::{Clock, SystemClock};
use holdfast_network::transfer::{Resuming, RetryPolicy, TransferClient, TransferClientConfig, TransferError};
use holdfast_network::wire::{Access, Capability, Role, Scope, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{Address, ChainId, GrantId, SecretKey, TimeMs};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long an owner's own permission to read lasts.
const READ_FOR_MS: u64 = 6 * 60 * 60 * 1_000;
/// How long dialling a holder may take before the read goes on without it.
const DIAL: Duration = Duration::from_secs(8);

/// Connected to the parent.
pub struct Link {
    endpoint: Arc<QuicEndpoint>,
    control: ControlClient,
    clock: SystemClock,
    chain: ChainId,
    key: SecretKey,
    readers: Mutex<HashMap<Address, Arc<Mutex<Reader>>>>,
}

#[derive(Default)]
struct Reader {
    client: Option<Arc<TransferClient>>,
    failed: Option<String>,
}

impl Link {
    /// Asks the session's node for its network address and connects to it as an owner.
    pub async fn connect(session: &Session) -> Result<Self, WalletError> {
        let parent: NodeAddr = session.rpc().market_node().await?.node_addr.parse()?;
        let config = QuicConfig {
            accept: Vec::new(),
            relays: parent.relay().map(str::to_owned).into_iter().collect(),
            port_mapping: false,
            ..QuicConfig::new(session.key().clone())
        };
        let endpoint = Arc::new(QuicEndpoint::bind(config).await?);
        let clock = SystemClock;
        let config = ControlClientConfig::default();
        let control =
            ControlClient::connect(&*endpoint, &parent, session.chain(), Role::Owner, Arc::new(clock), config).await?;
        let (chain, key) = (session.chain(), session.key().clone());
        Ok(Self { endpoint, control, clock, chain, key, readers: Mutex::default() })
    }

    /// The parent.
    pub const fn control(&self) -> &ControlClient {
        &self.control
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
        let located = self.control.locate(&[holder]).await.map_err(|error| error.to_string())?;
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
        self.control.close();
        self.endpoint.close().await;
    }
}
