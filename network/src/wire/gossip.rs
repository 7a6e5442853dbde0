//! The gossip protocol, `holdfast/gossip/1`: heavy nodes tell each other of transactions that wait, and how heavy nodes are
//! reached.
//!
//! ```text
//! one stream, opened by whoever dialled    Hello ->  <- Hello,  then Transactions and Cards in both directions as they come
//! ```

use super::frame::Message;
use super::signed::{Signed, Statement};
use super::text::Text;
use crate::address::NodeAddr;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::{PROOF_PART_BYTES_MAX, RPC_URL_BYTES_MAX, TX_BYTES_MAX};
use holdfast_primitives::{Address, Bounded, ChainId, Purpose, TimeMs};

/// The version of the gossip protocol.
pub const GOSSIP_VERSION: u8 = 1;
/// Bytes of one transaction with its openings, at most.
pub const GOSSIP_TX_BYTES_MAX: usize = TX_BYTES_MAX + PROOF_PART_BYTES_MAX + 64;
/// Transactions in one message, at most.
pub const GOSSIP_TXS_MAX: usize = 4_096;
/// Bytes of one message, at most.
const FRAME_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Cards in one message, at most.
pub const GOSSIP_CARDS_MAX: usize = 64;
/// Bytes of one message of cards, at most: each has sixteen addresses and two URLs.
const CARDS_BYTES_MAX: u32 = 80 * 1024;

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
    /// How heavy nodes are reached, in their own words.
    Cards(Bounded<Signed<HeavyCard>, GOSSIP_CARDS_MAX>),
}

/// How a heavy node is reached, in its own words. The newest of an identity counts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeavyCard {
    /// How light nodes and other heavy nodes dial it.
    pub node: NodeAddr,
    /// Under which URL it answers light nodes' JSON-RPC, if it does.
    pub rpc_url: Option<Text<RPC_URL_BYTES_MAX>>,
    /// When it was written.
    pub written: TimeMs,
}

impl Statement for HeavyCard {
    const PURPOSE: Purpose = Purpose::HeavyCard;

    fn signer(&self) -> &Address {
        &self.node.id
    }
}

impl Message for FromPeer {
    const NAME: &'static str = "gossip";
    const CAPS: &'static [u32] = &[64, FRAME_BYTES_MAX, CARDS_BYTES_MAX];
    const VERSION: u8 = GOSSIP_VERSION;
}

const _: () = assert!(GOSSIP_TX_BYTES_MAX + 16 <= FRAME_BYTES_MAX as usize, "the largest transaction fits a message");
