//! Building a block out of admitted transactions.

use crate::admit::AdmittedTx;
use crate::block::{BLOCK_PROOFS_MAX, Block, FullBlock, Header, next_beacon};
use crate::check::SoundTx;
use crate::checked::CheckedBlock;
use crate::error::TxError;
use crate::execute::{BlockContext, Executed, Execution};
use crate::state::State;
use crate::trees::{leaves_root, rows_root};
use crate::tx::TxBody;
use holdfast_primitives::limits::{BLOCK_TXS_MAX, TX_BYTES_MAX};
use holdfast_primitives::{Address, BlockHash, Bounded, Digest, StateRoot, TimeMs, TxId, VrfProof, VrfSecretKey};
use std::collections::HashSet;

/// A block has room for less than the smallest transaction: nothing more is tried.
const TX_BYTES_MIN: usize = 128;

/// Who builds, and with which beacon key.
#[derive(Clone, Copy, Debug)]
pub struct Proposer<'a> {
    /// The validator.
    pub address: Address,
    /// Its beacon key.
    pub vrf: &'a VrfSecretKey,
}

/// A block and what was left out of it for good.
#[derive(Clone, Debug)]
pub struct Built {
    /// The block, checked by being executed.
    pub checked: CheckedBlock,
    /// Candidates that break a rule now, and which. Candidates that merely found no room are not among them.
    pub skipped: Vec<(TxId, TxError)>,
}

/// Builds the block after `state`, whose block has the hash `parent`.
///
/// Takes candidates in order while they fit into `bytes_max` (the network's limit holds too). A candidate that breaks a
/// rule is skipped. When one finds no room, its sender's later ones wait with it. The block's time is `time`, or one
/// millisecond after the parent's if that is later.
///
/// # Panics
/// When the transactions that were executed do not fit the block's own limits: a bug.
pub fn build_block(
    state: &State,
    parent: BlockHash,
    candidates: impl Iterator<Item = AdmittedTx>,
    proposer: Proposer<'_>,
    time: TimeMs,
    bytes_max: usize,
) -> Built {
    let chain = state.chain();
    let (output, vrf) = proposer.vrf.evaluate(&chain.chain, &chain.beacon);
    let context = BlockContext {
        height: chain.height.next(),
        time: time.max(chain.time.saturating_add(1)),
        proposer: proposer.address,
        beacon: next_beacon(&chain.beacon, &output),
    };
    let room = Room::of_block(bytes_max.min(state.params().block_bytes_max as usize));
    let mut execution = Execution::begin(state, context);
    let Taken { txs, skipped } = take(&mut execution, candidates, room);
    let executed = execution.finish();
    let header = header(state, parent, &context, vrf, &txs, &executed);
    Built { checked: CheckedBlock::new(full_block(header, txs), executed), skipped }
}

/// Bytes of a block without transactions.
pub(crate) fn empty_block_bytes() -> usize {
    let header = Header {
        protocol_version: 0,
        chain: holdfast_primitives::ChainId::ZERO,
        height: holdfast_primitives::Height::GENESIS,
        time: TimeMs::new(0),
        parent: BlockHash::ZERO,
        proposer: Address::ZERO,
        tx_root: Digest::ZERO,
        result_root: Digest::ZERO,
        state_root: StateRoot::ZERO,
        beacon: [0; 32],
        vrf: VrfProof { pre_output: [0; 32], proof: [0; 64] },
        validators: Digest::ZERO,
        next_validators: Digest::ZERO,
    };
    let block = Block { header, txs: Bounded::empty() };
    borsh::object_length(&FullBlock { block, openings: Bounded::empty() }).expect("a block encodes into memory")
}

/// What is left of a block.
struct Room {
    bytes: usize,
    txs: usize,
    proofs: usize,
}

struct Taken {
    txs: Vec<AdmittedTx>,
    skipped: Vec<(TxId, TxError)>,
}

impl Room {
    fn of_block(bytes_max: usize) -> Self {
        Self { bytes: bytes_max.saturating_sub(empty_block_bytes()), txs: BLOCK_TXS_MAX, proofs: BLOCK_PROOFS_MAX }
    }

    const fn is_used_up(&self) -> bool {
        self.bytes < TX_BYTES_MIN || self.txs == 0
    }

    fn fits(&self, tx: &SoundTx) -> bool {
        tx.block_bytes() <= self.bytes && (!tx.is_proof() || self.proofs > 0)
    }

    fn take(&mut self, tx: &SoundTx) {
        self.bytes -= tx.block_bytes();
        self.txs -= 1;
        self.proofs -= usize::from(tx.is_proof());
    }
}

fn take(execution: &mut Execution, candidates: impl Iterator<Item = AdmittedTx>, mut room: Room) -> Taken {
    let mut taken = Taken { txs: Vec::new(), skipped: Vec::new() };
    let mut waiting: HashSet<Address> = HashSet::new();
    for candidate in candidates {
        if room.is_used_up() {
            break;
        }
        let tx = candidate.sound();
        let sender = tx.signed().tx.sender;
        if !tx.is_free() && waiting.contains(&sender) {
            continue;
        }
        if !room.fits(tx) {
            if !tx.is_free() {
                waiting.insert(sender);
            }
            continue;
        }
        match execution.run(tx) {
            Ok(()) => {
                room.take(tx);
                taken.txs.push(candidate);
            }
            Err(error) => taken.skipped.push((tx.id(), error)),
        }
    }
    taken
}

fn header(
    state: &State,
    parent: BlockHash,
    context: &BlockContext,
    vrf: VrfProof,
    txs: &[AdmittedTx],
    executed: &Executed,
) -> Header {
    let leaves: Vec<[u8; 32]> = txs.iter().map(|tx| tx.sound().leaf()).collect();
    Header {
        protocol_version: executed.state.chain().protocol,
        chain: state.chain().chain,
        height: context.height,
        time: context.time,
        parent,
        proposer: context.proposer,
        tx_root: leaves_root(&leaves),
        result_root: rows_root(&executed.events),
        state_root: executed.state.root(),
        beacon: context.beacon,
        vrf,
        validators: state.chain().validators.digest(),
        next_validators: executed.state.chain().validators.digest(),
    }
}

fn full_block(header: Header, txs: Vec<AdmittedTx>) -> FullBlock {
    let (mut signed, mut openings) = (Vec::with_capacity(txs.len()), Vec::new());
    for tx in txs {
        let envelope = tx.into_sound().into_envelope();
        if matches!(envelope.signed.tx.body, TxBody::Prove { .. }) {
            openings.push(envelope.openings);
        }
        signed.push(envelope.signed);
    }
    let txs = Bounded::new(signed).expect("room counts the transactions");
    FullBlock { block: Block { header, txs }, openings: Bounded::new(openings).expect("room counts the proofs") }
}

const _: () = assert!(TX_BYTES_MIN < TX_BYTES_MAX);
