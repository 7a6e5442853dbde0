//! Serving one placement request: drives the state machine of `placement` with real holders.

use super::config::ControlPolicy;
use super::server::ControlServer;
use crate::footprint::first_hop;
use crate::lookup::Candidate;
use crate::placement::{Input, Output, Placement, check_quote};
use crate::transport::{BiStream, Connection};
use crate::wire::{
    Direction, FrameError, FromHolder, FromParent, Offered, PLACEMENT_HOLDERS_MAX, PlacementRequest, QuoteRefusal,
    QuoteRequest, Refusal, RefusalCode, Signed, Ticket, ToHolder, read_frame_within, write_frame,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use holdfast_ledger::statement::{Quote, path_digest};
use holdfast_primitives::Address;
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Searches holders and streams them to the owner. A request that does not hold comes back as a refusal.
pub(super) async fn serve<P: ControlPolicy>(
    server: &ControlServer<P>,
    stream: &mut BiStream,
    request: Signed<PlacementRequest>,
    child: Address,
) -> Result<Option<Refusal>, FrameError> {
    if let Err(refusal) = check(server, &request, child) {
        return Ok(Some(refusal));
    }
    let candidates = server.directory().candidates(&request.statement, |holder| server.policy.holder(holder));
    search(server, stream, &request, candidates).await?;
    Ok(None)
}

fn check<P: ControlPolicy>(
    server: &ControlServer<P>,
    request: &Signed<PlacementRequest>,
    child: Address,
) -> Result<(), Refusal> {
    let wanted = &request.statement;
    let refused = |code, detail: String| Err(Refusal::new(code, detail));
    if wanted.owner != child || wanted.first_hop != server.key.address() {
        let ends = format!("a request of {} to {}", wanted.owner, wanted.first_hop);
        return refused(RefusalCode::Foreign, ends);
    }
    if wanted.expires <= server.clock.now() {
        return refused(RefusalCode::Expired, format!("the request ended at {}", wanted.expires));
    }
    let sound = (BATCH_LOG2_MIN..=BATCH_LOG2_MAX).contains(&wanted.batch_log2)
        && (1..=PLACEMENT_HOLDERS_MAX).contains(&usize::from(wanted.holders))
        && wanted.batches_per_holder > 0
        && wanted.rounds > 0;
    if !sound {
        let (holders, batches, log2) = (wanted.holders, wanted.batches_per_holder, wanted.batch_log2);
        let asked = format!("{holders} holders, {batches} batches of 2^{log2} bytes, {} rounds", wanted.rounds);
        return refused(RefusalCode::Malformed, asked);
    }
    request.verify(&server.policy.chain()).or_else(|error| refused(RefusalCode::BadSignature, error.to_string()))
}

type Candidates = HashMap<Address, Candidate<Arc<dyn Connection>>>;

async fn search<P: ControlPolicy>(
    server: &ControlServer<P>,
    stream: &mut BiStream,
    request: &Signed<PlacementRequest>,
    candidates: Vec<Candidate<Arc<dyn Connection>>>,
) -> Result<(), FrameError> {
    let (limits, now) = (server.config.placement, server.clock.now());
    let order = candidates.iter().map(|candidate| candidate.holder).collect();
    let by_id: Candidates = candidates.into_iter().map(|candidate| (candidate.holder, candidate)).collect();
    let mut placement = Placement::new(&request.statement, order, limits, now);
    let deadline = tokio::time::sleep(Duration::from_millis(placement.deadline().since(now)));
    tokio::pin!(deadline);
    let mut asks = FuturesUnordered::new();
    let mut input = Input::Tick;
    loop {
        for output in placement.step(input, server.clock.now()) {
            match output {
                Output::Ask(holder) => {
                    if let Some(candidate) = by_id.get(&holder) {
                        asks.push(ask(server, request, candidate));
                    }
                }
                Output::Offer(quote) => {
                    if let Some(candidate) = by_id.get(&quote.terms.holder) {
                        let offered = offered(server, request, candidate, *quote);
                        server.write(stream, &FromParent::Offered(Box::new(offered))).await?;
                    }
                }
                Output::Done(done) => return server.write(stream, &FromParent::Done(done)).await,
            }
        }
        input = tokio::select! {
            Some(answer) = asks.next() => answer,
            () = &mut deadline => {
                // The machine reads the wall clock, which may lag behind the timer that stands for it.
                tokio::time::sleep(Duration::from_millis(1)).await;
                Input::Tick
            }
        };
    }
}

async fn ask<P: ControlPolicy>(
    server: &ControlServer<P>,
    request: &Signed<PlacementRequest>,
    candidate: &Candidate<Arc<dyn Connection>>,
) -> Input {
    let (wanted, chain) = (&request.statement, server.policy.chain());
    let footprint = first_hop(&wanted.request, &wanted.owner, &candidate.holder, &server.key, &chain);
    let path = path_digest(footprint.iter().map(|hop| &hop.node));
    let question = ToHolder::Quote(QuoteRequest { placement: request.clone(), footprint });
    match tokio::time::timeout(server.config.ask, exchange(server, candidate, &question)).await {
        Ok(Some(FromHolder::Quoted(quote))) => match check_quote(&quote, wanted, &candidate.holder, &path, &chain) {
            Ok(()) => Input::Quoted(Box::new(quote)),
            Err(error) => {
                tracing::debug!(holder = %candidate.holder, %error, "a bad quote");
                Input::Declined(QuoteRefusal::BadQuote)
            }
        },
        Ok(Some(FromHolder::Declined(refusal))) => Input::Declined(refusal),
        Ok(None) | Err(_) => Input::Declined(QuoteRefusal::Silent),
    }
}

async fn exchange<P: ControlPolicy>(
    server: &ControlServer<P>,
    candidate: &Candidate<Arc<dyn Connection>>,
    question: &ToHolder,
) -> Option<FromHolder> {
    let mut stream = candidate.handle.open_bi().await.ok()?;
    write_frame(&mut stream.send, question, server.config.ask).await.ok()?;
    read_frame_within(&mut stream.recv, server.config.ask).await.ok()
}

fn offered<P: ControlPolicy>(
    server: &ControlServer<P>,
    request: &Signed<PlacementRequest>,
    candidate: &Candidate<Arc<dyn Connection>>,
    quote: Quote,
) -> Offered {
    let (wanted, chain) = (&request.statement, server.policy.chain());
    let batches = quote.terms.batches_max.min(wanted.batches_per_holder);
    let ticket = Ticket {
        issuer: server.key.address(),
        client: wanted.owner,
        holder: candidate.holder,
        holder_addr: candidate.addr.clone(),
        request: wanted.request,
        direction: Direction::Write,
        bytes_max: u64::from(batches) << wanted.batch_log2,
        expires: server.clock.now().saturating_add(server.config.ticket_ms),
    };
    let footprint = first_hop(&wanted.request, &wanted.owner, &candidate.holder, &server.key, &chain);
    Offered { quote, footprint, ticket: Signed::new(ticket, &server.key, &chain) }
}
