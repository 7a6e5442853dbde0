//! What an audit finds wrong.

use holdfast_por::{ChallengeError, ProofError};
use holdfast_primitives::{Address, Amount, ContractNo, Digest, RoundNo};
use thiserror::Error;

/// Why a round's public data do not add up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The frozen rows are not the ones that the record commits to.
    #[error("frozen rows have root {found}, the record says {expected}")]
    FrozenRoot {
        /// The record's.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// The result rows are not the ones that the record commits to.
    #[error("result rows have root {found}, the record says {expected}")]
    ResultsRoot {
        /// The record's.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// A row of another round.
    #[error("a row of round {found} in round {expected}")]
    RowRound {
        /// The record's.
        expected: RoundNo,
        /// The row's.
        found: RoundNo,
    },
    /// A frozen row and a result row that do not belong together.
    #[error("{frozen} was frozen, the result is {result}'s")]
    RowHolder {
        /// Frozen.
        frozen: Address,
        /// Judged.
        result: Address,
    },
    /// One of the record's counts is wrong.
    #[error("{what}: the record says {stated}, the rows say {counted}")]
    Count {
        /// Which.
        what: &'static str,
        /// The record's.
        stated: u64,
        /// Computed.
        counted: u64,
    },
    /// The set root does not hash the frozen lists.
    #[error("the frozen lists have set root {found}, the row says {expected}")]
    SetRoot {
        /// The row's.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// More or fewer challenges than the rules draw.
    #[error("{stated} challenges, the rules draw {drawn}")]
    Challenges {
        /// The row's.
        stated: u32,
        /// By the rules.
        drawn: u32,
    },
    /// No challenge can be drawn from the row.
    #[error(transparent)]
    Draw(#[from] ChallengeError),
    /// A part that is none of the proof's parts, or is there twice.
    #[error("the part from {first_j} on is none of the proof's, or there twice")]
    Part {
        /// Its first challenge.
        first_j: u32,
    },
    /// A part that answers another challenge.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The parts are not the ones that were judged.
    #[error("the parts have digest {found}, the result says {expected}")]
    ProofDigest {
        /// The result's.
        expected: Digest,
        /// Computed.
        found: Digest,
    },
    /// A challenged batch without evidence that it stood in the frozen list.
    #[error("no evidence for slot {slot} of size 2^{batch_log2}")]
    EvidenceMissing {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Slot.
        slot: u64,
    },
    /// Evidence that does not lead to the frozen list's root.
    #[error("the evidence for slot {slot} of size 2^{batch_log2} does not lead to the frozen list")]
    Evidence {
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Slot.
        slot: u32,
    },
    /// The result counts other openings as missing than fail.
    #[error("{counted} openings are missing, the result says {stated}")]
    Missing {
        /// The result's.
        stated: u32,
        /// Computed.
        counted: u32,
    },
    /// A contract was paid otherwise than the rules say.
    #[error("contract {contract} should pay {expected} for {batches} batches and does not")]
    Payment {
        /// The contract.
        contract: ContractNo,
        /// Batches to pay for.
        batches: u32,
        /// What is due.
        expected: Amount,
    },
    /// A payment by a contract that had nothing to pay.
    #[error("contract {contract} pays without owing")]
    PaymentUnowed {
        /// The contract.
        contract: ContractNo,
    },
    /// What a holder was paid in all is not what its frozen row promises, less what it lost.
    #[error("the contracts of {holder} should pay {expected} together and pay {found}")]
    Revenue {
        /// The holder.
        holder: Address,
        /// Due in all, relay fees included.
        expected: Amount,
        /// The sum of its payments.
        found: Amount,
    },
    /// A contract that no registration could have prepaid.
    #[error("what contract {contract} owes does not fit 64 bits")]
    Overflow {
        /// The contract.
        contract: ContractNo,
    },
    /// The payments do not sum up to the record.
    #[error("{what}: the record says {stated}, the payments sum to {summed}")]
    Sum {
        /// Which.
        what: &'static str,
        /// The record's.
        stated: Amount,
        /// Computed.
        summed: Amount,
    },
}
