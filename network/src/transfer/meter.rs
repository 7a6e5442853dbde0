//! What travels, by path: relayed bytes cost a heavy node, so nobody sends them without knowing.

use crate::transport::{Connection, PathKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of ranges (leaves and what proves them) by the path they took. Sessions that are given the same meter
/// are counted together.
#[derive(Debug, Default)]
pub struct Meter {
    direct: AtomicU64,
    relayed: AtomicU64,
}

impl Meter {
    /// Bytes that went from socket to socket.
    pub fn direct_bytes(&self) -> u64 {
        self.direct.load(Ordering::Relaxed)
    }

    /// Bytes that went through a relay. A range during which the path changed counts as relayed.
    pub fn relayed_bytes(&self) -> u64 {
        self.relayed.load(Ordering::Relaxed)
    }

    /// Notes a range that has passed. `before` is the path at its beginning.
    pub(super) fn note(&self, before: PathKind, connection: &dyn Connection, bytes: u64) {
        let relayed = [before, connection.path_kind()].contains(&PathKind::Relayed);
        let counter = if relayed { &self.relayed } else { &self.direct };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }
}
