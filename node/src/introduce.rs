//! Keeping the other heavy nodes told of how this one is reached.

use crate::clock::NodeClock;
use crate::gossip::GossipPool;
use holdfast_network::gossip::Gossip;
use holdfast_network::heavies::{CARD_RENEWED_MS, CARD_SPACING_MS, usable_url};
use holdfast_network::time::Clock as _;
use holdfast_network::wire::{HeavyCard, Signed, Text};
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::limits::RPC_URL_BYTES_MAX;
use holdfast_primitives::{ChainId, SecretKey, TimeMs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the node's own address is looked at; cards that follow each other faster would not be taken.
const LOOK_PERIOD: Duration = Duration::from_millis(2 * CARD_SPACING_MS);

/// Who introduces itself, and through what.
pub(crate) struct Introducer {
    pub(crate) gossip: Arc<Gossip<GossipPool>>,
    pub(crate) endpoint: Arc<dyn Endpoint>,
    pub(crate) key: SecretKey,
    pub(crate) chain: ChainId,
    pub(crate) clock: NodeClock,
    /// Under which URL JSON-RPC answers, once it does.
    pub(crate) rpc_url: watch::Receiver<Option<String>>,
}

impl Introducer {
    /// Writes a card whenever something changed, and now and then because cards grow old.
    pub(crate) async fn run(mut self) {
        // A card without the URL would only be replaced a moment later, and travels through the whole network.
        let _ = tokio::time::timeout(LOOK_PERIOD, self.rpc_url.wait_for(Option::is_some)).await;
        let mut said: Option<(NodeAddr, Option<String>, TimeMs)> = None;
        loop {
            let (node, url, now) = (self.endpoint.addr(), self.rpc_url.borrow_and_update().clone(), self.clock.now());
            let holds = said.as_ref().is_some_and(|(said_node, said_url, written)| {
                (said_node, said_url) == (&node, &url) && now.since(*written) < CARD_RENEWED_MS
            });
            if !holds {
                self.gossip.introduce(self.card(node.clone(), url.as_deref(), now));
                said = Some((node, url, now));
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    fn card(&self, node: NodeAddr, url: Option<&str>, written: TimeMs) -> Signed<HeavyCard> {
        let url = url.and_then(|url| Text::<RPC_URL_BYTES_MAX>::new(url).ok());
        let mut card = HeavyCard { node, rpc_url: url, written };
        if usable_url(&card).is_none() {
            card.rpc_url = None;
        }
        Signed::new(card, &self.key, &self.chain)
    }
}
