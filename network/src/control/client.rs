//! The light node's side of the control protocol.

use super::error::ControlError;
use super::offers::OfferStream;
use crate::address::NodeAddr;
use crate::time::Clock;
use crate::transport::{BiStream, CloseReason, Connection, Endpoint, Protocol, RecvHalf, SendHalf, last_words};
use crate::wire::{
    CONTROL_VERSION, ChildHello, FrameError, FromParent, HolderOffer, LOCATE_MAX, LocatedHolder, PlacementRequest,
    Refusal, Role, Signed, ToParent, Welcome, read_frame_within, write_frame,
};
use holdfast_primitives::{Address, Bounded, ChainId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long to wait for the reason of a connection that is ending.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Timeouts of a [`ControlClient`].
#[derive(Clone, Debug)]
pub struct ControlClientConfig {
    /// How long the parent's first words, and a question's, may take.
    pub header: Duration,
    /// How long a write may stall.
    pub stall: Duration,
    /// How long to wait for the next offer of a placement, at most until the request expires.
    pub placement: Duration,
    /// How long to wait for whereabouts: the parent answers them from memory or asks its neighbours.
    pub locate: Duration,
}

/// A session with a parent. Dropping it ends it; [`ControlClient::close`] says goodbye.
pub struct ControlClient {
    pub(super) connection: Arc<dyn Connection>,
    pub(super) config: ControlClientConfig,
    pub(super) chain: ChainId,
    pub(super) me: Address,
    pub(super) parent: Address,
    pub(super) clock: Arc<dyn Clock>,
    to_parent: Mutex<SendHalf>,
    from_parent: Mutex<RecvHalf>,
    pings: AtomicU32,
    welcome: Welcome,
    told_addr: NodeAddr,
}

impl Default for ControlClientConfig {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            placement: Duration::from_secs(30),
            locate: Duration::from_secs(15),
        }
    }
}

impl ControlClient {
    /// Dials the parent and opens a session. The endpoint is told where the parent sees it.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with the parent's code, or that it cannot be reached.
    pub async fn connect(
        endpoint: &dyn Endpoint,
        parent: &NodeAddr,
        chain: ChainId,
        role: Role,
        clock: Arc<dyn Clock>,
        config: ControlClientConfig,
    ) -> Result<Self, ControlError> {
        let connection = endpoint.connect(parent, Protocol::Control).await?;
        let mut stream = connection.open_bi().await?;
        let told_addr = endpoint.addr();
        let hello = ChildHello { version: CONTROL_VERSION, chain, role, addr: told_addr.clone() };
        let answered = match write_frame(&mut stream.send, &ToParent::Hello(hello), config.stall).await {
            Ok(()) => read_frame_within(&mut stream.recv, config.header).await,
            Err(error) => Err(error),
        };
        let welcome = match answered {
            Ok(FromParent::Welcome(welcome)) => welcome,
            Ok(FromParent::Refused(refusal)) => return Err(ControlError::Refused { parent: parent.id, refusal }),
            Ok(other) => return Err(unexpected(parent.id, &other, "a welcome")),
            Err(source) => return Err(explain(&*connection, parent.id, source).await),
        };
        if let Some(observed) = welcome.observed {
            endpoint.note_observed(observed).await;
        }
        let (to_parent, from_parent) = (Mutex::new(stream.send), Mutex::new(stream.recv));
        let (me, parent, pings) = (endpoint.id(), parent.id, AtomicU32::new(0));
        Ok(Self { connection, config, chain, me, parent, clock, to_parent, from_parent, pings, welcome, told_addr })
    }

    /// What the parent said at the beginning.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The address that the parent was told at the beginning. Learning where the parent sees this node may have changed
    /// the endpoint's address since: [`ControlClient::moved`] tells it.
    pub fn told_addr(&self) -> &NodeAddr {
        &self.told_addr
    }

    /// Who the parent is.
    pub fn parent(&self) -> Address {
        self.parent
    }

    /// Tells the parent what this holder has to give, as of now.
    pub async fn offer(&self, offer: HolderOffer) -> Result<(), ControlError> {
        self.say(ToParent::Offer(offer)).await
    }

    /// Tells the parent this node's new address.
    pub async fn moved(&self, addr: NodeAddr) -> Result<(), ControlError> {
        self.say(ToParent::Moved(addr)).await
    }

    /// Asks whether the parent is there, and waits for its word; how long it took. Asks one at a time; not safe to cancel
    /// unless the session is given up then.
    ///
    /// # Errors
    /// [`ControlError::Frame`] when no pong came `within` the time.
    pub async fn ping(&self, within: Duration) -> Result<Duration, ControlError> {
        let mut from_parent = self.from_parent.lock().await;
        let (number, since) = (self.pings.fetch_add(1, Ordering::Relaxed), Instant::now());
        self.say(ToParent::Ping(number)).await?;
        match read_frame_within(&mut *from_parent, within).await.map_err(|source| self.frame_error(source))? {
            FromParent::Pong(back) if back == number => Ok(since.elapsed()),
            other => Err(self.unexpected(&other, "a pong")),
        }
    }

    /// Asks for holders. `request` must name this node as owner and the parent as first hop.
    pub async fn place(&self, request: Signed<PlacementRequest>) -> Result<OfferStream<'_>, ControlError> {
        let wanted = request.statement.clone();
        let stream = self.ask(ToParent::Place(request)).await?;
        Ok(OfferStream::new(self, stream, wanted))
    }

    /// Asks where holders are, for reading back. The answer is in the order of `holders`; tickets that are not for
    /// this node and that holder, or that their issuer did not sign, are left out. Whether it trusts the issuer is the
    /// holder's to decide: it is the heavy node where the holder is online.
    pub async fn locate(&self, holders: &[Address]) -> Result<Vec<LocatedHolder>, ControlError> {
        let (found, limit) = (holders.len(), LOCATE_MAX);
        let asked = Bounded::new(holders.to_vec()).map_err(|_| ControlError::TooMany { found, limit })?;
        let mut stream = self.ask(ToParent::Locate(asked)).await?;
        let answer = read_frame_within(&mut stream.recv, self.config.locate).await;
        match answer.map_err(|source| self.frame_error(source))? {
            FromParent::Located(located) => {
                Ok(holders.iter().map(|holder| self.pick(*holder, &located.holders)).collect())
            }
            FromParent::Refused(refusal) => Err(ControlError::Refused { parent: self.parent, refusal }),
            other => Err(self.unexpected(&other, "whereabouts")),
        }
    }

    /// Waits for the end of the session.
    pub async fn closed(&self) -> CloseReason {
        self.connection.closed().await
    }

    /// Ends the session.
    pub fn close(&self) {
        self.connection.close(0, "goodbye");
    }

    fn pick(&self, holder: Address, located: &[LocatedHolder]) -> LocatedHolder {
        let told = located.iter().find(|told| told.holder == holder).and_then(|told| told.ticket.clone());
        let ticket = told.filter(|ticket| {
            let said = &ticket.statement;
            let named = (said.client, said.holder, said.holder_addr.id) == (self.me, holder, holder);
            named && ticket.verify(&self.chain).is_ok()
        });
        LocatedHolder { holder, ticket }
    }

    async fn say(&self, message: ToParent) -> Result<(), ControlError> {
        let mut stream = self.to_parent.lock().await;
        let written = write_frame(&mut *stream, &message, self.config.stall).await;
        written.map_err(|source| self.frame_error(source))
    }

    async fn ask(&self, message: ToParent) -> Result<BiStream, ControlError> {
        let mut stream = self.connection.open_bi().await?;
        let written = write_frame(&mut stream.send, &message, self.config.stall).await;
        written.map_err(|source| self.frame_error(source))?;
        Ok(stream)
    }

    pub(super) fn frame_error(&self, source: FrameError) -> ControlError {
        ControlError::Frame { parent: self.parent, source }
    }

    pub(super) fn unexpected(&self, found: &FromParent, expected: &'static str) -> ControlError {
        unexpected(self.parent, found, expected)
    }
}

/// A parent that closes the connection says why in the code; that is a refusal too.
async fn explain(connection: &dyn Connection, parent: Address, source: FrameError) -> ControlError {
    let words = last_words(connection, LAST_WORDS).await;
    match words.and_then(|(code, reason)| Refusal::of_close(code, &reason)) {
        Some(refusal) => ControlError::Refused { parent, refusal },
        None => ControlError::Frame { parent, source },
    }
}

fn unexpected(parent: Address, found: &FromParent, expected: &'static str) -> ControlError {
    let found = match found {
        FromParent::Welcome(_) => "a welcome",
        FromParent::Refused(_) => "a refusal",
        FromParent::Offered(_) => "an offer",
        FromParent::Done(_) => "the end of a placement",
        FromParent::Located(_) => "whereabouts",
        FromParent::Pong(_) => "a pong",
    };
    ControlError::Unexpected { parent, found, expected }
}
