//! The heavy node's side of the control protocol.

use super::config::{ControlConfig, ControlPolicy};
use super::session::Ending;
use crate::heavy::{Graph, whereis};
use crate::lookup::{Child, Directory};
use crate::serve::Handler;
use crate::time::Clock;
use crate::transport::{BiStream, Connection, Protocol};
use crate::wire::{
    Direction, FrameError, FromParent, HolderOffer, LOCATE_MAX, Located, LocatedHolder, Refusal, RefusalCode, Signed,
    Ticket, write_frame,
};
use async_trait::async_trait;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use holdfast_primitives::{Address, Bounded, RequestId, SecretKey};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Serves the children of a heavy node.
pub struct ControlServer<P> {
    pub(crate) config: ControlConfig,
    pub(crate) key: SecretKey,
    pub(crate) policy: Arc<P>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Mutex<Directory<Arc<dyn Connection>>>,
    pub(super) placements: DefaultKeyedRateLimiter<Address>,
    pub(super) locates: DefaultKeyedRateLimiter<Address>,
    /// The heavy nodes around this one.
    pub(crate) graph: Graph,
}

impl<P: ControlPolicy> ControlServer<P> {
    /// A server that signs as `key`.
    pub fn new(config: ControlConfig, key: SecretKey, policy: Arc<P>, clock: Arc<dyn Clock>) -> Self {
        let quota = |per_minute: NonZeroU32| Quota::per_minute(per_minute).allow_burst(per_minute.saturating_mul(TWO));
        Self {
            directory: Mutex::new(Directory::new(config.children_max)),
            placements: RateLimiter::keyed(quota(config.placements_per_minute)),
            locates: RateLimiter::keyed(quota(config.locates_per_minute)),
            graph: Graph::new(&config.graph),
            config,
            key,
            policy,
            clock,
        }
    }

    /// Children online.
    pub fn children(&self) -> usize {
        self.directory().len()
    }

    /// Holders online and what they offer; `None` before a holder has said so.
    pub fn holders(&self) -> Vec<(Address, Option<HolderOffer>)> {
        self.directory().holders().map(|(id, child): (_, &Child<_>)| (id, child.offer.clone())).collect()
    }

    /// Holders online.
    pub(crate) fn online(&self) -> Vec<Address> {
        self.directory().holders().map(|(holder, _)| holder).collect()
    }

    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory<Arc<dyn Connection>>> {
        lock(&self.directory)
    }

    pub(super) fn limit(&self, limiter: &DefaultKeyedRateLimiter<Address>, child: Address) -> Result<(), Refusal> {
        limiter.check_key(&child).map_err(|_| Refusal::new(RefusalCode::Busy, "too many requests in a minute"))
    }

    /// Where holders are, here or elsewhere in the graph.
    pub(super) async fn locate(&self, holders: &Bounded<Address, LOCATE_MAX>, reader: Address) -> Located {
        let mut tickets = whereis::ask_around(self, reader, holders).await;
        let located = holders.iter().map(|holder| LocatedHolder { holder: *holder, ticket: tickets.remove(holder) });
        Located { holders: Bounded::new(located.collect()).expect("as many as were asked for") }
    }

    /// An introduction of `reader` to a holder that is online here.
    pub(crate) fn introduce(&self, holder: Address, reader: Address) -> Option<Signed<Ticket>> {
        let holder_addr = self.directory().locate(&holder)?.clone();
        let ticket = Ticket {
            issuer: self.key.address(),
            client: reader,
            holder,
            holder_addr,
            request: RequestId::ZERO,
            direction: Direction::Read,
            bytes_max: self.config.read_bytes_max,
            expires: self.clock.now().saturating_add(self.config.ticket_ms),
        };
        Some(Signed::new(ticket, &self.key, &self.policy.chain()))
    }

    pub(super) async fn write(&self, stream: &mut BiStream, message: &FromParent) -> Result<(), FrameError> {
        write_frame(&mut stream.send, message, self.config.stall).await
    }
}

#[async_trait]
impl<P: ControlPolicy> Handler for ControlServer<P> {
    fn protocol(&self) -> Protocol {
        Protocol::Control
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        let child = connection.remote_id();
        match self.session(&connection).await {
            Ok(()) => connection.close(0, "goodbye"),
            Err(Ending::Refused(refusal)) => {
                tracing::debug!(%child, %refusal, "turned away");
                connection.close(refusal.code.number(), refusal.detail.as_str());
            }
            Err(Ending::Frame(error)) => {
                tracing::debug!(%child, %error, "session ended");
                connection.close(Refusal::of_frame(&error).code.number(), "");
            }
            Err(Ending::Transport(error)) => tracing::debug!(%child, %error, "session ended"),
        }
        for limiter in [&self.placements, &self.locates] {
            if limiter.len() > self.config.children_max {
                limiter.retain_recent();
            }
        }
    }
}

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
