//! Money. Whole grains, checked, never a float. 1 HOLD = 1,000,000,000 grain.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Grains in one HOLD.
pub const GRAIN_PER_HOLD: u64 = 1_000_000_000;
const DECIMALS: usize = 9;

/// An amount of money in grains. JSON carries it as a decimal string, because 64 bits do not fit a JavaScript number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Amount(u64);

/// Why a sum or a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// The result does not fit 64 bits.
    #[error("amount overflows: {left} {operation} {right}")]
    Overflow {
        /// Left operand, in grains.
        left: u64,
        /// `+`, `-` or `*`.
        operation: char,
        /// Right operand.
        right: u64,
    },
    /// The text has no unit.
    #[error("{text:?} has no unit: write it as 1.5HOLD or 250grain")]
    NoUnit {
        /// What was given.
        text: String,
    },
    /// The number before the unit cannot be read.
    #[error("{text:?} is not an amount: write it as 1.5HOLD or 250grain, at most 9 decimals")]
    Malformed {
        /// What was given.
        text: String,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes grains.
    pub const fn grains(grains: u64) -> Self {
        Self(grains)
    }

    /// Takes whole HOLD.
    ///
    /// # Panics
    /// When `hold` exceeds 18,446,744,073; meant for constants and tests.
    pub const fn hold(hold: u64) -> Self {
        Self(hold.checked_mul(GRAIN_PER_HOLD).expect("a constant amount of HOLD fits 64 bits of grain"))
    }

    /// The amount in grains.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).map(Self).ok_or(AmountError::Overflow {
            left: self.0,
            operation: '+',
            right: other.0,
        })
    }

    /// `self - other`.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountError::Overflow {
            left: self.0,
            operation: '-',
            right: other.0,
        })
    }

    /// `self * factor`.
    pub fn checked_mul(self, factor: u64) -> Result<Self, AmountError> {
        self.0.checked_mul(factor).map(Self).ok_or(AmountError::Overflow {
            left: self.0,
            operation: '*',
            right: factor,
        })
    }

    /// `self - other`, or zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `floor(self * numerator / denominator)` without overflow in between.
    ///
    /// # Panics
    /// When `denominator` is zero or `numerator > denominator`: callers take a share of a whole.
    pub fn share(self, numerator: u64, denominator: u64) -> Self {
        assert!(numerator <= denominator && denominator > 0, "a share is a proper fraction: {numerator}/{denominator}");
        let wide = u128::from(self.0) * u128::from(numerator) / u128::from(denominator);
        Self(u64::try_from(wide).expect("a proper fraction of 64 bits fits 64 bits"))
    }

    /// The sum of many amounts.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Amount {
    /// `1.2 HOLD`: no trailing zeros, always with its unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / GRAIN_PER_HOLD, self.0 % GRAIN_PER_HOLD);
        if rest == 0 {
            return write!(f, "{whole} HOLD");
        }
        let decimals = format!("{rest:09}");
        write!(f, "{whole}.{} HOLD", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let trimmed = text.trim();
        let lower = trimmed.to_ascii_lowercase();
        if let Some(number) = lower.strip_suffix("hold") {
            return parse_decimal(number.trim_end(), text);
        }
        if let Some(number) = lower.strip_suffix("grain") {
            return parse_digits(number.trim_end(), text).map(Self);
        }
        Err(AmountError::NoUnit { text: text.to_owned() })
    }
}

fn parse_decimal(number: &str, text: &str) -> Result<Amount, AmountError> {
    let malformed = || AmountError::Malformed { text: text.to_owned() };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > DECIMALS {
        return Err(malformed());
    }
    let whole = parse_digits(whole, text)?;
    let rest = parse_digits(&format!("{decimals:0<9}"), text)?;
    whole.checked_mul(GRAIN_PER_HOLD).and_then(|grains| grains.checked_add(rest)).map(Amount).ok_or_else(malformed)
}

fn parse_digits(digits: &str, text: &str) -> Result<u64, AmountError> {
    let malformed = || AmountError::Malformed { text: text.to_owned() };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    digits.parse().map_err(|_| malformed())
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("not a decimal number of grains: {text:?}")))
    }
}
