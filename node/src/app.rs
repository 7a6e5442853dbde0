//! The ledger as consensus drives it: bytes in, verdicts out. What a block means is the ledger's; this file only decodes,
//! moves heavy work off the runtime, and keeps the order of steps.

#[cfg(test)]
mod tests;

use crate::core::NodeCore;
use crate::gossip::{self, GossipPool};
use crate::keys::NodeKeys;
use crate::skew::SkewWatch;
use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_consensus::{
    AppError, BlockIdentity, BuildRequest, Evidence, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict,
};
use holdfast_ledger::{BlockError, FullBlock, Header, Proposer, Tx, TxBody, TxEnvelope, build_block};
use holdfast_network::gossip::Gossip;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, Amount, BlockHash, Certificate, Height, HeightDelta, Misbehaviour, decode_exact};
use holdfast_store::Undecided as Kept;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// Blocks within which an accusation has to be taken up; after that the node hands it in no more.
const ACCUSATION_BLOCKS: u64 = 10_000;

/// The heavy node, seen from consensus.
pub struct NodeApp {
    core: Arc<NodeCore>,
    keys: Arc<NodeKeys>,
    gossip: Arc<Gossip<GossipPool>>,
    known: u32,
    /// The newest block that was built here: its bytes need not be read to know which block they are.
    own: Arc<Mutex<Option<(Bytes, BlockIdentity)>>>,
    skew: Arc<SkewWatch>,
}

/// This program does not know the rules of the next block.
#[derive(Debug, Error)]
#[error(
    "rule book {needed} begins at height {height}, this program knows rule books up to {known}: install a newer release \
     and start it again, nothing is lost"
)]
pub struct TooOld {
    /// The first height that it cannot judge.
    pub height: Height,
    /// The rule book that rules there.
    pub needed: u32,
    /// The newest that it knows.
    pub known: u32,
}

impl NodeApp {
    /// Drives `core`; `keys` sign what this node proposes. Accusations are handed in here and passed on through `gossip`.
    /// Stops before a rule book newer than `known`.
    pub fn new(core: Arc<NodeCore>, keys: Arc<NodeKeys>, gossip: Arc<Gossip<GossipPool>>, known: u32) -> Self {
        Self { core, keys, gossip, known, own: Arc::default(), skew: Arc::default() }
    }

    fn own(&self) -> Option<(Bytes, BlockIdentity)> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands in a proof that a validator contradicted itself. Every node that saw it does, and the first one counts.
    async fn accuse(&self, misbehaviour: Misbehaviour) {
        tracing::warn!(?misbehaviour, "a validator said two things of which it may say only one");
        let (key, chain) = (&self.keys.identity, self.core.tip().state);
        let chain = chain.chain();
        let expires = chain.height.saturating_add(HeightDelta::new(ACCUSATION_BLOCKS));
        let body = TxBody::Accuse { misbehaviour };
        let tx = Tx { sender: key.address(), sequence: 0, fee: Amount::ZERO, expires, body };
        let envelope = TxEnvelope::bare(tx.sign(key, &chain.chain));
        let travelling = gossip::encode(&envelope);
        match self.core.submit(envelope).await {
            Ok(_) => self.gossip.spread(&travelling, None),
            Err(reason) => tracing::info!(%reason, "the accusation is not needed"),
        }
    }
}

fn decode(block: &[u8]) -> Result<FullBlock, AppError> {
    Ok(decode_exact(block, BLOCK_BYTES_MAX)?)
}

fn encode(full: &FullBlock) -> Bytes {
    borsh::to_vec(full).expect("a block encodes into memory").into()
}

#[async_trait]
impl LedgerApp for NodeApp {
    fn tip(&self) -> (Height, BlockHash) {
        let tip = self.core.tip();
        (tip.state.chain().height, tip.hash)
    }

    fn config_for(&self, height: Height) -> Result<HeightConfig, AppError> {
        let state = self.core.tip().state;
        let needed = state.protocol_at(height);
        if needed > self.known {
            return Err(Box::new(TooOld { height, needed, known: self.known }));
        }
        let params = state.params();
        Ok(HeightConfig {
            validators: state.chain().validators.clone(),
            target: Some(Duration::from_millis(params.block_interval_ms)),
            heartbeat: Duration::from_millis(params.heartbeat_ms),
            timeouts: Timeouts::default(),
        })
    }

    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError> {
        if let Some((_, identity)) = self.own().filter(|(bytes, _)| *bytes == block) {
            return Ok(identity);
        }
        let full = decode(block)?;
        full.check_commitments()?;
        let header = &full.block.header;
        Ok(BlockIdentity { hash: header.hash(), height: header.height, proposer: header.proposer })
    }

    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError> {
        let (core, keys) = (Arc::clone(&self.core), Arc::clone(&self.keys));
        let (own, skew) = (Arc::clone(&self.own), Arc::clone(&self.skew));
        let build = move || {
            let tip = core.tip();
            let candidates = core.candidates(request.bytes_max);
            let proposer = Proposer { address: keys.identity.address(), vrf: &keys.vrf };
            let built =
                build_block(&tip.state, tip.hash, candidates.into_iter(), proposer, core.now(), request.bytes_max);
            if !built.skipped.is_empty() {
                core.drop_skipped(&built.skipped);
            }
            let bytes = encode(built.checked.full());
            skew.built(built.checked.header());
            let Header { height, proposer, .. } = *built.checked.header();
            let hash = core.remember(built.checked);
            let identity = BlockIdentity { hash, height, proposer };
            *own.lock().unwrap_or_else(PoisonError::into_inner) = Some((bytes.clone(), identity));
            bytes
        };
        Ok(tokio::task::spawn_blocking(build).await?)
    }

    async fn validate(&self, _identity: &BlockIdentity, block: &Bytes) -> Verdict {
        let (core, block, skew) = (Arc::clone(&self.core), block.clone(), Arc::clone(&self.skew));
        let check = move || match decode(&block) {
            Err(error) => Verdict::Invalid { reason: error.to_string() },
            Ok(full) => {
                let (header, now) = (full.block.header.clone(), core.now());
                match core.check(full, now) {
                    Ok(_) => Verdict::Valid,
                    Err(error @ BlockError::TimeAhead { .. }) => {
                        skew.saw_time_ahead(&header, now);
                        Verdict::RetryLater { reason: error.to_string() }
                    }
                    Err(error) => Verdict::Invalid { reason: error.to_string() },
                }
            }
        };
        match tokio::task::spawn_blocking(check).await {
            Ok(verdict) => verdict,
            Err(panic) => Verdict::RetryLater { reason: format!("the check did not finish: {panic}") },
        }
    }

    fn save_undecided(&self, undecided: &Undecided) -> Result<(), AppError> {
        let proposal = Proposal {
            valid_round: undecided.valid_round,
            proposer: undecided.proposer,
            valid: undecided.valid,
            block: undecided.block.to_vec(),
        };
        let (height, round, block) = (undecided.height, undecided.round, undecided.hash);
        Ok(self.core.db().save_undecided(Kept { height, round, block, bytes: borsh::to_vec(&proposal)? })?)
    }

    fn undecided(&self, height: Height) -> Result<Vec<Undecided>, AppError> {
        self.core.db().undecided(height)?.into_iter().map(restore).collect()
    }

    async fn commit(&self, block: Bytes, certificate: Certificate, evidence: Evidence) -> Result<(), AppError> {
        let (core, skew) = (Arc::clone(&self.core), Arc::clone(&self.skew));
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let commit = move || {
            core.commit(|| decode(&block), &certificate)?;
            if let Some(header) = core.tip().header {
                skew.decided(&header);
            }
            Ok::<(), AppError>(())
        };
        tokio::task::spawn_blocking(commit).await??;
        for misbehaviour in evidence.items {
            self.accuse(misbehaviour).await;
        }
        Ok(())
    }

    fn decided(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, AppError> {
        let decided = self.core.db().decided(height)?;
        Ok(decided.map(|(full, certificate)| (encode(&full), certificate)))
    }

    fn min_height(&self) -> Height {
        self.core.min_full_height()
    }

    async fn until_work(&self, heartbeat: Duration) {
        self.core.until_work(heartbeat).await;
    }
}

/// What of a proposal is kept beside its height, round and hash.
#[derive(BorshSerialize, BorshDeserialize)]
struct Proposal {
    valid_round: Option<u32>,
    proposer: Address,
    valid: bool,
    block: Vec<u8>,
}

fn restore(kept: Kept) -> Result<Undecided, AppError> {
    let proposal: Proposal = borsh::from_slice(&kept.bytes)?;
    Ok(Undecided {
        height: kept.height,
        round: kept.round,
        valid_round: proposal.valid_round,
        proposer: proposal.proposer,
        block: proposal.block.into(),
        hash: kept.block,
        valid: proposal.valid,
    })
}
