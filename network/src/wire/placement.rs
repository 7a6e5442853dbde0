//! How an owner finds holders: its request, what a holder is asked, and what comes back.

use super::access::Ticket;
use super::signed::{Signed, Statement};
use crate::address::NodeAddr;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::{Footprint, Quote};
use holdfast_primitives::limits::{REGIONS_MAX, REGISTER_PLACEMENTS_MAX, TOPICS_MAX};
use holdfast_primitives::{Address, Amount, Bounded, Purpose, RequestId, Tag, TimeMs};

/// Holders that one request may ask for.
pub const PLACEMENT_HOLDERS_MAX: usize = REGISTER_PLACEMENTS_MAX;
/// Holders that one request may exclude.
pub const EXCLUDE_MAX: usize = REGISTER_PLACEMENTS_MAX;

/// Topics, and regions, that the end of a placement names, at most.
pub const DONE_TAGS_MAX: usize = 16;
/// How long a request may be answered, in milliseconds after it is received: heavy nodes remember it for as long.
pub const REQUEST_MS_MAX: u64 = 15 * 60 * 1_000;

/// What an owner wants.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PlacementRequest {
    /// Chosen at random by the owner.
    pub request: RequestId,
    /// Who asks, and signs.
    pub owner: Address,
    /// The heavy node that is asked: the first of the footprint.
    pub first_hop: Address,
    /// Size of a batch, log2 of bytes.
    pub batch_log2: u8,
    /// Batches for each holder, at most.
    pub batches_per_holder: u32,
    /// How many holders.
    pub holders: u16,
    /// For how many rounds.
    pub rounds: u32,
    /// Highest price per batch per round, relay fee included.
    pub price_max: Amount,
    /// Holders that must not be offered.
    pub exclude: Bounded<Address, EXCLUDE_MAX>,
    /// The only holders that may be offered; empty for any.
    pub only: Bounded<Address, EXCLUDE_MAX>,
    /// What the data is: holders whose disks are for one of these take it. Empty: holders whose disks are for anything.
    pub topics: Bounded<Tag, TOPICS_MAX>,
    /// Where it may lie; empty for anywhere.
    pub regions: Bounded<Tag, REGIONS_MAX>,
    /// Whether two holders of one operator count as one.
    pub distinct_operators: bool,
    /// Heavy nodes on the way to a holder, at most.
    pub hops_max: u8,
    /// When nobody should answer any more.
    pub expires: TimeMs,
}

/// What a heavy node asks a holder.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct QuoteRequest {
    /// What the owner signed.
    pub placement: Signed<PlacementRequest>,
    /// The path so far; its last hop is signed towards this holder.
    pub footprint: Footprint,
}

/// Why a holder does not quote. Where something else would have done, it says what.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum QuoteRefusal {
    /// Takes no new batches.
    NotAccepting,
    /// Has room for fewer batches of this size; zero for none.
    NoRoom {
        /// Batches that would fit.
        batches_free: u32,
    },
    /// Asks for more.
    TooDear {
        /// Its price per batch per round.
        price: Amount,
    },
    /// Does not bind itself for so long.
    TermTooLong {
        /// Its longest term, in rounds.
        rounds_max: u32,
    },
    /// Does not take batches of this size.
    UnknownClass,
    /// Has too much to do.
    Busy,
    /// The request does not hold: a signature, an expiry, a footprint.
    BadRequest,
    /// Something failed at the holder.
    Failed,
    /// Did not answer in time (counted by the heavy node).
    Silent,
    /// Answered with a quote that does not fit the request (counted by the heavy node).
    BadQuote,
    /// Its disk is for other things: it fits when its topics and the request's have one in common, or neither names any.
    OtherTopic {
        /// What its disk is for; empty for anything that has no topic.
        topics: Bounded<Tag, TOPICS_MAX>,
    },
    /// Is elsewhere.
    OtherRegion {
        /// Where it is, if it says so.
        region: Option<Tag>,
    },
    /// Is not among the holders that the owner names.
    NotNamed,
    /// Another holder of its operator was offered already (counted by the heavy node).
    SameOperator,
}

/// A holder that would do: streamed to the owner as it is found.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Offered {
    /// The holder's word.
    pub quote: Quote,
    /// The path from owner to holder.
    pub footprint: Footprint,
    /// The introduction, with the holder's address.
    pub ticket: Signed<Ticket>,
}

/// The end of a placement.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PlacementDone {
    /// Offers that were sent.
    pub offered: u32,
    /// Holders that looked fit and were asked.
    pub asked: u32,
    /// Why holders did not quote, and how many of each kind.
    pub refused: Bounded<(RefusalKind, u32), { RefusalKind::ALL.len() }>,
    /// The lowest price per batch per round among those that were too dear.
    pub cheapest: Option<Amount>,
    /// The most batches that one holder without enough room could take.
    pub roomiest: Option<u32>,
    /// The longest term among those that would not bind themselves for so long.
    pub longest_rounds: Option<u32>,
    /// Topics of those whose disks are for other data, some of them.
    pub topics: Bounded<Tag, DONE_TAGS_MAX>,
    /// Whether some of those take data without a topic.
    pub untopical: bool,
    /// Regions of those that lie elsewhere, some of them.
    pub regions: Bounded<Tag, DONE_TAGS_MAX>,
    /// Heavy nodes that looked into their subtrees, the first included.
    pub heavy_asked: u32,
    /// Heavy nodes that were asked and did not answer in time, or with something else.
    pub heavy_silent: u32,
    /// Whether there were heavy nodes beyond the hops that the owner allowed.
    pub hops_cut: bool,
}

/// The kinds of [`QuoteRefusal`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum RefusalKind {
    /// See [`QuoteRefusal::NotAccepting`].
    NotAccepting = 0,
    /// See [`QuoteRefusal::NoRoom`].
    NoRoom = 1,
    /// See [`QuoteRefusal::TooDear`].
    TooDear = 2,
    /// See [`QuoteRefusal::TermTooLong`].
    TermTooLong = 3,
    /// See [`QuoteRefusal::UnknownClass`].
    UnknownClass = 4,
    /// See [`QuoteRefusal::Busy`].
    Busy = 5,
    /// See [`QuoteRefusal::BadRequest`].
    BadRequest = 6,
    /// See [`QuoteRefusal::Failed`].
    Failed = 7,
    /// See [`QuoteRefusal::Silent`].
    Silent = 8,
    /// See [`QuoteRefusal::BadQuote`].
    BadQuote = 9,
    /// See [`QuoteRefusal::OtherTopic`].
    OtherTopic = 10,
    /// See [`QuoteRefusal::OtherRegion`].
    OtherRegion = 11,
    /// See [`QuoteRefusal::NotNamed`].
    NotNamed = 12,
    /// See [`QuoteRefusal::SameOperator`].
    SameOperator = 13,
}

impl Offered {
    /// Where the holder is.
    pub fn holder_addr(&self) -> &NodeAddr {
        &self.ticket.statement.holder_addr
    }
}

impl QuoteRefusal {
    /// Its kind.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAccepting => RefusalKind::NotAccepting,
            Self::NoRoom { .. } => RefusalKind::NoRoom,
            Self::TooDear { .. } => RefusalKind::TooDear,
            Self::TermTooLong { .. } => RefusalKind::TermTooLong,
            Self::UnknownClass => RefusalKind::UnknownClass,
            Self::Busy => RefusalKind::Busy,
            Self::BadRequest => RefusalKind::BadRequest,
            Self::Failed => RefusalKind::Failed,
            Self::Silent => RefusalKind::Silent,
            Self::BadQuote => RefusalKind::BadQuote,
            Self::OtherTopic { .. } => RefusalKind::OtherTopic,
            Self::OtherRegion { .. } => RefusalKind::OtherRegion,
            Self::NotNamed => RefusalKind::NotNamed,
            Self::SameOperator => RefusalKind::SameOperator,
        }
    }
}

impl RefusalKind {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::NotAccepting,
        Self::NoRoom,
        Self::TooDear,
        Self::TermTooLong,
        Self::UnknownClass,
        Self::Busy,
        Self::BadRequest,
        Self::Failed,
        Self::Silent,
        Self::BadQuote,
        Self::OtherTopic,
        Self::OtherRegion,
        Self::NotNamed,
        Self::SameOperator,
    ];
}

impl Statement for PlacementRequest {
    const PURPOSE: Purpose = Purpose::PlacementRequest;

    fn signer(&self) -> &Address {
        &self.owner
    }
}
