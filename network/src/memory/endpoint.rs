//! Endpoints of the network in memory.

use super::Shared;
use super::link::{Link, MemoryConnection};
use crate::address::NodeAddr;
use crate::transport::{Connection, Endpoint, Incoming, Protocol, TransportError};
use async_trait::async_trait;
use holdfast_primitives::Address;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A node of a [`MemoryNetwork`](crate::memory::MemoryNetwork).
pub struct MemoryEndpoint {
    shared: Arc<Shared>,
    id: Address,
    knocks: Mutex<mpsc::UnboundedReceiver<MemoryIncoming>>,
    closed: CancellationToken,
    observed: std::sync::Mutex<Option<SocketAddr>>,
}

/// Somebody knocks. Dropping it refuses.
pub(crate) struct MemoryIncoming {
    ip: IpAddr,
    connection: MemoryConnection,
    /// Tells the dialler that it was let in.
    admitted: oneshot::Sender<()>,
}

impl MemoryEndpoint {
    pub(super) fn new(shared: Arc<Shared>, id: Address, knocks: mpsc::UnboundedReceiver<MemoryIncoming>) -> Self {
        Self {
            shared,
            id,
            knocks: Mutex::new(knocks),
            closed: CancellationToken::new(),
            observed: std::sync::Mutex::default(),
        }
    }

    async fn dial(&self, at: &NodeAddr, protocol: Protocol) -> Result<MemoryConnection, TransportError> {
        let to = at.id;
        let unreachable = |reason: &str| TransportError::Unreachable { peer: to, reason: reason.to_owned() };
        tokio::time::sleep(self.shared.latency()).await;
        let via = self.shared.way_to(at);
        if self.shared.is_partitioned(self.id, to) || via.is_none() {
            std::future::pending::<()>().await;
        }
        let (admitted, answer) = oneshot::channel();
        let connection = {
            let [ours, theirs] = Link::join(self.shared.clone(), [self.id, to], via.flatten(), protocol);
            let state = self.shared.lock();
            let ip = state.nodes.get(&self.id).map(|node| node.ip).ok_or(TransportError::EndpointClosed)?;
            let node = state.nodes.get(&to).ok_or_else(|| unreachable("nobody of that name"))?;
            let knock = node.knocking.send(MemoryIncoming { ip, connection: theirs, admitted });
            drop(state);
            knock.map_err(|_| unreachable("nobody listens"))?;
            ours
        };
        tokio::time::sleep(self.shared.latency()).await;
        answer.await.map_err(|_| unreachable("refused"))?;
        Ok(connection)
    }
}

#[async_trait]
impl Endpoint for MemoryEndpoint {
    fn id(&self) -> Address {
        self.id
    }

    fn addr(&self) -> NodeAddr {
        let observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let home = self.shared.home_of(&self.id);
        let direct = observed.iter().copied().filter(|_| home.is_none()).collect();
        NodeAddr::new(self.id, direct, home.as_deref())
            .expect("one address is within the limit, and a relay's name is short")
    }

    async fn connect(&self, to: &NodeAddr, protocol: Protocol) -> Result<Arc<dyn Connection>, TransportError> {
        let after = self.shared.conditions.connect_timeout;
        let dialled = tokio::time::timeout(after, self.dial(to, protocol));
        let connection = tokio::select! {
            () = self.closed.cancelled() => return Err(TransportError::EndpointClosed),
            dialled = dialled => dialled.map_err(|_| TransportError::TimedOut { peer: to.id, after })??,
        };
        Ok(Arc::new(connection))
    }

    async fn accept(&self) -> Option<Box<dyn Incoming>> {
        let mut knocks = self.knocks.lock().await;
        tokio::select! {
            () = self.closed.cancelled() => None,
            knock = knocks.recv() => knock.map(|incoming| Box::new(incoming) as Box<dyn Incoming>),
        }
    }

    async fn note_observed(&self, addr: SocketAddr) {
        *self.observed.lock().unwrap_or_else(PoisonError::into_inner) = Some(addr);
    }

    async fn close(&self) {
        self.closed.cancel();
        let links: Vec<Arc<Link>> = self.shared.lock().links.iter().filter_map(std::sync::Weak::upgrade).collect();
        links.iter().for_each(|link| link.leave(self.id));
    }
}

#[async_trait]
impl Incoming for MemoryIncoming {
    fn remote_ip(&self) -> Option<IpAddr> {
        Some(self.ip)
    }

    async fn accept(self: Box<Self>) -> Result<Arc<dyn Connection>, TransportError> {
        let gone = |()| TransportError::Handshake { reason: "the dialler has gone".to_owned() };
        self.admitted.send(()).map_err(gone)?;
        Ok(Arc::new(self.connection))
    }

    fn refuse(self: Box<Self>) {}
}
