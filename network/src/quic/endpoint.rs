//! The endpoint over iroh. It holds the real endpoint behind a watch, so that it can be rebuilt under its users.

use super::config::{QuicConfig, bind_error, relay_config, relays_of};
use super::connection::{QuicConnection, QuicIncoming};
use super::live::Live;
use super::watch::watch_home_relay;
use crate::address::{DIRECT_ADDRS_MAX, NodeAddr};
use crate::transport::{Connection, Endpoint, Incoming, Protocol, TransportError};
use async_trait::async_trait;
use holdfast_primitives::Address;
use iroh::{EndpointAddr, EndpointId, TransportAddr, Watcher as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Relays in use, those of former parents included, unless the present ones are more.
const RELAYS_MAX: usize = 6;

/// A node on the real network.
pub struct QuicEndpoint {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) config: QuicConfig,
    /// The endpoint in use; `None` for the moment between an old one and its successor.
    pub(super) current: watch::Sender<Option<iroh::Endpoint>>,
    pub(super) live: Arc<Live>,
    /// Its count tells how many handshakes are under way.
    handshaking: Arc<()>,
    pub(super) closed: CancellationToken,
    /// How often it was rebuilt.
    pub(super) rebuilds: AtomicU32,
    /// Where heavy nodes see this node, one address per family.
    observed: Mutex<Vec<SocketAddr>>,
    /// The relays in use: the configured ones at first.
    relays: Mutex<Vec<String>>,
    /// What was given out last, for the moment without an endpoint.
    last_addr: Mutex<NodeAddr>,
    id: Address,
}

impl QuicEndpoint {
    /// Binds the sockets and, where relays are configured, starts looking after the home relay.
    ///
    /// # Errors
    /// [`TransportError::Bind`] when a socket is taken or a relay's address is none.
    pub async fn bind(config: QuicConfig) -> Result<Self, TransportError> {
        let endpoint = bind_iroh(&config).await?;
        let id = config.secret.address();
        let shared = Arc::new(Shared {
            current: watch::Sender::new(Some(endpoint)),
            live: Arc::default(),
            handshaking: Arc::new(()),
            closed: CancellationToken::new(),
            rebuilds: AtomicU32::new(0),
            observed: Mutex::default(),
            relays: Mutex::new(config.relays.clone()),
            last_addr: Mutex::new(NodeAddr::bare(id)),
            id,
            config,
        });
        tokio::spawn(watch_home_relay(shared.clone()));
        Ok(Self { shared })
    }

    /// Waits until a relay has taken this node in, at most for `patience`; tells whether one has.
    pub async fn wait_online(&self, patience: Duration) -> bool {
        let online = async {
            match self.shared.ready().await {
                Some(endpoint) => endpoint.online().await,
                None => std::future::pending().await,
            }
        };
        tokio::time::timeout(patience, online).await.is_ok()
    }

    /// The sockets that were bound.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.shared.endpoint().map(|endpoint| endpoint.bound_sockets()).unwrap_or_default()
    }

    /// How often the endpoint was rebuilt because its home relay was gone for long.
    pub fn rebuilds(&self) -> u32 {
        self.shared.rebuilds.load(Ordering::Relaxed)
    }

    /// Connections that live now, counted by their handles.
    pub fn connections(&self) -> usize {
        self.shared.live.count()
    }

    fn addr_of(&self, endpoint: &iroh::Endpoint) -> NodeAddr {
        let found = endpoint.watch_addr().get();
        let direct: Vec<SocketAddr> = found.ip_addrs().copied().take(DIRECT_ADDRS_MAX).collect();
        let relay = found.relay_urls().next().map(|url| url.to_string());
        NodeAddr::new(self.shared.id, direct.clone(), relay.as_deref())
            .or_else(|_| NodeAddr::new(self.shared.id, direct, None))
            .expect("the list was cut to its limit and no relay is given")
    }
}

impl Shared {
    pub(super) fn endpoint(&self) -> Option<iroh::Endpoint> {
        self.current.borrow().clone()
    }

    /// Waits for an endpoint; `None` once this one is closed for good.
    async fn ready(&self) -> Option<iroh::Endpoint> {
        let mut current = self.current.subscribe();
        tokio::select! {
            () = self.closed.cancelled() => None,
            ready = current.wait_for(Option::is_some) => ready.ok()?.clone(),
        }
    }

    pub(super) fn observed(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn relays(&self) -> Vec<String> {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses these relays from now on, and a few former ones, through which connections may still live; tells which are new
    /// and which are not used any more.
    fn replace_relays(&self, relays: &[String]) -> (Vec<String>, Vec<String>) {
        let mut used = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.clone();
        let former = before.iter().filter(|url| !relays.contains(url)).cloned();
        *used = relays.iter().cloned().chain(former).take(RELAYS_MAX.max(relays.len())).collect();
        let without = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|url| !those.contains(url)).cloned().collect()
        };
        (without(&used, &before), without(&before, &used))
    }
}

pub(super) async fn bind_iroh(config: &QuicConfig) -> Result<iroh::Endpoint, TransportError> {
    config.builder()?.bind().await.map_err(|error| bind_error(&error))
}

#[async_trait]
impl Endpoint for QuicEndpoint {
    fn id(&self) -> Address {
        self.shared.id
    }

    fn addr(&self) -> NodeAddr {
        let mut last = self.shared.last_addr.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = self.shared.endpoint() {
            *last = self.addr_of(&endpoint);
        }
        last.clone()
    }

    async fn connect(&self, to: &NodeAddr, protocol: Protocol) -> Result<Arc<dyn Connection>, TransportError> {
        let peer = to.id;
        let address = endpoint_addr(to)?;
        let after = self.shared.config.connect_timeout;
        let dialled = async {
            let endpoint = self.shared.ready().await.ok_or(TransportError::EndpointClosed)?;
            let connected = endpoint.connect(address, protocol.alpn()).await;
            connected.map_err(|error| TransportError::Unreachable { peer, reason: error.to_string() })
        };
        let connection = tokio::time::timeout(after, dialled).await;
        let connection = connection.map_err(|_| TransportError::TimedOut { peer, after })??;
        Ok(QuicConnection::new(connection, true, &self.shared.live)?)
    }

    async fn accept(&self) -> Option<Box<dyn Incoming>> {
        loop {
            let endpoint = self.shared.ready().await?;
            let incoming = tokio::select! {
                () = self.shared.closed.cancelled() => return None,
                incoming = endpoint.accept() => incoming,
            };
            if let Some(inner) = incoming {
                let Shared { live, handshaking, .. } = &*self.shared;
                return Some(Box::new(QuicIncoming::new(inner, live.clone(), handshaking.clone())));
            }
            // The endpoint was closed under us, and another will take its place: but not before this one is let go.
            let mut current = self.shared.current.subscribe();
            drop(endpoint);
            tokio::select! {
                () = self.shared.closed.cancelled() => return None,
                gone = current.wait_for(|current| current.as_ref().is_none_or(|now| !now.is_closed())) => drop(gone.ok()?),
            }
        }
    }

    async fn note_observed(&self, addr: SocketAddr) {
        let old = {
            let mut observed = self.shared.observed();
            if observed.contains(&addr) {
                return;
            }
            let old: Vec<SocketAddr> = observed.extract_if(.., |known| known.is_ipv4() == addr.is_ipv4()).collect();
            observed.push(addr);
            old
        };
        let Some(endpoint) = self.shared.endpoint() else { return };
        for gone in old {
            endpoint.remove_external_addr(&gone).await;
        }
        endpoint.add_external_addr(addr).await;
    }

    async fn note_parents(&self, parents: &[NodeAddr]) {
        let (new, old) = self.shared.replace_relays(&relays_of(parents));
        let Some(endpoint) = self.shared.endpoint() else { return };
        for url in new {
            match relay_config(&url) {
                Ok(config) => drop(endpoint.insert_relay(config.url.clone(), Arc::new(config)).await),
                Err(error) => tracing::warn!(%error, "a heavy node's relay cannot be used"),
            }
        }
        for url in old {
            if let Ok(config) = relay_config(&url) {
                endpoint.remove_relay(&config.url).await;
            }
        }
    }

    async fn close(&self) {
        self.shared.closed.cancel();
        if let Some(endpoint) = self.shared.endpoint() {
            endpoint.close().await;
        }
    }
}

impl Drop for QuicEndpoint {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

fn endpoint_addr(to: &NodeAddr) -> Result<EndpointAddr, TransportError> {
    let bad = |reason: String| TransportError::BadAddress { peer: to.id, reason };
    let id = EndpointId::from_bytes(to.id.as_bytes()).map_err(|error| bad(error.to_string()))?;
    if !to.is_reachable() {
        return Err(bad("neither a socket address nor a relay is known".to_owned()));
    }
    let relay =
        to.relay().map(|url| url.parse().map(TransportAddr::Relay).map_err(|_| bad(format!("bad relay {url:?}"))));
    let ways = to.direct.iter().map(|address| Ok(TransportAddr::Ip(*address))).chain(relay);
    Ok(EndpointAddr::from_parts(id, ways.collect::<Result<Vec<_>, TransportError>>()?))
}
