//! The ledger as consensus drives it: bytes in, verdicts out. What a block means is the ledger's; this file only decodes,
//! moves heavy work off the runtime, and keeps the order of steps.

use crate::clock::now;
use crate::core::NodeCore;
use crate::keys::NodeKeys;
use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_consensus::{
    AppError, BlockIdentity, BuildRequest, Evidence, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict,
};
use holdfast_ledger::{BlockError, FullBlock, Proposer, build_block};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, BlockHash, Certificate, Height, decode_exact};
use holdfast_store::Undecided as Kept;
use std::sync::Arc;
use std::time::Duration;

/// The heavy node, seen from consensus.
pub struct NodeApp {
    core: Arc<NodeCore>,
    keys: Arc<NodeKeys>,
}

impl NodeApp {
    /// Drives `core`; `keys` sign what this node proposes.
    pub const fn new(core: Arc<NodeCore>, keys: Arc<NodeKeys>) -> Self {
        Self { core, keys }
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

    fn config_for(&self, _height: Height) -> HeightConfig {
        let state = self.core.tip().state;
        let params = state.params();
        HeightConfig {
            validators: state.chain().validators.clone(),
            target: Some(Duration::from_millis(params.block_interval_ms)),
            heartbeat: Duration::from_millis(params.heartbeat_ms),
            timeouts: Timeouts::default(),
        }
    }

    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError> {
        let full = decode(block)?;
        full.check_commitments()?;
        let header = &full.block.header;
        Ok(BlockIdentity { hash: header.hash(), height: header.height, proposer: header.proposer })
    }

    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError> {
        let (core, keys) = (Arc::clone(&self.core), Arc::clone(&self.keys));
        let build = move || {
            let tip = core.tip();
            let candidates = core.candidates(request.bytes_max);
            let proposer = Proposer { address: keys.identity.address(), vrf: &keys.vrf };
            let built = build_block(&tip.state, tip.hash, candidates.into_iter(), proposer, now(), request.bytes_max);
            if !built.skipped.is_empty() {
                core.drop_skipped(&built.skipped);
            }
            let bytes = encode(built.checked.full());
            core.remember(built.checked);
            bytes
        };
        Ok(tokio::task::spawn_blocking(build).await?)
    }

    async fn validate(&self, _identity: &BlockIdentity, block: &Bytes) -> Verdict {
        let (core, block) = (Arc::clone(&self.core), block.clone());
        let check = move || match decode(&block) {
            Err(error) => Verdict::Invalid { reason: error.to_string() },
            Ok(full) => match core.check(full, now()) {
                Ok(_) => Verdict::Valid,
                Err(error @ BlockError::TimeAhead { .. }) => Verdict::RetryLater { reason: error.to_string() },
                Err(error) => Verdict::Invalid { reason: error.to_string() },
            },
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
        for misbehaviour in &evidence.items {
            tracing::warn!(?misbehaviour, "a validator said two things of which it may say only one");
        }
        let core = Arc::clone(&self.core);
        let commit = move || {
            let full = decode(&block)?;
            core.commit(full, certificate.block, &certificate)
        };
        tokio::task::spawn_blocking(commit).await?
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
