//! The idle gate: after a height is decided the next one waits for work, for another validator to go ahead, or for the
//! heartbeat, whichever comes first. Without it a quiet chain would make dozens of empty blocks a second.

use super::shared::Shared;
use super::signing::vote_bytes;
use super::types::{EngineAddress, EngineValidatorSet, Holdfast};
use crate::app::LedgerApp;
use arc_malachitebft_app::events::RxEvent;
use arc_malachitebft_core_consensus::SignedConsensusMsg;
use arc_malachitebft_engine::util::events::Event;
use holdfast_primitives::{ChainId, Height, Purpose};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Waits until `next` should start, at most `heartbeat`.
pub(crate) async fn wait<A: LedgerApp>(
    shared: &Shared<A>,
    events: RxEvent<Holdfast>,
    next: Height,
    validators: &EngineValidatorSet,
    heartbeat: Duration,
) {
    let mut proposed = shared.proposed.subscribe();
    let idle = shared.progress.idle();
    tokio::select! {
        // The application might oversleep; the heartbeat holds all the same.
        _ = tokio::time::timeout(heartbeat, shared.app.until_work(heartbeat)) => {}
        // The sender lives in `shared`, so this can only mean that the height was seen.
        _ = proposed.wait_for(|height| *height >= next) => {}
        () = vote_seen(events, next, &shared.signer.chain, validators) => {}
    }
    drop(idle);
}

/// Returns when a validator's vote for `next` or later arrives: somebody has work.
async fn vote_seen(mut events: RxEvent<Holdfast>, next: Height, chain: &ChainId, validators: &EngineValidatorSet) {
    loop {
        match events.recv().await {
            Ok(Event::Received(SignedConsensusMsg::Vote(vote))) => {
                let EngineAddress(voter) = &vote.message.validator;
                if vote.message.height.0 >= next
                    && validators.contains(voter)
                    && vote.signature.verify(voter, Purpose::Vote, chain, &vote_bytes(&vote.message)).is_ok()
                {
                    return;
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
