//! Where holders are, for those who want to read from them: here, or at a heavy node that neighbours know.
//!
//! The ticket is issued by the heavy node where the holder is online, for that is the one that the holder trusts. Those
//! on the way earn nothing and sign nothing; they check what they pass on.

use super::seen::Sight;
use crate::control::{ControlPolicy, ControlServer};
use crate::transport::TransportError;
use crate::wire::{
    Direction, FrameError, FromNeighbour, LOCATE_MAX, Refusal, Signed, Ticket, ToNeighbour, Whereis, read_frame_within,
    write_frame,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Address, Bounded, RequestId};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// Less time than this is of no use to a neighbour, in milliseconds.
const SHARE_MS_MIN: u32 = 20;

type Tickets = BTreeMap<Address, Signed<Ticket>>;

/// Why a neighbour's answer is none.
#[derive(Debug, Error)]
enum WhereisError {
    #[error("is not connected any more")]
    Gone,
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("introduces to {holder} with a ticket that does not hold")]
    BadTicket { holder: Address },
    #[error("answered what was not asked")]
    Unexpected,
}

impl WhereisError {
    /// Whether no honest neighbour does this.
    fn is_villainy(&self) -> bool {
        match self {
            Self::Gone | Self::Transport(_) | Self::Refused(_) => false,
            Self::Frame(error) => error.is_garbage(),
            Self::BadTicket { .. } | Self::Unexpected => true,
        }
    }
}

/// A child's question: here first, then around.
pub(crate) async fn ask_around<P: ControlPolicy>(
    server: &ControlServer<P>,
    reader: Address,
    holders: &Bounded<Address, LOCATE_MAX>,
) -> Tickets {
    let question = Whereis {
        ask: RequestId::new(rand::rng().random()),
        reader,
        holders: holders.clone(),
        hops_left: FOOTPRINT_HOPS_MAX as u8 - 1,
        within_ms: u32::try_from(server.config.graph.whereis_ms).unwrap_or(u32::MAX),
    };
    // Should it come round to this node again, it is known. A question that cannot be remembered is asked all the same.
    let now = server.clock.now();
    let _ = server.graph.note_question(&question, now.saturating_add(server.config.graph.whereis_ms), now);
    find(server, &question, None).await
}

/// A neighbour's question. One that came before on a way as short is answered with nothing.
pub(super) async fn answer<P: ControlPolicy>(
    server: &ControlServer<P>,
    mut question: Whereis,
    neighbour: Address,
) -> Result<FromNeighbour, Refusal> {
    question.hops_left = question.hops_left.min(FOOTPRINT_HOPS_MAX as u8 - 2);
    question.within_ms = question.within_ms.min(u32::try_from(server.config.graph.whereis_ms).unwrap_or(u32::MAX));
    let now = server.clock.now();
    let expires = now.saturating_add(2 * server.config.graph.whereis_ms);
    let found = match server.graph.note_question(&question, expires, now)? {
        Sight::Again => Tickets::new(),
        Sight::First | Sight::Nearer => {
            server.graph.count(|counters| &counters.served);
            find(server, &question, Some(neighbour)).await
        }
    };
    let tickets = Bounded::new(found.into_values().collect()).expect("no more than were asked for are found");
    Ok(FromNeighbour::There(tickets))
}

/// Looks here, then asks the neighbours for those that are missing, all at once; ends when nobody is missing any more.
async fn find<P: ControlPolicy>(server: &ControlServer<P>, question: &Whereis, from: Option<Address>) -> Tickets {
    let introduce = |holder: &Address| Some((*holder, server.introduce(*holder, question.reader)?));
    let mut found: Tickets = question.holders.iter().filter_map(introduce).collect();
    let missing: Vec<Address> =
        question.holders.iter().filter(|holder| !found.contains_key(*holder)).copied().collect();
    let within_ms = question.within_ms / 4 * 3;
    if missing.is_empty() || question.hops_left == 0 || within_ms < SHARE_MS_MIN {
        return found;
    }
    let count = missing.iter().collect::<std::collections::BTreeSet<_>>().len() + found.len();
    let holders = Bounded::new(missing).expect("no more than were asked for are missing");
    let onward = Whereis { holders, hops_left: question.hops_left - 1, within_ms, ..question.clone() };
    let but: Vec<Address> = from.into_iter().collect();
    let others = server.graph.others(&but, &question.ask);
    let mut answers: FuturesUnordered<_> = others.into_iter().map(|node| ask(server, node, &onward)).collect();
    while found.len() < count
        && let Some(tickets) = answers.next().await
    {
        for ticket in tickets {
            found.entry(ticket.statement.holder).or_insert(ticket);
        }
    }
    found
}

/// What one neighbour knows; nothing when it does not answer in time.
async fn ask<P: ControlPolicy>(server: &ControlServer<P>, node: Address, question: &Whereis) -> Vec<Signed<Ticket>> {
    let graph = &server.graph;
    graph.count(|counters| &counters.forwarded);
    let patience = Duration::from_millis(u64::from(question.within_ms) / 8 * 9);
    match tokio::time::timeout(patience, exchange(server, node, question)).await {
        Ok(Ok(tickets)) => return tickets,
        Ok(Err(error)) => {
            tracing::debug!(neighbour = %node, %error, "a neighbour did not say where holders are");
            if error.is_villainy() {
                graph.shun(node, &error);
            }
        }
        Err(_) => tracing::debug!(neighbour = %node, "a neighbour was silent"),
    }
    graph.count(|counters| &counters.unanswered);
    Vec::new()
}

async fn exchange<P: ControlPolicy>(
    server: &ControlServer<P>,
    node: Address,
    question: &Whereis,
) -> Result<Vec<Signed<Ticket>>, WhereisError> {
    let stall = server.config.stall;
    let connection = server.graph.connection(&node).ok_or(WhereisError::Gone)?;
    let mut stream = connection.open_bi().await?;
    write_frame(&mut stream.send, &ToNeighbour::Whereis(question.clone()), stall).await?;
    let tickets = match read_frame_within(&mut stream.recv, stall).await? {
        FromNeighbour::There(tickets) => tickets.into_inner(),
        FromNeighbour::Refused(refusal) => return Err(WhereisError::Refused(refusal)),
        _ => return Err(WhereisError::Unexpected),
    };
    for ticket in &tickets {
        let holder = ticket.statement.holder;
        if !holds(server, question, &ticket.statement) || ticket.verify(&server.policy.chain()).is_err() {
            return Err(WhereisError::BadTicket { holder });
        }
    }
    // The issuer may be a heavy node that this one does not know yet, or no longer.
    Ok(tickets.into_iter().filter(|ticket| server.policy.is_heavy(&ticket.statement.issuer)).collect())
}

fn holds<P: ControlPolicy>(server: &ControlServer<P>, question: &Whereis, said: &Ticket) -> bool {
    said.client == question.reader
        && question.holders.contains(&said.holder)
        && said.holder_addr.id == said.holder
        && said.request == RequestId::ZERO
        && said.direction == Direction::Read
        && said.expires > server.clock.now()
}
