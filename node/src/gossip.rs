//! The pool as the gossip of heavy nodes sees it: encoded transactions in and out, and who may talk at all.

use crate::core::NodeCore;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::TxEnvelope;
use holdfast_network::gossip::{Taken, TxPool};
use holdfast_primitives::{Address, ChainId, decode_exact};
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

    fn welcomes(&self, peer: &Address) -> bool {
        self.named.contains(peer) || self.core.tip().state.chain().validators.get(peer).is_some()
    }

    fn strangers_max(&self) -> usize {
        STRANGERS_MAX
    }

    async fn take(&self, _from: Address, tx: &[u8]) -> Taken {
        let Ok(envelope) = decode_exact::<TxEnvelope>(tx, tx.len()) else { return Taken::Garbage };
        let core = Arc::clone(&self.core);
        // A task that did not finish says nothing about the peer.
        tokio::task::spawn_blocking(move || core.take(envelope)).await.unwrap_or(Taken::Passed)
    }

    fn waiting(&self) -> Vec<Bytes> {
        self.core.waiting_envelopes().iter().map(encode).collect()
    }
}

/// A transaction as it travels.
pub fn encode(envelope: &TxEnvelope) -> Bytes {
    borsh::to_vec(envelope).expect("a transaction encodes into memory").into()
}
