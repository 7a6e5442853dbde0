//! Whose turn it is to propose: a weighted round robin that every node computes from the powers alone.
//!
//! A cycle of turns is shared out in proportion to power (largest remainder, nobody gets none), then spread evenly:
//! the k-th of a validator's q turns is due at (2k + 1) / 2q of the cycle (stride scheduling: Waldspurger and Weihl,
//! 1995). With equal powers this is a plain round robin. It keeps no state from height to height, unlike the smooth
//! round robins of other engines, so a node that catches up cannot get it wrong.

use crate::certificate::ValidatorSet;
use crate::height::Height;
use crate::limits::VALIDATORS_MAX;

/// Turns of a cycle, about; the exact number is a multiple of the number of validators.
const CYCLE_TURNS: u64 = 1_024;

/// The turns of one cycle, as indices into the validator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<u16>);

impl Schedule {
    /// The turns of this set's validators, by their places in it.
    pub fn of(set: &ValidatorSet) -> Self {
        let powers: Vec<u64> = set.iter().map(|validator| validator.power).collect();
        Self::new(&powers)
    }

    /// Takes the powers in the set's order: 1 to [`VALIDATORS_MAX`] of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(powers: &[u64]) -> Self {
        assert!(!powers.is_empty(), "a set has validators");
        let quotas = quotas(powers);
        let mut turns: Vec<(u64, u16)> = Vec::new();
        for (index, &quota) in quotas.iter().enumerate() {
            turns.extend((0..quota).map(|turn| (turn, index as u16)));
        }
        // (2k + 1) / 2q < (2l + 1) / 2r, without fractions: (2k + 1) r < (2l + 1) q.
        turns.sort_by(|&(k, a), &(l, b)| {
            ((2 * k + 1) * quotas[usize::from(b)]).cmp(&((2 * l + 1) * quotas[usize::from(a)]))
        });
        Self(turns.into_iter().map(|(_, index)| index).collect())
    }

    /// Turns of one cycle.
    pub fn turns(&self) -> u32 {
        u32::try_from(self.0.len()).expect("a cycle is a small multiple of a bounded set")
    }

    /// The index of the proposer of `round` at `height`.
    pub fn turn(&self, height: Height, round: u32) -> usize {
        let turn = height.get().wrapping_add(u64::from(round)) % self.0.len() as u64;
        usize::from(self.0[turn as usize])
    }
}

/// Turns per validator: in proportion to power, at least one each.
fn quotas(powers: &[u64]) -> Vec<u64> {
    let count = powers.len() as u64;
    let cycle = CYCLE_TURNS.div_ceil(count.max(1)) * count;
    let total: u128 = powers.iter().map(|&power| u128::from(power)).sum::<u128>().max(1);
    // One turn each is set aside, the rest is shared out by power.
    let shared = u128::from(cycle - count);
    let mut quotas: Vec<u64> = powers.iter().map(|&power| 1 + (u128::from(power) * shared / total) as u64).collect();
    let mut by_remainder: Vec<usize> = (0..powers.len()).collect();
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(u128::from(powers[index]) * shared % total));
    let left = cycle.saturating_sub(quotas.iter().sum::<u64>());
    for &index in by_remainder.iter().take(left as usize) {
        quotas[index] += 1;
    }
    quotas
}

const _: () = assert!(VALIDATORS_MAX <= u16::MAX as usize, "an index into a set fits a turn");
