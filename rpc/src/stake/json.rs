//! The shapes of the `stake` namespace.

use crate::chain::ValidatorView;
use crate::text::{AddressText, GrainText, Hex32, Raw};
use holdfast_ledger::{ChainRecord, Standing, Upgrade, ValidatorRecord};
use holdfast_primitives::{Amount, Digest, Height, NetworkPrefix, RoundNo, ValidatorNo, ValidatorSet, VrfPublicKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who decides the next block, and by which rule book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetView {
    /// The newest final height; the set decides the one after it.
    #[schemars(with = "u64")]
    pub height: Height,
    /// The set's digest, as headers carry it.
    #[schemars(with = "Hex32")]
    pub digest: Digest,
    /// The validators in order.
    pub validators: Vec<ValidatorView>,
    /// The rule book that ruled the newest block.
    pub protocol: u32,
    /// The next rule book, once it is agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeView>,
    /// The set itself.
    pub raw: Raw<ValidatorSet>,
}

/// A rule book and its first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeView {
    /// Its version.
    pub version: u32,
    /// The first height that it rules.
    #[schemars(with = "u64")]
    pub height: Height,
}

/// One who bonded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StakeView {
    /// Its number.
    #[schemars(with = "u32")]
    pub number: ValidatorNo,
    /// Its account.
    pub address: AddressText,
    /// Its beacon key.
    #[schemars(with = "Hex32")]
    pub vrf: VrfPublicKey,
    /// What it stakes.
    #[schemars(with = "GrainText")]
    pub bonded: Amount,
    /// What it takes back, still liable.
    pub unbonding: Vec<UnbondingView>,
    /// Its weight in the votes on the next block; zero when it is not among those who decide.
    pub power: u64,
    /// The first round in which it may decide blocks.
    #[schemars(with = "u64")]
    pub since: RoundNo,
    /// `good`, `jailed` or `banned`.
    pub standing: StandingName,
    /// The first round in which a jailed validator may ask to be let in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub jailed_until: Option<RoundNo>,
    /// Turns that it missed since it last proposed.
    pub missed_in_row: u32,
    /// Turns that it missed in all.
    pub missed: u64,
    /// Blocks of its that were decided.
    pub proposed: u64,
    /// What was taken from it for misbehaviour.
    #[schemars(with = "GrainText")]
    pub slashed: Amount,
    /// The rule book that it is ready for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<UpgradeView>,
    /// The record itself.
    pub raw: Raw<ValidatorRecord>,
}

/// A part of a bond on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbondingView {
    /// How much.
    #[schemars(with = "GrainText")]
    pub amount: Amount,
    /// The round whose opening pays it out.
    #[schemars(with = "u64")]
    pub until: RoundNo,
}

/// Whether a validator may decide blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandingName {
    /// It may.
    Good,
    /// It missed too many turns in a row.
    Jailed,
    /// It contradicted itself: never again.
    Banned,
}

impl SetView {
    /// Shows what the chain record says.
    pub fn of(chain: &ChainRecord, prefix: NetworkPrefix) -> Self {
        Self {
            height: chain.height,
            digest: chain.validators.digest(),
            validators: chain.validators.iter().map(|validator| ValidatorView::of(validator, prefix)).collect(),
            protocol: chain.protocol,
            upgrade: chain.upgrade.map(UpgradeView::of),
            raw: Raw::of(&chain.validators),
        }
    }
}

impl UpgradeView {
    /// Shows an upgrade.
    pub const fn of(upgrade: Upgrade) -> Self {
        Self { version: upgrade.version, height: upgrade.height }
    }
}

impl StandingName {
    /// The word for a standing.
    pub const fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Good => Self::Good,
            Standing::Jailed { .. } => Self::Jailed,
            Standing::Banned => Self::Banned,
        }
    }
}

impl StakeView {
    /// Shows a record; `power` is its weight in the set that decides the next block.
    pub fn of(number: ValidatorNo, record: &ValidatorRecord, address: AddressText, power: u64) -> Self {
        let unbonding = record.unbonding.iter().map(|part| UnbondingView { amount: part.amount, until: part.until });
        Self {
            number,
            address,
            vrf: record.vrf,
            bonded: record.bonded,
            unbonding: unbonding.collect(),
            power,
            since: record.since,
            standing: StandingName::of(&record.standing),
            jailed_until: match record.standing {
                Standing::Jailed { until } => Some(until),
                Standing::Good | Standing::Banned => None,
            },
            missed_in_row: record.missed_in_row,
            missed: record.missed,
            proposed: record.proposed,
            slashed: record.slashed,
            ready: record.ready.map(UpgradeView::of),
            raw: Raw::of(record),
        }
    }
}
