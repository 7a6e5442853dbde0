//! The relay of a heavy node: carries bytes between children that find no direct path, and meters them.
//!
//! It embeds iroh's relay service behind a listener of its own, because the service's own accept limits are not
//! implemented and a panic in one of its connections would end its own listener: here every connection is a task, and
//! the accept loop is started again should it ever fall. Whoever connects proves its identity in the relay's handshake
//! and is admitted, or not, by [`RelayPolicy`].

mod admission;

pub use admission::RelayPolicy;

use crate::serve::Tally;
use admission::Admission;
use iroh_relay::KeyCache;
use iroh_relay::server::http_server::{BytesBody, Handlers, RelayService};
use iroh_relay::server::{ClientRateLimit, Metrics};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// Public keys that are kept parsed; the library's default is a million.
const KEYS_CACHED: usize = 1_024;
/// Where clients measure how far the relay is.
const PROBE_PATH: &str = "/ping";
/// Wait after the system failed to accept, as when it has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Settings of a [`RelayServer`].
#[derive(Clone, Debug)]
pub struct RelayServerConfig {
    /// Where it listens (plain http: what passes is encrypted end to end between the children).
    pub bind: SocketAddr,
    /// How children should dial it; `None` takes the bound address.
    pub public_url: Option<String>,
    /// Clients at once.
    pub clients_max: usize,
    /// Connections of one identity at once: a client that comes back overlaps with its old connection.
    pub per_identity_max: usize,
    /// Connections that have not proven their identity yet, in all and from one address (loopback is not counted).
    pub handshakes_max: usize,
    /// See [`RelayServerConfig::handshakes_max`].
    pub handshakes_per_ip_max: usize,
    /// How long a client may take to prove its identity.
    pub establish: Duration,
    /// Bytes per second that one client may send through.
    pub client_bytes_per_second: Option<NonZeroU32>,
}

/// A running relay. Dropping it stops it.
pub struct RelayServer {
    addr: SocketAddr,
    url: String,
    service: RelayService,
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
    supervisor: JoinHandle<()>,
}

/// What a relay has carried since it started, and for how many it does now. The library underneath counts all clients
/// together, so what one identity sent is not known; what one may send a second is limited
/// ([`RelayServerConfig::client_bytes_per_second`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayFigures {
    /// Clients connected now.
    pub clients: u64,
    /// Bytes of packets taken in from clients.
    pub received_bytes: u64,
    /// Bytes of packets handed to clients.
    pub sent_bytes: u64,
    /// Bytes that had to wait because their client sent more than it may.
    pub slowed_bytes: u64,
    /// Packets for somebody who is not connected.
    pub dropped_packets: u64,
}

/// Reads the figures of a [`RelayServer`], for whoever shows them.
#[derive(Clone)]
pub struct RelayMeter {
    metrics: Arc<Metrics>,
    admission: Arc<Admission>,
}

impl RelayMeter {
    /// As of now.
    pub fn figures(&self) -> RelayFigures {
        RelayFigures {
            clients: self.admission.clients() as u64,
            received_bytes: self.metrics.bytes_recv.get(),
            sent_bytes: self.metrics.bytes_sent.get(),
            slowed_bytes: self.metrics.bytes_rx_ratelimited_total.get(),
            dropped_packets: self.metrics.send_packets_dropped.get(),
        }
    }
}

/// The relay could not be started.
#[derive(Debug, Error)]
#[error("cannot listen on {bind}: {source}")]
pub struct RelayError {
    /// Where.
    pub bind: SocketAddr,
    /// The system's reason.
    pub source: std::io::Error,
}

impl RelayServerConfig {
    /// Listens on `bind` with limits for a heavy node of a few thousand children.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            public_url: None,
            clients_max: 4_096,
            per_identity_max: 4,
            handshakes_max: 256,
            handshakes_per_ip_max: 16,
            establish: Duration::from_secs(10),
            client_bytes_per_second: None,
        }
    }
}

impl RelayServer {
    /// Binds and serves.
    pub async fn start(config: RelayServerConfig, policy: Arc<dyn RelayPolicy>) -> Result<Self, RelayError> {
        let failed = |source| RelayError { bind: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let metrics = Arc::new(Metrics::default());
        let admission = Arc::new(Admission::new(policy, config.clients_max, config.per_identity_max));
        let service = RelayService::new(
            handlers(),
            Default::default(),
            config.client_bytes_per_second.map(rate_limit),
            KeyCache::new(KEYS_CACHED),
            admission.clone(),
            metrics.clone(),
        );
        let url = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}/"));
        let supervisor = tokio::spawn(supervise(Arc::new(listener), service.clone(), config));
        Ok(Self { addr, url, service, metrics, admission, supervisor })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How children dial it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it carries.
    pub fn meter(&self) -> RelayMeter {
        RelayMeter { metrics: Arc::clone(&self.metrics), admission: Arc::clone(&self.admission) }
    }

    /// Stops, and disconnects everybody.
    pub async fn close(self) {
        self.supervisor.abort();
        self.service.shutdown().await;
    }
}

impl Drop for RelayServer {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// Keeps the accept loop running.
async fn supervise(listener: Arc<TcpListener>, service: RelayService, config: RelayServerConfig) {
    loop {
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener.clone(), service.clone(), config.clone()));
        if let Some(Err(error)) = accepting.join_next().await {
            tracing::error!(%error, "the relay's accept loop fell; starting it again");
        }
    }
}

async fn accept(listener: Arc<TcpListener>, service: RelayService, config: RelayServerConfig) {
    let room = Arc::new(Semaphore::new(config.handshakes_max));
    let ips = Tally::<IpAddr>::default();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(&mut tasks, &room, &ips, (stream, peer.ip()), &service, &config),
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a relay connection's task fell; the others go on");
            },
        }
    }
}

/// Serves one connection until it has become a client or has been answered.
fn admit(
    tasks: &mut JoinSet<()>,
    room: &Arc<Semaphore>,
    ips: &Tally<IpAddr>,
    (stream, ip): (TcpStream, IpAddr),
    service: &RelayService,
    config: &RelayServerConfig,
) {
    let counted = if ip.is_loopback() { Some(None) } else { ips.count(ip, config.handshakes_per_ip_max).map(Some) };
    let (Ok(place), Some(counted)) = (room.clone().try_acquire_owned(), counted) else {
        tracing::debug!(%ip, "turned away from the relay: too many handshakes");
        return;
    };
    let (service, establish) = (service.clone(), config.establish);
    tasks.spawn(async move {
        service.handle_connection(stream, None, establish).await;
        drop((place, counted));
    });
}

fn handlers() -> Handlers {
    let mut handlers = Handlers::default();
    // The default method is GET.
    handlers.insert(
        (Default::default(), PROBE_PATH),
        Box::new(|_request, response| {
            let empty: BytesBody = Box::<String>::default();
            Ok(response.header("Access-Control-Allow-Origin", "*").body(empty)?)
        }),
    );
    handlers
}

fn rate_limit(bytes_per_second: NonZeroU32) -> ClientRateLimit {
    let mut limit = ClientRateLimit::new(bytes_per_second);
    limit.max_burst_bytes = Some(bytes_per_second);
    limit
}
