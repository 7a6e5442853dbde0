//! Coded refusals: what a node says instead of doing what it was asked.

use super::frame::FrameError;
use super::text::Text;
use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;

/// Bytes of the words that go with a code, at most.
pub const DETAIL_BYTES_MAX: usize = 200;

/// A code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// The offending values, in words.
    pub detail: Text<DETAIL_BYTES_MAX>,
}

/// Every reason for which a node refuses. Numbers never change; a closed connection carries the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum RefusalCode {
    /// Not a message of this protocol, or not one that belongs here.
    Malformed = 1,
    /// Another version of the protocol.
    Version = 2,
    /// Another chain.
    WrongChain = 3,
    /// A statement about somebody other than the two ends of this connection.
    Foreign = 4,
    /// A signature that does not hold.
    BadSignature = 5,
    /// Past its time.
    Expired = 6,
    /// A message did not come in time, or too slowly.
    TooSlow = 7,
    /// A limit of connections, streams, requests or bytes in flight is reached.
    Busy = 8,
    /// This node does not serve such a peer.
    NotWelcome = 9,
    /// The same identity has come again; the newer connection counts.
    Replaced = 10,
    /// Something failed here; nothing to do with the request.
    Internal = 11,

    /// Not a holder on the ledger.
    UnknownHolder = 20,

    /// A path that does not lead from the owner to this node, or is too long.
    BadPath = 21,

    /// No snapshot of that height, no such records in it, or history that this node does not have.
    NoSuchHistory = 30,

    /// A ticket signed by a node that this holder does not trust.
    UntrustedIssuer = 40,
    /// A ticket or capability for the other direction.
    WrongDirection = 41,
    /// A ticket whose bytes are used up, or that was used for what is finished.
    TicketSpent = 42,
    /// A placement that this holder never quoted for, or that has ended.
    UnknownRequest = 43,
    /// A batch that this holder does not keep for this owner, or that was not begun.
    UnknownBatch = 44,
    /// A batch of a size that the placement does not cover, or that is none.
    BadBatch = 45,
    /// A range outside the batch, of partial groups, or larger than allowed.
    BadRange = 46,
    /// Leaves that this holder has already.
    AlreadyHeld = 47,
    /// Leaves that are not the batch's.
    BadLeaves = 48,
    /// Some leaves are still missing.
    Incomplete = 49,
    /// The capability does not cover this batch, or does not count here.
    NotEntitled = 50,
    /// No room left on disk or in the placement.
    NoRoom = 51,
    /// The batch was stored, but is damaged on disk.
    Damaged = 52,
    /// The capability was taken back by its owner.
    Revoked = 53,
    /// A ticket for more bytes than any placement comes to.
    TicketTooLarge = 54,
}

impl Refusal {
    /// What a node says to one whose message it could not read.
    pub fn of_frame(error: &FrameError) -> Self {
        let code = match error {
            FrameError::Version { .. } => RefusalCode::Version,
            FrameError::Late { .. } | FrameError::Stream { .. } | FrameError::Ended { .. } => RefusalCode::TooSlow,
            FrameError::UnknownKind { .. } | FrameError::Length { .. } | FrameError::Malformed { .. } => {
                RefusalCode::Malformed
            }
        };
        Self::new(code, error)
    }

    /// The refusal that a connection was closed with; `None` when its code is no refusal.
    pub fn of_close(code: u32, reason: &str) -> Option<Self> {
        RefusalCode::from_number(code).map(|code| Self::new(code, reason))
    }

    /// A refusal with words, cut to what fits.
    pub fn new(code: RefusalCode, detail: impl fmt::Display) -> Self {
        Self { code, detail: Text::cut(&detail.to_string()) }
    }
}

impl RefusalCode {
    /// The number that a closed connection carries.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The code with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        let byte = u8::try_from(number).ok()?;
        borsh::from_slice(&[byte]).ok()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.detail)
    }
}
