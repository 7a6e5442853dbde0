//! The control protocol, `holdfast/control/1`: a light node and its heavy node.
//!
//! ```text
//! session    the child's first stream   Hello ->  <- Welcome | Refused,  then Offer / Moved ->  as they change,
//!                                       and Ping -> <- Pong as often as the child likes
//! request    one stream each, child     Place ->  <- Offered ... Done    Locate ->  <- Located      (or Refused)
//! question   one stream each, parent    Quote ->  <- Quoted | Declined
//! ```
//!
//! While the session stream lives the child is online. A visitor measures the way and is no child: it is on no list and may
//! ask for nothing but pongs.

use super::access::Ticket;
use super::frame::Message;
use super::placement::{Offered, PlacementDone, PlacementRequest, QuoteRefusal, QuoteRequest};
use super::refusal::Refusal;
use super::signed::Signed;
use crate::address::NodeAddr;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::Quote;
use holdfast_primitives::limits::{BATCH_CLASSES_MAX, CONTROL_FRAME_BYTES_MAX};
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Height};
use std::net::SocketAddr;

/// The version of the control protocol.
pub const CONTROL_VERSION: u8 = 1;
/// Holders that one message may ask the whereabouts of.
pub const LOCATE_MAX: usize = 256;

/// What a child is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Role {
    /// Asks for holders.
    Owner = 0,
    /// Offers space (and may ask for holders too).
    Holder = 1,
    /// Measures how far the heavy node is, and takes nobody's place.
    Visitor = 2,
}

/// The first words of a child.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChildHello {
    /// [`CONTROL_VERSION`].
    pub version: u8,
    /// The chain it follows.
    pub chain: ChainId,
    /// What it is.
    pub role: Role,
    /// Where it can be reached; names itself.
    pub addr: NodeAddr,
}

/// The parent's answer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Welcome {
    /// The parent's height: a hint, proven by nothing.
    pub height: Height,
    /// Whom the parent sees.
    pub you: Address,
    /// Where the parent sees it; `None` when it comes through a relay.
    pub observed: Option<SocketAddr>,
    /// The relay that the parent runs, where the child can make itself found.
    pub relay_url: Option<super::text::Text<{ crate::address::RELAY_URL_BYTES_MAX }>>,
}

/// What a holder has to give.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HolderOffer {
    /// Bytes it can still take.
    pub free_bytes: u64,
    /// Its price per MiB per round.
    pub price: Amount,
    /// Sizes it takes, log2 of bytes.
    pub classes: Bounded<u8, BATCH_CLASSES_MAX>,
    /// Whether it takes anything now.
    pub accepting: bool,
}

/// Where some holders are.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Located {
    /// In the order in which they were asked for.
    pub holders: Bounded<LocatedHolder, LOCATE_MAX>,
}

/// Where one holder is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LocatedHolder {
    /// Whom.
    pub holder: Address,
    /// An introduction for reading, with its address; `None` when it is not online here.
    pub ticket: Option<Signed<Ticket>>,
}

/// From a child, on streams that the child opens.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToParent {
    /// Opens the session.
    Hello(ChildHello),
    /// What a holder has to give, as of now.
    Offer(HolderOffer),
    /// The child's address has changed.
    Moved(NodeAddr),
    /// Asks for holders.
    Place(Signed<PlacementRequest>),
    /// Asks where holders are.
    Locate(Bounded<Address, LOCATE_MAX>),
    /// Is the parent there? On the session stream; the number comes back.
    Ping(u32),
}

/// To a child, on streams that the child opened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FromParent {
    /// The session stands.
    Welcome(Welcome),
    /// Not done, for a reason.
    Refused(Refusal),
    /// A holder that would do.
    Offered(Box<Offered>),
    /// No more of them.
    Done(PlacementDone),
    /// Where holders are.
    Located(Located),
    /// It is; on the session stream, with the number of the ping.
    Pong(u32),
}

/// To a holder, on streams that the parent opens.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToHolder {
    /// Asks for a quote.
    Quote(QuoteRequest),
}

/// From a holder, on streams that the parent opened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FromHolder {
    /// Its word.
    Quoted(Quote),
    /// Why it gives none.
    Declined(QuoteRefusal),
}

const NODE_ADDR_BYTES: u32 = 1_024;
/// A request with every list full.
pub(super) const PLACEMENT_BYTES: u32 = 20 * 1024;
const LOCATED_BYTES: u32 = CONTROL_FRAME_BYTES_MAX as u32;
pub(super) const OFFERED_BYTES: u32 = 4 * 1024;
pub(super) const DONE_BYTES: u32 = 2 * 1024;

impl Message for ToParent {
    const NAME: &'static str = "child";
    const CAPS: &'static [u32] = &[NODE_ADDR_BYTES + 64, 64, NODE_ADDR_BYTES, PLACEMENT_BYTES, 16 * 1024, 8];
    const VERSION: u8 = CONTROL_VERSION;
}

impl Message for FromParent {
    const NAME: &'static str = "parent";
    const CAPS: &'static [u32] = &[512, 256, OFFERED_BYTES, DONE_BYTES, LOCATED_BYTES, 8];
    const VERSION: u8 = CONTROL_VERSION;
}

impl Message for ToHolder {
    const NAME: &'static str = "question";
    const CAPS: &'static [u32] = &[PLACEMENT_BYTES + 1_024];
    const VERSION: u8 = CONTROL_VERSION;
}

impl Message for FromHolder {
    const NAME: &'static str = "answer";
    const CAPS: &'static [u32] = &[512, 512];
    const VERSION: u8 = CONTROL_VERSION;
}
