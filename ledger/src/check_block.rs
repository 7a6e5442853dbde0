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
use holdfast_primitives::{BlockHash, Digest, TimeMs, TxId, merkle};
use rayon::prelude::*;
use std::borrow::Borrow;
use std::sync::Arc;

/// Checks `full` as the block after `state`, whose block has the hash `parent`, at `now` by the checker's clock.
/// Spreads signatures over rayon's threads.
///
/// # Errors
/// The first rule that the block breaks.
pub fn check_block(state: &State, parent: BlockHash, full: FullBlock, now: TimeMs) -> Result<CheckedBlock, BlockError> {
    check_block_knowing(state, parent, full, now, |_| Vec::new())
}

/// As [`check_block`], for a checker that has found some of the transactions sound before, on this chain: `known` answers
/// each id with that transaction or nothing. Their signatures are not verified again; an id is a hash over all bytes of a
/// transaction, so equal ids are equal bytes. Proofs, whose openings an id does not cover, are never asked for.
///
/// # Errors
/// As [`check_block`].
pub fn check_block_knowing(
    state: &State,
    parent: BlockHash,
    full: FullBlock,
    now: TimeMs,
    known: impl FnOnce(&[TxId]) -> Vec<Option<Arc<SoundTx>>>,
) -> Result<CheckedBlock, BlockError> {
    let header = &full.block.header;
    check_place(state, parent, header, now)?;
    check_beacon(state, header)?;
    check_size(state, &full)?;
    let ids = check_tx_root(&full.block)?;
    let txs = check_txs(state, &full, &ids, known)?;
    let executed = check_execution(state, header, &txs)?;
    Ok(CheckedBlock::new(full, executed))
}

/// Executes the block's transactions and compares what they lead to with the header.
pub(crate) fn check_execution<T: Borrow<SoundTx>>(
    state: &State,
    header: &Header,
    txs: &[T],
) -> Result<Executed, BlockError> {
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

/// Whether the header commits to the transactions; returns their ids.
pub(crate) fn check_tx_root(block: &Block) -> Result<Vec<TxId>, BlockError> {
    let hashes = |signed: &SignedTx| {
        let bytes = signed.to_bytes();
        (merkle::leaf(&bytes), SignedTx::id_of(&bytes))
    };
    let (leaves, ids): (Vec<[u8; 32]>, Vec<TxId>) = block.txs.par_iter().map(hashes).unzip();
    let (expected, found) = (leaves_root(&leaves), block.header.tx_root);
    if expected != found {
        return Err(BlockError::TxRoot { expected, found });
    }
    Ok(ids)
}

/// Every transaction by itself; those that are known are not looked at again.
fn check_txs(
    state: &State,
    full: &FullBlock,
    ids: &[TxId],
    known: impl FnOnce(&[TxId]) -> Vec<Option<Arc<SoundTx>>>,
) -> Result<Vec<Arc<SoundTx>>, BlockError> {
    let mut txs = known(ids);
    txs.resize(ids.len(), None);
    for (tx, (id, signed)) in txs.iter_mut().zip(ids.iter().zip(full.block.txs.iter())) {
        tx.take_if(|tx| is_proof(signed) || tx.id() != *id);
    }
    let strangers: Vec<usize> = (0..txs.len()).filter(|index| txs[*index].is_none()).collect();
    let verdicts = sound(state.params(), &state.chain().chain, envelopes(full, &txs));
    for (index, verdict) in strangers.into_iter().zip(verdicts) {
        txs[index] = Some(Arc::new(verdict.map_err(|error| BlockError::Tx { index, error })?));
    }
    Ok(txs.into_iter().map(|tx| tx.expect("every stranger got a verdict")).collect())
}

/// The transactions that nobody knows, each proof's openings beside it again.
fn envelopes(full: &FullBlock, known: &[Option<Arc<SoundTx>>]) -> Vec<TxEnvelope> {
    let mut openings = full.openings.iter();
    let mut beside = |(signed, known): (&SignedTx, &Option<Arc<SoundTx>>)| {
        let openings = if is_proof(signed) { openings.next().cloned() } else { None };
        known.is_none().then(|| TxEnvelope { signed: signed.clone(), openings: openings.unwrap_or_default() })
    };
    full.block.txs.iter().zip(known).filter_map(&mut beside).collect()
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
