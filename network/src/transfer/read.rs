//! A session that reads: leaves in pieces, each with what proves it.

use super::range::{cut, lies_within, write_range};
use super::server::{StreamEnd, TransferServer, refused};
use super::service::BatchService;
use crate::transport::BiStream;
use crate::wire::{Capability, RefusalCode, TransferReply};
use holdfast_por::BatchMeta;
use holdfast_primitives::limits::LEAF_BYTES;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sends `count` leaves from `first` on.
pub(super) async fn serve<S: BatchService>(
    server: &TransferServer<S>,
    stream: &mut BiStream,
    (capability, bytes_left): (&Capability, &AtomicU64),
    meta: BatchMeta,
    (first, count): (u32, u32),
) -> Result<(), StreamEnd> {
    meta.check().map_err(|error| refused(RefusalCode::BadBatch, error))?;
    if !capability.scope.covers(&meta.root) {
        return Err(refused(RefusalCode::NotEntitled, "the capability does not cover this batch"));
    }
    if !lies_within(&meta, first, count) {
        return Err(refused(RefusalCode::BadRange, format!("{count} leaves from {first} of {}", meta.leaves())));
    }
    if capability.expires <= server.clock.now() {
        return Err(refused(RefusalCode::Expired, format!("the capability ended at {}", capability.expires)));
    }
    let bytes = u64::from(count) * LEAF_BYTES as u64;
    bytes_left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
        .map_err(|left| refused(RefusalCode::TicketSpent, format!("{left} bytes are left, not {bytes}")))?;
    for (first, count) in cut(first, count, server.config.piece_leaves_max) {
        piece(server, stream, capability, meta, (first, count)).await?;
    }
    server.reply(stream, &TransferReply::End).await?;
    Ok(())
}

async fn piece<S: BatchService>(
    server: &TransferServer<S>,
    stream: &mut BiStream,
    capability: &Capability,
    meta: BatchMeta,
    (first_leaf, count): (u32, u32),
) -> Result<(), StreamEnd> {
    // Asked for every piece: a permission that is taken back ends the session that is under way, too.
    server.service.may_read(capability).await.map_err(|refusal| match refusal.code {
        RefusalCode::Busy | RefusalCode::Internal => StreamEnd::Refused(refusal),
        _ => StreamEnd::Expelled(refusal),
    })?;
    let _room = server.make_room(count).await;
    let stored = server.service.read(capability.owner, meta, first_leaf, count).await?;
    if stored.leaves.len() != count as usize * LEAF_BYTES {
        return Err(refused(RefusalCode::Internal, "the holder read another number of leaves"));
    }
    server.reply(stream, &TransferReply::Piece { first_leaf, count }).await?;
    write_range(&mut stream.send, &stored.proof, &stored.leaves, &server.config.pace).await?;
    Ok(())
}
