//! The connections of one endpoint that live now, and what their ends tell about the relays.

use super::connection::QuicConnection;
use crate::transport::{Connection as _, PathKind, Protocol};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What lives.
#[derive(Default)]
pub(super) struct Live {
    connections: Mutex<Vec<Weak<QuicConnection>>>,
    relay_fell_silent: AtomicBool,
}

impl Live {
    /// Counts a connection for as long as somebody holds it.
    pub(super) fn add(&self, connection: QuicConnection) -> Arc<QuicConnection> {
        let connection = Arc::new(connection);
        let mut connections = self.lock();
        connections.retain(|known| known.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        connection
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().iter().filter(|known| known.strong_count() > 0).count()
    }

    /// Whether any of them would be missed: one that travels directly, and that nobody opens again by itself as a light
    /// node does its session with the parent.
    pub(super) fn has_direct_work(&self) -> bool {
        let connections: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let is_work = |connection: &Arc<QuicConnection>| {
            connection.protocol() != Protocol::Control && connection.path_kind() == PathKind::Direct
        };
        connections.iter().any(is_work)
    }

    /// Notes that a relayed connection that this side dialled ended in silence.
    pub(super) fn note_silence(&self) {
        self.relay_fell_silent.store(true, Ordering::Relaxed);
    }

    /// Whether such a connection ended in silence since this was asked last.
    pub(super) fn take_silence(&self) -> bool {
        self.relay_fell_silent.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<QuicConnection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
