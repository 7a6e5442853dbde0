//! A block that was checked, and what applying it means.

use crate::block::{Event, FullBlock, Header};
use crate::diff::Diff;
use crate::execute::Executed;
use crate::state::State;
use holdfast_primitives::{BlockHash, TxId};

/// A block whose every rule holds, with all it leads to. Only [`crate::build_block`] and [`crate::check_block`] make one.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    full: FullBlock,
    hash: BlockHash,
    executed: Executed,
}

/// A block and all it leads to, ready to be committed in one write.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The block with its openings.
    pub full: FullBlock,
    /// Its hash.
    pub hash: BlockHash,
    /// The state after it, sealed.
    pub state: State,
    /// What changed in the state.
    pub diff: Diff,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Applied {
    /// The ids of the block's transactions, in order: every one that was executed said so in an event.
    pub fn tx_ids(&self) -> impl Iterator<Item = TxId> {
        self.events.iter().filter_map(|event| match event {
            Event::Executed { tx, .. } => Some(*tx),
            _ => None,
        })
    }
}

impl CheckedBlock {
    pub(crate) fn new(full: FullBlock, executed: Executed) -> Self {
        Self { hash: full.block.header.hash(), full, executed }
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.full.block.header
    }

    /// The block with its openings.
    pub const fn full(&self) -> &FullBlock {
        &self.full
    }

    /// The block's hash.
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }

    /// The state after the block, sealed; another block can be built on it before this one is decided.
    pub const fn state(&self) -> &State {
        &self.executed.state
    }

    /// What happens in the block, in order.
    pub fn events(&self) -> &[Event] {
        &self.executed.events
    }

    /// Hands out everything that a commit writes.
    pub fn apply(self) -> Applied {
        let Executed { state, diff, events } = self.executed;
        Applied { full: self.full, hash: self.hash, state, diff, events }
    }
}
