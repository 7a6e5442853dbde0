//! Floor 1: the rule book. What a valid block is, and what it changes.
//!
//! Pure and sync: takes values (state, block, time, bytes) and returns values (verdict, new state, changes, events).
//! It must never know a clock, a disk, a socket or the consensus engine.
//!
//! | story | read |
//! |---|---|
//! | a transaction is admitted | [`sound`] -> [`SoundTx`] -> [`admit_sound`] -> [`AdmittedTx`] (one at a time: [`admit`]) |
//! | a block is built or checked | [`build_block`] or [`check_block`] -> [`CheckedBlock`] -> [`Applied`] |
//! | a round turns | `round.rs`: freeze, seed, settle, in every block before its transactions |
//! | a round is audited | [`audit_round_rows`], [`audit_holder`], [`audit_payments`], [`audit_revenue`] |
//! | a whole chain is audited | [`replay_block`], from [`State::genesis`] on |
//! | validators are followed from genesis or a checkpoint | [`Trusted`], [`Step`] |
//! | a node joins by a snapshot | [`Manifest`] -> [`CheckedManifest`] -> [`Chunk`] after [`Chunk`] -> [`State::load`] |
//! | the state is kept and proved | [`State`], [`Diff`], [`StateProof`] |

mod admit;
mod audit;
mod block;
mod build;
mod check;
mod check_block;
mod checked;
mod diff;
mod error;
mod execute;
mod follow;
mod join;
mod merkle_range;
mod merkle_vec;
mod pages;
mod params;
mod records;
mod replay;
mod round;
mod stake;
mod state;
mod state_proof;
pub mod statement;
mod trees;
mod tx;
mod wishes;

pub use admit::{AdmittedTx, VERIFIED_TOGETHER_MAX, VERIFIED_TOGETHER_MIN, admit, admit_sound, shape, sound, verify};
pub use audit::{
    AuditError, HolderAudit, HolderClaim, LostBatch, PaymentClaim, SlotEvidence, audit_holder, audit_payments,
    audit_revenue, audit_round_rows, slot_evidence,
};
pub use block::*;
pub use build::{Built, Proposer, build_block};
pub use check::standing::Pending;
pub use check::{ShapedTx, SoundTx};
pub use check_block::{check_block, check_block_knowing};
pub use checked::{Applied, CheckedBlock};
pub use diff::{Diff, RECORD_BYTES_MAX, Table};
pub use error::{BlockError, PlacementRule, SegmentRule, StakeRule, TxError};
pub use execute::{BlockContext, Executed, execute};
pub use follow::{FollowError, STEP_BYTES_MAX, STEPS_BYTES, STEPS_MAX, Step, Steps, Trusted};
pub use join::{
    CHUNK_BYTES_MAX, CheckedManifest, Chunk, ChunkAsk, ChunkError, ListIndex, MANIFEST_BYTES_MAX, Manifest,
    ManifestError, Run, TableTop, Verified,
};
pub use merkle_vec::{Hash, MerkleVec, verify_record};
pub use params::*;
pub use records::*;
pub use replay::{KeptProof, ReplayError, Replayed, replay_block};
pub use stake::PROTOCOL_VERSION_MAX;
pub use state::{EachRecord, GenesisError, LoadError, State, StateRoots, StateSource};
pub use state_proof::{
    PATH_HASHES_MAX, PROVABLE_RECORD_BYTES_MAX, Place, RecordKey, StateProof, StateProofError, VectorPath,
};
pub use trees::{
    INCLUSION_LEVELS_MAX, InclusionProof, event_proof, inclusion_proof, leaves_root, row_leaves, rows_root, tx_proof,
    verify_inclusion,
};
pub use tx::*;
pub use wishes::{lies_in, shares_topic};
