//! The protocol of the graph, `holdfast/heavy/1`: heavy nodes look for holders in each other's subtrees.
//!
//! ```text
//! hello      first stream of the dialler    Hello ->  <- Hello | Refused        stays open, then Online in both directions
//! seek       a stream each, either side     Seek ->  <- Found ... Sought        (or Refused)
//! whereis    a stream each, either side     Whereis ->  <- There                (or Refused)
//! ```
//!
//! There is one connection for each pair of neighbours, and either side asks over it.

use super::access::Ticket;
use super::control::{DONE_BYTES, LOCATE_MAX, OFFERED_BYTES, PLACEMENT_BYTES};
use super::frame::Message;
use super::placement::{Offered, PLACEMENT_HOLDERS_MAX, PlacementDone, PlacementRequest};
use super::refusal::Refusal;
use super::signed::Signed;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::Footprint;
use holdfast_primitives::limits::CONTROL_FRAME_BYTES_MAX;
use holdfast_primitives::{Address, Bounded, ChainId, RequestId};

/// The version of the protocol.
pub const HEAVY_VERSION: u8 = 1;
/// Offers that one heavy node may want of another for one request, at most.
pub const SEEK_OFFERS_MAX: u32 = 4 * PLACEMENT_HOLDERS_MAX as u32;

/// Holders that one announcement names, at most.
pub const ONLINE_MAX: usize = 4_096;

/// Holders that are online, with the heavy nodes between each and the sender: zero for the sender's own. All that the
/// sender knows; what it said before counts no more. A hint for those who estimate, proven by nothing.
pub type Online = Bounded<(Address, u8), ONLINE_MAX>;

/// Asks a neighbour for holders.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Seek {
    /// What the owner signed.
    pub request: Signed<PlacementRequest>,
    /// The path so far; its last hop is the sender's, signed towards the receiver.
    pub path: Footprint,
    /// Offers that are of use, at most.
    pub wanted: u32,
    /// Milliseconds within which the sender expects the last word. A span, for clocks differ.
    pub within_ms: u32,
}

/// Asks a neighbour where holders are.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Whereis {
    /// Chosen at random by the first heavy node, so that a question that comes round again is known.
    pub ask: RequestId,
    /// Who wants to read from them.
    pub reader: Address,
    /// Whom.
    pub holders: Bounded<Address, LOCATE_MAX>,
    /// How many heavy nodes further the question may go.
    pub hops_left: u8,
    /// Milliseconds within which the sender expects the answer.
    pub within_ms: u32,
}

/// The end of a seek.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SeekDone {
    /// Whether the request has come here before on a path as short, and was not looked into again.
    pub seen: bool,
    /// What became of it here and beyond.
    pub done: PlacementDone,
}

/// To a neighbour that answers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToNeighbour {
    /// Opens the connection.
    Hello {
        /// [`HEAVY_VERSION`].
        version: u8,
        /// The chain it follows.
        chain: ChainId,
    },
    /// Asks for holders.
    Seek(Box<Seek>),
    /// Asks where holders are.
    Whereis(Whereis),
    /// Who is online, as of now.
    Online(Online),
}

/// From a neighbour that answers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FromNeighbour {
    /// The connection stands.
    Hello {
        /// [`HEAVY_VERSION`].
        version: u8,
        /// The chain it follows.
        chain: ChainId,
    },
    /// Not done, for a reason.
    Refused(Refusal),
    /// A holder that would do.
    Found(Box<Offered>),
    /// No more of them.
    Sought(SeekDone),
    /// Introductions to those that were found.
    There(Bounded<Signed<Ticket>, LOCATE_MAX>),
    /// Who is online, as of now.
    Online(Online),
}

const ONLINE_BYTES: u32 = (ONLINE_MAX * (Address::BYTES + 1)) as u32 + 16;

impl Message for ToNeighbour {
    const NAME: &'static str = "neighbour";
    const CAPS: &'static [u32] = &[64, PLACEMENT_BYTES + 1_024, 16 * 1024, ONLINE_BYTES];
    const VERSION: u8 = HEAVY_VERSION;
}

impl Message for FromNeighbour {
    const NAME: &'static str = "neighbour's";
    const CAPS: &'static [u32] =
        &[64, 256, OFFERED_BYTES, DONE_BYTES + 16, CONTROL_FRAME_BYTES_MAX as u32, ONLINE_BYTES];
    const VERSION: u8 = HEAVY_VERSION;
}
