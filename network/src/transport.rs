//! What the protocols need of a network: encrypted connections between identities, each carrying many streams.
//!
//! No type of any QUIC library appears here. `quic` implements these traits over iroh, `memory` over queues with
//! latency and faults. An endpoint accepts connections as [`Incoming`] so that nobody's slow handshake keeps others
//! waiting.

use crate::address::NodeAddr;
use async_trait::async_trait;
use holdfast_primitives::Address;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

/// The protocols that nodes speak. The name is negotiated before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Light node to its heavy node.
    Control,
    /// Owner (or reader) to holder.
    Transfer,
    /// Heavy node to heavy node.
    Gossip,
    /// A node that joins to a heavy node that helps it.
    Join,
    /// Heavy node to heavy node, to look for holders.
    Heavy,
}

/// How bytes travel right now. A relayed connection becomes direct when a direct path opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// From socket to socket.
    Direct,
    /// Through a heavy node's relay, which meters it.
    Relayed,
    /// Not known yet, or the connection has ended.
    Unknown,
}

/// The bytes of a stream to the other side. `shutdown` says that nothing more will come.
pub type SendHalf = Box<dyn AsyncWrite + Send + Sync + Unpin>;
/// The bytes of a stream from the other side.
pub type RecvHalf = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// One stream in both directions. Dropping it finishes what was sent and refuses what still comes.
pub struct BiStream {
    /// To the other side.
    pub send: SendHalf,
    /// From the other side.
    pub recv: RecvHalf,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// This side closed it.
    Local,
    /// The other side closed it.
    Remote {
        /// Its code; see `wire::RefusalCode`. Zero is an orderly end.
        code: u32,
        /// Its words, cut to 200 characters.
        reason: String,
    },
    /// The other side fell silent, or the network did.
    Lost {
        /// The transport's words.
        reason: String,
    },
}

/// What can go wrong below the protocols.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The endpoint could not be set up.
    #[error("cannot bind: {reason}")]
    Bind {
        /// The system's words.
        reason: String,
    },
    /// An address that cannot be dialled at all.
    #[error("{peer} cannot be dialled: {reason}")]
    BadAddress {
        /// Whom.
        peer: Address,
        /// Why.
        reason: String,
    },
    /// Nobody answered, or somebody refused.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// Whom.
        peer: Address,
        /// Why.
        reason: String,
    },
    /// No connection within the time allowed.
    #[error("{peer} did not answer within {after:?}")]
    TimedOut {
        /// Whom.
        peer: Address,
        /// The time allowed.
        after: Duration,
    },
    /// A connection attempt from outside that came to nothing.
    #[error("handshake failed: {reason}")]
    Handshake {
        /// Why.
        reason: String,
    },
    /// The connection has ended.
    #[error("connection with {peer} ended: {reason}")]
    Closed {
        /// With whom.
        peer: Address,
        /// Why.
        reason: CloseReason,
    },
    /// The endpoint itself is closed.
    #[error("the endpoint is closed")]
    EndpointClosed,
}

/// A node's place in the network, bound to its identity.
#[async_trait]
pub trait Endpoint: Send + Sync + 'static {
    /// Who this is.
    fn id(&self) -> Address;

    /// Where it can be reached as far as is known now; changes over time.
    fn addr(&self) -> NodeAddr;

    /// Connects, and returns once the other side has proven to be `to.id`.
    ///
    /// # Errors
    /// [`TransportError::TimedOut`] after the endpoint's own limit, and what else the variants say.
    async fn connect(&self, to: &NodeAddr, protocol: Protocol) -> Result<Arc<dyn Connection>, TransportError>;

    /// The next attempt from outside; `None` once the endpoint is closed.
    async fn accept(&self) -> Option<Box<dyn Incoming>>;

    /// Takes note of the address at which a heavy node sees this one: behind a router it is the only way to know it. The
    /// newest of each address family counts.
    async fn note_observed(&self, addr: SocketAddr);

    /// Takes note of the heavy nodes that this node leans on, parent first: whoever looks for it is led through their
    /// relays, and through no others. Where there are no relays there is nothing to note.
    async fn note_parents(&self, _parents: &[NodeAddr]) {}

    /// Ends everything and tells the other sides.
    async fn close(&self);
}

/// An attempt to connect that has cost next to nothing so far.
#[async_trait]
pub trait Incoming: Send {
    /// The address it comes from; `None` when it comes through a relay.
    fn remote_ip(&self) -> Option<IpAddr>;

    /// Runs the handshake: proves the other side's identity and agrees on a protocol.
    async fn accept(self: Box<Self>) -> Result<Arc<dyn Connection>, TransportError>;

    /// Turns it away.
    fn refuse(self: Box<Self>);
}

/// An encrypted connection with a proven identity. Ends when the last handle to it is dropped.
#[async_trait]
pub trait Connection: Send + Sync + 'static {
    /// Who is at the other side; proven by its key.
    fn remote_id(&self) -> Address;

    /// What both sides agreed to speak.
    fn protocol(&self) -> Protocol;

    /// How bytes travel right now.
    fn path_kind(&self) -> PathKind;

    /// The socket address at which this side sees the other; `None` while bytes travel through a relay.
    fn observed_addr(&self) -> Option<SocketAddr>;

    /// Waits until bytes travel directly, at most for `patience`; tells how they travel then.
    async fn wait_direct(&self, patience: Duration) -> PathKind;

    /// Opens a stream. The other side sees it once something is written.
    async fn open_bi(&self) -> Result<BiStream, TransportError>;

    /// The next stream that the other side opens.
    async fn accept_bi(&self) -> Result<BiStream, TransportError>;

    /// Ends the connection at once; what was not delivered is lost.
    fn close(&self, code: u32, reason: &str);

    /// Waits for the end.
    async fn closed(&self) -> CloseReason;
}

/// What the other side said when it closed `connection`, if it has or does so within `patience`: a peer that closes
/// right after a refusal often loses the refusal itself.
pub(crate) async fn last_words(connection: &dyn Connection, patience: Duration) -> Option<(u32, String)> {
    match tokio::time::timeout(patience, connection.closed()).await {
        Ok(CloseReason::Remote { code, reason }) => Some((code, reason)),
        _ => None,
    }
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Control, Self::Transfer, Self::Gossip, Self::Join, Self::Heavy];

    /// The name that is negotiated.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => b"holdfast/control/1",
            Self::Transfer => b"holdfast/transfer/1",
            Self::Gossip => b"holdfast/gossip/1",
            Self::Join => b"holdfast/join/1",
            Self::Heavy => b"holdfast/heavy/1",
        }
    }

    /// The protocol of that name.
    pub fn from_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == alpn)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Transfer => "transfer",
            Self::Gossip => "gossip",
            Self::Join => "join",
            Self::Heavy => "heavy",
        })
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed here"),
            Self::Remote { code, reason } => write!(f, "closed by the other side with code {code}: {reason}"),
            Self::Lost { reason } => write!(f, "lost: {reason}"),
        }
    }
}

impl fmt::Debug for BiStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BiStream")
    }
}
