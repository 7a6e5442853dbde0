//! Prices as people state them, HOLD per GiB per 30 days, and as the ledger counts them, grain per MiB per round.
//!
//! The ledger's price is whole grains, so a stated price is rounded down to the next one it can express;
//! [`Price::per_gib_30_days`] says what the rounded one comes to, and that is what gets shown before anyone agrees.

use holdfast_primitives::{Amount, AmountError};
use thiserror::Error;

/// The unit in which prices are stated.
pub const PRICE_UNIT: &str = "HOLD per GiB per 30 days";
const MS_PER_30_DAYS: u128 = 30 * 24 * 3_600 * 1_000;
const MIB_PER_GIB: u128 = 1_024;

/// A price in whole grain per MiB per round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(Amount);

/// Why something is not a price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceError {
    /// The amount cannot be read.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Less than one grain per MiB per round.
    #[error("{stated} per GiB per 30 days is less than one grain per MiB per round; the least is {least}")]
    TooSmall {
        /// What was asked.
        stated: Amount,
        /// The smallest price that can be stated on this network.
        least: Amount,
    },
}

impl Price {
    /// Takes a price as the ledger counts it, per MiB per round.
    pub const fn per_mib_round(grains: Amount) -> Self {
        Self(grains)
    }

    /// The price as the ledger counts it, per MiB per round.
    pub const fn get(self) -> Amount {
        self.0
    }

    /// Takes a price as people state it, rounded down to whole grain per MiB per round.
    pub fn from_gib_30_days(stated: Amount, round_ms: u64) -> Result<Self, PriceError> {
        let grains = u128::from(stated.get()) * u128::from(round_ms) / (MS_PER_30_DAYS * MIB_PER_GIB);
        if grains == 0 {
            let least = Self(Amount::grains(1)).per_gib_30_days(round_ms);
            return Err(PriceError::TooSmall { stated, least });
        }
        Ok(Self(Amount::grains(u64::try_from(grains).unwrap_or(u64::MAX))))
    }

    /// What it comes to as people state it, rounded up, so that stating the result again gives the same price.
    pub fn per_gib_30_days(self, round_ms: u64) -> Amount {
        let round_ms = u128::from(round_ms.max(1));
        let grains = (u128::from(self.0.get()) * MS_PER_30_DAYS * MIB_PER_GIB).div_ceil(round_ms);
        Amount::grains(u64::try_from(grains).unwrap_or(u64::MAX))
    }

    /// The price of one batch of `2^batch_log2` bytes for one round.
    pub fn per_batch_round(self, batch_log2: u8) -> Result<Amount, AmountError> {
        self.0.checked_mul(1 << batch_log2.saturating_sub(20).min(40))
    }
}
