//! Judges blocks that others made, be they proposed to us or decided without us.

use super::assembly::Assembled;
use super::convert;
use super::shared::{Fault, Shared};
use super::types::{EngineValidatorSet, Holdfast};
use crate::app::{BlockIdentity, LedgerApp, Undecided, Verdict};
use arc_malachitebft_core_types::ValueOrigin;
use arc_malachitebft_engine::consensus::ConsensusMsg;
use arc_malachitebft_engine::host::SyncedValueOutcome;
use bytes::Bytes;
use holdfast_primitives::{BlockHash, Height};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before asking again about a block that could not be judged.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Judges a proposed block and tells the engine, unless its height is decided meanwhile.
pub(crate) async fn proposed<A: LedgerApp>(
    shared: Arc<Shared<A>>,
    validators: EngineValidatorSet,
    assembled: Assembled,
) {
    let opening = assembled.opening;
    let identity = match identify(&*shared.app, opening.height, &assembled.block) {
        Ok(identity) if identity.hash == opening.hash => identity,
        // Says nothing to the engine: under the announced hash there may be a real block, which somebody else streams.
        Ok(identity) => return tracing::warn!(?identity, ?opening, "a proposer streamed another block than it signed"),
        Err(reason) => return tracing::warn!(%reason, ?opening, "a proposer streamed what is no block"),
    };
    let in_turn = validators.had_its_turn(&identity.proposer, opening.height, opening.round);
    // A block that is proposed again in a later round was judged before.
    let known = shared.kept().by_hash(&identity.hash).is_some_and(|kept| kept.valid);
    loop {
        let judging = shared.applying.read().await;
        if shared.app.tip().0.next() != opening.height {
            return;
        }
        let judged = if known { Some(true) } else { verdict(&shared, &identity, in_turn, &assembled.block).await };
        let Some(valid) = judged else {
            drop(judging);
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
            continue;
        };
        let kept = Undecided {
            height: opening.height,
            round: opening.round,
            valid_round: opening.valid_round,
            proposer: identity.proposer,
            block: assembled.block,
            hash: identity.hash,
            valid,
        };
        let value = convert::proposed_value(&kept);
        if let Err(fault) = shared.keep(kept, Some(opening)).await {
            return shared.fail(fault);
        }
        // A closed mailbox means that the engine is stopping, which the watchdog notices.
        let _ = shared.consensus.cast(ConsensusMsg::ReceivedProposedValue(value, ValueOrigin::Consensus));
        return;
    }
}

/// Judges a block that a peer says was decided; the engine has checked its certificate.
pub(crate) async fn synced<A: LedgerApp>(
    shared: &Shared<A>,
    validators: &EngineValidatorSet,
    height: Height,
    round: u32,
    block: Bytes,
) -> Result<SyncedValueOutcome<Holdfast>, Fault> {
    let (found, limit) = (block.len(), shared.block_bytes_max);
    if found > limit {
        tracing::warn!(%height, found, limit, "a peer sent a block beyond the limit");
        return Ok(SyncedValueOutcome::PeerFault);
    }
    let identity = match identify(&*shared.app, height, &block) {
        Ok(identity) => identity,
        Err(reason) => {
            tracing::warn!(%height, %reason, "a peer sent what is no block");
            return Ok(SyncedValueOutcome::PeerFault);
        }
    };
    let in_turn = validators.had_its_turn(&identity.proposer, height, round);
    let judging = shared.applying.read().await;
    // What cannot be judged yet, a quorum has judged: its time lies ahead of our clock only. Waiting for our clock would keep a
    // node whose clock is behind from ever following. The commit checks all the rest again.
    let valid = verdict(shared, &identity, in_turn, &block).await.unwrap_or(true);
    let BlockIdentity { hash, proposer, .. } = identity;
    let kept = Undecided { height, round, valid_round: None, proposer, block, hash, valid };
    let value = convert::proposed_value(&kept);
    shared.keep(kept, None).await?;
    shared.kept().mark_synced();
    drop(judging);
    Ok(SyncedValueOutcome::Verdict(value))
}

/// Which block the bytes are, if it may stand at `height` at all.
fn identify<A: LedgerApp>(app: &A, height: Height, block: &Bytes) -> Result<BlockIdentity, String> {
    let identity = app.identify(block).map_err(|error| error.to_string())?;
    if identity.height != height {
        return Err(format!("it is made for height {}, not {height}", identity.height));
    }
    if identity.hash == BlockHash::ZERO {
        return Err("its hash is all zero".to_owned());
    }
    Ok(identity)
}

/// Whether the block is valid; `None` when that cannot be said yet.
async fn verdict<A: LedgerApp>(
    shared: &Shared<A>,
    identity: &BlockIdentity,
    in_turn: bool,
    block: &Bytes,
) -> Option<bool> {
    if !in_turn {
        tracing::warn!(?identity, "a block is invalid: its maker did not have its turn");
        return Some(false);
    }
    match shared.app.validate(identity, block).await {
        Verdict::Valid => Some(true),
        Verdict::Invalid { reason } => {
            tracing::warn!(?identity, %reason, "a block is invalid");
            Some(false)
        }
        Verdict::RetryLater { reason } => {
            tracing::debug!(?identity, %reason, "a block cannot be judged yet");
            None
        }
    }
}
