//! One child of a heavy node, from its hello to its leave.

use super::config::ControlPolicy;
use super::place;
use super::server::{ControlServer, lock};
use crate::address::NodeAddr;
use crate::lookup::{Directory, SessionNo};
use crate::transport::{BiStream, Connection, TransportError};
use crate::wire::{
    CONTROL_VERSION, ChildHello, FrameError, FromParent, Refusal, RefusalCode, Role, Text, ToParent, Welcome,
    read_frame, read_frame_within, read_hello,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_primitives::Address;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

/// Pause after each thing that a child says of itself.
const UPDATE_PAUSE: Duration = Duration::from_millis(50);

/// How a session ends other than by the child's leave.
pub(super) enum Ending {
    Refused(Refusal),
    Frame(FrameError),
    Transport(TransportError),
}

impl From<FrameError> for Ending {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<TransportError> for Ending {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// A child's place in the directory; given back on drop, also when its task panics or is aborted.
struct Seat<'a> {
    directory: &'a Mutex<Directory<Arc<dyn Connection>>>,
    child: Address,
    role: Role,
    /// Its session in the directory; none for a visitor, who is not listed.
    session: Option<SessionNo>,
}

impl<P: ControlPolicy> ControlServer<P> {
    /// Serves one child to its end.
    pub(super) async fn session(&self, connection: &Arc<dyn Connection>) -> Result<(), Ending> {
        let mut stream = tokio::time::timeout(self.config.header, connection.accept_bi())
            .await
            .map_err(|_| Ending::Refused(Refusal::new(RefusalCode::TooSlow, "no hello")))??;
        let taken_in = match read_hello::<ToParent>(&mut stream.recv, self.config.header).await {
            Ok(hello) => self.take_in(connection, hello),
            Err(error) => Err(Refusal::of_frame(&error)),
        };
        let (seat, welcome) = match taken_in {
            Ok(taken_in) => taken_in,
            Err(refusal) => return self.turn_away(connection, &mut stream, refusal).await,
        };
        self.write(&mut stream, &FromParent::Welcome(welcome)).await?;
        tokio::select! {
            ended = self.updates(stream, &seat) => ended,
            ended = self.requests(connection, &seat) => ended,
            () = self.visit_is_over(seat.role) => {
                Err(Ending::Refused(Refusal::new(RefusalCode::TooSlow, "a visit is for measuring the way")))
            }
        }
    }

    /// Only visitors have to leave again.
    async fn visit_is_over(&self, role: Role) {
        match role {
            Role::Visitor => tokio::time::sleep(self.config.visit).await,
            Role::Owner | Role::Holder => std::future::pending().await,
        }
    }

    fn take_in(&self, connection: &Arc<dyn Connection>, hello: ToParent) -> Result<(Seat<'_>, Welcome), Refusal> {
        let ToParent::Hello(hello) = hello else {
            return Err(Refusal::new(RefusalCode::Malformed, "the first message is not a hello"));
        };
        let child = connection.remote_id();
        self.check_hello(&hello, child)?;
        let role = hello.role;
        let session = match role {
            Role::Owner | Role::Holder => Some(self.seat(role, hello.addr, connection)?),
            Role::Visitor => None,
        };
        let seat = Seat { directory: &self.directory, child, role, session };
        let relay_url = self.config.relay_url.as_deref().and_then(|url| Text::new(url).ok());
        let observed = connection.observed_addr();
        Ok((seat, Welcome { height: self.policy.height(), you: child, observed, relay_url }))
    }

    fn seat(&self, role: Role, addr: NodeAddr, connection: &Arc<dyn Connection>) -> Result<SessionNo, Refusal> {
        let joined = self.directory().join(role, addr, connection.clone());
        let (session, replaced) = joined.map_err(|full| Refusal::new(RefusalCode::Busy, full))?;
        if let Some(old) = replaced {
            old.close(RefusalCode::Replaced.number(), "this identity has come again");
        }
        Ok(session)
    }

    fn check_hello(&self, hello: &ChildHello, child: Address) -> Result<(), Refusal> {
        let expected = self.policy.chain();
        if hello.version != CONTROL_VERSION {
            return Err(Refusal::new(RefusalCode::Version, format!("version {}", hello.version)));
        }
        if hello.chain != expected {
            return Err(Refusal::new(RefusalCode::WrongChain, format!("chain {}, here is {expected}", hello.chain)));
        }
        if hello.addr.id != child {
            return Err(Refusal::new(RefusalCode::Foreign, format!("{child} gives the address of {}", hello.addr.id)));
        }
        if hello.role == Role::Holder && self.policy.holder(&child).is_none() {
            return Err(Refusal::new(RefusalCode::UnknownHolder, format!("{child} is no holder on the ledger")));
        }
        if !self.policy.admits(&child, hello.role) {
            return Err(Refusal::new(RefusalCode::NotWelcome, format!("{child} is not served here")));
        }
        Ok(())
    }

    /// Reads what a child says of itself until its session stream ends.
    async fn updates(&self, mut stream: BiStream, seat: &Seat<'_>) -> Result<(), Ending> {
        while let Some(message) = read_frame::<ToParent>(&mut stream.recv).await? {
            match (message, seat.session) {
                (ToParent::Ping(number), _) => self.write(&mut stream, &FromParent::Pong(number)).await?,
                (ToParent::Offer(offer), Some(session)) if seat.role == Role::Holder => {
                    self.directory().offer(seat.child, session, offer);
                }
                (ToParent::Moved(addr), Some(session)) if addr.id == seat.child => {
                    self.directory().moved(seat.role, session, addr);
                }
                _ => {
                    let refusal = Refusal::new(RefusalCode::Malformed, "not a message for a session stream");
                    return Err(Ending::Refused(refusal));
                }
            }
            // Whoever says more than that waits in its own stream's window.
            tokio::time::sleep(UPDATE_PAUSE).await;
        }
        Ok(())
    }

    /// Serves a child's requests, a bounded number at a time, until the connection ends.
    async fn requests(&self, connection: &Arc<dyn Connection>, seat: &Seat<'_>) -> Result<(), Ending> {
        let room = Semaphore::new(self.config.requests_at_once);
        let mut running = FuturesUnordered::new();
        loop {
            let next = async {
                let place = room.acquire().await.expect("nobody closes this semaphore");
                connection.accept_bi().await.map(|stream| (stream, place))
            };
            tokio::select! {
                accepted = next => {
                    let (stream, place) = accepted?;
                    running.push(async move {
                        let served = self.request(stream, seat).await;
                        drop(place);
                        served
                    });
                }
                Some(served) = running.next() => if let Err(error) = served {
                    tracing::debug!(child = %seat.child, %error, "a request came to nothing");
                },
            }
        }
    }

    async fn request(&self, mut stream: BiStream, seat: &Seat<'_>) -> Result<(), FrameError> {
        let child = seat.child;
        let refusal = match read_frame_within::<ToParent>(&mut stream.recv, self.config.header).await {
            Ok(ToParent::Place(_) | ToParent::Locate(_)) if seat.role == Role::Visitor => {
                Some(Refusal::new(RefusalCode::NotWelcome, "a visitor may ask for nothing"))
            }
            Ok(ToParent::Place(request)) => match self.limit(&self.placements, child) {
                Ok(()) => place::serve(self, &mut stream, request, child).await?,
                Err(refusal) => Some(refusal),
            },
            Ok(ToParent::Locate(holders)) => match self.limit(&self.locates, child) {
                Ok(()) => {
                    let located = self.locate(&holders, child).await;
                    self.write(&mut stream, &FromParent::Located(located)).await?;
                    None
                }
                Err(refusal) => Some(refusal),
            },
            Ok(_) => Some(Refusal::new(RefusalCode::Malformed, "not a request")),
            Err(error) => Some(Refusal::of_frame(&error)),
        };
        if let Some(refusal) = refusal {
            self.write(&mut stream, &FromParent::Refused(refusal)).await?;
        }
        stream.send.shutdown().await?;
        Ok(())
    }

    /// Says why, and gives the peer a moment to read it: returning drops the connection.
    async fn turn_away(
        &self,
        connection: &Arc<dyn Connection>,
        stream: &mut BiStream,
        refusal: Refusal,
    ) -> Result<(), Ending> {
        self.write(stream, &FromParent::Refused(refusal.clone())).await?;
        stream.send.shutdown().await.map_err(FrameError::from)?;
        let _ = tokio::time::timeout(self.config.linger, connection.closed()).await;
        Err(Ending::Refused(refusal))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            lock(self.directory).leave(self.child, self.role, session);
        }
    }
}
