//! Which heavy node a light node takes as its parent, and which as backups. No IO, no clock: the times that go in are
//! spans since any moment that the user keeps to.
//!
//! ```text
//! what the ledger says   good standing before all others: they are not taken while one in good standing is known
//! how it went            whoever failed rests, longer each time, and comes last until then
//! how far it is          smallest of the last round trips, in classes that double, so that noise changes nothing
//! a lot                  of this node's own id and theirs: equals share their children
//! ```
//! A parent stays unless another is better by [`CLASSES_TO_MOVE`] classes, that is at least twice as near.

use crate::address::NodeAddr;
use holdfast_primitives::{Address, sha256_parts};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Heavy nodes that a light node keeps in mind, at most.
pub const PARENTS_KNOWN_MAX: usize = 64;
/// A parent and its backups.
pub const PARENTS: usize = 3;
/// By how many classes another must be better before a working parent is left.
pub const CLASSES_TO_MOVE: usize = 2;

/// Upper ends of the classes of round trips, in milliseconds; what takes longer is in the class after the last.
const CLASSES_MS: [u128; 6] = [25, 50, 100, 200, 400, 800];
/// Classes that a heavy node loses while it misses its turns: it may be about to be jailed.
const MISSING_COSTS: usize = 1;
/// Round trips that are remembered of each.
const SAMPLES: usize = 5;
const REST_FIRST: Duration = Duration::from_secs(1);
const REST_LONGEST: Duration = Duration::from_secs(60);
/// How often those are measured that a parent's death would lead to, and the others.
const MEASURE_BACKUP: Duration = Duration::from_secs(5 * 60);
const MEASURE_OTHER: Duration = Duration::from_secs(30 * 60);

/// What the ledger says of a heavy node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BondStanding {
    /// Bonded and in good standing.
    Good,
    /// Not bonded.
    Unbonded,
    /// Left out of the set for missing too many turns.
    Jailed,
    /// Contradicted itself.
    Banned,
}

/// A heavy node that could be a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavyNode {
    /// How it is reached.
    pub addr: NodeAddr,
    /// Where its JSON-RPC answers, if it says so.
    pub rpc_url: Option<String>,
    /// What the ledger says of it.
    pub standing: BondStanding,
    /// Turns that it missed since it last proposed.
    pub missed_in_row: u32,
}

/// Everything that a light node knows of heavy nodes.
#[derive(Clone, Debug)]
pub struct Roster {
    me: Address,
    known: BTreeMap<Address, Known>,
    parent: Option<Address>,
}

#[derive(Clone, Debug)]
struct Known {
    node: HeavyNode,
    round_trips: VecDeque<Duration>,
    failures: u32,
    /// Until when it is not tried while there is another.
    rests_until: Duration,
    /// When it was measured last, or should have been.
    measured: Option<Duration>,
}

impl HeavyNode {
    /// One of which nothing is known but how it is reached.
    pub const fn unknown(addr: NodeAddr) -> Self {
        Self { addr, rpc_url: None, standing: BondStanding::Unbonded, missed_in_row: 0 }
    }

    /// Its identity.
    pub const fn id(&self) -> Address {
        self.addr.id
    }
}

impl Roster {
    /// Of a node that knows nobody.
    pub const fn new(me: Address) -> Self {
        Self { me, known: BTreeMap::new(), parent: None }
    }

    /// Takes what is known now in place of what was known before; measurements stay. A parent that is not among them stays
    /// known as unbonded. An empty list changes nothing.
    pub fn know(&mut self, nodes: &[HeavyNode]) {
        if nodes.is_empty() {
            return;
        }
        let mut nodes: Vec<&HeavyNode> = nodes.iter().filter(|node| node.id() != self.me).collect();
        nodes.sort_by_key(|node| (node.standing, self.lot(&node.id())));
        nodes.truncate(PARENTS_KNOWN_MAX);
        let mut before = std::mem::take(&mut self.known);
        for node in nodes {
            let known = match before.remove(&node.id()) {
                Some(known) => Known { node: node.clone(), ..known },
                None => Known::new(node.clone()),
            };
            self.known.insert(node.id(), known);
        }
        if let Some((parent, known)) = self.parent.and_then(|parent| before.remove_entry(&parent)) {
            let node = HeavyNode { standing: BondStanding::Unbonded, ..known.node };
            self.known.insert(parent, Known { node, ..known });
        }
    }

    /// Whether anybody is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Notes how long the way to a heavy node and back took.
    pub fn measured(&mut self, node: &Address, round_trip: Duration, now: Duration) {
        let Some(known) = self.known.get_mut(node) else { return };
        if known.round_trips.len() == SAMPLES {
            known.round_trips.pop_front();
        }
        known.round_trips.push_back(round_trip);
        (known.failures, known.rests_until, known.measured) = (0, Duration::ZERO, Some(now));
    }

    /// Notes that a heavy node could not be reached, or turned this one away.
    pub fn failed(&mut self, node: &Address, now: Duration) {
        let Some(known) = self.known.get_mut(node) else { return };
        let rest = REST_FIRST.saturating_mul(1 << known.failures.min(10)).min(REST_LONGEST);
        known.failures = known.failures.saturating_add(1);
        (known.rests_until, known.measured) = (now.saturating_add(rest), Some(now));
    }

    /// Notes whose child this node is.
    pub const fn took(&mut self, parent: Address) {
        self.parent = Some(parent);
    }

    /// Whose child this node is, or was last.
    pub const fn parent(&self) -> Option<Address> {
        self.parent
    }

    /// Whom to lean on, best first: the parent and its backups, as many as there are.
    pub fn choice(&self, now: Duration) -> Vec<HeavyNode> {
        let mut ranked = self.ranked(now);
        if let Some(place) = ranked.iter().position(|known| Some(known.node.id()) == self.parent)
            && !ranked[place].is_resting(now)
            && ranked[place].class() < ranked[0].class() + CLASSES_TO_MOVE
        {
            let parent = ranked.remove(place);
            ranked.insert(0, parent);
        }
        ranked.into_iter().take(PARENTS).map(|known| known.node.clone()).collect()
    }

    /// Whoever should be measured now; it is taken as done from here on.
    pub fn due(&mut self, now: Duration) -> Vec<NodeAddr> {
        let backups: Vec<Address> = self.choice(now).iter().map(HeavyNode::id).collect();
        let parent = self.parent;
        let mut due = Vec::new();
        for (id, known) in self.known.iter_mut().filter(|(id, _)| Some(**id) != parent) {
            let period = match known.failures {
                0 if backups.contains(id) => MEASURE_BACKUP,
                0 => MEASURE_OTHER,
                _ => REST_LONGEST,
            };
            if known.measured.is_none_or(|measured| now >= measured.saturating_add(period)) {
                known.measured = Some(now);
                due.push(known.node.addr.clone());
            }
        }
        due
    }

    /// When the first of those who rest may be tried again; `None` when somebody does not rest, or nobody is known.
    pub fn all_rest_until(&self, now: Duration) -> Option<Duration> {
        let ranked = self.ranked(now);
        if ranked.iter().any(|known| !known.is_resting(now)) {
            return None;
        }
        ranked.iter().map(|known| known.rests_until).min()
    }

    /// All that may be taken, best first.
    fn ranked(&self, now: Duration) -> Vec<&Known> {
        let best = self.known.values().map(|known| known.node.standing).min();
        let mut ranked: Vec<&Known> = self
            .known
            .values()
            .filter(|known| best.is_some_and(|best| known.node.standing <= tolerated(best)))
            .collect();
        ranked.sort_by_key(|known| {
            (known.is_resting(now), known.node.standing, known.class(), self.lot(&known.node.id()))
        });
        ranked
    }

    fn lot(&self, node: &Address) -> [u8; 32] {
        sha256_parts(&[self.me.as_bytes(), node.as_bytes()])
    }
}

/// With one in good standing no others are taken. Without, the unbonded and the jailed are, but no liar while there is
/// anybody else.
fn tolerated(best: BondStanding) -> BondStanding {
    match best {
        BondStanding::Good => BondStanding::Good,
        BondStanding::Unbonded | BondStanding::Jailed => BondStanding::Jailed,
        BondStanding::Banned => BondStanding::Banned,
    }
}

impl Known {
    const fn new(node: HeavyNode) -> Self {
        Self { node, round_trips: VecDeque::new(), failures: 0, rests_until: Duration::ZERO, measured: None }
    }

    fn is_resting(&self, now: Duration) -> bool {
        self.failures > 0 && now < self.rests_until
    }

    /// How good it is, zero the best; who was never reached comes after all who were.
    fn class(&self) -> usize {
        let missing = if self.node.missed_in_row > 0 { MISSING_COSTS } else { 0 };
        let Some(round_trip) = self.round_trips.iter().min() else { return CLASSES_MS.len() + 1 + MISSING_COSTS };
        CLASSES_MS.iter().take_while(|end| round_trip.as_millis() >= **end).count() + missing
    }
}
