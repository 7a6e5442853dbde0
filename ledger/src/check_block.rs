//! Checking a block that somebody else built: the header field by field, every signature, then the same execution that
//! built it. Nothing is believed that can be computed.

use crate::admit::sound;
use crate::block::{Block, FullBlock, Header, next_beacon};
use crate::check::SoundTx;
use crate::checked::CheckedBlock;
use crate::error::{BlockError, TxError};
use crate::execute::{BlockContext, Executed, execute};
use crate::state::State;
use crate::trees::{leaves_root, rows_root};
use crate::tx::{SignedTx, TxBody, TxEnvelope};
use holdfast_por::openings_digest;
use holdfast_primitives::{BlockHash, Digest, TimeMs, merkle};
use rayon::prelude::*;

/// Transactions whose signatures one thread verifies together: enough for the batch's gain, few enough to share out.
pub(crate) const TXS_PER_TASK: usize = 256;

/// Checks `full` as the block after `state`, whose block has the hash `parent`, at `now` by the checker's clock.
/// Spreads signatures over rayon's threads.
///
/// # Errors
/// The first rule that the block breaks.
pub fn check_block(state: &State, parent: BlockHash, full: FullBlock, now: TimeMs) -> Result<CheckedBlock, BlockError> {
    let header = &full.block.header;
    check_place(state, parent, header, now)?;
    check_beacon(state, header)?;
    check_size(state, &full)?;
    check_tx_root(&full.block)?;
    let txs = check_txs(state, &full)?;
    let executed = check_execution(state, header, &txs)?;
    Ok(CheckedBlock::new(full, executed))
}

/// Executes the block's transactions and compares what they lead to with the header.
pub(crate) fn check_execution(state: &State, header: &Header, txs: &[SoundTx]) -> Result<Executed, BlockError> {
    let context =
        BlockContext { height: header.height, time: header.time, proposer: header.proposer, beacon: header.beacon };
    let executed = execute(state, context, txs).map_err(|(index, error)| BlockError::Tx { index, error })?;
    check_outcome(header, &executed)?;
    Ok(executed)
}

impl FullBlock {
    /// Whether the header commits to everything beside it: the transactions by their root, the openings by their digests.
    /// Then one hash names one string of bytes. Needs no state.
    ///
    /// # Errors
    /// The first thing that the header does not commit to.
    pub fn check_commitments(&self) -> Result<(), BlockError> {
        check_tx_root(&self.block)?;
        let digests: Vec<_> = self.block.txs.iter().filter_map(stated_digest).collect();
        if digests.len() != self.openings.len() {
            return Err(BlockError::OpeningsCount { expected: digests.len(), found: self.openings.len() });
        }
        for (index, (stated, openings)) in digests.into_iter().zip(self.openings.iter()).enumerate() {
            let found = openings_digest(openings);
            if found != stated {
                return Err(BlockError::Tx { index, error: TxError::OpeningsDigest { found, stated } });
            }
        }
        Ok(())
    }
}

fn stated_digest(signed: &SignedTx) -> Option<Digest> {
    match &signed.tx.body {
        TxBody::Prove { openings_digest, .. } => Some(*openings_digest),
        _ => None,
    }
}

pub(crate) fn check_place(state: &State, parent: BlockHash, header: &Header, now: TimeMs) -> Result<(), BlockError> {
    let (params, chain) = (state.params(), state.chain());
    let (expected, found) = (state.protocol_at(chain.height.next()), header.protocol_version);
    if found != expected {
        return Err(BlockError::Version { expected, found });
    }
    if header.chain != chain.chain {
        return Err(BlockError::Chain { expected: chain.chain, found: header.chain });
    }
    let height = chain.height.next();
    if header.height != height {
        return Err(BlockError::Height { expected: height, found: header.height });
    }
    if header.parent != parent {
        return Err(BlockError::Parent { expected: parent, found: header.parent });
    }
    if header.time <= chain.time {
        return Err(BlockError::TimeNotAfterParent { time: header.time, parent: chain.time });
    }
    let limit = now.saturating_add(params.clock_drift_ms);
    if header.time > limit {
        return Err(BlockError::TimeAhead { time: header.time, limit });
    }
    Ok(())
}

pub(crate) fn check_beacon(state: &State, header: &Header) -> Result<(), BlockError> {
    let chain = state.chain();
    let proposer = header.proposer;
    let validator = chain.validators.get(&proposer).ok_or(BlockError::Proposer { proposer })?;
    let expected = chain.validators.digest();
    if header.validators != expected {
        return Err(BlockError::Validators { expected, found: header.validators });
    }
    let output =
        validator.vrf.verify(&chain.chain, &chain.beacon, &header.vrf).map_err(|_| BlockError::Vrf { proposer })?;
    if header.beacon != next_beacon(&chain.beacon, &output) {
        return Err(BlockError::Beacon);
    }
    Ok(())
}

fn check_size(state: &State, full: &FullBlock) -> Result<(), BlockError> {
    let bytes = borsh::object_length(full).expect("a block encodes into memory");
    let limit = state.params().block_bytes_max as usize;
    if bytes > limit {
        return Err(BlockError::TooLarge { bytes, limit });
    }
    let proofs = full.block.txs.iter().filter(|signed| is_proof(signed)).count();
    if proofs != full.openings.len() {
        return Err(BlockError::OpeningsCount { expected: proofs, found: full.openings.len() });
    }
    Ok(())
}

pub(crate) const fn is_proof(signed: &SignedTx) -> bool {
    matches!(signed.tx.body, TxBody::Prove { .. })
}

pub(crate) fn check_tx_root(block: &Block) -> Result<(), BlockError> {
    let leaves: Vec<[u8; 32]> = block.txs.par_iter().map(|signed| merkle::leaf(&signed.to_bytes())).collect();
    let (expected, found) = (leaves_root(&leaves), block.header.tx_root);
    if expected != found {
        return Err(BlockError::TxRoot { expected, found });
    }
    Ok(())
}

/// Every transaction by itself.
fn check_txs(state: &State, full: &FullBlock) -> Result<Vec<SoundTx>, BlockError> {
    let verdicts: Vec<_> = envelopes(full)
        .into_par_iter()
        .chunks(TXS_PER_TASK)
        .flat_map_iter(|chunk| sound(state.params(), &state.chain().chain, chunk))
        .collect();
    let with_place =
        |(index, verdict): (usize, Result<SoundTx, _>)| verdict.map_err(|error| BlockError::Tx { index, error });
    verdicts.into_iter().enumerate().map(with_place).collect()
}

/// Puts each proof's openings beside its transaction again.
fn envelopes(full: &FullBlock) -> Vec<TxEnvelope> {
    let mut openings = full.openings.iter();
    let mut beside = |signed: &SignedTx| {
        let openings = if is_proof(signed) { openings.next().cloned() } else { None };
        TxEnvelope { signed: signed.clone(), openings: openings.unwrap_or_default() }
    };
    full.block.txs.iter().map(&mut beside).collect()
}

fn check_outcome(header: &Header, executed: &Executed) -> Result<(), BlockError> {
    let next_validators = executed.state.chain().validators.digest();
    if header.next_validators != next_validators {
        return Err(BlockError::NextValidators { expected: next_validators, found: header.next_validators });
    }
    let result_root = rows_root(&executed.events);
    if header.result_root != result_root {
        return Err(BlockError::ResultRoot { expected: result_root, found: header.result_root });
    }
    let state_root = executed.state.root();
    if header.state_root != state_root {
        return Err(BlockError::StateRoot { expected: state_root, found: header.state_root });
    }
    Ok(())
}
