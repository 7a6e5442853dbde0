//! The join protocol, `holdfast/join/1`: a node that is new or was away long asks a heavy node for a snapshot of the state.
//!
//! ```text
//! one stream, opened by whoever joins    Hello ->  <- Hello,  then one answer to each question, in order
//! ```
//! What manifests, steps and chunks mean is the ledger's; here they are bytes with a limit.

use super::frame::Message;
use super::refusal::Refusal;
use super::text::Text;
use crate::address::NodeAddr;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Bounded, ChainId, Height};

/// The version of the join protocol.
pub const JOIN_VERSION: u8 = 1;
/// Bytes of one answer, at most: a manifest carries a whole block.
pub const JOIN_DATA_BYTES_MAX: usize = BLOCK_BYTES_MAX + 512 * 1024;
/// Bytes of what names a chunk.
pub const CHUNK_ASK_BYTES_MAX: usize = 64;
/// Snapshots that one node offers, at most.
pub const SNAPSHOTS_OFFERED_MAX: usize = 8;
/// Other nodes that one node names, at most.
pub const JOIN_PEERS_MAX: usize = 16;

/// Bytes of one multiaddr, at most.
pub const MULTIADDR_BYTES_MAX: usize = 256;

/// What a joining node asks.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToSource {
    /// The first words.
    Hello {
        /// [`JOIN_VERSION`].
        version: u8,
        /// The chain it wants to follow.
        chain: ChainId,
    },
    /// What is there?
    Offer,
    /// The steps by which the validators are followed from `after` on, as many as fit one answer.
    Steps {
        /// The last height that is trusted.
        after: Height,
    },
    /// The step of one block: what is behind a checkpoint.
    At {
        /// The block's height.
        height: Height,
    },
    /// The manifest of a snapshot.
    Manifest {
        /// The snapshot's height.
        height: Height,
    },
    /// A chunk of a snapshot.
    Chunk {
        /// The snapshot's height.
        height: Height,
        /// Which records.
        ask: Bounded<u8, CHUNK_ASK_BYTES_MAX>,
    },
}

/// What a node can give to one that joins.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SourceOffer {
    /// Its newest block.
    pub tip: Height,
    /// The first block that it still has whole.
    pub blocks_from: Height,
    /// From which height on it knows every change of validators; zero for all.
    pub follow_from: Height,
    /// The heights of its snapshots.
    pub snapshots: Bounded<Height, SNAPSHOTS_OFFERED_MAX>,
    /// Other heavy nodes, who may have the same.
    pub peers: Bounded<NodeAddr, JOIN_PEERS_MAX>,
    /// Where the consensus of other nodes is reached, as multiaddrs.
    pub consensus: Bounded<Text<MULTIADDR_BYTES_MAX>, JOIN_PEERS_MAX>,
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FromSource {
    /// The first words.
    Hello {
        /// [`JOIN_VERSION`].
        version: u8,
        /// The chain that the answers are of.
        chain: ChainId,
    },
    /// To `Offer`.
    Offer(SourceOffer),
    /// To everything else.
    Data(Bounded<u8, JOIN_DATA_BYTES_MAX>),
    /// What was asked for is not here.
    Refused(Refusal),
}

impl Message for ToSource {
    const NAME: &'static str = "join request";
    const CAPS: &'static [u32] = &[64, 1, 16, 16, 16, 128];
    const VERSION: u8 = JOIN_VERSION;
}

impl Message for FromSource {
    const NAME: &'static str = "join answer";
    const CAPS: &'static [u32] = &[64, 32 * 1024, JOIN_DATA_BYTES_MAX as u32 + 16, 512];
    const VERSION: u8 = JOIN_VERSION;
}
