//! What must never happen.

use super::record::Statement;
use crate::app::BlockIdentity;
use holdfast_primitives::{Address, BlockHash, Height};
use thiserror::Error;

/// Something that must never happen, and did.
#[derive(Debug, Error)]
pub enum Breach {
    /// An honest validator contradicts itself.
    #[error("{validator} made two different statements {kind:?} in round {round} of height {height}")]
    SignedTwice {
        /// Who.
        validator: Address,
        /// In which height.
        height: Height,
        /// In which round.
        round: u32,
        /// What it said twice.
        kind: Statement,
    },
    /// The engine's core gave up.
    #[error("the core of node {node} failed at height {height}: {reason}")]
    Core {
        /// The node.
        node: usize,
        /// Its height.
        height: Height,
        /// The core's reason.
        reason: String,
    },
    /// An application failed in what may never fail.
    #[error("the application of node {node} failed to {action} at height {height}: {reason}")]
    App {
        /// The node.
        node: usize,
        /// What it was asked for.
        action: &'static str,
        /// At which height.
        height: Height,
        /// Its reason.
        reason: String,
    },
    /// An application built something else than it was asked for.
    #[error("node {node} built {identity:?}")]
    OwnBlock {
        /// The node.
        node: usize,
        /// What it built.
        identity: BlockIdentity,
    },
    /// A block was decided that the deciding node never kept.
    #[error("node {node} decided block {hash} at height {height} without having it")]
    BlockNotKept {
        /// The node.
        node: usize,
        /// The height.
        height: Height,
        /// The block.
        hash: BlockHash,
    },
    /// The world has found something.
    #[error("after {at_ms} ms: {reason}")]
    World {
        /// Milliseconds since the beginning.
        at_ms: u64,
        /// What.
        reason: String,
    },
}

/// Why a node stops in the middle of what it does.
#[derive(Debug)]
pub(super) enum Stop {
    /// The power failed.
    Crashed,
    /// It must not go on.
    Breach(Breach),
}

impl From<Breach> for Stop {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}
