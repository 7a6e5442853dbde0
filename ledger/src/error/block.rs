//! Why a block is refused: one variant per rule, in the order in which the rules are checked.

use crate::error::TxError;
use holdfast_primitives::{Address, BlockHash, ChainId, Digest, Height, StateRoot, TimeMs};
use thiserror::Error;

/// A rule that a block breaks, with the offending values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// Made by another rule book.
    #[error("protocol version {found}, this chain has {expected}")]
    Version {
        /// The chain's.
        expected: u32,
        /// The header's.
        found: u32,
    },
    /// Of another chain.
    #[error("a block of chain {found}, this is {expected}")]
    Chain {
        /// This chain.
        expected: ChainId,
        /// The header's.
        found: ChainId,
    },
    /// Not the next height.
    #[error("height {found}, the next is {expected}")]
    Height {
        /// The next.
        expected: Height,
        /// The header's.
        found: Height,
    },
    /// Not on the tip.
    #[error("parent {found}, the tip is {expected}")]
    Parent {
        /// The tip.
        expected: BlockHash,
        /// The header's.
        found: BlockHash,
    },
    /// Not later than its parent.
    #[error("time {time} is not after the parent's {parent}")]
    TimeNotAfterParent {
        /// The header's.
        time: TimeMs,
        /// The parent's.
        parent: TimeMs,
    },
    /// From too far in the future.
    #[error("time {time} is ahead of {limit}, the latest believable")]
    TimeAhead {
        /// The header's.
        time: TimeMs,
        /// The voter's clock and the drift allowed.
        limit: TimeMs,
    },
    /// Built by someone who may not.
    #[error("{proposer} is not a validator at this height")]
    Proposer {
        /// The header's.
        proposer: Address,
    },
    /// Another set of validators than decides this height.
    #[error("validators {found}, this height's are {expected}")]
    Validators {
        /// The state's.
        expected: Digest,
        /// The header's.
        found: Digest,
    },
    /// The VRF proof does not hold.
    #[error("the VRF proof of {proposer} does not hold")]
    Vrf {
        /// The proposer.
        proposer: Address,
    },
    /// A beacon that does not follow from the one before.
    #[error("the beacon does not follow from the one before")]
    Beacon,
    /// More bytes than a block may have.
    #[error("{bytes} bytes, a block has at most {limit}")]
    TooLarge {
        /// With openings.
        bytes: usize,
        /// Most bytes.
        limit: usize,
    },
    /// Not one buffer of openings per proof.
    #[error("{found} buffers of openings for {expected} proofs")]
    OpeningsCount {
        /// Proofs.
        expected: usize,
        /// Buffers.
        found: usize,
    },
    /// Other transactions than the header commits to.
    #[error("transaction root {found}, the transactions have {expected}")]
    TxRoot {
        /// Computed.
        expected: Digest,
        /// The header's.
        found: Digest,
    },
    /// A transaction that breaks a rule.
    #[error("transaction {index}: {error}")]
    Tx {
        /// Its place in the block.
        index: usize,
        /// The rule.
        error: TxError,
    },
    /// Another set of validators than decides the next height.
    #[error("next validators {found}, the state says {expected}")]
    NextValidators {
        /// Computed.
        expected: Digest,
        /// The header's.
        found: Digest,
    },
    /// Other events than the block causes.
    #[error("result root {found}, the block's events have {expected}")]
    ResultRoot {
        /// Computed.
        expected: Digest,
        /// The header's.
        found: Digest,
    },
    /// Another state than the block leads to.
    #[error("state root {found}, the block leads to {expected}")]
    StateRoot {
        /// Computed.
        expected: StateRoot,
        /// The header's.
        found: StateRoot,
    },
}

impl BlockError {
    /// A short word for machines; never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "block_version",
            Self::Chain { .. } => "block_chain",
            Self::Height { .. } => "block_height",
            Self::Parent { .. } => "block_parent",
            Self::TimeNotAfterParent { .. } => "block_time_not_after_parent",
            Self::TimeAhead { .. } => "block_time_ahead",
            Self::Proposer { .. } => "block_proposer",
            Self::Validators { .. } => "block_validators",
            Self::Vrf { .. } => "block_vrf",
            Self::Beacon => "block_beacon",
            Self::TooLarge { .. } => "block_too_large",
            Self::OpeningsCount { .. } => "block_openings_count",
            Self::TxRoot { .. } => "block_tx_root",
            Self::Tx { .. } => "block_tx",
            Self::NextValidators { .. } => "block_next_validators",
            Self::ResultRoot { .. } => "block_result_root",
            Self::StateRoot { .. } => "block_state_root",
        }
    }
}
