//! What a QUIC endpoint can be told.

use crate::address::NodeAddr;
use crate::transport::{Protocol, TransportError};
use holdfast_primitives::SecretKey;
use iroh::endpoint::{Builder, NetReportConfig, PortmapperConfig, QuicTransportConfig, VarInt, presets};
use iroh::{RelayConfig, RelayMap, RelayMode, RelayUrl};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes that a peer may have under way to us on one connection before we read them.
const RECEIVE_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Streams that a peer may have open towards us on one connection.
const STREAMS_MAX: u32 = 32;
/// Silence after which a connection counts as lost unless configured otherwise: four keep-alives.
const IDLE: Duration = Duration::from_secs(10);
/// Silence after which a keep-alive is sent. It costs each side two small packets; a child that asks its parent more often
/// (`control::Timing`) never comes to send one.
const KEEP_ALIVE: Duration = Duration::from_millis(2_500);
/// Silence after which one of a connection's paths is given up for another.
const PATH_IDLE: Duration = Duration::from_millis(7_500);

/// Settings of a [`QuicEndpoint`](crate::quic::QuicEndpoint).
#[derive(Clone, Debug)]
pub struct QuicConfig {
    /// The node's identity. Two processes with one identity silence each other: lock the data directory.
    pub secret: SecretKey,
    /// Sockets to bind, at most one per address family; empty binds all interfaces on a free port.
    pub bind: Vec<SocketAddr>,
    /// Protocols that are accepted from outside; none for a node that only dials.
    pub accept: Vec<Protocol>,
    /// The relays of the parent heavy node and of its backups; empty for none. Never anyone else's.
    pub relays: Vec<String>,
    /// Addresses to give out besides those found on the interfaces, as behind a static port mapping.
    pub advertise: Vec<SocketAddr>,
    /// Never use a direct path: for tests of the relay and for networks that block UDP.
    pub relay_only: bool,
    /// Ask the router for a port mapping (UPnP, PCP, NAT-PMP), where this build has it.
    pub port_mapping: bool,
    /// How long dialling may take.
    pub connect_timeout: Duration,
    /// Silence after which a connection counts as lost. Keep-alives are sent every two and a half seconds, so what is idle
    /// needs more.
    pub idle: Duration,
    /// After so long without the home relay the endpoint is rebuilt, once nothing depends on it.
    pub relay_patience: Duration,
}

impl QuicConfig {
    /// All interfaces, a free port, no relay, both protocols accepted.
    pub fn new(secret: SecretKey) -> Self {
        Self {
            secret,
            bind: Vec::new(),
            accept: Protocol::ALL.to_vec(),
            relays: Vec::new(),
            advertise: Vec::new(),
            relay_only: false,
            port_mapping: true,
            connect_timeout: Duration::from_secs(15),
            idle: IDLE,
            relay_patience: Duration::from_secs(60),
        }
    }

    /// Only this machine, a free port.
    pub fn loopback(secret: SecretKey) -> Self {
        let bind = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        Self { bind, port_mapping: false, ..Self::new(secret) }
    }

    /// Takes the relays of the parent and its backups, in this order.
    pub fn with_parents(self, parents: &[NodeAddr]) -> Self {
        Self { relays: relays_of(parents), ..self }
    }

    pub(super) fn builder(&self) -> Result<Builder, TransportError> {
        let mut builder = iroh::Endpoint::builder(presets::Minimal)
            .secret_key(iroh::SecretKey::from_bytes(&self.secret.to_seed()))
            .alpns(self.accept.iter().map(|protocol| protocol.alpn().to_vec()).collect())
            .transport_config(transport_config(self.idle)?)
            .net_report_config(net_report_config())
            .relay_mode(self.relay_mode()?);
        if !self.port_mapping {
            builder = builder.portmapper_config(PortmapperConfig::Disabled);
        }
        if self.relay_only {
            return Ok(builder.clear_ip_transports());
        }
        if !self.bind.is_empty() {
            builder = builder.clear_ip_transports();
        }
        for address in &self.bind {
            builder = builder.bind_addr(*address).map_err(|error| bind_error(&error))?;
        }
        Ok(self.advertise.iter().fold(builder, |builder, address| builder.external_addr(*address)))
    }

    fn relay_mode(&self) -> Result<RelayMode, TransportError> {
        let relays = self.relays.iter().map(|url| relay_config(url)).collect::<Result<Vec<_>, _>>()?;
        // Even with none: a parent that is found later may have one.
        Ok(RelayMode::Custom(RelayMap::from_iter(relays)))
    }
}

/// The relays of these nodes, each once.
pub(super) fn relays_of(nodes: &[NodeAddr]) -> Vec<String> {
    let mut relays: Vec<String> = Vec::new();
    for url in nodes.iter().filter_map(NodeAddr::relay) {
        if !relays.iter().any(|known| known == url) {
            relays.push(url.to_owned());
        }
    }
    relays
}

/// Address discovery over QUIC needs the relay's certificate, so it is asked of https relays only.
pub(super) fn relay_config(url: &str) -> Result<RelayConfig, TransportError> {
    let parsed: RelayUrl = url.parse().map_err(|error| bind_error(&format!("relay {url:?}: {error}")))?;
    let discovery = (parsed.scheme() == "https").then(Default::default);
    Ok(RelayConfig::new(parsed, discovery))
}

fn transport_config(idle: Duration) -> Result<QuicTransportConfig, TransportError> {
    let idle = idle.try_into().map_err(|error| bind_error(&format!("idle time {idle:?}: {error}")))?;
    Ok(QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE)
        .build())
}

fn net_report_config() -> NetReportConfig {
    let mut config = NetReportConfig::default();
    config.captive_portal_check = false;
    config
}

pub(super) fn bind_error(reason: &dyn std::fmt::Display) -> TransportError {
    TransportError::Bind { reason: reason.to_string() }
}
