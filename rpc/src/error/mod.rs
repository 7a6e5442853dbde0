//! What can go wrong at this door, and how it looks from outside: a stable number, a word for machines and a hint.
//!
//! Whatever is not the caller's doing shows one neutral sentence and a trace id; the cause goes to the log.

mod codes;

pub use codes::*;

use crate::chain::BlockRef;
use crate::text::AddressText;
use holdfast_primitives::{
    Amount, BoundedError, ContractNo, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo, TxId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use upstream::types::ErrorObjectOwned;

/// What stands in `data` of every error in [`CODES`]. The errors of JSON-RPC itself ([`STANDARD`]) carry a text or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// The word for machines. For a refused transaction it names the rule.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
    /// Under which id the node logged the cause, when the fault is the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Why a call was not answered: one variant per rule.
#[derive(Debug, Error)]
pub enum Failure {
    /// No such block.
    #[error("there is no block {at}")]
    BlockUnknown {
        /// What was asked for.
        at: BlockRef,
    },
    /// No such final transaction.
    #[error("there is no final transaction {id}")]
    TxUnknown {
        /// What was asked for.
        id: TxId,
    },
    /// No such account.
    #[error("{address} has no account")]
    AccountUnknown {
        /// What was asked for.
        address: AddressText,
    },
    /// No holder of this number.
    #[error("there is no holder {number}")]
    HolderUnknown {
        /// What was asked for.
        number: HolderNo,
    },
    /// No holder of this address.
    #[error("{address} is not a holder")]
    NotAHolder {
        /// What was asked for.
        address: AddressText,
    },
    /// Nobody of this address ever bonded.
    #[error("{address} has never bonded")]
    NotAValidator {
        /// What was asked for.
        address: AddressText,
    },
    /// No such contract.
    #[error("there is no contract {number}")]
    ContractUnknown {
        /// What was asked for.
        number: ContractNo,
    },
    /// No such segment.
    #[error("there is no segment {number}")]
    SegmentUnknown {
        /// What was asked for.
        number: SegmentNo,
    },
    /// No such round, or not as far yet.
    #[error("round {round} is not {needed}")]
    RoundUnknown {
        /// What was asked for.
        round: RoundNo,
        /// `frozen` or `settled`.
        needed: &'static str,
    },
    /// The holder had nothing to prove in the round.
    #[error("holder {holder} had nothing to prove in round {round}")]
    NotInRound {
        /// The round.
        round: RoundNo,
        /// The holder.
        holder: HolderNo,
    },
    /// No such part of the proof.
    #[error("the proof has {found} parts, there is no part {part}")]
    PartUnknown {
        /// What was asked for.
        part: u32,
        /// Parts there are.
        found: usize,
    },
    /// No such entry in the frozen list.
    #[error("the frozen list of size 2^{batch_log2} has {batches} batches, there is no slot {slot}")]
    SlotUnknown {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// What was asked for.
        slot: u32,
        /// Entries there are.
        batches: u64,
    },
    /// No such record in the state.
    #[error("there is no record {record}")]
    RecordUnknown {
        /// What was asked for.
        record: String,
    },
    /// It was there once.
    #[error("{what} is no longer kept by this node")]
    NotKept {
        /// What was asked for.
        what: String,
    },
    /// From before this node joined.
    #[error("this node joined at height {joined} and does not have what was before; ask another")]
    BeforeJoined {
        /// The height of the snapshot it began with.
        joined: Height,
    },
    /// An address of another network.
    #[error("{address} is an address of {found}, this is {expected}")]
    WrongNetwork {
        /// What was given.
        address: AddressText,
        /// Its network.
        found: NetworkPrefix,
        /// This network.
        expected: NetworkPrefix,
    },
    /// A page of no rows or too many.
    #[error("a page of {asked} rows, 1 to {limit} are allowed")]
    PageLimit {
        /// Rows asked for.
        asked: u32,
        /// Most rows.
        limit: u32,
    },
    /// More entries than one call may ask for.
    #[error("{asked} slots in one call, at most {limit} are allowed")]
    SlotsLimit {
        /// Slots asked for.
        asked: usize,
        /// Most slots.
        limit: usize,
    },
    /// Bytes that are no transaction.
    #[error("not a transaction: {reason}")]
    Malformed {
        /// The decoder's reason.
        reason: BoundedError,
    },
    /// What is no beginning of a transaction's id.
    #[error("{prefix:?} is not the beginning of a transaction's id")]
    TxPrefix {
        /// What was given.
        prefix: String,
    },
    /// A transaction that breaks a rule.
    #[error("{message}")]
    TxRefused {
        /// The rule, for machines.
        code: String,
        /// The rule, for people.
        message: String,
    },
    /// No room for another waiting transaction.
    #[error("{waiting} transactions are waiting already")]
    PoolFull {
        /// How many wait.
        waiting: usize,
    },
    /// The node has not caught up.
    #[error("this node is at height {height} and still catching up")]
    NotSynced {
        /// Where the node stands.
        height: Height,
    },
    /// A batch size that the network does not allow.
    #[error("the network has no batches of 2^{asked} bytes, only of 2^{allowed:?}")]
    BatchClass {
        /// What was asked for.
        asked: u8,
        /// What is allowed.
        allowed: Vec<u8>,
    },
    /// A code that no segment can have.
    #[error("{data} data and {parity} parity batches are not a segment")]
    QuoteCode {
        /// Data batches.
        data: u8,
        /// Parity batches.
        parity: u8,
    },
    /// A term of no rounds or too many.
    #[error("a term of {rounds} rounds, 1 to {limit} are allowed")]
    QuoteRounds {
        /// Rounds asked for.
        rounds: u32,
        /// Most rounds.
        limit: u32,
    },
    /// A price that does not fit 64 bits.
    #[error("the price of {bytes} bytes does not fit 64 bits of grain")]
    QuoteTooLarge {
        /// Bytes asked for.
        bytes: u64,
    },
    /// Not enough holders to spread a segment over.
    #[error("{found} holders are online with room, {needed} are needed")]
    HoldersTooFew {
        /// Holders found.
        found: usize,
        /// Holders needed.
        needed: usize,
    },
    /// More than the faucet gives, or nothing.
    #[error("the faucet gives up to {limit} in one call, not {asked}")]
    FaucetLimit {
        /// Asked for.
        asked: Amount,
        /// Most.
        limit: Amount,
    },
    /// Not the caller's doing.
    #[error("the node could not answer")]
    Internal {
        /// For the log.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    /// The failure's row of the table.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::BlockUnknown { .. } => BLOCK_UNKNOWN,
            Self::TxUnknown { .. } => TX_UNKNOWN,
            Self::AccountUnknown { .. } => ACCOUNT_UNKNOWN,
            Self::HolderUnknown { .. } => HOLDER_UNKNOWN,
            Self::NotAHolder { .. } => NOT_A_HOLDER,
            Self::NotAValidator { .. } => NOT_A_VALIDATOR,
            Self::ContractUnknown { .. } => CONTRACT_UNKNOWN,
            Self::SegmentUnknown { .. } => SEGMENT_UNKNOWN,
            Self::RoundUnknown { .. } => ROUND_UNKNOWN,
            Self::NotInRound { .. } => NOT_IN_ROUND,
            Self::PartUnknown { .. } => PART_UNKNOWN,
            Self::SlotUnknown { .. } => SLOT_UNKNOWN,
            Self::RecordUnknown { .. } => RECORD_UNKNOWN,
            Self::NotKept { .. } => NOT_KEPT,
            Self::BeforeJoined { .. } => BEFORE_JOINED,
            Self::WrongNetwork { .. } => WRONG_NETWORK,
            Self::PageLimit { .. } => PAGE_LIMIT,
            Self::SlotsLimit { .. } => SLOTS_LIMIT,
            Self::Malformed { .. } => MALFORMED,
            Self::TxPrefix { .. } => TX_PREFIX,
            Self::TxRefused { .. } => TX_REFUSED,
            Self::PoolFull { .. } => POOL_FULL,
            Self::NotSynced { .. } => NOT_SYNCED,
            Self::BatchClass { .. } => BATCH_CLASS,
            Self::QuoteCode { .. } => QUOTE_CODE,
            Self::QuoteRounds { .. } => QUOTE_ROUNDS,
            Self::QuoteTooLarge { .. } => QUOTE_TOO_LARGE,
            Self::HoldersTooFew { .. } => HOLDERS_TOO_FEW,
            Self::FaucetLimit { .. } => FAUCET_LIMIT,
            Self::Internal { .. } => INTERNAL,
        }
    }

    /// A fault of the node, with its cause for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { cause: cause.into() }
    }

    /// A record that another record names, and that is not there.
    pub(crate) fn broken_link(what: &'static str, number: u32) -> Self {
        Self::internal(format!("{what} {number} is named by a record but is not in the state"))
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::TxRefused { code, .. } => rule_hint(code),
            other => other.code().hint,
        }
    }
}

impl From<Failure> for ErrorObjectOwned {
    fn from(failure: Failure) -> Self {
        let row = failure.code();
        let (mut reason, mut trace) = (row.reason.to_owned(), None);
        match &failure {
            Failure::TxRefused { code, .. } => reason.clone_from(code),
            Failure::Internal { cause } => {
                let id = format!("{:016x}", rand::random::<u64>());
                tracing::error!(trace = %id, cause = %cause, "a call could not be answered");
                trace = Some(id);
            }
            _ => {}
        }
        let data = ErrorData { reason, hint: failure.hint().to_owned(), trace };
        Self::owned(row.code, failure.to_string(), Some(data))
    }
}
