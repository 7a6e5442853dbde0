//! An owner's parent while a wallet is at work. When it gives no sign of life, the next best heavy node answers what it was
//! asked.

use crate::error::WalletError;
use crate::reading::{Fault, FaultCode, Whereabouts};
use async_trait::async_trait;
use holdfast_network::NodeAddr;
use holdfast_network::control::{ControlClient, ControlError, Offers, Reach};
use holdfast_network::parents::{HeavyNode, Roster};
use holdfast_network::transfer::{Introducer, Introduction};
use holdfast_network::wire::{LocatedHolder, PlacementRequest, Signed, Ticket};
use holdfast_primitives::Address;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long heavy nodes may take to show how far they are, and how many are asked.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const FIRST_LOOK_MAX: usize = 8;
/// How long holders may take to find another parent after theirs has died.
const MOVING: Duration = Duration::from_secs(6);
/// Heavy nodes that are asked one question after another, and times that one is asked for who is on the way.
const TRIES: usize = 24;
/// Pause before asking again for who may be on the way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The heavy nodes that an owner knows, and the session with one of them.
pub(crate) struct Parent {
    reach: Reach,
    state: Mutex<State>,
}

struct State {
    roster: Roster,
    client: Option<Arc<ControlClient>>,
    since: Instant,
    /// When another heavy node took over last.
    moved: Option<Instant>,
}

impl Parent {
    /// Measures `heavies` and connects to the best: the one `named`, unless another is clearly better.
    pub(crate) async fn find(reach: Reach, heavies: &[HeavyNode], named: Address) -> Result<Self, WalletError> {
        let (mut roster, since) = (Roster::new(reach.endpoint.id()), Instant::now());
        roster.know(heavies);
        roster.took(named);
        let nearest = heavies.iter().take(FIRST_LOOK_MAX).map(|node| node.addr.clone()).collect();
        reach.measure(&mut roster, nearest, since, FIRST_LOOK).await;
        let parent = Self { reach, state: Mutex::new(State { roster, client: None, since, moved: None }) };
        parent.session().await?;
        Ok(parent)
    }

    /// A session with the parent, or with the next best heavy node when the parent gives no sign of life.
    async fn session(&self) -> Result<Arc<ControlClient>, WalletError> {
        let mut state = self.state.lock().await;
        if let Some(client) = state.client.take() {
            match client.ping(self.reach.timing.suspect_after).await {
                Ok(_) => {
                    state.client = Some(Arc::clone(&client));
                    return Ok(client);
                }
                Err(error) => {
                    tracing::info!(parent = %client.parent(), %error, "the parent is lost");
                    client.close();
                    state.moved = Some(Instant::now());
                    let now = state.since.elapsed();
                    state.roster.failed(&client.parent(), now);
                }
            }
        }
        let ranked = state.roster.choice(state.since.elapsed());
        let (client, failed) = self.reach.connect_first(&ranked).await;
        let now = state.since.elapsed();
        failed.iter().for_each(|(node, _)| state.roster.failed(node, now));
        let last = failed.into_iter().next_back().map_or(ControlError::NoParent, |(_, error)| error);
        let client = Arc::new(client.ok_or(last)?);
        state.roster.took(client.parent());
        state.client = Some(Arc::clone(&client));
        let addrs: Vec<NodeAddr> = ranked.into_iter().map(|node| node.addr).collect();
        self.reach.endpoint.note_parents(&addrs).await;
        Ok(client)
    }

    /// Asks the parent for holders, and the next heavy node when it dies over that. `request` makes the request to a parent,
    /// which is its first hop; each time another one.
    pub(crate) async fn place(
        &self,
        request: impl Fn(Address) -> Result<Signed<PlacementRequest>, WalletError>,
    ) -> Result<Offers, WalletError> {
        let mut session = self.session().await?;
        for _ in 0..TRIES {
            let placed = async { session.place(request(session.parent())?).await?.collect().await.map_err(Into::into) };
            match placed.await {
                Err(WalletError::Control(error)) => session = self.next(session, error).await?,
                placed => return placed,
            }
            // The dead parent's holders are on their way to others, as this owner is.
            tokio::time::sleep(MOVING).await;
        }
        Err(ControlError::NoParent.into())
    }

    /// Where holders are, by the parent, or by the next heavy node when it dies over that. Holders that had the same parent
    /// may take a moment longer to find another.
    pub(crate) async fn locate(&self, holders: &[Address]) -> Result<Vec<LocatedHolder>, WalletError> {
        let mut session = self.session().await?;
        for _ in 0..TRIES {
            match session.locate(holders).await {
                Err(error) => session = self.next(session, error).await?,
                Ok(located) => {
                    let all = located.iter().all(|holder| holder.ticket.is_some());
                    if all || !self.has_just_moved().await {
                        return Ok(located);
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
        Err(ControlError::NoParent.into())
    }

    /// The session after `failed`, if that is lost; if it is not, or the error is the parent's word, the error.
    async fn next(&self, failed: Arc<ControlClient>, error: ControlError) -> Result<Arc<ControlClient>, WalletError> {
        if !error.is_passing() {
            return Err(error.into());
        }
        let next = self.session().await?;
        if Arc::ptr_eq(&next, &failed) { Err(error.into()) } else { Ok(next) }
    }

    async fn has_just_moved(&self) -> bool {
        self.state.lock().await.moved.is_some_and(|moved| moved.elapsed() < 2 * MOVING)
    }

    /// Says goodbye.
    pub(crate) async fn close(&self) {
        if let Some(client) = self.state.lock().await.client.take() {
            client.close();
        }
    }
}

#[async_trait]
impl Whereabouts for Parent {
    async fn find(&self, holder: Address) -> Result<(NodeAddr, Option<Signed<Ticket>>), Fault> {
        let located = self.locate(&[holder]).await;
        let located = located.map_err(|error| Fault::new(FaultCode::Unreachable, error.to_string()))?;
        let ticket = located.into_iter().next().and_then(|located| located.ticket);
        let ticket = ticket.ok_or_else(|| Fault::new(FaultCode::Offline, "it is not online"))?;
        Ok((ticket.statement.holder_addr.clone(), Some(ticket)))
    }
}

#[async_trait]
impl Introducer for Parent {
    async fn introduce(&self, holder: Address) -> Option<Introduction> {
        let located = self.locate(&[holder]).await.ok()?;
        let ticket = located.into_iter().next()?.ticket?;
        // The right to write was given once, with the placement; only the way is new.
        Some(Introduction { addr: ticket.statement.holder_addr, access: None })
    }
}
