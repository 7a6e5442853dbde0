//! Connections and attempts to connect, over iroh.

use super::live::Live;
use crate::transport::{BiStream, CloseReason, Connection, Incoming, PathKind, Protocol, TransportError};
use async_trait::async_trait;
use futures::StreamExt as _;
use holdfast_primitives::Address;
use iroh::TransportAddr;
use iroh::endpoint::{ConnectionError, IncomingAddr, RecvStream, SendStream, VarInt};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const REASON_CHARS_MAX: usize = 200;
/// Handshakes under way from which on a newcomer must first prove that it receives at its address (RFC 9000, 8.1.2).
const HANDSHAKES_UNPROVEN_MAX: usize = 64;

/// An established connection.
pub(super) struct QuicConnection {
    inner: iroh::endpoint::Connection,
    remote: Address,
    protocol: Protocol,
    /// Whether it was this side that dialled.
    dialled: bool,
    /// Whether bytes travelled through a relay when this was looked at last.
    relayed: AtomicBool,
    live: Arc<Live>,
}

/// Somebody knocks.
pub(super) struct QuicIncoming {
    inner: iroh::endpoint::Incoming,
    live: Arc<Live>,
    /// Counts the handshakes under way while this one is.
    handshaking: Arc<()>,
}

impl QuicConnection {
    /// Takes a connection whose protocol this crate speaks.
    pub(super) fn new(
        inner: iroh::endpoint::Connection,
        dialled: bool,
        live: &Arc<Live>,
    ) -> Result<Arc<Self>, TransportError> {
        let remote = Address::new(*inner.remote_id().as_bytes());
        let protocol = Protocol::from_alpn(inner.alpn())
            .ok_or_else(|| TransportError::Handshake { reason: format!("{remote} speaks an unknown protocol") })?;
        let (relayed, live_too) = (AtomicBool::new(false), Arc::clone(live));
        let connection = Self { inner, remote, protocol, dialled, relayed, live: live_too };
        Ok(live.add(connection))
    }

    fn ended(&self, error: &ConnectionError) -> TransportError {
        TransportError::Closed { peer: self.remote, reason: close_reason(error) }
    }
}

#[async_trait]
impl Connection for QuicConnection {
    fn remote_id(&self) -> Address {
        self.remote
    }

    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn path_kind(&self) -> PathKind {
        let kind = kind(&self.inner);
        if kind != PathKind::Unknown {
            self.relayed.store(kind == PathKind::Relayed, Ordering::Relaxed);
        }
        kind
    }

    fn observed_addr(&self) -> Option<SocketAddr> {
        let paths = self.inner.paths();
        let selected = paths.iter().find(|path| path.is_selected())?;
        match selected.remote_addr() {
            TransportAddr::Ip(addr) => Some(*addr),
            _ => None,
        }
    }

    async fn wait_direct(&self, patience: Duration) -> PathKind {
        let direct = async {
            let mut paths = self.inner.paths_stream();
            while kind(&self.inner) != PathKind::Direct && paths.next().await.is_some() {}
        };
        // Whether it came in time or not, the answer is how bytes travel now.
        let _ = tokio::time::timeout(patience, direct).await;
        self.path_kind()
    }

    async fn open_bi(&self) -> Result<BiStream, TransportError> {
        self.inner.open_bi().await.map(boxed).map_err(|error| self.ended(&error))
    }

    async fn accept_bi(&self) -> Result<BiStream, TransportError> {
        self.path_kind();
        self.inner.accept_bi().await.map(boxed).map_err(|error| self.ended(&error))
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(VarInt::from_u32(code), reason.as_bytes());
    }

    async fn closed(&self) -> CloseReason {
        close_reason(&self.inner.closed().await)
    }
}

impl Drop for QuicConnection {
    fn drop(&mut self) {
        let silent = matches!(self.inner.close_reason(), Some(ConnectionError::TimedOut));
        // Who was dialled cannot tell a relay that died from a peer that did.
        if silent && self.dialled && self.relayed.load(Ordering::Relaxed) {
            self.live.note_silence();
        }
    }
}

#[async_trait]
impl Incoming for QuicIncoming {
    fn remote_ip(&self) -> Option<IpAddr> {
        match self.inner.remote_addr() {
            IncomingAddr::Ip(address) => Some(address.ip()),
            _ => None,
        }
    }

    async fn accept(self: Box<Self>) -> Result<Arc<dyn Connection>, TransportError> {
        let failed = |reason: String| TransportError::Handshake { reason };
        if Arc::strong_count(&self.handshaking) > HANDSHAKES_UNPROVEN_MAX && !self.inner.remote_addr_validated() {
            self.inner.retry().map_err(|error| failed(error.to_string()))?;
            return Err(failed("asked to prove its address first".to_owned()));
        }
        let accepting = self.inner.accept().map_err(|error| failed(error.to_string()))?;
        let connection = accepting.await.map_err(|error| failed(error.to_string()))?;
        Ok(QuicConnection::new(connection, false, &self.live)?)
    }

    fn refuse(self: Box<Self>) {
        self.inner.refuse();
    }
}

impl QuicIncoming {
    pub(super) fn new(inner: iroh::endpoint::Incoming, live: Arc<Live>, handshaking: Arc<()>) -> Self {
        Self { inner, live, handshaking }
    }
}

fn boxed((send, recv): (SendStream, RecvStream)) -> BiStream {
    BiStream { send: Box::new(send), recv: Box::new(recv) }
}

fn kind(connection: &iroh::endpoint::Connection) -> PathKind {
    let paths = connection.paths();
    match paths.iter().find(|path| path.is_selected()) {
        Some(path) if path.is_ip() => PathKind::Direct,
        Some(_) => PathKind::Relayed,
        None => PathKind::Unknown,
    }
}

fn close_reason(error: &ConnectionError) -> CloseReason {
    match error {
        ConnectionError::LocallyClosed => CloseReason::Local,
        ConnectionError::ApplicationClosed(close) => CloseReason::Remote {
            code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
            reason: String::from_utf8_lossy(&close.reason).chars().take(REASON_CHARS_MAX).collect(),
        },
        other => CloseReason::Lost { reason: other.to_string() },
    }
}
