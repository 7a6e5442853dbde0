//! Floor 1: proof of retrievability, scheme `merkle-sha256-v1` (DESIGN section 4).
//!
//! What this room is for: turning a batch into 36 bytes by which anyone can verify any leaf of it, drawing each
//! holder's challenge of a round, building the proof and verifying it. The same tree verifies whole transfers.
//!
//! What it must never know: a disk, a socket, a clock, an account, a price. Bytes come in through slices and through
//! [`BatchSource`], which the holder implements. Everything that takes bytes from others is total: it answers, it
//! never panics.
//!
//! | story | read |
//! |---|---|
//! | tag a batch | [`Tagger`] -> [`BatchMeta`] and [`Layers`] |
//! | draw a challenge | [`challenge_count`], [`set_root`] -> [`HolderChallenge`] -> [`Position`] |
//! | prove | [`prove_part`] over a [`BatchSource`] |
//! | verify | [`verify_part`] -> the challenges that failed |
//! | check a transfer | [`range_proof`] -> [`verify_range`] |

mod challenge;
mod draw;
mod hash;
mod layers;
mod merkle;
mod meta;
mod proof;
mod prove;
mod range;
mod scheme;
mod tagger;
mod tree;

pub use challenge::{ChallengeError, ChallengeParams, ClassCount, ClassList, challenge_count, set_root};
pub use draw::{HolderChallenge, Position, RoundSeed};
pub use layers::{Layers, LayersError};
pub use merkle::{GROUP_BYTES, GROUP_LEAVES, GROUP_LOG2, MERKLE_SHA256_V1, MerkleSha256V1};
pub use meta::{BatchMeta, MetaError};
pub use proof::{PROOF_VERSION, ProofError, ProofPart, openings_digest, proof_digest, verify_part};
pub use prove::{BatchSource, Proved, prove_part};
pub use range::{RangeError, RangeProof, range_proof, range_proof_hashes, verify_range};
pub use scheme::{OpenError, Scheme, Stored, open, scheme, verify_opening};
pub use tagger::{TagError, Tagged, Tagger};
