//! The shapes of the `round` namespace.

use crate::market::FrozenView;
use crate::text::{AddressText, GrainText, Hex32, HexBytes, Raw, Time};
use holdfast_ledger::{Event, FrozenHolder, Payment, Phase, RoundRecord, RoundResult, RunningRound};
use holdfast_primitives::{Amount, ContractNo, Digest, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a running round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// Lists may change freely; the next freeze waits for its time.
    Open,
    /// Lists are frozen; the seed is not known yet.
    AwaitingSeed,
    /// Proofs are taken until the deadline.
    Proving,
}

/// The running round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningView {
    /// Its number.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// Where it stands.
    pub phase: PhaseName,
    /// When the first block at or after this time freezes (open) or settles (frozen).
    pub due: Time,
    /// The freeze; absent while open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeView>,
    /// The seed; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<SeedView>,
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FreezeView {
    /// The block that froze the lists.
    #[schemars(with = "u64")]
    pub height: Height,
    /// That block's time.
    pub time: Time,
    /// Merkle root over the frozen rows.
    #[schemars(with = "Hex32")]
    pub frozen_root: Digest,
}

/// A seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedView {
    /// The block whose beacon it is.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The seed: 32 bytes.
    pub seed: HexBytes,
}

/// A settled round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordView {
    /// Its number.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// The freeze.
    pub freeze: FreezeView,
    /// The seed.
    pub seed: SeedView,
    /// The block that settled it.
    #[schemars(with = "u64")]
    pub settle_height: Height,
    /// Merkle root over the result rows.
    #[schemars(with = "Hex32")]
    pub results_root: Digest,
    /// Holders that had something to prove.
    pub holders: u32,
    /// Holders that sent no proof.
    pub missed: u32,
    /// Batches challenged.
    pub batches: u64,
    /// Batches newly marked faulty.
    pub newly_faulty: u32,
    /// Paid out of escrows in all.
    #[schemars(with = "GrainText")]
    pub paid: Amount,
    /// The part of it that went to footprints.
    #[schemars(with = "GrainText")]
    pub relay_fees: Amount,
    /// Paid by holders for verification.
    #[schemars(with = "GrainText")]
    pub proof_fees: Amount,
    /// Taken from deposits.
    #[schemars(with = "GrainText")]
    pub fines: Amount,
    /// The record itself.
    pub raw: Raw<RoundRecord>,
}

/// How one holder did in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultView {
    /// Its place among the results: a leaf number under `results_root`.
    pub index: u64,
    /// Whose.
    pub holder: AddressText,
    /// Digest over its proof parts; all zero when it sent none.
    #[schemars(with = "Hex32")]
    pub proof_digest: Digest,
    /// Openings that failed or never came.
    pub missing: u32,
    /// Openings it was asked for.
    pub challenges: u32,
    /// The row itself.
    pub raw: Raw<RoundResult>,
}

/// What a settled round meant for one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HolderRoundView {
    /// The round.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// When its lists were frozen.
    pub frozen: Time,
    /// Openings it was asked for.
    pub challenges: u32,
    /// Openings that failed or never came.
    pub missing: u32,
    /// Whether no part of its proof came at all.
    pub missed: bool,
    /// What it was paid, after relay fees and before proof fees.
    #[schemars(with = "GrainText")]
    pub paid: Amount,
    /// What was taken from its deposit as a fine.
    #[schemars(with = "GrainText")]
    pub fined: Amount,
    /// Batches that were found faulty in it.
    pub faults: Vec<FaultView>,
}

/// A batch that was found faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    /// Size, log2 of bytes.
    pub batch_log2: u8,
    /// Its slot in the holder's list then.
    pub slot: u32,
    /// Its segment.
    #[schemars(with = "u32")]
    pub segment: SegmentNo,
    /// Its place in the segment.
    pub index: u8,
}

/// What one holder was bound to in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrozenRow {
    /// Its place among the rows: a leaf number under `frozen_root`.
    pub index: u64,
    /// The holder's number.
    #[schemars(with = "u32")]
    pub number: HolderNo,
    /// The holder's address.
    pub holder: AddressText,
    /// What it was bound to.
    pub frozen: FrozenView,
    /// The row itself.
    pub raw: Raw<FrozenHolder>,
}

/// What one contract paid in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// The contract.
    #[schemars(with = "u32")]
    pub contract: ContractNo,
    /// Batches paid for.
    pub batches: u32,
    /// Out of the escrow.
    #[schemars(with = "GrainText")]
    pub paid: Amount,
    /// The part of it that went to the footprint.
    #[schemars(with = "GrainText")]
    pub relay_fee: Amount,
}

/// A step of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RoundNotice {
    /// Lists were frozen.
    Frozen {
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// The block that did it.
        #[schemars(with = "u64")]
        height: Height,
        /// When the round settles.
        deadline: Time,
        /// Merkle root over the frozen rows.
        #[schemars(with = "Hex32")]
        frozen_root: Digest,
    },
    /// The seed is known; proofs are taken.
    Seeded {
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// The block whose beacon it is.
        #[schemars(with = "u64")]
        height: Height,
        /// The seed: 32 bytes.
        seed: HexBytes,
    },
    /// The round is settled.
    Settled {
        /// What it came to.
        record: RecordView,
    },
}

impl PhaseName {
    /// The name of a phase.
    pub const fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Open => Self::Open,
            Phase::AwaitingSeed => Self::AwaitingSeed,
            Phase::Proving { .. } => Self::Proving,
        }
    }
}

impl RunningView {
    /// Shows the running round.
    pub fn of(running: &RunningRound) -> Self {
        let freeze = || FreezeView {
            height: running.freeze_height,
            time: Time::of(running.freeze_time),
            frozen_root: running.frozen_root,
        };
        let seed = match &running.phase {
            Phase::Proving { seed_height, seed } => {
                Some(SeedView { height: *seed_height, seed: HexBytes(seed.to_vec()) })
            }
            Phase::Open | Phase::AwaitingSeed => None,
        };
        Self {
            round: running.round,
            phase: PhaseName::of(&running.phase),
            due: Time::of(running.due),
            freeze: (running.phase != Phase::Open).then(freeze),
            seed,
        }
    }
}

impl RecordView {
    /// Shows a settled round.
    pub fn of(record: &RoundRecord) -> Self {
        Self {
            round: record.round,
            freeze: FreezeView {
                height: record.freeze_height,
                time: Time::of(record.freeze_time),
                frozen_root: record.frozen_root,
            },
            seed: SeedView { height: record.seed_height, seed: HexBytes(record.seed.to_vec()) },
            settle_height: record.settle_height,
            results_root: record.results_root,
            holders: record.holders,
            missed: record.missed,
            batches: record.batches,
            newly_faulty: record.newly_faulty,
            paid: record.paid,
            relay_fees: record.relay_fees,
            proof_fees: record.proof_fees,
            fines: record.fines,
            raw: Raw::of(record),
        }
    }
}

impl ResultView {
    /// Shows the result at place `index`.
    pub fn of(index: u64, result: &RoundResult, prefix: NetworkPrefix) -> Self {
        Self {
            index,
            holder: AddressText::new(result.holder, prefix),
            proof_digest: result.proof_digest,
            missing: result.missing,
            challenges: result.challenges,
            raw: Raw::of(result),
        }
    }
}

impl FrozenRow {
    /// Shows the row at place `index`.
    pub fn of(index: u64, row: &FrozenHolder, prefix: NetworkPrefix) -> Self {
        Self {
            index,
            number: row.number,
            holder: AddressText::new(row.holder, prefix),
            frozen: FrozenView::of(&row.frozen),
            raw: Raw::of(row),
        }
    }
}

impl PaymentView {
    /// Shows a payment.
    pub const fn of(payment: &Payment) -> Self {
        Self { contract: payment.contract, batches: payment.batches, paid: payment.paid, relay_fee: payment.relay_fee }
    }
}

impl RoundNotice {
    /// The step that an event of the block at `height` marks, if it marks one.
    pub fn of(event: &Event, height: Height) -> Option<Self> {
        match event {
            Event::RoundFrozen { round, deadline, frozen_root } => {
                Some(Self::Frozen { round: *round, height, deadline: Time::of(*deadline), frozen_root: *frozen_root })
            }
            Event::RoundSeeded { round, seed } => {
                Some(Self::Seeded { round: *round, height, seed: HexBytes(seed.to_vec()) })
            }
            Event::RoundSettled(record) => Some(Self::Settled { record: RecordView::of(record) }),
            _ => None,
        }
    }
}
