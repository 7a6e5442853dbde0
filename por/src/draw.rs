//! Drawing one holder's challenge of one round. Everyone draws the same from public values; nothing is sent.

use crate::challenge::{ChallengeError, ClassCount};
use crate::merkle::{MERKLE_SHA256_V1, check_batch_log2};
use crate::scheme::Scheme;
use holdfast_primitives::limits::CHALLENGES_MAX;
use holdfast_primitives::{Address, ChainId, RoundNo, sha256_parts};

const HOLDER_SEED_TAG: &[u8] = b"por/holder-seed/v1\0";
const INDEX_TAG: &[u8] = b"por/index/v1\0";

/// What a holder's challenge grows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundSeed {
    /// The chain.
    pub chain: ChainId,
    /// The round.
    pub round: RoundNo,
    /// The round's seed: the beacon some blocks after the freeze.
    pub seed: [u8; 32],
    /// The holder.
    pub holder: Address,
    /// [`crate::set_root`] over the holder's lists as they were at the freeze.
    pub set_root: [u8; 32],
}

/// One leaf that a holder must open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The list: log2 of its batches' bytes.
    pub batch_log2: u8,
    /// The batch's place in the list.
    pub slot: u64,
    /// The leaf in the batch.
    pub leaf: u32,
}

/// One holder's challenge of one round: `count` leaves drawn over all its batches, each leaf equally likely.
#[derive(Clone, Debug)]
pub struct HolderChallenge {
    of: RoundSeed,
    scheme: &'static dyn Scheme,
    holder_seed: [u8; 32],
    classes: Vec<ClassCount>,
    leaves: u64,
    count: u32,
}

impl HolderChallenge {
    /// Draws `count` challenges over `classes`, which are strictly ascending by size. No batches, no challenges.
    ///
    /// `hs = SHA256("por/holder-seed/v1\0" | chain | round u64 LE | seed | holder | set root | batches u64 LE)`.
    pub fn new(of: RoundSeed, classes: &[ClassCount], count: u32) -> Result<Self, ChallengeError> {
        if count > CHALLENGES_MAX {
            return Err(ChallengeError::TooManyChallenges { found: count, limit: CHALLENGES_MAX });
        }
        check_order(classes)?;
        let scheme = &MERKLE_SHA256_V1;
        let leaves = classes.iter().try_fold(0u64, |sum, class| {
            let leaves = class.batches.checked_mul(1 << scheme.depth(class.batch_log2));
            leaves.and_then(|leaves| sum.checked_add(leaves)).ok_or(ChallengeError::TooManyLeaves)
        })?;
        let batches: u64 = classes.iter().map(|class| class.batches).sum();
        let count = if batches == 0 { 0 } else { count };
        Ok(Self { of, scheme, holder_seed: holder_seed(&of, batches), classes: classes.to_vec(), leaves, count })
    }

    /// What it was drawn from.
    pub const fn of(&self) -> &RoundSeed {
        &self.of
    }

    /// The scheme under which it must be answered.
    pub const fn scheme(&self) -> &'static dyn Scheme {
        self.scheme
    }

    /// `hs`, the seed of all its indices.
    pub const fn holder_seed(&self) -> &[u8; 32] {
        &self.holder_seed
    }

    /// How many leaves must be opened.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The `j`-th leaf to open; `None` from `count` on.
    ///
    /// `x_j = u64 LE of SHA256("por/index/v1\0" | hs | j u32 LE)[0..8]`, `pos = x_j * leaves >> 64`, counted over the
    /// classes in ascending order.
    pub fn position(&self, j: u32) -> Option<Position> {
        if j >= self.count {
            return None;
        }
        let hash = sha256_parts(&[INDEX_TAG, &self.holder_seed, &j.to_le_bytes()]);
        let x = u64::from_le_bytes(*hash.first_chunk()?);
        let mut leaf = ((u128::from(x) * u128::from(self.leaves)) >> 64) as u64;
        for class in &self.classes {
            let depth = self.scheme.depth(class.batch_log2);
            let (slot, within) = (leaf >> depth, leaf & ((1 << depth) - 1));
            if slot < class.batches {
                return Some(Position { batch_log2: class.batch_log2, slot, leaf: within as u32 });
            }
            leaf -= class.batches << depth;
        }
        None
    }

    /// All leaves to open, in order of `j`; a leaf may come up twice.
    pub fn positions(&self) -> impl Iterator<Item = Position> + '_ {
        (0..self.count).map_while(|j| self.position(j))
    }

    /// The parts in which a proof travels when one part has at most `part_openings`: `(first_j, count)` of each.
    pub fn parts(&self, part_openings: u32) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (step, total) = (part_openings.max(1), self.count);
        (0..total).step_by(step as usize).map(move |first_j| (first_j, step.min(total - first_j)))
    }
}

fn check_order(classes: &[ClassCount]) -> Result<(), ChallengeError> {
    for class in classes {
        check_batch_log2(class.batch_log2)?;
    }
    for pair in classes.windows(2) {
        let (previous, found) = (pair[0].batch_log2, pair[1].batch_log2);
        if found <= previous {
            return Err(ChallengeError::ClassOrder { previous, found });
        }
    }
    Ok(())
}

fn holder_seed(of: &RoundSeed, batches: u64) -> [u8; 32] {
    sha256_parts(&[
        HOLDER_SEED_TAG,
        of.chain.as_bytes(),
        &of.round.get().to_le_bytes(),
        &of.seed,
        of.holder.as_bytes(),
        &of.set_root,
        &batches.to_le_bytes(),
    ])
}
