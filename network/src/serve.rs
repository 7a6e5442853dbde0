//! Letting others in: one accept loop per endpoint, a task per connection, limits before anything costs something.
//!
//! A handler that panics ends its own connection and nothing else. Limits count connections in all, per network
//! address, and per identity; whoever exceeds them is turned away before or right after the handshake.

use crate::transport::{Connection, Endpoint, Incoming, PathKind, Protocol, TransportError};
use crate::wire::RefusalCode;
use async_trait::async_trait;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

/// How long to wait for a direct path, and how long to leave it then.
const LOOK_FOR_ADDRESS: Duration = Duration::from_secs(30);

/// Serves the connections of one protocol.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Which protocol.
    fn protocol(&self) -> Protocol;

    /// Serves one connection to its end. When it returns, the connection is dropped.
    async fn handle(&self, connection: Arc<dyn Connection>);
}

/// How many may come.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one network address. Loopback addresses are not counted. One that comes through a relay counts from
    /// when a direct path shows its address.
    pub per_ip_max: usize,
    /// Connections that come through a relay, so that there is always room for those that show where they come from.
    pub relayed_max: usize,
    /// Connections of one identity.
    pub per_identity_max: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            per_ip_max: 128,
            relayed_max: 3_072,
            per_identity_max: 8,
            handshake: Duration::from_secs(10),
        }
    }
}

/// Accepts connections until the endpoint is closed, then ends those that are left.
pub async fn serve(endpoint: Arc<dyn Endpoint>, handlers: Vec<Arc<dyn Handler>>, limits: ServeLimits) {
    let door = Arc::new(Door {
        handlers,
        room: Arc::new(Semaphore::new(limits.connections_max)),
        ips: Tally::default(),
        relayed: Tally::default(),
        identities: Tally::default(),
        limits,
    });
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => door.clone().knock(incoming, &mut tasks),
                None => return,
            },
            Some(ended) = tasks.join_next() => note_end(ended),
        }
    }
}

struct Door {
    handlers: Vec<Arc<dyn Handler>>,
    limits: ServeLimits,
    room: Arc<Semaphore>,
    ips: Tally<IpAddr>,
    relayed: Tally<()>,
    identities: Tally<holdfast_primitives::Address>,
}

impl Door {
    fn knock(self: Arc<Self>, incoming: Box<dyn Incoming>, tasks: &mut JoinSet<()>) {
        let ip = incoming.remote_ip();
        let counted = match ip {
            Some(ip) if ip.is_loopback() => Some(Origin::Here),
            Some(ip) => self.ips.count(ip, self.limits.per_ip_max).map(Origin::Known),
            None => self.relayed.count((), self.limits.relayed_max).map(Origin::Relayed),
        };
        let (Ok(room), Some(counted)) = (self.room.clone().try_acquire_owned(), counted) else {
            tracing::debug!(?ip, "turned away: too many connections");
            return incoming.refuse();
        };
        tasks.spawn(async move {
            if let Err(error) = self.admit(incoming, &counted).await {
                tracing::debug!(%error, "a connection came to nothing");
            }
            drop((room, counted));
        });
    }

    async fn admit(&self, incoming: Box<dyn Incoming>, origin: &Origin) -> Result<(), TransportError> {
        let handshake = tokio::time::timeout(self.limits.handshake, incoming.accept());
        let late = |_| TransportError::Handshake { reason: format!("not done within {:?}", self.limits.handshake) };
        let connection = handshake.await.map_err(late)??;
        let Some(_counted) = self.identities.count(connection.remote_id(), self.limits.per_identity_max) else {
            connection.close(RefusalCode::Busy.number(), "too many connections of this identity");
            return Ok(());
        };
        match self.handlers.iter().find(|handler| handler.protocol() == connection.protocol()) {
            Some(handler) => tokio::select! {
                () = handler.handle(connection.clone()) => {}
                () = self.one_too_many(&*connection, origin) => {
                    connection.close(RefusalCode::Busy.number(), "too many connections of this network address");
                }
            },
            None => connection.close(RefusalCode::NotWelcome.number(), "this protocol is not served here"),
        }
        Ok(())
    }
}

impl Door {
    /// Returns when a connection that came through a relay turns out to come from an address that has all it may have.
    async fn one_too_many(&self, connection: &dyn Connection, origin: &Origin) {
        let Origin::Relayed(_) = origin else { return std::future::pending().await };
        while connection.wait_direct(LOOK_FOR_ADDRESS).await != PathKind::Direct {
            tokio::time::sleep(LOOK_FOR_ADDRESS).await;
        }
        let Some(ip) = connection.observed_addr().map(|addr| addr.ip()).filter(|ip| !ip.is_loopback()) else {
            return std::future::pending().await;
        };
        if let Some(_counted) = self.ips.count(ip, self.limits.per_ip_max) {
            std::future::pending::<()>().await;
        }
    }
}

/// Where a connection comes from, and the count that it is part of.
enum Origin {
    /// This machine.
    Here,
    /// An address that shows.
    Known(#[expect(dead_code, reason = "it counts until it is dropped")] Counted<IpAddr>),
    /// Behind a relay.
    Relayed(#[expect(dead_code, reason = "it counts until it is dropped")] Counted<()>),
}

fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's handler panicked; the others go on");
    }
}

/// Counts by key, each count given back when its guard is dropped.
#[derive(Debug)]
pub(crate) struct Tally<K: Eq + Hash + Clone> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

pub(crate) struct Counted<K: Eq + Hash + Clone> {
    key: K,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone> Tally<K> {
    /// Counts one more of `key`, unless there are `max` already.
    pub(crate) fn count(&self, key: K, max: usize) -> Option<Counted<K>> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(key.clone()).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted { key, counts: self.counts.clone() })
    }
}

impl<K: Eq + Hash + Clone> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

fn lock<K>(counts: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
