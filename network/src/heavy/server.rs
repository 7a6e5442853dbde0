//! One connection for each pair of neighbours: let in or dialled, kept, and served.

use super::graph::{GraphFigures, Seat};
use super::{seek, whereis};
use crate::address::NodeAddr;
use crate::control::{ControlPolicy, ControlServer};
use crate::serve::Handler;
use crate::transport::{BiStream, Connection, Endpoint, Protocol, RecvHalf, SendHalf, TransportError};
use crate::wire::{
    FrameError, FromNeighbour, HEAVY_VERSION, ONLINE_MAX, Online, Refusal, RefusalCode, ToNeighbour, Whereis,
    read_frame, read_frame_within, read_hello, write_frame,
};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_primitives::{Address, Bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// Between two announcements of who is online.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(2);
/// Seeks of one connection that no honest node sends, before it ends.
const STRIKES_MAX: u32 = 8;

/// A heavy node's part in the graph. It answers for the same children as the control server that it is given.
pub struct HeavyServer<P> {
    control: Arc<ControlServer<P>>,
}

/// Which side of a connection this node is.
#[derive(Clone, Copy)]
enum Side {
    Dialler,
    Called,
}

/// Why a connection with a neighbour ended.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("turned away: {0}")]
    Refused(Refusal),
    #[error("refused here: {0}")]
    NotWelcome(Refusal),
    #[error("sends what no honest node sends: {0}")]
    Garbage(Refusal),
    #[error("said goodbye")]
    Goodbye,
}

impl<P: ControlPolicy> HeavyServer<P> {
    /// A node that neighbours nobody yet.
    pub fn new(control: Arc<ControlServer<P>>) -> Arc<Self> {
        Arc::new(Self { control })
    }

    /// Neighbours connected now, ascending.
    pub fn neighbours(&self) -> Vec<Address> {
        self.control.graph.neighbours().into_iter().collect()
    }

    /// Whether a holder is online here, or somewhere that neighbours say.
    pub fn is_online(&self, holder: &Address) -> bool {
        self.control.directory().locate(holder).is_some() || self.control.graph.hears_of(holder)
    }

    /// What was done so far.
    pub fn figures(&self) -> GraphFigures {
        self.control.graph.figures()
    }

    /// Stays connected with a neighbour until the future is dropped, while the ledger knows it as a heavy node. Of two
    /// nodes that know each other the one with the lower id dials; the other waits for it and dials only when it does not
    /// come.
    pub async fn keep(self: Arc<Self>, endpoint: Arc<dyn Endpoint>, peer: NodeAddr) {
        let mut pause = RETRY_FIRST;
        if endpoint.id() > peer.id {
            tokio::time::sleep(RETRY_LONGEST / 10).await;
        }
        loop {
            let graph = &self.control.graph;
            if graph.neighbours().contains(&peer.id) {
                pause = RETRY_FIRST;
            } else if self.welcomes(&peer.id).is_ok() {
                let ended = match endpoint.connect(&peer, Protocol::Heavy).await {
                    Ok(connection) => {
                        let since = tokio::time::Instant::now();
                        let ended = self.dialled(&connection).await;
                        self.part(&*connection, &ended);
                        if since.elapsed() > RETRY_LONGEST {
                            pause = RETRY_FIRST;
                        }
                        ended
                    }
                    Err(error) => error.into(),
                };
                tracing::debug!(neighbour = %peer.id, reason = %ended, "not connected with a neighbour");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }

    /// Only heavy nodes of the ledger, and none that sent what no honest node sends.
    fn welcomes(&self, peer: &Address) -> Result<(), Refusal> {
        if !self.control.policy.is_heavy(peer) {
            return Err(Refusal::new(RefusalCode::NotWelcome, format!("{peer} is no heavy node of the ledger")));
        }
        if self.control.graph.is_shunned(peer) {
            return Err(Refusal::new(RefusalCode::NotWelcome, "shunned for a while"));
        }
        Ok(())
    }

    async fn dialled(&self, connection: &Arc<dyn Connection>) -> Ended {
        match self.greet(connection).await {
            Ok(stream) => self.stay(connection, stream, Side::Dialler).await,
            Err(ended) => ended,
        }
    }

    /// Says hello and hears it.
    async fn greet(&self, connection: &Arc<dyn Connection>) -> Result<BiStream, Ended> {
        let (config, chain) = (&self.control.config, self.control.policy.chain());
        let mut stream = connection.open_bi().await?;
        let hello = ToNeighbour::Hello { version: HEAVY_VERSION, chain };
        write_frame(&mut stream.send, &hello, config.stall).await?;
        match read_frame_within(&mut stream.recv, config.header).await? {
            FromNeighbour::Hello { version: HEAVY_VERSION, chain: found } if found == chain => Ok(stream),
            FromNeighbour::Hello { chain: found, .. } => Err(Ended::NotWelcome(other_chain(&found))),
            FromNeighbour::Refused(refusal) => Err(Ended::Refused(refusal)),
            _ => Err(Ended::Garbage(Refusal::new(RefusalCode::Malformed, "the answer to a hello is none"))),
        }
    }

    async fn called(&self, connection: &Arc<dyn Connection>) -> Ended {
        match self.meet(connection).await {
            Ok(stream) => self.stay(connection, stream, Side::Called).await,
            Err(ended) => ended,
        }
    }

    /// Hears hello and says it.
    async fn meet(&self, connection: &Arc<dyn Connection>) -> Result<BiStream, Ended> {
        self.welcomes(&connection.remote_id()).map_err(Ended::NotWelcome)?;
        let (config, chain) = (&self.control.config, self.control.policy.chain());
        let late = |_| Ended::NotWelcome(Refusal::new(RefusalCode::TooSlow, "no hello"));
        let mut stream = tokio::time::timeout(config.header, connection.accept_bi()).await.map_err(late)??;
        match read_hello(&mut stream.recv, config.header).await? {
            ToNeighbour::Hello { chain: found, .. } if found == chain => {}
            ToNeighbour::Hello { chain: found, .. } => return Err(Ended::NotWelcome(other_chain(&found))),
            _ => unreachable!("a hello is of kind 0"),
        }
        write_frame(&mut stream.send, &FromNeighbour::Hello { version: HEAVY_VERSION, chain }, config.stall).await?;
        Ok(stream)
    }

    /// Serves a neighbour, and lets it be asked, until the connection or its first stream ends.
    async fn stay(&self, connection: &Arc<dyn Connection>, first: BiStream, side: Side) -> Ended {
        let Some(seat) = self.control.graph.join(connection.remote_id(), connection.clone()) else {
            return Ended::NotWelcome(Refusal::new(RefusalCode::Busy, "too many neighbours"));
        };
        let (BiStream { mut send, mut recv }, neighbour) = (first, connection.remote_id());
        tokio::select! {
            ended = self.listen(&mut recv, &seat, neighbour, side) => ended,
            ended = self.tell(&mut send, neighbour, side) => ended,
            ended = self.requests(connection) => ended,
        }
    }

    /// Hears who is online at a neighbour and beyond.
    async fn listen(&self, recv: &mut RecvHalf, seat: &Seat<'_>, neighbour: Address, side: Side) -> Ended {
        loop {
            let heard = match side {
                Side::Dialler => read_frame(recv).await.map(|heard| heard.map(online_of_called)),
                Side::Called => read_frame(recv).await.map(|heard| heard.map(online_of_dialler)),
            };
            match heard {
                Ok(Some(Some(online))) => seat.hear(neighbour, &online),
                Ok(Some(None)) => {
                    let words = "nothing but announcements follows a hello";
                    return Ended::Garbage(Refusal::new(RefusalCode::Malformed, words));
                }
                Ok(None) => return Ended::Goodbye,
                Err(error) => return error.into(),
            }
            // Whoever says more than that waits in its own stream's window.
            tokio::time::sleep(ANNOUNCE_PAUSE / 2).await;
        }
    }

    /// Tells a neighbour who is online here and beyond, whenever that has changed.
    async fn tell(&self, send: &mut SendHalf, neighbour: Address, side: Side) -> Ended {
        let mut basis = None;
        let mut told = None;
        loop {
            let mut own = self.control.online();
            own.sort_unstable();
            let now = Some((own, self.control.graph.hearsay_revision()));
            if now != basis {
                let own = now.iter().flat_map(|(own, _)| own).copied().collect();
                let online: Vec<_> = self.control.graph.online(&neighbour, own).into_iter().take(ONLINE_MAX).collect();
                if told.as_ref() != Some(&online) {
                    if let Err(error) = self.announce(send, online.clone(), side).await {
                        return error.into();
                    }
                    told = Some(online);
                }
                basis = now;
            }
            tokio::time::sleep(ANNOUNCE_PAUSE).await;
        }
    }

    async fn announce(&self, send: &mut SendHalf, online: Vec<(Address, u8)>, side: Side) -> Result<(), FrameError> {
        let message = Bounded::new(online).expect("the list was cut to its limit");
        let stall = self.control.config.stall;
        match side {
            Side::Dialler => write_frame(send, &ToNeighbour::Online(message), stall).await,
            Side::Called => write_frame(send, &FromNeighbour::Online(message), stall).await,
        }
    }

    /// Serves requests, a bounded number at a time.
    async fn requests(&self, connection: &Arc<dyn Connection>) -> Ended {
        let room = Semaphore::new(self.control.config.graph.requests_at_once);
        let strikes = AtomicU32::new(0);
        let neighbour = connection.remote_id();
        let mut running = FuturesUnordered::new();
        loop {
            let next = async {
                let place = room.acquire().await.expect("nobody closes this semaphore");
                connection.accept_bi().await.map(|stream| (stream, place))
            };
            tokio::select! {
                accepted = next => match accepted {
                    Ok((stream, place)) => running.push(async {
                        let served = self.request(stream, neighbour, &strikes).await;
                        drop(place);
                        served
                    }),
                    Err(error) => return error.into(),
                },
                Some(served) = running.next() => match served {
                    Ok(()) => {}
                    Err(Ended::Garbage(refusal)) => return Ended::Garbage(refusal),
                    Err(error) => tracing::debug!(%neighbour, %error, "a request came to nothing"),
                },
            }
        }
    }

    async fn request(&self, mut stream: BiStream, neighbour: Address, strikes: &AtomicU32) -> Result<(), Ended> {
        let control = &*self.control;
        let asked = match read_frame_within::<ToNeighbour>(&mut stream.recv, control.config.header).await {
            Ok(asked) => asked,
            Err(error) if error.is_garbage() => return Err(Ended::Garbage(Refusal::of_frame(&error))),
            Err(error) => return Err(error.into()),
        };
        let refused = match asked {
            ToNeighbour::Seek(seek) => match control.graph.limit_seeks(&neighbour) {
                Ok(()) => seek::serve(control, &mut stream, &seek, neighbour).await?,
                Err(refusal) => Some(refusal),
            },
            ToNeighbour::Whereis(question) => match self.whereis(question, neighbour).await {
                Ok(there) => {
                    write_frame(&mut stream.send, &there, control.config.stall).await?;
                    None
                }
                Err(refusal) => Some(refusal),
            },
            ToNeighbour::Hello { .. } | ToNeighbour::Online(_) => {
                return Err(Ended::Garbage(Refusal::new(RefusalCode::Malformed, "not a request")));
            }
        };
        if let Some(refusal) = refused {
            control.graph.count(|counters| &counters.refused);
            let struck = is_villainy(refusal.code) && strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES_MAX;
            write_frame(&mut stream.send, &FromNeighbour::Refused(refusal.clone()), control.config.stall).await?;
            if struck {
                return Err(Ended::Garbage(refusal));
            }
        }
        stream.send.shutdown().await.map_err(FrameError::from)?;
        Ok(())
    }

    async fn whereis(&self, question: Whereis, neighbour: Address) -> Result<FromNeighbour, Refusal> {
        self.control.graph.limit_questions(&neighbour)?;
        whereis::answer(&self.control, question, neighbour).await
    }

    /// Tells the other side why, and keeps away from a villain.
    fn part(&self, connection: &dyn Connection, ended: &Ended) {
        match ended {
            Ended::Garbage(refusal) => self.control.graph.shun(connection.remote_id(), refusal),
            Ended::Frame(error) if error.is_garbage() => self.control.graph.shun(connection.remote_id(), error),
            _ => {}
        }
        let refusal = match ended {
            Ended::Garbage(refusal) | Ended::NotWelcome(refusal) => refusal.clone(),
            Ended::Frame(error) => Refusal::of_frame(error),
            Ended::Refused(_) | Ended::Goodbye | Ended::Transport(_) => return connection.close(0, "goodbye"),
        };
        connection.close(refusal.code.number(), refusal.detail.as_str());
    }
}

fn online_of_dialler(message: ToNeighbour) -> Option<Online> {
    if let ToNeighbour::Online(online) = message { Some(online) } else { None }
}

fn online_of_called(message: FromNeighbour) -> Option<Online> {
    if let FromNeighbour::Online(online) = message { Some(online) } else { None }
}

/// What an honest node never sends, whatever it knows of the ledger and whatever time it takes it to be.
const fn is_villainy(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::Malformed | RefusalCode::Foreign | RefusalCode::BadSignature | RefusalCode::BadPath)
}

fn other_chain(found: &holdfast_primitives::ChainId) -> Refusal {
    Refusal::new(RefusalCode::WrongChain, format!("chain {found}"))
}

#[async_trait]
impl<P: ControlPolicy> Handler for HeavyServer<P> {
    fn protocol(&self) -> Protocol {
        Protocol::Heavy
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        let ended = self.called(&connection).await;
        tracing::debug!(neighbour = %connection.remote_id(), reason = %ended, "a neighbour has gone");
        self.part(&*connection, &ended);
    }
}
