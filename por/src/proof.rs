//! A holder's proof of one round, in parts, and its verification.
//!
//! ```text
//! header    ProofPart (borsh)         version u8 | round u64 | holder [32] | set root [32] | first_j u32 | count u32
//! openings  one flat buffer           count * (leaf | siblings), in order of j; positions are derived, never sent
//! ```

use crate::draw::{HolderChallenge, Position};
use crate::meta::BatchMeta;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::PROOF_PART_OPENINGS_MAX;
use holdfast_primitives::{Address, Digest, RoundNo, sha256_parts};
use rayon::prelude::*;
use thiserror::Error;

/// The one version of [`ProofPart`].
pub const PROOF_VERSION: u8 = 1;

const OPENINGS_TAG: &[u8] = b"por/openings/v1\0";
const PROOF_TAG: &[u8] = b"por/proof/v1\0";

/// Openings that one thread verifies at a stretch: about 30 microseconds of work.
const OPENINGS_PER_TASK: usize = 16;

/// Says which part of which proof some openings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct ProofPart {
    /// [`PROOF_VERSION`].
    pub version: u8,
    /// The round that is proven.
    pub round: RoundNo,
    /// Who proves.
    pub holder: Address,
    /// What the holder is bound to: [`crate::set_root`] at the freeze.
    pub set_root: [u8; 32],
    /// The challenge that the first opening answers.
    pub first_j: u32,
    /// How many challenges the part answers.
    pub count: u32,
}

/// Why a part is no answer to the challenge at all. A leaf that merely fails is no error: it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Unknown version.
    #[error("proof version {found}, expected {PROOF_VERSION}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Another round's proof.
    #[error("proof of round {found}, expected {expected}")]
    Round {
        /// The part's round.
        found: RoundNo,
        /// The challenge's round.
        expected: RoundNo,
    },
    /// Another holder's proof.
    #[error("proof of holder {found}, expected {expected}")]
    Holder {
        /// The part's holder.
        found: Address,
        /// The challenge's holder.
        expected: Address,
    },
    /// A proof over other lists.
    #[error("proof over set root {found}, expected {expected}")]
    SetRoot {
        /// The part's set root.
        found: Digest,
        /// The challenge's set root.
        expected: Digest,
    },
    /// No openings, or challenges that were not drawn.
    #[error("challenges {first_j}..{first_j}+{count} of {challenges}")]
    OutOfRange {
        /// The first challenge.
        first_j: u32,
        /// How many.
        count: u32,
        /// How many were drawn.
        challenges: u32,
    },
    /// More openings than one part may have.
    #[error("{found} openings in one part, the limit is {limit}")]
    TooManyOpenings {
        /// How many.
        found: u32,
        /// Allowed.
        limit: u32,
    },
    /// The buffer is not exactly these openings.
    #[error("{found} bytes of openings, expected {expected}")]
    Length {
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
}

/// One opening's place in a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) j: u32,
    pub(crate) position: Position,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl ProofPart {
    /// The header of the part that answers `count` challenges from `first_j` on.
    pub const fn new(challenge: &HolderChallenge, first_j: u32, count: u32) -> Self {
        let of = challenge.of();
        Self { version: PROOF_VERSION, round: of.round, holder: of.holder, set_root: of.set_root, first_j, count }
    }

    fn check(&self, challenge: &HolderChallenge) -> Result<(), ProofError> {
        let of = challenge.of();
        if self.version != PROOF_VERSION {
            return Err(ProofError::Version { found: self.version });
        }
        if self.round != of.round {
            return Err(ProofError::Round { found: self.round, expected: of.round });
        }
        if self.holder != of.holder {
            return Err(ProofError::Holder { found: self.holder, expected: of.holder });
        }
        if self.set_root != of.set_root {
            let (found, expected) = (Digest::new(self.set_root), Digest::new(of.set_root));
            return Err(ProofError::SetRoot { found, expected });
        }
        Ok(())
    }
}

impl HolderChallenge {
    /// Exact bytes of the openings that answer `count` challenges from `first_j` on.
    pub fn openings_bytes(&self, first_j: u32, count: u32) -> Result<usize, ProofError> {
        Ok(self.slices(first_j, count)?.last().map_or(0, |last| last.end))
    }

    /// Where each opening of a part stands in its buffer.
    pub(crate) fn slices(&self, first_j: u32, count: u32) -> Result<Vec<Slice>, ProofError> {
        let challenges = self.count();
        let out_of_range = ProofError::OutOfRange { first_j, count, challenges };
        let end_j = first_j.checked_add(count).filter(|end| count > 0 && *end <= challenges).ok_or(out_of_range)?;
        if count > PROOF_PART_OPENINGS_MAX {
            return Err(ProofError::TooManyOpenings { found: count, limit: PROOF_PART_OPENINGS_MAX });
        }
        let mut end = 0;
        let slice = |j| {
            let position = self.position(j)?;
            let start = end;
            end += self.scheme().opening_bytes(position.batch_log2);
            Some(Slice { j, position, start, end })
        };
        Ok((first_j..end_j).map_while(slice).collect())
    }
}

/// Verifies a part and returns the challenges (`j`, ascending) whose openings fail: those leaves are lost. `meta_of` tells
/// the batch at a frozen list's slot; where it knows none, or one of another size or scheme, the opening fails.
///
/// Total: any bytes get an answer, without IO, without a clock, without a panic. Uses rayon's threads.
pub fn verify_part(
    challenge: &HolderChallenge,
    part: &ProofPart,
    openings: &[u8],
    meta_of: impl Fn(u8, u64) -> Option<BatchMeta> + Sync,
) -> Result<Vec<u32>, ProofError> {
    part.check(challenge)?;
    let slices = challenge.slices(part.first_j, part.count)?;
    let expected = slices.last().map_or(0, |last| last.end);
    if openings.len() != expected {
        return Err(ProofError::Length { found: openings.len(), expected });
    }
    let fails = |slice: &Slice| {
        let Position { batch_log2, slot, leaf } = slice.position;
        let opening = &openings[slice.start..slice.end];
        !meta_of(batch_log2, slot).is_some_and(|meta| challenge.scheme().verify(&meta, leaf, opening))
    };
    Ok(slices.par_iter().with_min_len(OPENINGS_PER_TASK).filter(|slice| fails(slice)).map(|slice| slice.j).collect())
}

/// What a part's transaction commits to: `SHA256("por/openings/v1\0" | openings)`.
pub fn openings_digest(openings: &[u8]) -> Digest {
    Digest::new(sha256_parts(&[OPENINGS_TAG, openings]))
}

/// What the ledger keeps of a whole proof: `SHA256("por/proof/v1\0" | the parts' openings digests in order)`.
pub fn proof_digest(parts: &[Digest]) -> Digest {
    let digests: Vec<u8> = parts.iter().flat_map(|digest| *digest.as_bytes()).collect();
    Digest::new(sha256_parts(&[PROOF_TAG, &digests]))
}
