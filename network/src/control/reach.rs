//! Reaching heavy nodes: measuring how far they are, and connecting to the best that answers.

use super::client::{ControlClient, ControlClientConfig};
use super::error::ControlError;
use crate::address::NodeAddr;
use crate::parents::{HeavyNode, Roster};
use crate::time::Clock;
use crate::transport::Endpoint;
use crate::wire::Role;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_primitives::{Address, ChainId};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Heavy nodes that are measured at once.
const PROBES_AT_ONCE: usize = 16;

/// How patient a light node is with heavy nodes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often the parent is asked whether it is there. Shorter than the transport's keep-alive, so that an idle child
    /// costs its parent these packets and no others.
    pub ping_every: Duration,
    /// An answer that takes longer makes the light node look for another parent.
    pub suspect_after: Duration,
    /// An answer that takes longer is taken for the parent's death.
    pub lost_after: Duration,
    /// How long connecting may take, hello and welcome included.
    pub connect: Duration,
    /// Head start of a better heavy node over the next one when several are tried.
    pub stagger: Duration,
    /// How long the first measurement may keep a light node from having a parent.
    pub first_look: Duration,
    /// How long a parent that is left in peace is still answered for what it asked.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_millis(2_400),
            suspect_after: Duration::from_millis(1_500),
            lost_after: Duration::from_secs(5),
            connect: Duration::from_secs(8),
            stagger: Duration::from_millis(1_000),
            first_look: Duration::from_secs(2),
            grace: Duration::from_secs(5),
        }
    }
}

/// A light node's way to heavy nodes.
#[derive(Clone)]
pub struct Reach {
    /// Its place in the network.
    pub endpoint: Arc<dyn Endpoint>,
    /// The chain.
    pub chain: ChainId,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What it is to its parent.
    pub role: Role,
    /// Its patience.
    pub timing: Timing,
}

impl Reach {
    /// Of an endpoint with the usual patience.
    pub fn new(endpoint: Arc<dyn Endpoint>, chain: ChainId, clock: Arc<dyn Clock>, role: Role) -> Self {
        Self { endpoint, chain, clock, role, timing: Timing::default() }
    }

    /// Connects as a child.
    ///
    /// # Errors
    /// As [`ControlClient::connect`], and [`ControlError::Late`].
    pub async fn connect(&self, node: &NodeAddr) -> Result<ControlClient, ControlError> {
        self.connect_as(node, self.role).await
    }

    /// How long a word to a heavy node and back takes. Takes nobody's place there.
    ///
    /// # Errors
    /// As [`Reach::connect`].
    pub async fn probe(&self, node: &NodeAddr) -> Result<Duration, ControlError> {
        let visit = self.connect_as(node, Role::Visitor).await?;
        let round_trip = visit.ping(self.timing.lost_after).await;
        visit.close();
        round_trip
    }

    /// Measures everyone in `nodes` at once and notes what came of it; ends after `patience`, whoever has not answered then
    /// is left as it was.
    pub async fn measure(&self, roster: &mut Roster, nodes: Vec<NodeAddr>, since: Instant, patience: Duration) {
        let mut probes = self.probes(nodes);
        let deadline = tokio::time::sleep(patience);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => return,
                probed = probes.join_next() => match probed {
                    Some(probed) => note(roster, probed, since),
                    None => return,
                },
            }
        }
    }

    /// Starts measuring; the first few at once, which is all that a roster asks for in practice.
    pub(super) fn probes(&self, nodes: Vec<NodeAddr>) -> Probes {
        let mut probes = JoinSet::new();
        for (place, node) in nodes.into_iter().enumerate() {
            let reach = self.clone();
            // One after another beyond the first few: each begins when those before it are likely done.
            let turn = reach.timing.stagger.saturating_mul((place / PROBES_AT_ONCE) as u32);
            probes.spawn(async move {
                tokio::time::sleep(turn).await;
                let probed = reach.probe(&node).await;
                (node.id, probed)
            });
        }
        probes
    }

    /// Connects to the first of `ranked` that takes this node in. Each has a head start over the next; whoever comes too
    /// late is left again. Also tells who failed, and why.
    pub async fn connect_first(&self, ranked: &[HeavyNode]) -> (Option<ControlClient>, Vec<(Address, ControlError)>) {
        let (mut waiting, mut failed) = (ranked.iter(), Vec::new());
        let mut running = FuturesUnordered::new();
        loop {
            if let Some(node) = waiting.next() {
                running.push(async { (node.id(), self.connect(&node.addr).await) });
            }
            let next_may_start = async {
                match waiting.len() {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep(self.timing.stagger).await,
                }
            };
            tokio::select! {
                connected = running.next() => match connected {
                    Some((_, Ok(client))) => return (Some(client), failed),
                    Some((id, Err(error))) => failed.push((id, error)),
                    None => return (None, failed),
                },
                () = next_may_start => {}
            }
        }
    }

    async fn connect_as(&self, node: &NodeAddr, role: Role) -> Result<ControlClient, ControlError> {
        let (config, after) = (ControlClientConfig::default(), self.timing.connect);
        let connected =
            ControlClient::connect(&*self.endpoint, node, self.chain, role, Arc::clone(&self.clock), config);
        let late = |_| ControlError::Late { parent: node.id, after };
        tokio::time::timeout(after, connected).await.map_err(late)?
    }
}

pub(super) type Probes = JoinSet<(Address, Result<Duration, ControlError>)>;
pub(super) type Probed = Result<(Address, Result<Duration, ControlError>), tokio::task::JoinError>;

/// Notes what a measurement brought.
pub(super) fn note(roster: &mut Roster, probed: Probed, since: Instant) {
    match probed {
        Ok((node, Ok(round_trip))) => roster.measured(&node, round_trip, since.elapsed()),
        Ok((node, Err(error))) => {
            tracing::debug!(%node, %error, "a heavy node cannot be measured");
            roster.failed(&node, since.elapsed());
        }
        Err(error) => tracing::warn!(%error, "a measurement fell"),
    }
}
