//! The pool as the gossip of heavy nodes sees it: encoded transactions in and out, and who may talk at all.

use crate::admission::Verdict;
use crate::core::NodeCore;
use crate::mempool::SubmitError;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::{Standing, TxEnvelope};
use holdfast_network::gossip::{Taken, TxPool};
use holdfast_network::wire::GossipTx;
use holdfast_primitives::{Address, Amount, ChainId, TimeMs, decode_exact};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Full nodes and joining validators that may pass transactions on, though nobody named or elected them.
const STRANGERS_MAX: usize = 64;

/// One node's pool, and whom it talks with: validators of the tip and the peers that the operator named.
pub struct GossipPool {
    core: Arc<NodeCore>,
    named: BTreeSet<Address>,
}

impl GossipPool {
    /// Talks with `named` besides the validators.
    pub fn new(core: Arc<NodeCore>, named: impl IntoIterator<Item = Address>) -> Self {
        Self { core, named: named.into_iter().collect() }
    }
}

#[async_trait]
impl TxPool for GossipPool {
    fn chain(&self) -> ChainId {
        self.core.tip().state.chain().chain
    }

    fn now(&self) -> TimeMs {
        self.core.now()
    }

    fn is_bonded(&self, node: &Address) -> bool {
        let state = self.core.tip().state;
        let found = state.validator_by_address(node);
        found.is_some_and(|(_, record)| record.standing == Standing::Good && record.bonded > Amount::ZERO)
    }

    fn welcomes(&self, peer: &Address) -> bool {
        self.named.contains(peer) || self.core.tip().state.chain().validators.get(peer).is_some()
    }

    fn strangers_max(&self) -> usize {
        STRANGERS_MAX
    }

    async fn take(&self, _from: Address, txs: &[GossipTx]) -> Vec<Taken> {
        let decode = |tx: &GossipTx| decode_exact::<TxEnvelope>(tx, tx.len()).ok();
        let decoded: Vec<Option<TxEnvelope>> = txs.iter().map(decode).collect();
        let readable: Vec<bool> = decoded.iter().map(Option::is_some).collect();
        let mut verdicts = self.core.submit_all(decoded.into_iter().flatten().collect()).await.into_iter();
        let taken = |readable| if readable { verdicts.next().map_or(Taken::Passed, taken) } else { Taken::Garbage };
        readable.into_iter().map(taken).collect()
    }

    fn waiting(&self) -> Vec<Bytes> {
        self.core.waiting_envelopes().iter().map(encode).collect()
    }
}

/// Whether a transaction holds by itself does not depend on the state, so one that does not was garbage when it was sent;
/// anything else may be a matter of who is ahead. One that replaced another is new: it travels on.
fn taken(verdict: Verdict) -> Taken {
    match verdict {
        Ok(_) => Taken::New,
        Err(SubmitError::Unsound(_)) => Taken::Garbage,
        Err(_) => Taken::Passed,
    }
}

/// A transaction as it travels.
pub fn encode(envelope: &TxEnvelope) -> Bytes {
    borsh::to_vec(envelope).expect("a transaction encodes into memory").into()
}
