//! A network in memory, for tests of the protocols: seeded latency, loss of connections, partitions, half-open ends,
//! crashes, and nodes that only relays reach.
//!
//! It obeys the runtime's clock, so under a paused clock hours pass in milliseconds and every run with the same seed is
//! the same. It is as unforgiving as the real one: a stream is seen once something is written to it, closing a
//! connection loses what was not read yet, and dropping a connection closes it.

mod endpoint;
mod link;
mod pipe;
mod relays;

pub use endpoint::MemoryEndpoint;

use endpoint::MemoryIncoming;
use holdfast_primitives::Address;
use link::Link;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// The port at which every node is seen.
const PORT: u16 = 4_433;

/// What the network is like.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// How long bytes take, each piece its own time within this range, never overtaking on a stream.
    pub latency: RangeInclusive<Duration>,
    /// Bytes under way on one stream before the writer waits.
    pub window_bytes: usize,
    /// Silence after which both ends of a partitioned connection give up.
    pub idle: Duration,
    /// How long dialling may take.
    pub connect_timeout: Duration,
}

/// Many endpoints and what is between them.
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    conditions: Conditions,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    nodes: BTreeMap<Address, Node>,
    links: Vec<Weak<Link>>,
    partitions: BTreeSet<(Address, Address)>,
    /// Bytes after which the next connection of a pair is lost.
    cuts: BTreeMap<(Address, Address), u64>,
    /// Bytes written so far, by sender and receiver.
    written: BTreeMap<(Address, Address), u64>,
    /// Relays that do not run.
    relays_stopped: BTreeSet<String>,
}

struct Node {
    ip: IpAddr,
    /// The relays behind which it sits, its home first; none for a node that is dialled directly.
    relays: Vec<String>,
    knocking: mpsc::UnboundedSender<MemoryIncoming>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(5)..=Duration::from_millis(20),
            window_bytes: 256 * 1024,
            idle: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
        }
    }
}

impl MemoryNetwork {
    /// An empty network.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            nodes: BTreeMap::new(),
            links: Vec::new(),
            partitions: BTreeSet::new(),
            cuts: BTreeMap::new(),
            written: BTreeMap::new(),
            relays_stopped: BTreeSet::new(),
        };
        Self { shared: Arc::new(Shared { conditions, state: Mutex::new(state) }) }
    }

    /// A node's place in the network; an older one with the same identity goes deaf.
    pub fn endpoint(&self, id: Address) -> MemoryEndpoint {
        self.endpoint_at(id, IpAddr::from([10, 0, id.as_bytes()[0], id.as_bytes()[1]]))
    }

    /// The same, with an address that others see.
    pub fn endpoint_at(&self, id: Address, ip: IpAddr) -> MemoryEndpoint {
        self.settle(id, ip, Vec::new())
    }

    fn settle(&self, id: Address, ip: IpAddr, relays: Vec<String>) -> MemoryEndpoint {
        let (knocking, knocks) = mpsc::unbounded_channel();
        self.shared.lock().nodes.insert(id, Node { ip, relays, knocking });
        MemoryEndpoint::new(self.shared.clone(), id, knocks)
    }

    /// Ends a node as a power cut does: nothing passes on its connections any more, their other ends notice after the idle
    /// time, and nobody answers there until another endpoint takes the identity. What ran on the node is for the caller to
    /// end, afterwards.
    pub fn crash(&self, id: Address) {
        let links = {
            let mut state = self.shared.lock();
            state.nodes.remove(&id);
            let links: Vec<Arc<Link>> = state.links.iter().filter_map(Weak::upgrade).collect();
            let (gone, left): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.has_end(id));
            // Nothing heals them any more.
            state.links = left.iter().map(Arc::downgrade).collect();
            gone
        };
        links.iter().for_each(|link| link.clone().partition(self.shared.conditions.idle));
    }

    /// From now on nothing passes between two nodes; connections end after the idle time.
    pub fn partition(&self, one: Address, other: Address) {
        self.shared.lock().partitions.insert(pair(one, other));
        self.shared.links_of(one, other).iter().for_each(|link| link.clone().partition(self.shared.conditions.idle));
    }

    /// Bytes pass again; what waited arrives.
    pub fn heal(&self, one: Address, other: Address) {
        self.shared.lock().partitions.remove(&pair(one, other));
        self.shared.links_of(one, other).iter().for_each(|link| link.heal());
    }

    /// Ends all connections between two nodes at once, for both.
    pub fn cut(&self, one: Address, other: Address) {
        self.shared.links_of(one, other).iter().for_each(|link| link.lose("cut"));
    }

    /// Ends the connection between two nodes once `bytes` more have been written to it, in both directions together.
    pub fn cut_after(&self, one: Address, other: Address, bytes: u64) {
        self.shared.lock().cuts.insert(pair(one, other), bytes);
    }

    /// Takes [`MemoryNetwork::cut_after`] back; tells whether it was still to come.
    pub fn spare(&self, one: Address, other: Address) -> bool {
        self.shared.lock().cuts.remove(&pair(one, other)).is_some()
    }

    /// Bytes that one node has written to the other so far.
    pub fn written(&self, from: Address, to: Address) -> u64 {
        self.shared.lock().written.get(&(from, to)).copied().unwrap_or(0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next piece takes.
    fn latency(&self) -> Duration {
        let range = self.conditions.latency.clone();
        let (low, high) = (range.start().as_micros() as u64, range.end().as_micros() as u64);
        Duration::from_micros(self.lock().rng.random_range(low..=high))
    }

    /// Where others see a node.
    fn seen_at(&self, node: &Address) -> Option<SocketAddr> {
        self.lock().nodes.get(node).map(|node| SocketAddr::new(node.ip, PORT))
    }

    fn is_partitioned(&self, one: Address, other: Address) -> bool {
        self.lock().partitions.contains(&pair(one, other))
    }

    fn links_of(&self, one: Address, other: Address) -> Vec<Arc<Link>> {
        let mut state = self.lock();
        state.links.retain(|link| link.strong_count() > 0);
        state.links.iter().filter_map(Weak::upgrade).filter(|link| link.joins(one, other)).collect()
    }

    fn links_via(&self, relay: &str) -> Vec<Arc<Link>> {
        let state = self.lock();
        state.links.iter().filter_map(Weak::upgrade).filter(|link| link.goes_via(relay)).collect()
    }

    /// Counts bytes under way; tells whether the connection must be cut now.
    fn note_written(&self, from: Address, to: Address, bytes: u64) -> bool {
        let mut state = self.lock();
        *state.written.entry((from, to)).or_default() += bytes;
        let Some(left) = state.cuts.get_mut(&pair(from, to)) else { return false };
        *left = left.saturating_sub(bytes);
        let due = *left == 0;
        if due {
            state.cuts.remove(&pair(from, to));
        }
        due
    }
}

fn pair(one: Address, other: Address) -> (Address, Address) {
    if one <= other { (one, other) } else { (other, one) }
}
