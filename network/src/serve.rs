//! Letting others in: one accept loop per endpoint, a task per connection, limits before anything costs something.
//!
//! A handler that panics ends its own connection and nothing else. Limits count connections in all, per network
//! address, and per identity; whoever exceeds them is turned away before or right after the handshake.

use crate::transport::{Connection, Endpoint, Incoming, Protocol, TransportError};
use crate::wire::RefusalCode;
use async_trait::async_trait;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

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
    /// Connections from one network address. Loopback addresses are not counted.
    pub per_ip_max: usize,
    /// Connections of one identity.
    pub per_identity_max: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self { connections_max: 4_096, per_ip_max: 128, per_identity_max: 8, handshake: Duration::from_secs(10) }
    }
}

/// Accepts connections until the endpoint is closed, then ends those that are left.
pub async fn serve(endpoint: Arc<dyn Endpoint>, handlers: Vec<Arc<dyn Handler>>, limits: ServeLimits) {
    let door = Arc::new(Door {
        handlers,
        room: Arc::new(Semaphore::new(limits.connections_max)),
        ips: Tally::default(),
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
    identities: Tally<holdfast_primitives::Address>,
}

impl Door {
    fn knock(self: Arc<Self>, incoming: Box<dyn Incoming>, tasks: &mut JoinSet<()>) {
        let ip = incoming.remote_ip().filter(|ip| !ip.is_loopback());
        let counted = match ip {
            Some(ip) => self.ips.count(ip, self.limits.per_ip_max).map(Some),
            None => Some(None),
        };
        let (Ok(room), Some(counted)) = (self.room.clone().try_acquire_owned(), counted) else {
            tracing::debug!(?ip, "turned away: too many connections");
            return incoming.refuse();
        };
        tasks.spawn(async move {
            if let Err(error) = self.admit(incoming).await {
                tracing::debug!(%error, "a connection came to nothing");
            }
            drop((room, counted));
        });
    }

    async fn admit(&self, incoming: Box<dyn Incoming>) -> Result<(), TransportError> {
        let handshake = tokio::time::timeout(self.limits.handshake, incoming.accept());
        let late = |_| TransportError::Handshake { reason: format!("not done within {:?}", self.limits.handshake) };
        let connection = handshake.await.map_err(late)??;
        let Some(_counted) = self.identities.count(connection.remote_id(), self.limits.per_identity_max) else {
            connection.close(RefusalCode::Busy.number(), "too many connections of this identity");
            return Ok(());
        };
        match self.handlers.iter().find(|handler| handler.protocol() == connection.protocol()) {
            Some(handler) => handler.handle(connection).await,
            None => connection.close(RefusalCode::NotWelcome.number(), "this protocol is not served here"),
        }
        Ok(())
    }
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
