//! How many leaves a holder must open in a round, and what binds it to its lists (DESIGN section 4).

use crate::meta::MetaError;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::CHALLENGES_MAX;
use holdfast_primitives::sha256_parts;
use thiserror::Error;

const SET_PREFIX: u8 = 0x03;

/// How many challenges are drawn: a genesis parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChallengeParams {
    /// Challenges of a holder that has enough batches; mainnet 459.
    pub k_min: u32,
    /// Challenges of a holder with very few batches; mainnet 66.
    pub k_small: u32,
    /// Rounds in which every batch is expected to be challenged once (`P`); mainnet 120.
    pub target_rounds: u32,
}

/// One size class of a holder's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct ClassCount {
    /// log2 of a batch's bytes.
    pub batch_log2: u8,
    /// How many batches of this size.
    pub batches: u64,
}

/// One size class of a holder's batches, and the root of their list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct ClassList {
    /// log2 of a batch's bytes.
    pub batch_log2: u8,
    /// How many batches of this size.
    pub batches: u64,
    /// Root of the indexed Merkle vector slot -> batch.
    pub list_root: [u8; 32],
}

/// Why a challenge cannot be drawn, or why parameters make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// A class of an impossible batch size.
    #[error(transparent)]
    Size(#[from] MetaError),
    /// Classes are not in strictly ascending order of size.
    #[error("size class 2^{found} comes after 2^{previous}")]
    ClassOrder {
        /// log2 of the class before.
        previous: u8,
        /// log2 of the class that should be larger.
        found: u8,
    },
    /// The leaves of all batches do not fit 64 bits.
    #[error("the batches have more than 2^64 leaves")]
    TooManyLeaves,
    /// More challenges than anyone answers in one round.
    #[error("{found} challenges, the limit is {limit}")]
    TooManyChallenges {
        /// Asked for.
        found: u32,
        /// Allowed.
        limit: u32,
    },
    /// Not `1 <= k_small <= k_min`.
    #[error("k_small {k_small} is not between 1 and k_min {k_min}")]
    Counts {
        /// Challenges of a very small holder.
        k_small: u32,
        /// Challenges of a holder that has enough batches.
        k_min: u32,
    },
    /// `P` is zero.
    #[error("target_rounds is zero")]
    NoTargetRounds,
}

impl ChallengeParams {
    /// Whether a genesis may choose these.
    pub fn check(&self) -> Result<(), ChallengeError> {
        if self.k_min > CHALLENGES_MAX {
            return Err(ChallengeError::TooManyChallenges { found: self.k_min, limit: CHALLENGES_MAX });
        }
        if self.k_small == 0 || self.k_small > self.k_min {
            return Err(ChallengeError::Counts { k_small: self.k_small, k_min: self.k_min });
        }
        if self.target_rounds == 0 {
            return Err(ChallengeError::NoTargetRounds);
        }
        Ok(())
    }
}

impl ClassList {
    /// The class without its root.
    pub const fn count(&self) -> ClassCount {
        ClassCount { batch_log2: self.batch_log2, batches: self.batches }
    }
}

/// Challenges of a holder of `total_batches` in one round:
/// `k = max(clamp(8 * B, k_small, k_min), ceil(B / P))`, at most [`CHALLENGES_MAX`], and none for no batches.
///
/// Total: parameters that [`ChallengeParams::check`] refuses give some number too (`k_min` wins over `k_small`, `P` of
/// zero counts as one).
pub fn challenge_count(total_batches: u64, params: &ChallengeParams) -> u32 {
    if total_batches == 0 {
        return 0;
    }
    let by_size = total_batches.saturating_mul(8).max(params.k_small.into()).min(params.k_min.into());
    let by_rounds = total_batches.div_ceil(u64::from(params.target_rounds.max(1)));
    let count = by_size.max(by_rounds).min(CHALLENGES_MAX.into());
    u32::try_from(count).expect("at most CHALLENGES_MAX, which has 32 bits")
}

/// What binds a holder to all its lists:
/// `SHA256(0x03 | per class ascending: batch_log2 u8 | batches u64 LE | list root)`.
///
/// `classes` are ascending by size and empty ones are left out; the caller keeps them so.
pub fn set_root(classes: &[ClassList]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(1 + classes.len() * (1 + 8 + 32));
    bytes.push(SET_PREFIX);
    for class in classes {
        bytes.push(class.batch_log2);
        bytes.extend_from_slice(&class.batches.to_le_bytes());
        bytes.extend_from_slice(&class.list_root);
    }
    sha256_parts(&[&bytes])
}
