//! One search at one heavy node: drives the state machine of `placement` with real holders and real neighbours.
//!
//! The same for the node that the owner asked and for one that a neighbour asked; only where the findings go differs.

use super::config::ControlPolicy;
use super::offers::{CheckedOffer, OfferError};
use super::server::ControlServer;
use crate::footprint::extend;
use crate::lookup::{Candidate, Subtree};
use crate::placement::{Input, Output, Placement, Reach, Scope, check_quote};
use crate::transport::{Connection, TransportError};
use crate::wire::{
    Direction, FrameError, FromHolder, FromNeighbour, Offered, PlacementDone, PlacementRequest, QuoteRefusal,
    QuoteRequest, Refusal, Seek, SeekDone, Signed, Ticket, ToHolder, ToNeighbour, read_frame_within, write_frame,
};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_ledger::statement::{Footprint, Quote, path_digest};
use holdfast_primitives::Address;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;

/// What neighbours have told and nobody has looked at, at most.
const UNREAD_MAX: usize = 16;

/// Where findings go.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Passes an offer on.
    async fn found(&mut self, offered: Offered) -> Result<(), FrameError>;
}

/// One search.
pub(crate) struct Search<'a, P> {
    pub(crate) server: &'a ControlServer<P>,
    /// What the owner signed.
    pub(crate) request: &'a Signed<PlacementRequest>,
    /// The path to this node; empty where it begins.
    pub(crate) path: &'a Footprint,
    pub(crate) scope: Scope,
    /// Whether this node looks into its own subtree: once for each request.
    pub(crate) looks: bool,
}

type Child = Candidate<Arc<dyn Connection>>;

/// Why a neighbour is not heard to its end.
#[derive(Debug, Error)]
enum SeekError {
    #[error("is not connected any more")]
    Gone,
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("passed on what does not hold: {0}")]
    BadOffer(#[from] OfferError),
    #[error("passed on an offer whose path does not begin with the one it was given")]
    OtherPath,
    #[error("passed on more than the {wanted} offers that were wanted")]
    TooMany { wanted: u32 },
    #[error("answered what was not asked")]
    Unexpected,
}

impl SeekError {
    /// Whether no honest neighbour does this.
    fn is_villainy(&self) -> bool {
        match self {
            Self::Gone | Self::Transport(_) | Self::Refused(_) => false,
            Self::Frame(error) => error.is_garbage(),
            Self::BadOffer(_) | Self::OtherPath | Self::TooMany { .. } | Self::Unexpected => true,
        }
    }
}

impl<P: ControlPolicy> Search<'_, P> {
    /// Searches to the end; what is found goes to `sink` as it comes.
    pub(crate) async fn run(&self, sink: &mut dyn Sink) -> Result<PlacementDone, FrameError> {
        let server = self.server;
        let (reach, children) = self.reach();
        let (wanted, limits) = (&self.request.statement, server.config.placement);
        let mut machine = Placement::new(wanted, reach, self.scope, limits, server.clock.now());
        let (tell, mut told) = mpsc::channel(UNREAD_MAX);
        let (mut asks, mut seeks) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut input = Input::Tick;
        loop {
            for output in machine.step(input, server.clock.now()) {
                match output {
                    Output::Ask(holder) => {
                        let child = children.get(&holder).expect("only children of the list are asked");
                        asks.push(self.ask(child, self.patience(&machine)));
                    }
                    Output::AskNeighbour { node, wanted, within_ms } => {
                        seeks.push(self.seek(node, wanted, within_ms, tell.clone()));
                    }
                    Output::Offer(quote) => {
                        let child = children.get(&quote.terms.holder).expect("only children of the list are asked");
                        sink.found(self.offered(child, *quote)).await?;
                    }
                    Output::Relay(offered) => sink.found(*offered).await?,
                    Output::Done(done) => return Ok(done),
                }
            }
            // The machine reads the wall clock, which may lag behind the timer that stands for it.
            let wake = Duration::from_millis(machine.wakes_at().since(server.clock.now()) + 1);
            input = tokio::select! {
                Some(answer) = asks.next() => answer,
                Some(heard) = told.recv() => heard,
                Some(()) = seeks.next() => Input::Tick,
                () = tokio::time::sleep(wake) => Input::Tick,
            };
        }
    }

    /// Whom this node could ask.
    fn reach(&self) -> (Reach, HashMap<Address, Child>) {
        let (server, wanted) = (self.server, &self.request.statement);
        let on_path: Vec<Address> = self.path.iter().map(|hop| hop.node).collect();
        let neighbours = server.graph.others(&on_path, &wanted.request);
        if !self.looks {
            return (Reach { neighbours, ..Reach::default() }, HashMap::new());
        }
        let Subtree { fit, unfit } = server.directory().subtree(wanted, |holder| server.policy.holder(holder));
        let subtree = fit.iter().map(|child| (child.holder, child.operator.clone())).collect();
        let children = fit.into_iter().map(|child| (child.holder, child)).collect();
        (Reach { subtree: Some(subtree), unfit, neighbours }, children)
    }

    /// How long one holder may think: it is told of as silent before the search ends.
    fn patience(&self, machine: &Placement) -> Duration {
        let left = Duration::from_millis(machine.deadline().since(self.server.clock.now()));
        self.server.config.ask.min(left.mul_f64(0.75))
    }

    async fn ask(&self, child: &Child, patience: Duration) -> Input {
        let (server, wanted, chain) = (self.server, &self.request.statement, self.server.policy.chain());
        let holder = child.holder;
        let footprint = self.path_to(&holder).expect("a path that may not grow is not searched");
        let path = path_digest(footprint.iter().map(|hop| &hop.node));
        let question = ToHolder::Quote(QuoteRequest { placement: self.request.clone(), footprint });
        let refusal = match tokio::time::timeout(patience, exchange(child, &question, server.config.ask)).await {
            Ok(Some(FromHolder::Quoted(quote))) => match check_quote(&quote, wanted, &holder, &path, &chain) {
                Ok(()) => return Input::Quoted(Box::new(quote)),
                Err(error) => {
                    tracing::debug!(%holder, %error, "a bad quote");
                    QuoteRefusal::BadQuote
                }
            },
            Ok(Some(FromHolder::Declined(refusal))) => refusal,
            Ok(None) | Err(_) => QuoteRefusal::Silent,
        };
        Input::Declined { holder, refusal }
    }

    /// Hears one neighbour to its end, or for its share of the time.
    async fn seek(&self, node: Address, wanted: u32, within_ms: u64, tell: mpsc::Sender<Input>) {
        let graph = &self.server.graph;
        graph.count(|counters| &counters.forwarded);
        let patience = Duration::from_millis(within_ms + within_ms / 8);
        let heard = tokio::time::timeout(patience, self.hear(node, wanted, within_ms, &tell)).await;
        let told = match heard {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::debug!(neighbour = %node, %error, "a neighbour did not look for holders");
                if error.is_villainy() {
                    graph.shun(node, &error);
                }
                None
            }
            Err(_) => None,
        };
        if told.is_none() {
            graph.count(|counters| &counters.unanswered);
        }
        // Nobody listens any more once the search has ended.
        let _ = tell.send(Input::Sought { neighbour: node, told }).await;
    }

    async fn hear(
        &self,
        node: Address,
        wanted: u32,
        within_ms: u64,
        tell: &mpsc::Sender<Input>,
    ) -> Result<SeekDone, SeekError> {
        let server = self.server;
        let connection = server.graph.connection(&node).ok_or(SeekError::Gone)?;
        let path = self.path_to(&node).expect("a path that may not grow is not searched");
        let within = u32::try_from(within_ms).unwrap_or(u32::MAX);
        let seek = Seek { request: self.request.clone(), path: path.clone(), wanted, within_ms: within };
        let mut stream = connection.open_bi().await?;
        write_frame(&mut stream.send, &ToNeighbour::Seek(Box::new(seek)), server.config.stall).await?;
        let mut heard = 0;
        loop {
            match read_frame_within(&mut stream.recv, server.config.stall).await? {
                FromNeighbour::Found(_) if heard >= wanted => return Err(SeekError::TooMany { wanted }),
                FromNeighbour::Found(offered) => {
                    heard += 1;
                    if let Some(found) = self.check(node, *offered, &path)? {
                        // Nobody listens any more once the search has ended.
                        let _ = tell.send(found).await;
                    }
                }
                FromNeighbour::Sought(done) => return Ok(done),
                FromNeighbour::Refused(refusal) => return Err(SeekError::Refused(refusal)),
                FromNeighbour::Hello { .. } | FromNeighbour::There(_) | FromNeighbour::Online(_) => {
                    return Err(SeekError::Unexpected);
                }
            }
        }
    }

    /// Checks what a neighbour passes on as the owner will. `None` for a path over nodes that the ledger does not know,
    /// or no longer: the neighbour may be ahead, or behind.
    fn check(&self, neighbour: Address, offered: Offered, path: &Footprint) -> Result<Option<Input>, SeekError> {
        let (policy, wanted) = (&self.server.policy, &self.request.statement);
        if offered.footprint.get(..path.len()) != Some(&path[..]) {
            return Err(SeekError::OtherPath);
        }
        let (chain, now) = (policy.chain(), self.server.clock.now());
        let checked = CheckedOffer::check(offered, wanted, &wanted.first_hop, &chain, now)?;
        if !checked.footprint().iter().all(|hop| policy.is_heavy(&hop.node)) {
            return Ok(None);
        }
        let holder = checked.quote().terms.holder;
        let operator = policy.holder(&holder).and_then(|standing| standing.profile.operator);
        Ok(Some(Input::Found { neighbour, offered: Box::new(checked.into_offered()), operator }))
    }

    /// The path with this node's hop towards `next`.
    fn path_to(&self, next: &Address) -> Option<Footprint> {
        let wanted = &self.request.statement;
        let ends = (&wanted.request, &wanted.owner, next);
        extend(self.path, ends, &self.server.key, &self.server.policy.chain())
    }

    fn offered(&self, child: &Child, quote: Quote) -> Offered {
        let (server, wanted) = (self.server, &self.request.statement);
        let batches = quote.terms.batches_max.min(wanted.batches_per_holder);
        let ticket = Ticket {
            issuer: server.key.address(),
            client: wanted.owner,
            holder: child.holder,
            holder_addr: child.addr.clone(),
            request: wanted.request,
            direction: Direction::Write,
            bytes_max: u64::from(batches) << wanted.batch_log2,
            expires: server.clock.now().saturating_add(server.config.ticket_ms),
        };
        let footprint = self.path_to(&child.holder).expect("a path that may not grow is not searched");
        Offered { quote, footprint, ticket: Signed::new(ticket, &server.key, &server.policy.chain()) }
    }
}

async fn exchange(child: &Child, question: &ToHolder, within: Duration) -> Option<FromHolder> {
    let mut stream = child.handle.open_bi().await.ok()?;
    write_frame(&mut stream.send, question, within).await.ok()?;
    read_frame_within(&mut stream.recv, within).await.ok()
}
