//! What has come by already. Bounded, and everything in it expires.

use holdfast_primitives::{Address, RequestId, TimeMs};
use std::collections::HashMap;
use thiserror::Error;

/// Requests by who made them and their number, each with the shortest way on which it came.
#[derive(Debug)]
pub struct Seen {
    entries: HashMap<(Address, RequestId), (u8, TimeMs)>,
    max: usize,
}

/// Whether a request has come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Never.
    First,
    /// Yes, on a longer way: it can go further now than it could then.
    Nearer,
    /// Yes, on a way as short.
    Again,
}

/// No more requests can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{limit} requests are under way, which is the limit")]
pub struct SeenFull {
    /// The limit.
    pub limit: usize,
}

impl Seen {
    /// Remembers at most `max` requests at once.
    pub fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), max }
    }

    /// Notes a request that came over `hops` heavy nodes and is of no use after `expires`.
    pub fn note(
        &mut self,
        name: (Address, RequestId),
        hops: u8,
        expires: TimeMs,
        now: TimeMs,
    ) -> Result<Sight, SeenFull> {
        if let Some((known, until)) = self.entries.get_mut(&name).filter(|(_, until)| *until > now) {
            *until = expires.max(*until);
            if *known <= hops {
                return Ok(Sight::Again);
            }
            *known = hops;
            return Ok(Sight::Nearer);
        }
        if self.entries.len() >= self.max {
            self.entries.retain(|_, (_, until)| *until > now);
        }
        if self.entries.len() >= self.max {
            return Err(SeenFull { limit: self.max });
        }
        self.entries.insert(name, (hops, expires));
        Ok(Sight::First)
    }

    /// Requests remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
