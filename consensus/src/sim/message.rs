//! What simulated nodes say to each other.

use crate::engine::part::BlockPart;
use crate::engine::types::Holdfast;
use arc_malachitebft_app::streaming::StreamMessage;
use arc_malachitebft_core_consensus::{LivenessMsg, SignedConsensusMsg};
use bytes::Bytes;
use holdfast_primitives::{Certificate, Height};

/// One message. The engine's own travel as they are; the encoding has its own tests.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// A vote or a proposal.
    Consensus(SignedConsensusMsg<Holdfast>),
    /// What helps others into our round.
    Liveness(LivenessMsg<Holdfast>),
    /// A piece of a block.
    Part(StreamMessage<BlockPart>),
    /// How far the sender is.
    Status { tip: Height },
    /// Wants committed blocks from this height on.
    Ask { first: Height },
    /// Committed blocks, in order of heights.
    Answer(Vec<(Bytes, Certificate)>),
    /// Whatever the world outside of consensus sends.
    World(Bytes),
}
