//! Runs of neighbouring records and the hashes beside them: with both anyone computes the root of the vector they are from.
//!
//! ```text
//! records 2..5 of 7          top                 beside, from left to right:
//!                   a        .        b            (0,1)  the parent of the records before the run
//!               (0,1) (2,3)     (4,5) (6,-)        5, (6,-)  what comes after it; nothing for what lies past the end
//! ```
//! A run that is the whole vector needs no hash beside it.

use crate::merkle_vec::{Hash, MerkleVec, height, parent, vector_root};
use borsh::BorshSerialize;
use holdfast_primitives::merkle::EMPTY;
use std::ops::Range;

/// Hashes beside the longest run: at most two on each level.
pub const RUN_HASHES_MAX: usize = 2 * 32;

/// The hashes beside the records of `range`, left to right, as of the last seal; `None` when the range is empty or not
/// within the vector.
pub(crate) fn hashes_beside<T>(vector: &MerkleVec<T>, range: Range<usize>) -> Option<Vec<Hash>>
where
    T: Clone + BorshSerialize + Send + Sync,
{
    let len = vector.sealed_len();
    if range.is_empty() || range.end > len {
        return None;
    }
    let mut hashes = Vec::new();
    collect(vector, height(len as u64), 0, &range, &mut hashes);
    Some(hashes)
}

fn collect<T>(vector: &MerkleVec<T>, height: u32, index: usize, range: &Range<usize>, hashes: &mut Vec<Hash>)
where
    T: Clone + BorshSerialize + Send + Sync,
{
    let (start, end) = (index << height, (index + 1) << height);
    let len = vector.sealed_len();
    if start >= len || (range.start <= start && end.min(len) <= range.end) {
        return;
    }
    if end <= range.start || range.end <= start {
        return hashes.push(vector.subtree(height, index, len));
    }
    collect(vector, height - 1, 2 * index, range, hashes);
    collect(vector, height - 1, 2 * index + 1, range, hashes);
}

/// The root of the vector of `len` records that has `leaves` from record `first` on and `beside` around them. `None` when no
/// vector is like that. Total: any values get an answer.
pub(crate) fn root_of_run(len: u64, first: u64, leaves: &[Hash], beside: &[Hash]) -> Option<Hash> {
    let end = first.checked_add(leaves.len() as u64)?;
    if leaves.is_empty() || end > len || len > 1 << 32 {
        return None;
    }
    let mut run = RunFold { len, first, end, leaves, beside: beside.iter() };
    let top = run.node(height(len), 0)?;
    // A hash that nothing needed would make two proofs of one run.
    run.beside.as_slice().is_empty().then(|| vector_root(len, &top))
}

struct RunFold<'a> {
    len: u64,
    first: u64,
    end: u64,
    leaves: &'a [Hash],
    beside: std::slice::Iter<'a, Hash>,
}

impl RunFold<'_> {
    fn node(&mut self, height: u32, index: u64) -> Option<Hash> {
        let (start, end) = (index << height, (index + 1) << height);
        if start >= self.len {
            return Some(EMPTY);
        }
        if end <= self.first || self.end <= start {
            return self.beside.next().copied();
        }
        if height == 0 {
            return self.leaves.get(usize::try_from(start - self.first).ok()?).copied();
        }
        let left = self.node(height - 1, 2 * index)?;
        let right = self.node(height - 1, 2 * index + 1)?;
        Some(parent(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::{RUN_HASHES_MAX, hashes_beside, root_of_run};
    use crate::merkle_vec::{Hash, MerkleVec};
    use holdfast_primitives::sha256_parts;
    use proptest::prelude::*;

    /// The root by raw SHA-256 over all leaves, without the structure under test.
    fn naive_root(leaves: &[Hash]) -> Hash {
        let mut level = leaves.to_vec();
        level.resize(leaves.len().next_power_of_two(), [0; 32]);
        while level.len() > 1 {
            let fold =
                |pair: &[Hash]| if pair == [[0; 32]; 2] { [0; 32] } else { sha256_parts(&[&[1], &pair.concat()]) };
            level = level.chunks(2).map(fold).collect();
        }
        sha256_parts(&[&[2], &(leaves.len() as u64).to_le_bytes(), &level[0]])
    }

    fn leaf(record: u64) -> Hash {
        sha256_parts(&[&[0], &record.to_le_bytes()])
    }

    #[test]
    fn every_run_of_every_small_vector_leads_to_its_root_and_to_no_other() {
        for len in 1..=40u64 {
            let vector = MerkleVec::load(0..len);
            let leaves: Vec<Hash> = (0..len).map(leaf).collect();
            let root = naive_root(&leaves);
            assert_eq!(vector.root(), root);
            for first in 0..len as usize {
                for end in first + 1..=len as usize {
                    let beside = hashes_beside(&vector, first..end).unwrap();
                    assert!(beside.len() <= RUN_HASHES_MAX);
                    let run = &leaves[first..end];
                    assert_eq!(root_of_run(len, first as u64, run, &beside), Some(root), "{first}..{end} of {len}");
                    assert_ne!(root_of_run(len + 1, first as u64, run, &beside), Some(root));
                    assert_ne!(root_of_run(len, first as u64 + 1, run, &beside), Some(root));
                    let more = [&beside[..], &[[7; 32]]].concat();
                    assert_eq!(root_of_run(len, first as u64, run, &more), None, "a hash too many");
                }
            }
            assert_eq!(hashes_beside(&vector, 0..len as usize + 1), None);
            assert_eq!(hashes_beside(&vector, 0..0), None);
        }
    }

    proptest! {
        #[test]
        fn a_changed_leaf_or_hash_leads_elsewhere(
            len in 1u64..5_000, cut in any::<(u64, u64)>(), hit in any::<(prop::sample::Index, u8)>(),
        ) {
            let (one, other) = (cut.0 % len, cut.1 % len);
            let (first, end) = (one.min(other), one.max(other) + 1);
            let vector = MerkleVec::load(0..len);
            let mut beside = hashes_beside(&vector, first as usize..end as usize).unwrap();
            let mut leaves: Vec<Hash> = (first..end).map(leaf).collect();
            prop_assert_eq!(root_of_run(len, first, &leaves, &beside), Some(vector.root()));
            let place = hit.0.index(leaves.len() + beside.len());
            let hash = if place < leaves.len() { &mut leaves[place] } else { &mut beside[place - leaves.len()] };
            hash[usize::from(hit.1 % 32)] ^= 1 << (hit.1 / 32);
            prop_assert_ne!(root_of_run(len, first, &leaves, &beside), Some(vector.root()));
        }

        #[test]
        fn any_values_get_an_answer(len in any::<u64>(), first in any::<u64>(), leaves in 0usize..9, beside in 0usize..70) {
            let _ = root_of_run(len, first, &vec![[1; 32]; leaves], &vec![[2; 32]; beside]);
        }
    }
}
