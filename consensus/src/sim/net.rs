//! The wires between the nodes, and what goes wrong on them.

use super::message::Message;
use super::queue::{Event, Queue};
use super::{Faults, NodeSpec, SimRng};
use std::sync::Arc;

/// Longest way of a message once nothing goes wrong any more.
const CALM_DELAY_MS: u64 = 20;

/// The wires.
pub(super) struct Net {
    faults: Faults,
    rng: SimRng,
    /// Who can ever reach whom, by sender and receiver.
    reach: Vec<Vec<bool>>,
    /// The group of each node while the network is split.
    groups: Option<Vec<u8>>,
}

impl Net {
    pub(super) fn new(faults: Faults, rng: SimRng, nodes: &[NodeSpec]) -> Self {
        let hears = |node: usize, other: usize| nodes[node].peers.as_ref().is_none_or(|peers| peers.contains(&other));
        let to = |from: usize| (0..nodes.len()).map(|to| from != to && hears(from, to) && hears(to, from)).collect();
        Self { faults, rng, reach: (0..nodes.len()).map(to).collect(), groups: None }
    }

    /// Splits the network into groups that do not hear each other, or makes it whole.
    pub(super) fn split(&mut self, groups: Option<Vec<u8>>) {
        self.groups = groups;
    }

    /// Sends a message to one node; chance decides whether, when and how often it arrives.
    pub(super) fn send(&mut self, queue: &mut Queue, from: usize, to: usize, message: &Arc<Message>) {
        let parted = self.groups.as_ref().is_some_and(|groups| groups[from] != groups[to]);
        if parted || !self.reach[from][to] {
            return;
        }
        let calm = queue.now() >= self.faults.until_ms;
        if !calm && self.rng.percent(self.faults.loss_percent) {
            return;
        }
        let copies = if !calm && self.rng.percent(self.faults.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = if calm { self.rng.between(1, CALM_DELAY_MS) } else { self.delay() };
            queue.push(delay, Event::Deliver { from, to, message: Arc::clone(message) });
        }
    }

    /// Sends a message to everybody else.
    pub(super) fn publish(&mut self, queue: &mut Queue, from: usize, message: Message) {
        let message = Arc::new(message);
        (0..self.reach.len()).for_each(|to| self.send(queue, from, to, &message));
    }

    /// Mostly short, now and then as long as it may be: so messages overtake each other by whole rounds.
    const fn delay(&mut self) -> u64 {
        let longest = if self.rng.percent(10) { self.faults.delay_ms_max } else { self.faults.delay_ms_max / 8 };
        self.rng.between(1, if longest == 0 { 1 } else { longest })
    }
}
