//! An owner's request at the heavy node that it names: what must hold, and the search that follows.

use super::config::ControlPolicy;
use super::search::{Search, Sink};
use super::server::ControlServer;
use crate::placement::Scope;
use crate::transport::BiStream;
use crate::wire::{
    FrameError, FromParent, Offered, PLACEMENT_HOLDERS_MAX, PlacementRequest, REQUEST_MS_MAX, Refusal, RefusalCode,
    Signed,
};
use async_trait::async_trait;
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN, FOOTPRINT_HOPS_MAX};
use holdfast_primitives::{Address, Bounded, TimeMs};

/// The owner, as what is found reaches it.
struct Owner<'a, P> {
    server: &'a ControlServer<P>,
    stream: &'a mut BiStream,
}

#[async_trait]
impl<P: ControlPolicy> Sink for Owner<'_, P> {
    async fn found(&mut self, offered: Offered) -> Result<(), FrameError> {
        self.server.write(self.stream, &FromParent::Offered(Box::new(offered))).await
    }
}

/// Searches holders and streams them to the owner. A request that does not hold comes back as a refusal.
pub(super) async fn serve<P: ControlPolicy>(
    server: &ControlServer<P>,
    stream: &mut BiStream,
    request: Signed<PlacementRequest>,
    child: Address,
) -> Result<Option<Refusal>, FrameError> {
    let (wanted, now) = (&request.statement, server.clock.now());
    if let Err(refusal) = check(server, &request, child, now) {
        return Ok(Some(refusal));
    }
    // Should it come round to this node again, it is known.
    if let Err(refusal) = server.graph.note_seek(wanted, 1, now) {
        return Ok(Some(refusal));
    }
    let (path, scope) = (Bounded::empty(), Scope::of_owner(wanted, &server.config.placement));
    let search = Search { server, request: &request, path: &path, scope, looks: true };
    let mut done = search.run(&mut Owner { server, stream }).await?;
    // A node beyond the last hop may have been asked on another way.
    done.hops_cut &= done.heavy_asked < server.policy.heavy_nodes();
    server.write(stream, &FromParent::Done(done)).await?;
    Ok(None)
}

fn check<P: ControlPolicy>(
    server: &ControlServer<P>,
    request: &Signed<PlacementRequest>,
    child: Address,
    now: TimeMs,
) -> Result<(), Refusal> {
    let wanted = &request.statement;
    if wanted.owner != child || wanted.first_hop != server.key.address() {
        let ends = format!("a request of {} to {}", wanted.owner, wanted.first_hop);
        return Err(Refusal::new(RefusalCode::Foreign, ends));
    }
    check_sound(wanted, now)?;
    let signed = request.verify(&server.policy.chain());
    signed.map_err(|error| Refusal::new(RefusalCode::BadSignature, error))
}

/// Whether a request asks for something that there can be, now. Of two nodes whose clocks differ, one may take a time to
/// be in order and the other not; nothing else is a matter of opinion.
pub(crate) fn check_sound(wanted: &PlacementRequest, now: TimeMs) -> Result<(), Refusal> {
    if wanted.expires <= now {
        return Err(Refusal::new(RefusalCode::Expired, format!("the request ended at {}", wanted.expires)));
    }
    if wanted.expires.since(now) > REQUEST_MS_MAX {
        let words = format!("the request ends in {} ms, the limit is {REQUEST_MS_MAX}", wanted.expires.since(now));
        return Err(Refusal::new(RefusalCode::Expired, words));
    }
    let sound = (BATCH_LOG2_MIN..=BATCH_LOG2_MAX).contains(&wanted.batch_log2)
        && (1..=PLACEMENT_HOLDERS_MAX).contains(&usize::from(wanted.holders))
        && (1..=FOOTPRINT_HOPS_MAX).contains(&usize::from(wanted.hops_max))
        && wanted.batches_per_holder > 0
        && wanted.rounds > 0;
    if !sound {
        let (holders, batches, log2) = (wanted.holders, wanted.batches_per_holder, wanted.batch_log2);
        let (rounds, hops) = (wanted.rounds, wanted.hops_max);
        let asked =
            format!("{holders} holders, {batches} batches of 2^{log2} bytes, {rounds} rounds, {hops} heavy nodes");
        return Err(Refusal::new(RefusalCode::Malformed, asked));
    }
    Ok(())
}
