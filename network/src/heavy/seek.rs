//! A neighbour's seek at the node that receives it: what must hold, and the search that follows.

use super::seen::Sight;
use crate::control::{ControlPolicy, ControlServer, Search, Sink, check_sound};
use crate::footprint::check_footprint;
use crate::placement::Scope;
use crate::transport::BiStream;
use crate::wire::{
    FrameError, FromNeighbour, Offered, Refusal, RefusalCode, SEEK_OFFERS_MAX, Seek, SeekDone, write_frame,
};
use async_trait::async_trait;
use holdfast_primitives::{Address, TimeMs};
use std::time::Duration;

/// The neighbour that asked, as what is found reaches it.
struct Asker<'a> {
    stream: &'a mut BiStream,
    stall: Duration,
}

#[async_trait]
impl Sink for Asker<'_> {
    async fn found(&mut self, offered: Offered) -> Result<(), FrameError> {
        write_frame(&mut self.stream.send, &FromNeighbour::Found(Box::new(offered)), self.stall).await
    }
}

/// Searches for a neighbour. A seek that does not hold comes back as a refusal.
pub(super) async fn serve<P: ControlPolicy>(
    server: &ControlServer<P>,
    stream: &mut BiStream,
    seek: &Seek,
    neighbour: Address,
) -> Result<Option<Refusal>, FrameError> {
    let (wanted, now) = (&seek.request.statement, server.clock.now());
    if let Err(refusal) = check(server, seek, neighbour, now) {
        return Ok(Some(refusal));
    }
    let hops = seek.path.len() as u8 + 1;
    let sight = match server.graph.note_seek(wanted, hops, now) {
        Ok(sight) => sight,
        Err(refusal) => return Ok(Some(refusal)),
    };
    let done = if sight == Sight::Again {
        SeekDone { seen: true, ..SeekDone::default() }
    } else {
        server.graph.count(|counters| &counters.served);
        let scope = Scope {
            offers_max: seek.wanted,
            search_ms: u64::from(seek.within_ms).min(server.config.placement.search_ms),
            hops_left: wanted.hops_max.saturating_sub(hops),
        };
        let search = Search { server, request: &seek.request, path: &seek.path, scope, looks: sight == Sight::First };
        let mut asker = Asker { stream, stall: server.config.stall };
        SeekDone { seen: false, done: search.run(&mut asker).await? }
    };
    write_frame(&mut stream.send, &FromNeighbour::Sought(done), server.config.stall).await?;
    Ok(None)
}

/// The cheap rules come first, the signatures last.
fn check<P: ControlPolicy>(
    server: &ControlServer<P>,
    seek: &Seek,
    neighbour: Address,
    now: TimeMs,
) -> Result<(), Refusal> {
    let (wanted, me) = (&seek.request.statement, server.key.address());
    check_sound(wanted, now)?;
    if !(1..=SEEK_OFFERS_MAX).contains(&seek.wanted) {
        return Err(Refusal::new(RefusalCode::Malformed, format!("{} offers are wanted", seek.wanted)));
    }
    let (hops, hops_max) = (seek.path.len() + 1, usize::from(wanted.hops_max));
    if hops > hops_max {
        return Err(Refusal::new(RefusalCode::BadPath, format!("{hops} heavy nodes, the owner allows {hops_max}")));
    }
    if seek.path.iter().any(|hop| hop.node == me) {
        return Err(Refusal::new(RefusalCode::BadPath, "the path leads through this node already"));
    }
    if let Some(hop) = seek.path.iter().find(|hop| !server.policy.is_heavy(&hop.node)) {
        let words = format!("{} on the path is no heavy node of the ledger", hop.node);
        return Err(Refusal::new(RefusalCode::NotWelcome, words));
    }
    let (chain, ends) = (server.policy.chain(), (&wanted.request, &wanted.owner, &me));
    check_footprint(&seek.path, ends, &wanted.first_hop, &neighbour, &chain)
        .map_err(|error| Refusal::new(RefusalCode::BadPath, error))?;
    seek.request.verify(&chain).map_err(|error| Refusal::new(RefusalCode::BadSignature, error))
}
