//! The transfer protocol, `holdfast/transfer/1`: an owner (or a reader) and a holder.
//!
//! ```text
//! hello     first stream      Hello ->  <- Welcome | Refused
//! begin     a stream each     Begin ->  <- Have                                       what is there already
//! put       4 to 8 streams    Put | siblings | leaves ->  <- Stored    again and again on the same stream
//! finish    a stream each     Finish ->  <- Finished
//! receipt   a stream each     Receipt ->  <- Receipt
//! get       a stream each     Get ->  <- Piece | siblings | leaves  ...  <- End
//! ```
//!
//! Siblings and leaves follow their frame as raw bytes; how many follows from the batch's meta and the range
//! (`por::range_proof_hashes`). `Stored` is sent once the leaves are verified and lie on the disk for good.

use super::access::{Capability, Ticket};
use super::frame::Message;
use super::groups::{GROUPS_MAX, GroupSet};
use super::refusal::Refusal;
use super::signed::Signed;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::statement::Receipt;
use holdfast_por::BatchMeta;
use holdfast_primitives::limits::REGISTER_BATCHES_MAX;
use holdfast_primitives::{Bounded, ChainId, Height, RequestId};

/// The version of the transfer protocol.
pub const TRANSFER_VERSION: u8 = 1;
/// Batches that one receipt covers, at most.
pub const RECEIPT_BATCHES_MAX: usize = REGISTER_BATCHES_MAX;

/// The first words of a client.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransferHello {
    /// [`TRANSFER_VERSION`].
    pub version: u8,
    /// The chain it follows.
    pub chain: ChainId,
    /// What it wants and by what right.
    pub access: Access,
}

/// By what right a client comes.
#[allow(clippy::large_enum_variant, reason = "there is one in a session, and it travels in a box")]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Access {
    /// To store what the holder quoted for.
    Write {
        /// The heavy node's introduction; names the placement.
        ticket: Signed<Ticket>,
    },
    /// To read.
    Read {
        /// The owner's permission.
        capability: Signed<Capability>,
        /// A heavy node's introduction, where the holder asks for one.
        ticket: Option<Signed<Ticket>>,
    },
}

/// Asks for the holder's word that batches lie on its disk.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReceiptRequest {
    /// The placement; must be the ticket's.
    pub request: RequestId,
    /// All batches of the placement, in the order in which the registration lists them.
    pub metas: Bounded<BatchMeta, RECEIPT_BATCHES_MAX>,
    /// The last height at which the receipt shall count.
    pub expires: Height,
}

/// From the client.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TransferRequest {
    /// Opens the session.
    Hello(Box<TransferHello>),
    /// Announces a batch.
    Begin(BatchMeta),
    /// Some whole groups of a batch follow: siblings, then leaves.
    Put {
        /// The batch's root.
        root: [u8; 32],
        /// First leaf; a multiple of a group.
        first_leaf: u32,
        /// How many; a multiple of a group.
        count: u32,
    },
    /// All of the batch was sent.
    Finish {
        /// The batch's root.
        root: [u8; 32],
    },
    /// Asks for a receipt.
    Receipt(ReceiptRequest),
    /// Asks for leaves of a batch.
    Get {
        /// The batch.
        meta: BatchMeta,
        /// First leaf.
        first_leaf: u32,
        /// How many.
        count: u32,
    },
}

/// From the holder.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TransferReply {
    /// The session stands.
    Welcome {
        /// Leaves in one put, at most.
        put_leaves_max: u32,
        /// Streams that are served at once.
        streams_max: u32,
    },
    /// Not done, for a reason.
    Refused(Refusal),
    /// What of the batch is there already.
    Have(GroupSet),
    /// These leaves are verified and on the disk.
    Stored {
        /// First leaf.
        first_leaf: u32,
        /// How many.
        count: u32,
    },
    /// The batch is complete on the disk.
    Finished,
    /// The holder's word.
    Receipt(Receipt),
    /// Some leaves follow: siblings, then leaves.
    Piece {
        /// First leaf.
        first_leaf: u32,
        /// How many.
        count: u32,
    },
    /// All that was asked for has been sent.
    End,
}

const RECEIPT_REQUEST_BYTES: u32 = (RECEIPT_BATCHES_MAX * BatchMeta::BYTES) as u32 + 64;

impl Message for TransferRequest {
    const NAME: &'static str = "client";
    const CAPS: &'static [u32] = &[40 * 1024, 64, 64, 64, RECEIPT_REQUEST_BYTES, 64];
    const VERSION: u8 = TRANSFER_VERSION;
}

impl Message for TransferReply {
    const NAME: &'static str = "holder";
    const CAPS: &'static [u32] = &[16, 256, GROUPS_MAX / 8 + 16, 16, 16, 128, 16, 16];
    const VERSION: u8 = TRANSFER_VERSION;
}
