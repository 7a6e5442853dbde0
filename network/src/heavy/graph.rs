//! The heavy nodes around this one: who is connected, who is shunned, and what has come by.

use super::config::GraphConfig;
use super::online::Hearsay;
use super::seen::{Seen, Sight};
use crate::transport::Connection;
use crate::wire::{PlacementRequest, Refusal, RefusalCode, Whereis};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Address, RequestId, TimeMs, sha256_parts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Neighbours that are shunned at once, at most; whoever is on the list came with a connection.
const SHUNNED_MAX: usize = 1_024;

/// What the graph has done so far, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphFigures {
    /// Neighbours connected now.
    pub neighbours: usize,
    /// Requests of neighbours that were looked into.
    pub served: u64,
    /// Requests that were passed on to a neighbour, counted for each neighbour.
    pub forwarded: u64,
    /// Those of them to which no answer came.
    pub unanswered: u64,
    /// Requests that had come by before.
    pub repeated: u64,
    /// Requests of neighbours that were refused.
    pub refused: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) served: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) refused: AtomicU64,
}

pub(crate) struct Graph {
    /// Two nodes that dial each other at the same moment have two connections; either will do.
    connected: Mutex<BTreeMap<u64, Neighbour>>,
    next_seat: AtomicU64,
    shunned: Mutex<HashMap<Address, Instant>>,
    shun: Duration,
    neighbours_max: usize,
    seeks: Mutex<Seen>,
    questions: Mutex<Seen>,
    seek_limiter: DefaultKeyedRateLimiter<Address>,
    question_limiter: DefaultKeyedRateLimiter<Address>,
    counters: Counters,
    hearsay: Mutex<Hearsay>,
}

struct Neighbour {
    id: Address,
    connection: Arc<dyn Connection>,
}

/// A neighbour's place among the connected; given back on drop.
pub(crate) struct Seat<'a> {
    graph: &'a Graph,
    number: u64,
}

impl Graph {
    pub(crate) fn new(config: &GraphConfig) -> Self {
        Self {
            connected: Mutex::default(),
            next_seat: AtomicU64::new(0),
            shunned: Mutex::default(),
            shun: config.shun,
            neighbours_max: config.neighbours_max,
            seeks: Mutex::new(Seen::new(config.seen_max)),
            questions: Mutex::new(Seen::new(config.seen_max)),
            seek_limiter: limiter(config.seeks_per_minute),
            question_limiter: limiter(config.questions_per_minute),
            counters: Counters::default(),
            hearsay: Mutex::default(),
        }
    }

    /// Takes a neighbour in; `None` when there are too many already.
    pub(crate) fn join(&self, id: Address, connection: Arc<dyn Connection>) -> Option<Seat<'_>> {
        let mut connected = lock(&self.connected);
        if connected.len() >= self.neighbours_max {
            return None;
        }
        let number = self.next_seat.fetch_add(1, Ordering::Relaxed);
        connected.insert(number, Neighbour { id, connection });
        Some(Seat { graph: self, number })
    }

    /// How a neighbour is reached.
    pub(crate) fn connection(&self, id: &Address) -> Option<Arc<dyn Connection>> {
        let connected = lock(&self.connected);
        connected.values().find(|neighbour| neighbour.id == *id).map(|neighbour| neighbour.connection.clone())
    }

    /// Neighbours connected now, ascending.
    pub(crate) fn neighbours(&self) -> BTreeSet<Address> {
        lock(&self.connected).values().map(|neighbour| neighbour.id).collect()
    }

    /// Neighbours but those of a list, in an order that differs from request to request, so that load spreads.
    pub(crate) fn others(&self, but: &[Address], request: &RequestId) -> Vec<Address> {
        let mut others: Vec<Address> = self.neighbours().into_iter().filter(|node| !but.contains(node)).collect();
        others.sort_by_cached_key(|node| sha256_parts(&[request.as_bytes(), node.as_bytes()]));
        others
    }

    /// Changes whenever neighbours say something new of who is online.
    pub(crate) fn hearsay_revision(&self) -> u64 {
        lock(&self.hearsay).revision()
    }

    /// What to tell a neighbour of who is online; `own` are this node's holders.
    pub(crate) fn online(&self, neighbour: &Address, own: Vec<Address>) -> BTreeMap<Address, u8> {
        lock(&self.hearsay).for_neighbour(neighbour, own.into_iter())
    }

    /// Whether a neighbour says that a holder is online.
    pub(crate) fn hears_of(&self, holder: &Address) -> bool {
        lock(&self.hearsay).knows(holder)
    }

    /// Ends all connections with a neighbour that sent what no honest node sends, and keeps away from it for a while.
    pub(crate) fn shun(&self, id: Address, why: &dyn fmt::Display) {
        tracing::warn!(neighbour = %id, reason = %why, "keeping away from a neighbour");
        let mut shunned = lock(&self.shunned);
        let now = Instant::now();
        shunned.retain(|_, until| *until > now);
        if shunned.len() < SHUNNED_MAX {
            shunned.insert(id, now + self.shun);
        }
        drop(shunned);
        let refusal = Refusal::new(RefusalCode::Malformed, why);
        for neighbour in lock(&self.connected).values().filter(|neighbour| neighbour.id == id) {
            neighbour.connection.close(refusal.code.number(), refusal.detail.as_str());
        }
    }

    pub(crate) fn is_shunned(&self, id: &Address) -> bool {
        lock(&self.shunned).get(id).is_some_and(|until| *until > Instant::now())
    }

    /// Notes an owner's request that came over `hops` heavy nodes, this one included.
    pub(crate) fn note_seek(&self, wanted: &PlacementRequest, hops: u8, now: TimeMs) -> Result<Sight, Refusal> {
        let sight = lock(&self.seeks).note((wanted.owner, wanted.request), hops, wanted.expires, now);
        self.noted(sight.map_err(|full| Refusal::new(RefusalCode::Busy, full))?)
    }

    /// Notes a question for whereabouts.
    pub(crate) fn note_question(&self, question: &Whereis, expires: TimeMs, now: TimeMs) -> Result<Sight, Refusal> {
        let hops = (FOOTPRINT_HOPS_MAX as u8).saturating_sub(question.hops_left);
        let sight = lock(&self.questions).note((question.reader, question.ask), hops, expires, now);
        self.noted(sight.map_err(|full| Refusal::new(RefusalCode::Busy, full))?)
    }

    fn noted(&self, sight: Sight) -> Result<Sight, Refusal> {
        if sight == Sight::Again {
            self.count(|counters| &counters.repeated);
        }
        Ok(sight)
    }

    /// Whether a neighbour may pass on one more request this minute.
    pub(crate) fn limit_seeks(&self, id: &Address) -> Result<(), Refusal> {
        self.seek_limiter.check_key(id).map_err(|_| too_many())
    }

    /// Whether a neighbour may ask one more question this minute.
    pub(crate) fn limit_questions(&self, id: &Address) -> Result<(), Refusal> {
        self.question_limiter.check_key(id).map_err(|_| too_many())
    }

    pub(crate) fn count(&self, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        counter(&self.counters).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> GraphFigures {
        let Counters { served, forwarded, unanswered, repeated, refused } = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GraphFigures {
            neighbours: self.neighbours().len(),
            served: read(served),
            forwarded: read(forwarded),
            unanswered: read(unanswered),
            repeated: read(repeated),
            refused: read(refused),
        }
    }
}

impl Seat<'_> {
    /// Takes what this neighbour says of who is online.
    pub(crate) fn hear(&self, by: Address, online: &[(Address, u8)]) {
        lock(&self.graph.hearsay).hear(self.number, by, online);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        lock(&self.graph.connected).remove(&self.number);
        lock(&self.graph.hearsay).forget(self.number);
    }
}

fn limiter(per_minute: NonZeroU32) -> DefaultKeyedRateLimiter<Address> {
    let burst = per_minute.saturating_mul(NonZeroU32::MIN.saturating_add(1));
    RateLimiter::keyed(Quota::per_minute(per_minute).allow_burst(burst))
}

fn too_many() -> Refusal {
    Refusal::new(RefusalCode::Busy, "too many requests in a minute")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
