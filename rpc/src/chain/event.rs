//! What a block caused, as `chain_events` shows it.

use crate::round::RecordView;
use crate::stake::UpgradeView;
use crate::text::{AddressText, GrainText, Hex32, HexBytes, Raw, Time};
use holdfast_ledger::{Event, Payment};
use holdfast_primitives::{
    AccountNo, Amount, AmountError, ContractNo, Digest, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo, TxId,
    ValidatorNo,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a block caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its place among the block's events: a leaf number under the header's result root.
    pub place: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: EventBody,
    /// The event itself.
    pub raw: Raw<Event>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// A transaction was executed and paid its fee.
    Executed {
        /// The transaction.
        #[schemars(with = "Hex32")]
        tx: TxId,
        /// Paid to the proposer.
        #[schemars(with = "GrainText")]
        fee: Amount,
    },
    /// Money moved.
    Transferred {
        /// From this account.
        #[schemars(with = "u32")]
        from: AccountNo,
        /// To this account.
        #[schemars(with = "u32")]
        to: AccountNo,
        /// How much.
        #[schemars(with = "GrainText")]
        amount: Amount,
    },
    /// A holder joined.
    HolderJoined {
        /// Its number.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// Its account.
        #[schemars(with = "u32")]
        account: AccountNo,
    },
    /// A holder changed its offer or deposit.
    HolderUpdated {
        /// Its number.
        #[schemars(with = "u32")]
        holder: HolderNo,
    },
    /// A contract was opened.
    ContractOpened {
        /// Its number.
        #[schemars(with = "u32")]
        contract: ContractNo,
        /// Who pays.
        #[schemars(with = "u32")]
        owner: AccountNo,
        /// Who holds.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// How many batches.
        batches: u32,
        /// Prepaid.
        #[schemars(with = "GrainText")]
        escrow: Amount,
    },
    /// A segment was registered.
    SegmentRegistered {
        /// Its number.
        #[schemars(with = "u32")]
        segment: SegmentNo,
        /// Whose.
        #[schemars(with = "u32")]
        owner: AccountNo,
        /// The owner's own count.
        ordinal: u32,
    },
    /// A segment was let go.
    SegmentReleased {
        /// Its number.
        #[schemars(with = "u32")]
        segment: SegmentNo,
    },
    /// A contract ended.
    ContractEnded {
        /// Its number.
        #[schemars(with = "u32")]
        contract: ContractNo,
        /// Returned to the owner.
        #[schemars(with = "GrainText")]
        refund: Amount,
    },
    /// A contract is paid for longer.
    ContractExtended {
        /// Its number.
        #[schemars(with = "u32")]
        contract: ContractNo,
        /// The first round it no longer pays for.
        #[schemars(with = "u64")]
        end_round: RoundNo,
        /// Prepaid for that.
        #[schemars(with = "GrainText")]
        added: Amount,
    },
    /// One holder's list was frozen.
    HolderFrozen {
        /// Its number.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// Challenges it must answer.
        challenges: u32,
    },
    /// All lists were frozen.
    RoundFrozen {
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// Its deadline.
        deadline: Time,
        /// Merkle root over the frozen rows.
        #[schemars(with = "Hex32")]
        frozen_root: Digest,
    },
    /// The seed is known; proofs are taken.
    RoundSeeded {
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// The seed.
        seed: HexBytes,
    },
    /// A proof part was verified.
    ProofVerified {
        /// By whom.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// The transaction.
        #[schemars(with = "Hex32")]
        tx: TxId,
        /// First challenge of the part.
        first_j: u32,
        /// Challenges of the part.
        count: u32,
        /// The ones that failed.
        failed: Vec<u32>,
    },
    /// One holder's outcome.
    HolderResult {
        /// Whose.
        holder: AddressText,
        /// Openings that failed or never came.
        missing: u32,
        /// Openings it was asked for.
        challenges: u32,
    },
    /// A batch is faulty from now on.
    BatchFaulty {
        /// Its holder.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Its slot.
        slot: u32,
        /// Its segment.
        #[schemars(with = "u32")]
        segment: SegmentNo,
        /// Its place in the segment.
        index: u8,
    },
    /// Contracts paid.
    Paid {
        /// How many.
        contracts: u32,
        /// Out of their escrows in all.
        #[schemars(with = "GrainText")]
        paid: Amount,
        /// The part of it that went to footprints.
        #[schemars(with = "GrainText")]
        relay_fee: Amount,
    },
    /// A deposit was cut.
    Fined {
        /// Whose.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// By how much.
        #[schemars(with = "GrainText")]
        amount: Amount,
    },
    /// A round is settled.
    RoundSettled {
        /// What it came to.
        record: RecordView,
    },
    /// A validator bonded, or bonded more.
    Bonded {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
        /// Its account.
        #[schemars(with = "u32")]
        account: AccountNo,
        /// Moved into the bond.
        #[schemars(with = "GrainText")]
        amount: Amount,
    },
    /// A validator takes back a part of its bond.
    Unbonding {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
        /// How much.
        #[schemars(with = "GrainText")]
        amount: Amount,
        /// The round whose opening pays it out.
        #[schemars(with = "u64")]
        until: RoundNo,
    },
    /// A part of a bond was paid out.
    Unbonded {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
        /// How much.
        #[schemars(with = "GrainText")]
        amount: Amount,
    },
    /// A validator missed too many turns in a row.
    Jailed {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
        /// The first round in which it may ask to be let in again.
        #[schemars(with = "u64")]
        until: RoundNo,
    },
    /// A validator was let in again.
    Unjailed {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
    },
    /// A validator contradicted itself and is banned.
    Slashed {
        /// Its number.
        #[schemars(with = "u32")]
        validator: ValidatorNo,
        /// Taken from its bond.
        #[schemars(with = "GrainText")]
        amount: Amount,
        /// The height at which it did.
        #[schemars(with = "u64")]
        height: Height,
    },
    /// Others, or other weights, decide from the next block on.
    ValidatorsChanged {
        /// Digest of the set.
        #[schemars(with = "Hex32")]
        validators: Digest,
    },
    /// Another rule book is agreed on.
    UpgradeAgreed {
        /// Which, and from when on.
        upgrade: UpgradeView,
    },
    /// From this block on another rule book rules.
    Upgraded {
        /// Its version.
        version: u32,
    },
    /// An event that this client does not know yet; `raw` has it all.
    #[serde(other)]
    Other,
}

impl EventView {
    /// Shows the event at `place` of its block.
    pub fn of(place: u64, event: &Event, prefix: NetworkPrefix) -> Self {
        Self { place, what: EventBody::of(event, prefix), raw: Raw::of(event) }
    }
}

impl EventBody {
    fn of(event: &Event, prefix: NetworkPrefix) -> Self {
        match event {
            Event::Executed { tx, fee } => Self::Executed { tx: *tx, fee: *fee },
            Event::Transferred { from, to, amount } => Self::Transferred { from: *from, to: *to, amount: *amount },
            Event::HolderJoined { holder, account } => Self::HolderJoined { holder: *holder, account: *account },
            Event::HolderUpdated { holder } => Self::HolderUpdated { holder: *holder },
            Event::ContractOpened { contract, owner, holder, batches, escrow } => Self::ContractOpened {
                contract: *contract,
                owner: *owner,
                holder: *holder,
                batches: *batches,
                escrow: *escrow,
            },
            Event::SegmentRegistered { segment, owner, ordinal } => {
                Self::SegmentRegistered { segment: *segment, owner: *owner, ordinal: *ordinal }
            }
            Event::SegmentReleased { segment } => Self::SegmentReleased { segment: *segment },
            Event::ContractEnded { contract, refund } => Self::ContractEnded { contract: *contract, refund: *refund },
            Event::ContractExtended { contract, end_round, added } => {
                Self::ContractExtended { contract: *contract, end_round: *end_round, added: *added }
            }
            Event::HolderFrozen(row) => {
                let (round, challenges) = (row.frozen.round, row.frozen.challenges);
                Self::HolderFrozen { holder: row.number, round, challenges }
            }
            Event::RoundFrozen { round, deadline, frozen_root } => {
                Self::RoundFrozen { round: *round, deadline: Time::of(*deadline), frozen_root: *frozen_root }
            }
            Event::RoundSeeded { round, seed } => Self::RoundSeeded { round: *round, seed: HexBytes(seed.to_vec()) },
            Event::ProofVerified { holder, tx, first_j, count, failed } => Self::ProofVerified {
                holder: *holder,
                tx: *tx,
                first_j: *first_j,
                count: *count,
                failed: failed.to_vec(),
            },
            Event::HolderResult(result) => Self::HolderResult {
                holder: AddressText::new(result.holder, prefix),
                missing: result.missing,
                challenges: result.challenges,
            },
            Event::BatchFaulty { holder, batch_log2, slot, segment, index } => Self::BatchFaulty {
                holder: *holder,
                batch_log2: *batch_log2,
                slot: *slot,
                segment: *segment,
                index: *index,
            },
            Event::Paid(payments) => Self::paid(payments),
            Event::Fined { holder, amount } => Self::Fined { holder: *holder, amount: *amount },
            Event::RoundSettled(record) => Self::RoundSettled { record: RecordView::of(record) },
            other => Self::of_stake(other),
        }
    }

    const fn of_stake(event: &Event) -> Self {
        match event {
            Event::Bonded { validator, account, amount } => {
                Self::Bonded { validator: *validator, account: *account, amount: *amount }
            }
            Event::Unbonding { validator, amount, until } => {
                Self::Unbonding { validator: *validator, amount: *amount, until: *until }
            }
            Event::Unbonded { validator, amount } => Self::Unbonded { validator: *validator, amount: *amount },
            Event::Jailed { validator, until } => Self::Jailed { validator: *validator, until: *until },
            Event::Unjailed { validator } => Self::Unjailed { validator: *validator },
            Event::Slashed { validator, amount, height } => {
                Self::Slashed { validator: *validator, amount: *amount, height: *height }
            }
            Event::ValidatorsChanged { validators } => Self::ValidatorsChanged { validators: *validators },
            Event::UpgradeAgreed(upgrade) => Self::UpgradeAgreed { upgrade: UpgradeView::of(*upgrade) },
            Event::Upgraded { version } => Self::Upgraded { version: *version },
            _ => Self::Other,
        }
    }

    /// The sums fit: all that is paid was prepaid, and the supply fits an amount.
    fn paid(payments: &[Payment]) -> Self {
        let sum = |amounts: Result<Amount, AmountError>| amounts.unwrap_or(Amount::grains(u64::MAX));
        Self::Paid {
            contracts: payments.len() as u32,
            paid: sum(Amount::checked_sum(payments.iter().map(|payment| payment.paid))),
            relay_fee: sum(Amount::checked_sum(payments.iter().map(|payment| payment.relay_fee))),
        }
    }
}
