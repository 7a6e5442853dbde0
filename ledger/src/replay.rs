//! Applying a block again long after it was decided: what an auditor does with every block from the genesis on.
//!
//! The rules are those of [`crate::check_block`], run by the same functions, but for one thing: nodes prune the openings of
//! old proofs. What failed in such a proof can then only be taken as the block's events state it. The header commits to the
//! events, so the validators' quorum stands for the statement, and everything that follows from it is computed again.

use crate::admit::sound_of;
use crate::block::{Block, Event};
use crate::check::{ShapedTx, SoundTx};
use crate::check_block::{check_beacon, check_execution, check_place, check_tx_root, is_proof};
use crate::error::BlockError;
use crate::execute::Executed;
use crate::stake::PROTOCOL_VERSION_MAX;
use crate::state::State;
use crate::tx::{SignedTx, TxBody, TxEnvelope};
use holdfast_primitives::limits::PROOF_PART_BYTES_MAX;
use holdfast_primitives::{BlockHash, Bounded};
use rayon::prelude::*;
use thiserror::Error;

/// What is left of one proof of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptProof {
    /// Its openings: it is verified again.
    Openings {
        /// The openings.
        bytes: Bounded<u8, PROOF_PART_BYTES_MAX>,
    },
    /// Its outcome, as [`Event::ProofVerified`] states it.
    Outcome {
        /// The challenges that failed, ascending.
        failed: Vec<u32>,
    },
}

/// Why a block cannot be applied again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// It breaks a rule, or one of its roots is not what it leads to.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// It goes by a rule book that this code does not know.
    #[error("rule book {needed} rules it, this program knows rule books up to {known}")]
    TooNew {
        /// The rule book that rules it.
        needed: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Something is left of more or fewer proofs than it has.
    #[error("{found} proofs are left of {expected}")]
    Proofs {
        /// Proofs of the block.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// An outcome that no verification of this proof could have had.
    #[error("the outcome stated for transaction {index} is none of its proof")]
    Outcome {
        /// The transaction's place.
        index: usize,
    },
}

/// A block that was applied again and came to what its header says.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The block's hash.
    pub hash: BlockHash,
    /// The state after it.
    pub state: State,
    /// What happened, in order; the header commits to it.
    pub events: Vec<Event>,
}

/// Applies `block` on top of `state`, whose block has the hash `parent`; `proofs` stand in the order of its proof
/// transactions. Spreads signatures over rayon's threads.
///
/// # Errors
/// The first rule that the block breaks, or the first of its roots that is not what it leads to.
pub fn replay_block(
    state: &State,
    parent: BlockHash,
    block: &Block,
    proofs: Vec<KeptProof>,
) -> Result<Replayed, ReplayError> {
    let header = &block.header;
    let (needed, known) = (state.protocol_at(state.chain().height.next()), PROTOCOL_VERSION_MAX);
    if needed > known {
        return Err(ReplayError::TooNew { needed, known });
    }
    check_place(state, parent, header, header.time)?;
    check_beacon(state, header)?;
    let expected = block.txs.iter().filter(|signed| is_proof(signed)).count();
    if expected != proofs.len() {
        return Err(ReplayError::Proofs { expected, found: proofs.len() });
    }
    check_tx_root(block)?;
    let txs = check_txs(state, kept(block, proofs)?)?;
    let Executed { state, events, .. } = check_execution(state, header, &txs)?;
    Ok(Replayed { hash: header.hash(), state, events })
}

/// A transaction beside what is left of its proof.
struct KeptTx {
    envelope: TxEnvelope,
    stated: Option<Vec<u32>>,
}

fn kept(block: &Block, proofs: Vec<KeptProof>) -> Result<Vec<KeptTx>, ReplayError> {
    let mut proofs = proofs.into_iter();
    let mut beside = |(index, signed): (usize, &SignedTx)| {
        let proof = if is_proof(signed) { proofs.next() } else { None };
        let (openings, stated) = match proof {
            Some(KeptProof::Openings { bytes }) => (bytes, None),
            Some(KeptProof::Outcome { failed }) => (Bounded::empty(), Some(failed)),
            None => (Bounded::empty(), None),
        };
        if !stated.as_ref().is_none_or(|failed| is_outcome(signed, failed)) {
            return Err(ReplayError::Outcome { index });
        }
        Ok(KeptTx { envelope: TxEnvelope { signed: signed.clone(), openings }, stated })
    };
    block.txs.iter().enumerate().map(&mut beside).collect()
}

/// Whether a verification of this proof could have had this outcome: challenges of its part, ascending, each once.
fn is_outcome(signed: &SignedTx, failed: &[u32]) -> bool {
    let TxBody::Prove { part, .. } = &signed.tx.body else { return false };
    let end = part.first_j.saturating_add(part.count);
    failed.is_sorted_by(|before, after| before < after) && failed.iter().all(|j| (part.first_j..end).contains(j))
}

fn check_txs(state: &State, txs: Vec<KeptTx>) -> Result<Vec<SoundTx>, BlockError> {
    let (params, chain) = (state.params(), &state.chain().chain);
    let shape = |KeptTx { envelope, stated }| match stated {
        Some(failed) => ShapedTx::check_pruned(params, envelope, failed),
        None => ShapedTx::check(params, envelope),
    };
    let verdicts = sound_of(chain, txs.into_par_iter().map(shape).collect());
    let with_place =
        |(index, verdict): (usize, Result<SoundTx, _>)| verdict.map_err(|error| BlockError::Tx { index, error });
    verdicts.into_iter().enumerate().map(with_place).collect()
}
