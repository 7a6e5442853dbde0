//! A wallet's place in the network: its endpoint, its parent heavy node, and sessions with holders.

use crate::error::WalletError;
use crate::reading::{ReadRight, Sessions};
use crate::session::Session;
use holdfast_network::control::{ControlClient, ControlClientConfig};
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::{Clock, SystemClock};
use holdfast_network::transfer::{Resuming, RetryPolicy, TransferClientConfig};
use holdfast_network::wire::{Access, Role, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{ChainId, SecretKey, TimeMs};
use holdfast_rpc::RpcClient;
use std::sync::Arc;

/// Connected to the parent.
pub struct Link {
    endpoint: Arc<QuicEndpoint>,
    control: Arc<ControlClient>,
    clock: SystemClock,
    chain: ChainId,
    sessions: Sessions,
}

impl Link {
    /// Asks the session's node for its network address and connects to it as an owner.
    pub async fn connect(session: &Session) -> Result<Self, WalletError> {
        let right = ReadRight::Own(session.key().clone());
        Self::open(session.rpc(), session.chain(), session.key().clone(), right).await
    }

    /// Connects as `key`, whose right to read is `right`, to the node that `rpc` talks to. No account is needed.
    pub async fn open(rpc: &RpcClient, chain: ChainId, key: SecretKey, right: ReadRight) -> Result<Self, WalletError> {
        let parent: NodeAddr = rpc.market_node().await?.node_addr.parse()?;
        let config = QuicConfig {
            accept: Vec::new(),
            relays: parent.relay().map(str::to_owned).into_iter().collect(),
            port_mapping: false,
            ..QuicConfig::new(key)
        };
        let endpoint = Arc::new(QuicEndpoint::bind(config).await?);
        let clock = SystemClock;
        let config = ControlClientConfig::default();
        let control = ControlClient::connect(&*endpoint, &parent, chain, Role::Owner, Arc::new(clock), config).await?;
        let control = Arc::new(control);
        let (dialler, finder) = (Arc::clone(&endpoint), Arc::clone(&control));
        let sessions = Sessions::new(dialler, finder, Arc::new(clock), chain, right);
        Ok(Self { endpoint, control, clock, chain, sessions })
    }

    /// The parent.
    pub fn control(&self) -> &ControlClient {
        &self.control
    }

    /// Sessions with holders that are read from, and what they taught about the holders.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
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
        }
    }

    /// Says goodbye to everyone.
    pub async fn close(&self) {
        self.control.close();
        self.endpoint.close().await;
    }
}
