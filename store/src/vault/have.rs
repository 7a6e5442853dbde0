//! Which groups of a batch have arrived: one bit per 64 KiB.

use holdfast_por::{BatchMeta, GROUP_BYTES};
use holdfast_primitives::limits::BATCH_LOG2_MAX;
use std::ops::Range;

/// A bitmap over a batch's groups. Bit `i` stands in byte `i / 8`, lowest bit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    bits: Vec<u8>,
}

impl Have {
    /// No group of a batch.
    pub fn none(meta: &BatchMeta) -> Self {
        Self { bits: vec![0; bitmap_bytes(meta)] }
    }

    /// Takes a bitmap if it has the batch's length.
    pub fn from_bytes(meta: &BatchMeta, bits: &[u8]) -> Option<Self> {
        (bits.len() == bitmap_bytes(meta)).then(|| Self { bits: bits.to_vec() })
    }

    /// The bitmap's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Groups of the batch.
    pub const fn groups(&self) -> u32 {
        self.bits.len() as u32 * 8
    }

    /// Whether group `group` has arrived; false past the end.
    pub fn has(&self, group: u32) -> bool {
        self.bits.get(group as usize / 8).is_some_and(|byte| byte >> (group % 8) & 1 == 1)
    }

    /// Whether all of these groups have arrived.
    pub fn has_all(&self, mut groups: Range<u32>) -> bool {
        groups.all(|group| self.has(group))
    }

    /// How many groups have not arrived.
    pub fn missing(&self) -> u32 {
        self.bits.iter().map(|byte| byte.count_zeros()).sum()
    }

    /// Marks groups as arrived and returns which bytes of the bitmap that may have changed.
    ///
    /// # Panics
    /// When a group lies past the end.
    pub(crate) fn set(&mut self, groups: Range<u32>) -> Range<usize> {
        let bytes = groups.start as usize / 8..(groups.end as usize).div_ceil(8);
        for group in groups {
            self.bits[group as usize / 8] |= 1 << (group % 8);
        }
        bytes
    }
}

/// Batches of at least 1 MiB have at least 16 groups, so the bitmap is whole bytes. A size that no batch has counts as
/// the largest.
fn bitmap_bytes(meta: &BatchMeta) -> usize {
    meta.batch_bytes().min(1 << BATCH_LOG2_MAX) as usize / (8 * GROUP_BYTES)
}
