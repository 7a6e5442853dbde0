//! The gossip protocol, `holdfast/gossip/1`: heavy nodes tell each other of transactions that wait.
//!
//! ```text
//! one stream, opened by whoever dialled    Hello ->  <- Hello,  then Transactions in both directions as they come
//! ```

use super::frame::Message;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::{PROOF_PART_BYTES_MAX, TX_BYTES_MAX};
use holdfast_primitives::{Bounded, ChainId};

/// The version of the gossip protocol.
pub const GOSSIP_VERSION: u8 = 1;
/// Bytes of one transaction with its openings, at most.
pub const GOSSIP_TX_BYTES_MAX: usize = TX_BYTES_MAX + PROOF_PART_BYTES_MAX + 64;
/// Transactions in one message, at most.
pub const GOSSIP_TXS_MAX: usize = 4_096;
/// Bytes of one message, at most.
const FRAME_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// An encoded transaction; what it means is the ledger's.
pub type GossipTx = Bounded<u8, GOSSIP_TX_BYTES_MAX>;

/// What heavy nodes tell each other.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FromPeer {
    /// The first words of either side.
    Hello {
        /// [`GOSSIP_VERSION`].
        version: u8,
        /// The chain it follows.
        chain: ChainId,
    },
    /// Transactions that wait at the sender.
    Transactions(Bounded<GossipTx, GOSSIP_TXS_MAX>),
}

impl Message for FromPeer {
    const NAME: &'static str = "gossip";
    const CAPS: &'static [u32] = &[64, FRAME_BYTES_MAX];
    const VERSION: u8 = GOSSIP_VERSION;
}

const _: () = assert!(GOSSIP_TX_BYTES_MAX + 16 <= FRAME_BYTES_MAX as usize, "the largest transaction fits a message");
