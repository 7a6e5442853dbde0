//! The holder's side of the transfer protocol: lets peers in, and serves their streams within limits.

use super::gate::{Gate, Spent};
use super::pace::Pace;
use super::range::GROUP;
use super::read;
use super::service::BatchService;
use super::write::Uploads;
use crate::serve::Handler;
use crate::time::Clock;
use crate::transport::{BiStream, Connection, Protocol, TransportError};
use crate::wire::{
    Access, Capability, Direction, FrameError, Refusal, RefusalCode, TRANSFER_VERSION, TransferHello, TransferReply,
    TransferRequest, read_frame_within, read_hello, write_frame,
};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_por::GROUP_BYTES;
use holdfast_primitives::Address;
use holdfast_primitives::limits::LEAF_BYTES;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Limits and timeouts of a [`TransferServer`].
#[derive(Clone, Debug)]
pub struct TransferConfig {
    /// Sessions at once, of peers that have shown by what right they come.
    pub sessions_max: usize,
    /// Connections at once that have not said hello yet. They take no session from anybody.
    pub hellos_max: usize,
    /// Streams of one session served at once.
    pub streams_max: u32,
    /// Leaves in one put, at most; a multiple of a group.
    pub put_leaves_max: u32,
    /// Leaves in one piece of an answer, at most; a multiple of a group.
    pub piece_leaves_max: u32,
    /// Bytes of leaves in memory at once, over all sessions; at least a put and a piece.
    pub bytes_in_flight: usize,
    /// How long the first words of a connection, and of a request, may take.
    pub header: Duration,
    /// How long a session may do nothing.
    pub idle: Duration,
    /// How slow a peer may be.
    pub pace: Pace,
    /// How long a refused peer may take to read why.
    pub linger: Duration,
    /// Whether readers may come without a heavy node's introduction.
    pub strangers_read: bool,
}

/// Serves owners and readers.
pub struct TransferServer<S> {
    pub(super) config: TransferConfig,
    pub(super) me: Address,
    pub(super) service: Arc<S>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spent: Spent,
    sessions: Semaphore,
    hellos: Semaphore,
    in_flight: Arc<Semaphore>,
}

/// What a [`TransferServer`] has on its hands right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLoad {
    /// Sessions.
    pub sessions: usize,
    /// Connections that have not said hello yet.
    pub hellos: usize,
    /// Bytes of leaves in memory.
    pub bytes_in_flight: usize,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            sessions_max: 64,
            hellos_max: 512,
            streams_max: 8,
            put_leaves_max: 1_024,
            piece_leaves_max: 256,
            bytes_in_flight: 64 * 1024 * 1024,
            header: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            pace: Pace::default(),
            linger: Duration::from_secs(2),
            strangers_read: true,
        }
    }
}

/// What a session may do.
enum Right {
    Write(Uploads),
    Read { capability: Capability, bytes_left: std::sync::atomic::AtomicU64 },
}

/// How a stream ends other than well.
pub(super) enum StreamEnd {
    /// The request was refused; the session goes on.
    Refused(Refusal),
    /// The peer did what no honest peer does; the session ends.
    Expelled(Refusal),
    /// The stream failed.
    Failed(FrameError),
}

impl<S: BatchService> TransferServer<S> {
    /// A server of the holder `me`.
    ///
    /// # Panics
    /// When a configured number of leaves is not one or more whole groups, or does not fit the bytes in flight.
    pub fn new(config: TransferConfig, me: Address, service: Arc<S>, clock: Arc<dyn Clock>) -> Self {
        for leaves in [config.put_leaves_max, config.piece_leaves_max] {
            let fits = leaves as usize * LEAF_BYTES <= config.bytes_in_flight;
            assert!(leaves > 0 && leaves.is_multiple_of(GROUP) && fits, "{leaves} leaves at once cannot be served");
        }
        Self {
            sessions: Semaphore::new(config.sessions_max),
            hellos: Semaphore::new(config.hellos_max),
            in_flight: Arc::new(Semaphore::new(config.bytes_in_flight / GROUP_BYTES)),
            spent: Spent::default(),
            config,
            me,
            service,
            clock,
        }
    }

    /// What it has on its hands right now; at no time more than its limits.
    pub fn load(&self) -> TransferLoad {
        let groups = self.config.bytes_in_flight / GROUP_BYTES - self.in_flight.available_permits();
        TransferLoad {
            sessions: self.config.sessions_max - self.sessions.available_permits(),
            hellos: self.config.hellos_max - self.hellos.available_permits(),
            bytes_in_flight: groups * GROUP_BYTES,
        }
    }

    async fn session(&self, connection: &Arc<dyn Connection>) -> Result<(), Refusal> {
        let Ok(waiting) = self.hellos.try_acquire() else {
            let words = format!("{} connections are still to say hello", self.config.hellos_max);
            return Err(Refusal::new(RefusalCode::Busy, words));
        };
        let opened = tokio::time::timeout(self.config.header, connection.accept_bi()).await;
        let Ok(opened) = opened else { return Err(Refusal::new(RefusalCode::TooSlow, "no hello")) };
        let Ok(mut stream) = opened else { return Ok(()) };
        let admitted = match read_hello::<TransferRequest>(&mut stream.recv, self.config.header).await {
            Ok(TransferRequest::Hello(hello)) => self.admit(*hello, connection.remote_id()).await,
            Ok(_) => Err(Refusal::new(RefusalCode::Malformed, "the first message is not a hello")),
            Err(error) => Err(Refusal::of_frame(&error)),
        };
        let seated = admitted.and_then(|right| Ok((right, self.seat()?)));
        let (right, _seat) = match seated {
            Ok(seated) => seated,
            Err(refusal) => {
                self.tell(&mut stream, refusal.clone()).await;
                let _ = tokio::time::timeout(self.config.linger, connection.closed()).await;
                return Err(refusal);
            }
        };
        drop(waiting);
        let (put_leaves_max, streams_max) = (self.config.put_leaves_max, self.config.streams_max);
        let welcome = TransferReply::Welcome { put_leaves_max, streams_max };
        if self.reply(&mut stream, &welcome).await.is_err() {
            return Ok(());
        }
        self.streams(connection, &right).await
    }

    fn seat(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let busy = |_| Refusal::new(RefusalCode::Busy, format!("{} sessions are served", self.config.sessions_max));
        self.sessions.try_acquire().map_err(busy)
    }

    async fn admit(&self, hello: TransferHello, peer: Address) -> Result<Right, Refusal> {
        let chain = self.service.chain();
        if hello.version != TRANSFER_VERSION {
            return Err(Refusal::new(RefusalCode::Version, format!("version {}", hello.version)));
        }
        if hello.chain != chain {
            return Err(Refusal::new(RefusalCode::WrongChain, format!("chain {}, here is {chain}", hello.chain)));
        }
        let gate = Gate { service: &*self.service, me: self.me, peer, now: self.clock.now() };
        match hello.access {
            Access::Write { ticket } => {
                gate.check_ticket(&ticket, Direction::Write)?;
                Ok(Right::Write(Uploads::new(ticket.statement)))
            }
            Access::Read { capability, ticket } => {
                if let Some(ticket) = &ticket {
                    gate.check_ticket(ticket, Direction::Read)?;
                } else if !self.config.strangers_read {
                    return Err(Refusal::new(RefusalCode::NotWelcome, "readers need a ticket here"));
                }
                gate.check_capability(&capability)?;
                self.service.may_read(&capability.statement).await?;
                let bytes_left = ticket.map_or(u64::MAX, |ticket| ticket.statement.bytes_max).into();
                Ok(Right::Read { capability: capability.statement, bytes_left })
            }
        }
    }

    /// Serves the peer's streams until the connection ends, it is idle for too long, or it misbehaves.
    async fn streams(&self, connection: &Arc<dyn Connection>, right: &Right) -> Result<(), Refusal> {
        let room = Semaphore::new(self.config.streams_max as usize);
        let mut running = FuturesUnordered::new();
        loop {
            let next = async {
                let place = room.acquire().await.expect("nobody closes this semaphore");
                connection.accept_bi().await.map(|stream| (stream, place))
            };
            let idle = running.is_empty();
            tokio::select! {
                accepted = next => match accepted {
                    Ok((stream, place)) => running.push(async move {
                        let served = self.stream(stream, right).await;
                        drop(place);
                        served
                    }),
                    Err(error) => return note_end(&error),
                },
                Some(served) = running.next() => if let Err(refusal) = served {
                    let _ = tokio::time::timeout(self.config.linger, connection.closed()).await;
                    return Err(refusal);
                },
                () = tokio::time::sleep(self.config.idle), if idle => {
                    return Err(Refusal::new(RefusalCode::TooSlow, "idle"));
                }
            }
        }
    }

    /// Serves one stream; an error ends the session.
    async fn stream(&self, mut stream: BiStream, right: &Right) -> Result<(), Refusal> {
        match self.serve_stream(&mut stream, right).await {
            Ok(()) => {}
            Err(StreamEnd::Refused(refusal)) => self.tell(&mut stream, refusal).await,
            Err(StreamEnd::Expelled(refusal)) => {
                self.tell(&mut stream, refusal.clone()).await;
                return Err(refusal);
            }
            Err(StreamEnd::Failed(error)) => {
                self.tell(&mut stream, Refusal::of_frame(&error)).await;
                if error.is_garbage() {
                    return Err(Refusal::of_frame(&error));
                }
            }
        }
        // The peer may have gone; then there is nobody to finish the stream for.
        let _ = stream.send.shutdown().await;
        Ok(())
    }

    async fn serve_stream(&self, stream: &mut BiStream, right: &Right) -> Result<(), StreamEnd> {
        let request = read_frame_within::<TransferRequest>(&mut stream.recv, self.config.header).await?;
        match (right, request) {
            (Right::Write(uploads), TransferRequest::Begin(meta)) => uploads.begin(self, stream, meta).await,
            (Right::Write(uploads), TransferRequest::Put { root, first_leaf, count }) => {
                uploads.puts(self, stream, root, (first_leaf, count)).await
            }
            (Right::Write(uploads), TransferRequest::Finish { root }) => uploads.finish(self, stream, root).await,
            (Right::Write(uploads), TransferRequest::Receipt(request)) => uploads.receipt(self, stream, request).await,
            (Right::Read { capability, bytes_left }, TransferRequest::Get { meta, first_leaf, count }) => {
                read::serve(self, stream, (capability, bytes_left), meta, (first_leaf, count)).await
            }
            (_, TransferRequest::Hello(_)) => Err(expelled(RefusalCode::Malformed, "a second hello")),
            _ => Err(StreamEnd::Refused(Refusal::new(RefusalCode::WrongDirection, "not what this session is for"))),
        }
    }

    /// Waits until the leaves of a run may be held in memory.
    pub(super) async fn make_room(&self, leaves: u32) -> OwnedSemaphorePermit {
        let groups = leaves.div_ceil(GROUP);
        self.in_flight.clone().acquire_many_owned(groups).await.expect("nobody closes this semaphore")
    }

    pub(super) async fn reply(&self, stream: &mut BiStream, reply: &TransferReply) -> Result<(), FrameError> {
        write_frame(&mut stream.send, reply, self.config.pace.stall).await
    }

    /// Says why not; a peer that has gone cannot be told.
    async fn tell(&self, stream: &mut BiStream, refusal: Refusal) {
        let told = self.reply(stream, &TransferReply::Refused(refusal)).await;
        if told.is_ok() {
            let _ = stream.send.shutdown().await;
        }
    }
}

#[async_trait]
impl<S: BatchService> Handler for TransferServer<S> {
    fn protocol(&self) -> Protocol {
        Protocol::Transfer
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        match self.session(&connection).await {
            Ok(()) => connection.close(0, "goodbye"),
            Err(refusal) => {
                tracing::debug!(peer = %connection.remote_id(), %refusal, "transfer session refused");
                connection.close(refusal.code.number(), refusal.detail.as_str());
            }
        }
    }
}

fn note_end(error: &TransportError) -> Result<(), Refusal> {
    tracing::debug!(%error, "transfer session ended");
    Ok(())
}

pub(super) fn refused(code: RefusalCode, detail: impl std::fmt::Display) -> StreamEnd {
    StreamEnd::Refused(Refusal::new(code, detail))
}

pub(super) fn expelled(code: RefusalCode, detail: impl std::fmt::Display) -> StreamEnd {
    StreamEnd::Expelled(Refusal::new(code, detail))
}

impl From<FrameError> for StreamEnd {
    fn from(error: FrameError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for StreamEnd {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<std::io::Error> for StreamEnd {
    fn from(source: std::io::Error) -> Self {
        Self::Failed(FrameError::Stream { source })
    }
}
