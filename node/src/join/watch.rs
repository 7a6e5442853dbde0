//! What goes on beside consensus: noticing that blocks alone lead nowhere, and getting to know further nodes.

use super::policy::history_gone;
use super::run::{ask_around, find_peers};
use crate::core::NodeCore;
use crate::heavy::NodeStopped;
use holdfast_consensus::Dialler;
use holdfast_network::{Endpoint, NodeAddr};
use holdfast_primitives::ChainId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the chain may stand still before the peers are asked.
const QUIET: Duration = Duration::from_secs(5);
/// How often the peers must say the same: one that was just being started may know little.
const TIMES: u32 = 2;

/// Nodes whose consensus is known, from which on no further ones are looked for.
const ENOUGH: usize = 4;
/// How often and how long apart peers are asked for further nodes.
const LOOKS: u32 = 5;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(15);

/// Connects to the consensus of nodes that the peers name, where the operator named few: if the only one that a node knows
/// goes away, it must not be alone.
pub async fn widen(
    dialler: Dialler,
    endpoint: Arc<dyn Endpoint>,
    chain: ChainId,
    peers: Vec<NodeAddr>,
    mut known: Vec<String>,
) {
    for _ in 0..LOOKS {
        if known.len() >= ENOUGH || peers.is_empty() || known.is_empty() {
            return;
        }
        for (_, offer) in ask_around(&endpoint, chain, &peers).await {
            for addr in offer.consensus.iter().map(|addr| addr.as_str()) {
                if known.len() >= ENOUGH || known.iter().any(|known| known == addr) {
                    continue;
                }
                match dialler.add_peer(addr).await {
                    Ok(()) => known.push(addr.to_owned()),
                    Err(error) => tracing::debug!(%addr, %error, "a peer named what is no address"),
                }
            }
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Asks the peers whenever the chain stands still, until none has the next block any more; then says so.
pub async fn watch_history(
    core: Arc<NodeCore>,
    endpoint: Arc<dyn Endpoint>,
    peers: Vec<NodeAddr>,
    told: watch::Sender<Option<NodeStopped>>,
) {
    if peers.is_empty() {
        return std::future::pending().await;
    }
    let mut height = core.watch_height();
    let (chain, mut times, mut pause) = (core.genesis().chain_id(), 0, QUIET);
    loop {
        if let Ok(Ok(())) = tokio::time::timeout(pause, height.changed()).await {
            (times, pause) = (0, QUIET);
            continue;
        }
        let tip = core.tip().state.chain().height;
        let offers = ask_around(&endpoint, chain, &find_peers(&endpoint, chain, &peers).await).await;
        let offers: Vec<_> = offers.into_iter().map(|(_, offer)| offer).collect();
        let behind = offers.iter().any(|offer| offer.tip > tip);
        match history_gone(tip, &offers).filter(|_| behind && core.tip().state.chain().height == tip) {
            Some(first) if times + 1 >= TIMES => {
                told.send_replace(Some(NodeStopped::HistoryGone { needed: tip.next(), first, tip }));
                return;
            }
            Some(_) => times += 1,
            // A chain that rests is asked about seldom.
            None => (times, pause) = (0, (pause * 2).min(QUIET * 24)),
        }
    }
}
