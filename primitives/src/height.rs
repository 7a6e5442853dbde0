//! Heights, rounds and times: numbers that must not be mixed up. Two heights never add.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A block's place in the chain. Genesis is height 0, the first block height 1.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Height(u64);

/// A distance between two heights, in blocks.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct HeightDelta(u64);

/// A verification round's number. Round 0 is the first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct RoundNo(u64);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct TimeMs(u64);

impl Height {
    /// Genesis.
    pub const GENESIS: Self = Self(0);

    /// Takes the raw number.
    pub const fn new(height: u64) -> Self {
        Self(height)
    }

    /// The raw number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next height.
    ///
    /// # Panics
    /// Never in practice: at ten blocks a second the number lasts 58 billion years.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The height before this one; `None` at genesis.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// `self + delta`, saturating at the largest height.
    pub const fn saturating_add(self, delta: HeightDelta) -> Self {
        Self(self.0.saturating_add(delta.0))
    }

    /// How far `self` lies after `earlier`; zero when it does not.
    pub const fn since(self, earlier: Self) -> HeightDelta {
        HeightDelta(self.0.saturating_sub(earlier.0))
    }
}

impl HeightDelta {
    /// Takes the raw number of blocks.
    pub const fn new(blocks: u64) -> Self {
        Self(blocks)
    }

    /// The raw number of blocks.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl RoundNo {
    /// Takes the raw number.
    pub const fn new(round: u64) -> Self {
        Self(round)
    }

    /// The raw number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next round.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// `self + rounds`, saturating.
    pub const fn saturating_add(self, rounds: u64) -> Self {
        Self(self.0.saturating_add(rounds))
    }

    /// How many rounds `self` lies after `earlier`; zero when it does not.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl TimeMs {
    /// Takes raw milliseconds.
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The raw milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `self + milliseconds`, saturating.
    pub const fn saturating_add(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

macro_rules! display_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}
display_number!(Height, HeightDelta, RoundNo, TimeMs);
