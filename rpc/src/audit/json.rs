//! The shapes of the `audit` namespace.

use crate::round::{FrozenRow, RecordView, ResultView, SeedView};
use crate::text::{AddressText, Hex32, HexBytes, Raw};
use holdfast_ledger::{Header, InclusionProof, RecordKey, SignedTx, Slot, StateProof};
use holdfast_primitives::{
    AccountNo, Bounded, ContractNo, Digest, Height, HolderNo, RoundNo, SegmentNo, StateRoot, TxId, ValidatorNo,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One holder's part in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleView {
    /// The round.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// The holder's number.
    #[schemars(with = "u32")]
    pub number: HolderNo,
    /// The holder's address.
    pub holder: AddressText,
    /// The round's record; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordView>,
    /// The seed; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<SeedView>,
    /// What the holder was bound to.
    pub frozen: FrozenRow,
    /// That `frozen.raw` is a leaf under the round's `frozen_root`.
    pub frozen_proof: Raw<InclusionProof>,
    /// How it did; absent until the round is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultView>,
    /// That `result.raw` is a leaf under the record's `results_root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_proof: Option<Raw<InclusionProof>>,
    /// The accepted parts of its proof, in order.
    pub parts: Vec<PartBrief>,
}

/// One accepted part of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartBrief {
    /// The transaction that carried it.
    #[schemars(with = "Hex32")]
    pub tx: TxId,
    /// The block that holds it.
    #[schemars(with = "u64")]
    pub height: Height,
    /// First challenge that it answers.
    pub first_j: u32,
    /// How many challenges it answers.
    pub count: u32,
    /// The ones that failed.
    pub failed: Vec<u32>,
    /// Digest of its openings.
    #[schemars(with = "Hex32")]
    pub openings_digest: Digest,
    /// The signed transaction.
    pub raw: Raw<SignedTx>,
}

/// One part of a proof with its openings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartView {
    /// What the ledger knows of it.
    pub brief: PartBrief,
    /// The openings, end to end.
    pub openings: HexBytes,
}

/// Entries of a frozen list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotsView {
    /// Size of the batches, log2 of bytes.
    pub batch_log2: u8,
    /// How many the list had when it was frozen.
    pub batches: u64,
    /// Root of the list when it was frozen.
    #[schemars(with = "Hex32")]
    pub list_root: Digest,
    /// The entries, in the order asked for.
    pub rows: Vec<SlotEvidence>,
}

/// One entry of a frozen list and its path to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotEvidence {
    /// Its place in the list.
    pub slot: u32,
    /// The siblings from the leaf up.
    #[schemars(with = "Vec<Hex32>")]
    pub siblings: Vec<Digest>,
    /// The entry as it was when frozen: the leaf is hashed from these bytes.
    pub raw: Raw<Slot>,
}

impl SlotEvidence {
    /// How evidence is shown.
    pub fn of(evidence: &holdfast_ledger::SlotEvidence) -> Self {
        Self {
            slot: evidence.slot,
            siblings: evidence.path.iter().map(|sibling| Digest::new(*sibling)).collect(),
            raw: Raw::of(&evidence.record),
        }
    }

    /// The evidence itself, in the list of batches of `2^batch_log2` bytes; `None` when it is no evidence.
    pub fn decode(&self, batch_log2: u8) -> Option<holdfast_ledger::SlotEvidence> {
        let path = self.siblings.iter().map(|sibling| *sibling.as_bytes()).collect();
        let (record, path) = (self.raw.decode().ok()?, Bounded::new(path).ok()?);
        Some(holdfast_ledger::SlotEvidence { batch_log2, slot: self.slot, record, path })
    }
}

/// Which record of the state is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "table", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecordRef {
    /// What there is only one of.
    Chain,
    /// An account.
    Account {
        /// Its number.
        #[schemars(with = "u32")]
        number: AccountNo,
    },
    /// A holder.
    Holder {
        /// Its number.
        #[schemars(with = "u32")]
        number: HolderNo,
    },
    /// A contract.
    Contract {
        /// Its number.
        #[schemars(with = "u32")]
        number: ContractNo,
    },
    /// A segment.
    Segment {
        /// Its number.
        #[schemars(with = "u32")]
        number: SegmentNo,
    },
    /// One batch of a holder.
    Slot {
        /// The holder.
        #[schemars(with = "u32")]
        holder: HolderNo,
        /// Size, log2 of bytes.
        batch_log2: u8,
        /// Its place in the list.
        slot: u32,
    },
    /// A settled round.
    Round {
        /// Its number.
        #[schemars(with = "u64")]
        number: RoundNo,
    },
    /// One who bonded to decide blocks.
    Validator {
        /// Its number.
        #[schemars(with = "u32")]
        number: ValidatorNo,
    },
}

/// A record and why it is part of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordProofView {
    /// The block after which the state holds it.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The state root, as that block's header has it.
    #[schemars(with = "Hex32")]
    pub state_root: StateRoot,
    /// The record and its path.
    pub proof: Raw<StateProof>,
    /// The header; absent at genesis, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Raw<Header>>,
}

impl RecordRef {
    /// How the record of this key is asked for.
    pub const fn of(key: RecordKey) -> Self {
        match key {
            RecordKey::Chain => Self::Chain,
            RecordKey::Account(number) => Self::Account { number },
            RecordKey::Holder(number) => Self::Holder { number },
            RecordKey::Contract(number) => Self::Contract { number },
            RecordKey::Segment(number) => Self::Segment { number },
            RecordKey::Slot { holder, batch_log2, slot } => Self::Slot { holder, batch_log2, slot },
            RecordKey::Round(number) => Self::Round { number },
            RecordKey::Validator(number) => Self::Validator { number },
        }
    }

    /// The ledger's name for it.
    pub const fn key(self) -> RecordKey {
        match self {
            Self::Chain => RecordKey::Chain,
            Self::Account { number } => RecordKey::Account(number),
            Self::Holder { number } => RecordKey::Holder(number),
            Self::Contract { number } => RecordKey::Contract(number),
            Self::Segment { number } => RecordKey::Segment(number),
            Self::Slot { holder, batch_log2, slot } => RecordKey::Slot { holder, batch_log2, slot },
            Self::Round { number } => RecordKey::Round(number),
            Self::Validator { number } => RecordKey::Validator(number),
        }
    }
}
