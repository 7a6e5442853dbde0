//! A wallet's place in the network: its endpoint, its parent heavy node, and sessions with holders.
//!
//! The parent may die while a wallet is at work. Then the next best heavy node answers what the dead one was asked; sessions
//! with holders are connections of their own and go on.

use crate::error::WalletError;
use crate::heavies::{ask_heavies, urls_of};
use crate::parent::Parent;
use crate::reading::{ReadRight, Sessions, Whereabouts};
use crate::session::Session;
use holdfast_network::control::{Offers, Reach};
use holdfast_network::parents::HeavyNode;
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::time::{Clock, SystemClock};
use holdfast_network::transfer::{Introducer, Resuming, RetryPolicy, TransferClientConfig};
use holdfast_network::wire::{Access, PlacementRequest, Role, Signed, Ticket};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::{Address, ChainId, SecretKey, TimeMs};
use holdfast_rpc::RpcClient;
use std::sync::Arc;

/// Connected to the parent.
pub struct Link {
    endpoint: Arc<QuicEndpoint>,
    parent: Arc<Parent>,
    clock: SystemClock,
    chain: ChainId,
    sessions: Sessions,
}

impl Link {
    /// Asks the session's node which heavy nodes there are and connects to the best as an owner: the node itself, unless
    /// another is clearly better. Those that are there are remembered.
    pub async fn connect(session: &Session) -> Result<Self, WalletError> {
        let right = ReadRight::Own(session.key().clone());
        let (heavies, named) = heavies(session.rpc()).await?;
        if let Err(error) = session.remembered().write(&heavies) {
            tracing::debug!(%error, "the heavy nodes could not be remembered");
        }
        Self::through(&heavies, &named, session.chain(), session.key().clone(), right).await
    }

    /// Connects as `key`, whose right to read is `right`, to the best of the heavy nodes that `rpc` knows. No account is
    /// needed.
    pub async fn open(rpc: &RpcClient, chain: ChainId, key: SecretKey, right: ReadRight) -> Result<Self, WalletError> {
        let (heavies, named) = heavies(rpc).await?;
        Self::through(&heavies, &named, chain, key, right).await
    }

    async fn through(
        heavies: &[HeavyNode],
        named: &NodeAddr,
        chain: ChainId,
        key: SecretKey,
        right: ReadRight,
    ) -> Result<Self, WalletError> {
        let config = QuicConfig { accept: Vec::new(), port_mapping: false, ..QuicConfig::new(key) };
        let endpoint = Arc::new(QuicEndpoint::bind(config.with_parents(std::slice::from_ref(named))).await?);
        let (dialler, clock) = (Arc::clone(&endpoint) as Arc<dyn Endpoint>, SystemClock);
        let reach = Reach::new(Arc::clone(&dialler), chain, Arc::new(clock), Role::Owner);
        let parent = Arc::new(Parent::find(reach, heavies, named.id).await?);
        let finder = Arc::clone(&parent) as Arc<dyn Whereabouts>;
        let sessions = Sessions::new(dialler, finder, Arc::new(clock), chain, right);
        Ok(Self { endpoint, parent, clock, chain, sessions })
    }

    /// Asks the parent for holders, and the next heavy node when it dies over that. `request` makes the request to a parent,
    /// which is its first hop; each time another one.
    ///
    /// # Errors
    /// What the parent says, or that none can be reached.
    pub async fn place(
        &self,
        request: impl Fn(Address) -> Result<Signed<PlacementRequest>, WalletError>,
    ) -> Result<Offers, WalletError> {
        self.parent.place(request).await
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
            introducer: Some(Arc::clone(&self.parent) as Arc<dyn Introducer>),
        }
    }

    /// Says goodbye to everyone.
    pub async fn close(&self) {
        self.parent.close().await;
        self.endpoint.close().await;
    }
}

/// The heavy nodes that a node knows, and the node itself.
async fn heavies(rpc: &RpcClient) -> Result<(Vec<HeavyNode>, NodeAddr), WalletError> {
    let named: NodeAddr = rpc.market_node().await?.node_addr.parse()?;
    let mut heavies = ask_heavies(rpc).await?;
    if !heavies.iter().any(|node| node.id() == named.id) {
        heavies.push(HeavyNode::unknown(named.clone()));
    }
    rpc.learn(&urls_of(&heavies));
    Ok((heavies, named))
}
