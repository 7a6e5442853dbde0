//! What this node answers to those who join: from the snapshots it keeps, and from its database.

use crate::core::NodeCore;
use async_trait::async_trait;
use borsh::BorshSerialize;
use holdfast_ledger::{ChunkAsk, Manifest};
use holdfast_network::NodeAddr;
use holdfast_network::join::JoinSource;
use holdfast_network::wire::{
    JOIN_PEERS_MAX, Refusal, RefusalCode, SNAPSHOTS_OFFERED_MAX, SourceOffer, Text, ToSource,
};
use holdfast_primitives::{Bounded, ChainId, Height, decode_exact};
use holdfast_store::StoreError;
use std::sync::Arc;

/// The node, as those who join see it.
pub struct JoinDesk {
    core: Arc<NodeCore>,
    peers: Vec<NodeAddr>,
    consensus: Vec<String>,
}

impl JoinDesk {
    /// Answers from `core`, and names `peers` as others who may help and `consensus` as where consensus is reached.
    pub const fn new(core: Arc<NodeCore>, peers: Vec<NodeAddr>, consensus: Vec<String>) -> Self {
        Self { core, peers, consensus }
    }
}

#[async_trait]
impl JoinSource for JoinDesk {
    fn chain(&self) -> ChainId {
        self.core.tip().state.chain().chain
    }

    async fn offer(&self) -> SourceOffer {
        let core = &self.core;
        let newest_first = core.shelf().heights().into_iter().rev().take(SNAPSHOTS_OFFERED_MAX);
        let peers = self.peers.iter().take(JOIN_PEERS_MAX).cloned();
        let consensus = self.consensus.iter().take(JOIN_PEERS_MAX).filter_map(|addr| Text::new(addr).ok());
        SourceOffer {
            tip: core.tip().state.chain().height,
            blocks_from: core.min_full_height(),
            follow_from: follow_from(core).unwrap_or(Height::new(u64::MAX)),
            snapshots: Bounded::new(newest_first.collect()).expect("cut to the limit"),
            peers: Bounded::new(peers.collect()).expect("cut to the limit"),
            consensus: Bounded::new(consensus.collect()).expect("cut to the limit"),
        }
    }

    async fn answer(&self, question: ToSource) -> Result<Vec<u8>, Refusal> {
        let core = Arc::clone(&self.core);
        let answered = tokio::task::spawn_blocking(move || answer(&core, &question)).await;
        answered.unwrap_or_else(|error| Err(Refusal::new(RefusalCode::Internal, error)))
    }
}

fn follow_from(core: &NodeCore) -> Result<Height, StoreError> {
    Ok(core.db().joined()?.map_or(Height::GENESIS, |joined| joined.follow_from))
}

fn answer(core: &NodeCore, question: &ToSource) -> Result<Vec<u8>, Refusal> {
    match question {
        ToSource::Steps { after } => {
            if *after < follow_from(core).map_err(internal)? {
                return Err(missing(format!("the validators before height {after} are not known here")));
            }
            Ok(encode(&core.db().steps(*after).map_err(internal)?))
        }
        ToSource::At { height } => {
            let step = core.db().step_at(*height).map_err(internal)?;
            step.map(|step| encode(&step)).ok_or_else(|| missing(format!("no block at height {height}")))
        }
        ToSource::Manifest { height } => manifest(core, *height),
        ToSource::Chunk { height, ask } => {
            let ask: ChunkAsk =
                decode_exact(ask, ask.len()).map_err(|error| Refusal::new(RefusalCode::Malformed, error))?;
            let state = core.shelf().get(*height).ok_or_else(|| missing(format!("no snapshot of height {height}")))?;
            let chunk = state.chunk(&ask).ok_or_else(|| missing("no such records"))?;
            Ok(encode(&chunk))
        }
        ToSource::Hello { .. } | ToSource::Offer => Err(Refusal::new(RefusalCode::Malformed, "not a question")),
    }
}

fn manifest(core: &NodeCore, height: Height) -> Result<Vec<u8>, Refusal> {
    let state = core.shelf().get(height).ok_or_else(|| missing(format!("no snapshot of height {height}")))?;
    let (block, certificate) =
        (core.db().block(height).map_err(internal)?, core.db().certificate(height).map_err(internal)?);
    let (Some(block), Some(certificate)) = (block, certificate) else {
        return Err(missing(format!("no block at height {height}")));
    };
    Ok(encode(&Manifest::new(&state, block, certificate)))
}

fn encode(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).expect("an answer encodes into memory")
}

fn missing(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::NoSuchHistory, what)
}

fn internal(error: StoreError) -> Refusal {
    tracing::warn!(%error, "a joining node could not be answered");
    Refusal::new(RefusalCode::Internal, "the disk")
}
