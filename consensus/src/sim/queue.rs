//! What is going to happen, in order of time; at one moment in the order in which it was planned.

use super::message::Message;
use crate::engine::assembly::Assembled;
use crate::engine::types::Holdfast;
use arc_malachitebft_core_consensus::Input;
use arc_malachitebft_core_types::ValueResponse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that is going to happen.
pub(super) enum Event {
    /// A message arrives, if its receiver is up.
    Deliver { from: usize, to: usize, message: Arc<Message> },
    /// A node does something that it left for later, unless it crashed since.
    Later { node: usize, life: u64, task: Task },
    /// A node will crash within the next few steps it takes.
    Crash { node: usize },
    /// A crashed node starts again.
    Restart { node: usize },
    /// The network falls into these groups, or is whole again.
    Split { groups: Option<Vec<u8>> },
    /// The world outside of consensus does something.
    Beat,
}

/// What a node left for later.
pub(super) enum Task {
    /// A timer of the engine is due, unless it was cancelled.
    Timer { id: u64 },
    /// The engine is told something by the driver.
    Input(Box<Input<Holdfast>>),
    /// The driver makes the block that the engine asked for.
    Propose { height: u64, round: u32 },
    /// A block whose bytes are all there is judged.
    Judge(Box<Assembled>),
    /// A block that was decided without us is judged.
    JudgeSynced(Box<ValueResponse<Holdfast>>),
    /// The idle gate is looked at.
    Gate,
    /// Tells everybody how far this node is.
    Status,
}

/// Everything that is going to happen.
#[derive(Default)]
pub(super) struct Queue {
    now: u64,
    planned: u64,
    events: BTreeMap<(u64, u64), Event>,
}

impl Queue {
    /// Milliseconds since the beginning.
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    /// Plans an event `after` milliseconds from now.
    pub(super) fn push(&mut self, after: u64, event: Event) {
        self.planned += 1;
        self.events.insert((self.now.saturating_add(after), self.planned), event);
    }

    /// When the next event is due.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next event; time moves on to it.
    pub(super) fn pop(&mut self) -> Option<Event> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }
}
