//! Staying online: finds the best heavy node, connects, offers, answers; and moves when the parent dies or another is
//! clearly better.
//!
//! ```text
//! parent answers pings            stay; measure the others now and then
//! a ping stays unanswered         connect to the backups meanwhile; whoever answers first is the parent
//! another is clearly better       connect there, answer what the old parent asked, leave it
//! ```
//! Transfers have connections of their own, which nothing here touches.

use super::client::ControlClient;
use super::error::ControlError;
use super::quotes::QuoteService;
use super::reach::{Reach, note};
use crate::address::NodeAddr;
use crate::parents::{HeavyNode, Roster};
use crate::transport::{CloseReason, TransportError};
use crate::wire::{HolderOffer, RefusalCode, Welcome};
use holdfast_primitives::Address;
use rand::RngExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// How often this node's own address is looked at, and whether anyone is due to be measured.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// How a holder stands with its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentStatus {
    /// Not connected yet.
    Connecting,
    /// Online.
    Online {
        /// The parent's first words.
        welcome: Welcome,
        /// The parent, then its backups.
        parents: Vec<HeavyNode>,
    },
    /// Lost, or refused by everyone; the next attempt follows after the time given.
    Offline {
        /// Why.
        reason: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
}

/// Why a session is over.
enum Over {
    /// The parent is lost, or will not have this node.
    Lost(ControlError),
    /// Another session stands already.
    Moved(Box<ControlClient>),
}

/// A holder on its way from parent to parent.
struct Online {
    reach: Reach,
    roster: Roster,
    known: watch::Receiver<Vec<HeavyNode>>,
    offers: watch::Receiver<HolderOffer>,
    service: Arc<dyn QuoteService>,
    status: watch::Sender<ParentStatus>,
    since: Instant,
}

/// Keeps a holder online at the best of the heavy nodes in `known` until the future is dropped. Changes of `offers` and of
/// the endpoint's address are passed on as they come; `status` is told how it goes.
pub async fn keep_online(
    reach: Reach,
    known: watch::Receiver<Vec<HeavyNode>>,
    offers: watch::Receiver<HolderOffer>,
    service: Arc<dyn QuoteService>,
    status: watch::Sender<ParentStatus>,
) {
    let roster = Roster::new(reach.endpoint.id());
    Online { reach, roster, known, offers, service, status, since: Instant::now() }.run().await;
}

impl Online {
    async fn run(mut self) {
        let mut backoff = RETRY_FIRST;
        let mut session = None;
        loop {
            self.learn();
            let joined = match session.take() {
                Some(client) => Ok(client),
                None => self.join().await,
            };
            let error = match joined {
                Ok(client) => {
                    backoff = RETRY_FIRST;
                    self.announce(&client).await;
                    match self.stay(client).await {
                        Over::Moved(next) => {
                            session = Some(*next);
                            continue;
                        }
                        Over::Lost(error) => error,
                    }
                }
                Err(error) => error,
            };
            // Another process with this identity is online: coming back at once would only throw it out in turn.
            let retry_in = match (is_replaced(&error), self.roster.all_rest_until(self.since.elapsed())) {
                (true, _) => RETRY_LONGEST,
                (false, Some(_)) => jittered(backoff),
                (false, None) => Duration::ZERO,
            };
            tracing::info!(%error, ?retry_in, "not online");
            self.status.send_replace(ParentStatus::Offline { reason: error.to_string(), retry_in });
            tokio::time::sleep(retry_in).await;
            if !retry_in.is_zero() {
                backoff = (backoff * 2).min(RETRY_LONGEST);
            }
        }
    }

    /// Takes note of what is newly known of heavy nodes.
    fn learn(&mut self) {
        let known = self.known.borrow_and_update().clone();
        self.roster.know(&known);
    }

    /// Connects to the best that can be reached, after a first look at all of them.
    async fn join(&mut self) -> Result<ControlClient, ControlError> {
        let due = self.roster.due(self.since.elapsed());
        let alone = self.roster.choice(self.since.elapsed()).len() < 2;
        if !alone && self.roster.parent().is_none() {
            self.reach.measure(&mut self.roster, due, self.since, self.reach.timing.first_look).await;
        }
        let ranked = self.roster.choice(self.since.elapsed());
        let (client, failed) = self.reach.connect_first(&ranked).await;
        let last = self.note_failed(failed);
        client.ok_or(last.unwrap_or(ControlError::NoParent))
    }

    fn note_failed(&mut self, failed: Vec<(Address, ControlError)>) -> Option<ControlError> {
        let mut last = None;
        for (node, error) in failed {
            tracing::info!(%node, %error, "a heavy node is no parent now");
            self.roster.failed(&node, self.since.elapsed());
            last = Some(error);
        }
        last
    }

    /// Notes whose child this node is now, and tells whoever wants to know.
    async fn announce(&mut self, client: &ControlClient) {
        self.roster.took(client.parent());
        let parents = self.leant_on(client.parent());
        let addrs: Vec<_> = parents.iter().map(|node| node.addr.clone()).collect();
        self.reach.endpoint.note_parents(&addrs).await;
        let welcome = client.welcome().clone();
        self.status.send_replace(ParentStatus::Online { welcome, parents });
    }

    /// The parent and its backups; the parent first whatever the ranking says.
    fn leant_on(&self, parent: Address) -> Vec<HeavyNode> {
        let mut parents = self.roster.choice(self.since.elapsed());
        parents.sort_by_key(|node| node.id() != parent);
        parents
    }

    /// Whether parent or backups are others than was said.
    async fn tell_changes(&self, client: &ControlClient) {
        let now = self.leant_on(client.parent());
        let changed = match &*self.status.borrow() {
            ParentStatus::Online { parents, .. } => !parents.iter().map(way).eq(now.iter().map(way)),
            ParentStatus::Connecting | ParentStatus::Offline { .. } => true,
        };
        if changed {
            let addrs: Vec<_> = now.iter().map(|node| node.addr.clone()).collect();
            self.reach.endpoint.note_parents(&addrs).await;
            let welcome = client.welcome().clone();
            self.status.send_replace(ParentStatus::Online { welcome, parents: now });
        }
    }

    /// One session to its end.
    async fn stay(&mut self, client: ControlClient) -> Over {
        let (enough, grace) = (CancellationToken::new(), self.reach.timing.grace);
        let (reach, offers, service) = (self.reach.clone(), self.offers.clone(), Arc::clone(&self.service));
        let over = {
            let serving = client.serve_quotes_until(service, &enough);
            tokio::pin!(serving);
            let over = tokio::select! {
                ended = &mut serving => Over::Lost(ended.expect("nobody has said that it is enough")),
                failed = tell_offers(&client, offers) => Over::Lost(failed),
                failed = tell_address(&client, &reach) => Over::Lost(failed),
                over = self.watch(&client) => over,
            };
            if matches!(over, Over::Moved(_)) {
                enough.cancel();
                // One that is dead has nothing to be answered and ends by the deadline at the latest.
                let _ = tokio::time::timeout(grace, &mut serving).await;
            }
            over
        };
        client.close();
        if matches!(over, Over::Lost(_)) {
            self.roster.failed(&client.parent(), self.since.elapsed());
        }
        over
    }

    /// Keeps an eye on the parent and on those who could take its place.
    async fn watch(&mut self, client: &ControlClient) -> Over {
        let timing = self.reach.timing;
        let mut pings = tokio::time::interval(timing.ping_every);
        pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looks = tokio::time::interval(LOOK_PERIOD);
        let (mut probes, mut listening) = (self.reach.probes(Vec::new()), true);
        loop {
            tokio::select! {
                _ = pings.tick() => match self.ask(client).await {
                    Ok(None) => {}
                    Ok(Some(next)) => return Over::Moved(Box::new(next)),
                    Err(error) => return Over::Lost(error),
                },
                changed = self.known.changed(), if listening => match changed {
                    Ok(()) => self.learn(),
                    // Nobody will say more; the session goes on with what is known.
                    Err(_) => listening = false,
                },
                Some(probed) = probes.join_next() => note(&mut self.roster, probed, self.since),
                _ = looks.tick(), if probes.is_empty() => {
                    let due = self.roster.due(self.since.elapsed());
                    probes = self.reach.probes(due);
                }
            }
            if probes.is_empty()
                && let Some(next) = self.better(client).await
            {
                return Over::Moved(Box::new(next));
            }
            self.tell_changes(client).await;
        }
    }

    /// Asks whether the parent is there. While its answer is overdue the backups are tried; gives the session with whoever
    /// was faster than the parent.
    async fn ask(&mut self, client: &ControlClient) -> Result<Option<ControlClient>, ControlError> {
        let timing = self.reach.timing;
        let (reach, parent) = (self.reach.clone(), client.parent());
        let asked = client.ping(timing.lost_after);
        tokio::pin!(asked);
        let in_time = tokio::time::timeout(timing.suspect_after, &mut asked).await;
        let answered = match in_time {
            Ok(answered) => answered,
            Err(_) => {
                let mut backups = self.roster.choice(self.since.elapsed());
                backups.retain(|node| node.id() != parent);
                let hedge = reach.connect_first(&backups);
                tokio::pin!(hedge);
                let mut failed = None;
                let answered = loop {
                    tokio::select! {
                        answered = &mut asked => break answered,
                        (connected, gone) = &mut hedge, if failed.is_none() => match connected {
                            Some(next) => {
                                self.note_failed(gone);
                                self.roster.failed(&parent, self.since.elapsed());
                                return Ok(Some(next));
                            }
                            None => failed = Some(gone),
                        },
                    }
                };
                self.note_failed(failed.unwrap_or_default());
                answered
            }
        };
        self.roster.measured(&parent, answered?, self.since.elapsed());
        Ok(None)
    }

    /// A session with a heavy node that is clearly better than the parent, if there is one.
    async fn better(&mut self, client: &ControlClient) -> Option<ControlClient> {
        let best = self.roster.choice(self.since.elapsed()).into_iter().next()?;
        if best.id() == client.parent() {
            return None;
        }
        tracing::info!(from = %client.parent(), to = %best.id(), "moving to a better heavy node");
        let (next, failed) = self.reach.connect_first(std::slice::from_ref(&best)).await;
        self.note_failed(failed);
        next
    }
}

/// Who a heavy node is and how it is reached; what the ledger says of it may change with every block.
fn way(node: &HeavyNode) -> (&NodeAddr, &Option<String>) {
    (&node.addr, &node.rpc_url)
}

async fn tell_offers(client: &ControlClient, mut offers: watch::Receiver<HolderOffer>) -> ControlError {
    loop {
        let offer = offers.borrow_and_update().clone();
        if let Err(error) = client.offer(offer).await {
            return error;
        }
        if offers.changed().await.is_err() {
            // Nobody will change the offer any more; the session goes on with the last one.
            std::future::pending::<()>().await;
        }
    }
}

async fn tell_address(client: &ControlClient, reach: &Reach) -> ControlError {
    let mut told = client.told_addr().clone();
    loop {
        let now = reach.endpoint.addr();
        if now != told {
            if let Err(error) = client.moved(now.clone()).await {
                return error;
            }
            told = now;
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

fn is_replaced(error: &ControlError) -> bool {
    let ControlError::Transport(TransportError::Closed { reason: CloseReason::Remote { code, .. }, .. }) = error else {
        return false;
    };
    *code == RefusalCode::Replaced.number()
}

/// Between half and the whole, so that a thousand holders do not come back at the same moment.
fn jittered(backoff: Duration) -> Duration {
    backoff.mul_f64(rand::rng().random_range(0.5..=1.0))
}
