//! Why a transaction about bonds, accusations or rule books is refused.

use holdfast_primitives::{Address, Amount, Height, RoundNo};
use thiserror::Error;

/// A rule of the stake that a transaction breaks, in the order in which the rules are checked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StakeRule {
    /// Nothing is bonded or taken back.
    #[error("nothing is moved")]
    Nothing,
    /// Bytes that are no beacon key.
    #[error("the beacon key is not a point that proofs can be made for")]
    BeaconKey,
    /// The two statements may stand side by side.
    #[error("the two statements of {accused} do not contradict each other")]
    NoContradiction {
        /// The accused.
        accused: Address,
    },
    /// Nothing was ever bonded by this account.
    #[error("{address} has never bonded")]
    NotAValidator {
        /// The account.
        address: Address,
    },
    /// The validator is banned for good.
    #[error("{address} contradicted itself and is banned")]
    Banned {
        /// The validator.
        address: Address,
    },
    /// A beacon key cannot be changed: choosing keys would be choosing seeds.
    #[error("the beacon key is not the one that was bonded with")]
    OtherBeaconKey,
    /// Too little to be a validator.
    #[error("a bond of {bond}, at least {least} is needed")]
    BondTooSmall {
        /// What it would come to.
        bond: Amount,
        /// `validator_bond_min`.
        least: Amount,
    },
    /// More than is bonded.
    #[error("{amount} taken back, {bonded} is bonded")]
    UnbondTooMuch {
        /// Asked for.
        amount: Amount,
        /// Bonded.
        bonded: Amount,
    },
    /// Too many withdrawals are on their way.
    #[error("{limit} withdrawals are on their way, the next has to wait for one of them")]
    TooManyUnbondings {
        /// Most at once.
        limit: usize,
    },
    /// Nobody would be left to decide blocks.
    #[error("no other validator is left to decide blocks")]
    LastValidator,
    /// The validator is not jailed.
    #[error("the validator is not jailed")]
    NotJailed,
    /// Too early to be let in again.
    #[error("jailed until round {until}, round {round} is running")]
    StillJailed {
        /// The first round in which it may ask.
        until: RoundNo,
        /// The running round.
        round: RoundNo,
    },
    /// The same validator is accused by a transaction that waits already.
    #[error("an accusation of {accused} waits already")]
    Accused {
        /// The accused.
        accused: Address,
    },
    /// About a height that is not there yet.
    #[error("the statements are about height {height}, the block has {block}")]
    AccusationAhead {
        /// The statements' height.
        height: Height,
        /// The block's height.
        block: Height,
    },
    /// What was done is too long ago: the bond of that time may be paid out.
    #[error("the statements are about height {height}, only what was done from {oldest} on counts")]
    AccusationTooOld {
        /// The statements' height.
        height: Height,
        /// The first height that counts.
        oldest: Height,
    },
    /// The rule book is older than the one that rules.
    #[error("rule book {version} is older than {protocol}, which rules")]
    ReadyBackwards {
        /// Asked for.
        version: u32,
        /// The present one.
        protocol: u32,
    },
    /// Too little time to install it.
    #[error("a rule book may begin at height {earliest}, not at {height}")]
    ReadyTooSoon {
        /// Asked for.
        height: Height,
        /// The earliest.
        earliest: Height,
    },
}

impl StakeRule {
    /// A short word for machines; never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Nothing => "stake_nothing",
            Self::BeaconKey => "stake_beacon_key",
            Self::NoContradiction { .. } => "accusation_no_contradiction",
            Self::NotAValidator { .. } => "not_a_validator",
            Self::Banned { .. } => "validator_banned",
            Self::OtherBeaconKey => "stake_other_beacon_key",
            Self::BondTooSmall { .. } => "bond_too_small",
            Self::UnbondTooMuch { .. } => "unbond_too_much",
            Self::TooManyUnbondings { .. } => "too_many_unbondings",
            Self::LastValidator => "last_validator",
            Self::NotJailed => "not_jailed",
            Self::StillJailed { .. } => "still_jailed",
            Self::Accused { .. } => "accused_already",
            Self::AccusationAhead { .. } => "accusation_ahead",
            Self::AccusationTooOld { .. } => "accusation_too_old",
            Self::ReadyBackwards { .. } => "ready_backwards",
            Self::ReadyTooSoon { .. } => "ready_too_soon",
        }
    }
}
