//! A session that writes: begins batches, takes their leaves on several streams at once, finishes, gives receipts.

use super::range::{GROUP, lies_within, read_range, whole_groups};
use super::server::{StreamEnd, TransferServer, expelled, refused};
use super::service::BatchService;
use crate::transport::BiStream;
use crate::wire::{
    FrameError, GroupSet, ReceiptRequest, RefusalCode, Ticket, TransferReply, TransferRequest, read_frame,
};
use holdfast_por::BatchMeta;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The batches of one session.
pub(super) struct Uploads {
    ticket: Ticket,
    begun: Mutex<HashMap<[u8; 32], Upload>>,
}

struct Upload {
    meta: BatchMeta,
    /// On disk for good.
    have: GroupSet,
    /// On disk, or coming in on some stream.
    taken: GroupSet,
}

/// Groups that are coming in on a stream; free for another attempt on drop unless they were stored.
struct Claim<'a> {
    uploads: &'a Uploads,
    root: [u8; 32],
    groups: Range<u32>,
    stored: bool,
}

impl Uploads {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self { ticket, begun: Mutex::default() }
    }

    pub(super) async fn begin<S: BatchService>(
        &self,
        server: &TransferServer<S>,
        stream: &mut BiStream,
        meta: BatchMeta,
    ) -> Result<(), StreamEnd> {
        meta.check().map_err(|error| refused(RefusalCode::BadBatch, error))?;
        self.check_room(&meta)?;
        let have = server.service.begin(self.ticket.client, self.ticket.request, meta).await?;
        if have.groups() != GroupSet::groups_of(&meta) {
            return Err(refused(RefusalCode::Internal, "the holder counts other groups"));
        }
        self.note_begun(meta, &have);
        server.reply(stream, &TransferReply::Have(have)).await?;
        Ok(())
    }

    /// A session begins no more batches than its ticket has bytes for.
    fn check_room(&self, meta: &BatchMeta) -> Result<(), StreamEnd> {
        let begun = self.lock();
        let others = begun.values().filter(|upload| upload.meta.root != meta.root);
        let bytes = others.map(|upload| upload.meta.batch_bytes()).fold(meta.batch_bytes(), u64::saturating_add);
        if bytes > self.ticket.bytes_max {
            let words = format!("{bytes} bytes begun, the ticket allows {}", self.ticket.bytes_max);
            return Err(refused(RefusalCode::TicketSpent, words));
        }
        Ok(())
    }

    /// A batch begun again keeps what is coming in on other streams.
    fn note_begun(&self, meta: BatchMeta, have: &GroupSet) {
        let fresh = || Upload { meta, have: have.clone(), taken: have.clone() };
        self.lock().entry(meta.root).or_insert_with(fresh);
    }

    /// Takes one put after another on a stream, the first of which was announced already.
    pub(super) async fn puts<S: BatchService>(
        &self,
        server: &TransferServer<S>,
        stream: &mut BiStream,
        root: [u8; 32],
        range: (u32, u32),
    ) -> Result<(), StreamEnd> {
        let mut next = Some((root, range));
        while let Some((root, range)) = next {
            self.put(server, stream, root, range).await?;
            next = next_put(server, stream).await?;
        }
        Ok(())
    }

    async fn put<S: BatchService>(
        &self,
        server: &TransferServer<S>,
        stream: &mut BiStream,
        root: [u8; 32],
        (first_leaf, count): (u32, u32),
    ) -> Result<(), StreamEnd> {
        let (meta, claim) = self.claim(root, (first_leaf, count), server.config.put_leaves_max)?;
        server.spent.check(&self.ticket, &meta, claim.groups.clone(), server.clock.now())?;
        let _room = server.make_room(count).await;
        let range = read_range(&mut stream.recv, &meta, (first_leaf, count), &server.config.pace).await?;
        let leaves = range.verify(meta, first_leaf).await.map_err(|error| {
            let batch = holdfast_primitives::Digest::new(root);
            expelled(RefusalCode::BadLeaves, format!("batch {}: {error}", batch.short()))
        })?;
        server.service.put(self.ticket.client, meta, first_leaf, leaves).await?;
        server.spent.note(&self.ticket, &meta, claim.groups.clone());
        claim.keep();
        server.reply(stream, &TransferReply::Stored { first_leaf, count }).await?;
        Ok(())
    }

    /// Checks a run before a byte of it is read, and claims its groups for this stream.
    fn claim(
        &self,
        root: [u8; 32],
        (first, count): (u32, u32),
        longest: u32,
    ) -> Result<(BatchMeta, Claim<'_>), StreamEnd> {
        let mut begun = self.lock();
        let upload = begun.get_mut(&root).ok_or_else(|| refused(RefusalCode::UnknownBatch, "begin it first"))?;
        let groups = whole_groups(first, count).filter(|_| count <= longest && lies_within(&upload.meta, first, count));
        let groups = groups.ok_or_else(|| {
            refused(
                RefusalCode::BadRange,
                format!("{count} leaves from {first}: whole groups of {GROUP}, at most {longest}"),
            )
        })?;
        if upload.taken.overlaps(groups.clone()) {
            return Err(refused(RefusalCode::AlreadyHeld, format!("some of {count} leaves from {first}")));
        }
        upload.taken.insert(groups.clone());
        Ok((upload.meta, Claim { uploads: self, root, groups, stored: false }))
    }

    pub(super) async fn finish<S: BatchService>(
        &self,
        server: &TransferServer<S>,
        stream: &mut BiStream,
        root: [u8; 32],
    ) -> Result<(), StreamEnd> {
        let meta = self.complete(root)?;
        server.service.finish(self.ticket.client, self.ticket.request, meta).await?;
        server.reply(stream, &TransferReply::Finished).await?;
        Ok(())
    }

    fn complete(&self, root: [u8; 32]) -> Result<BatchMeta, StreamEnd> {
        let begun = self.lock();
        let upload = begun.get(&root).ok_or_else(|| refused(RefusalCode::UnknownBatch, "begin it first"))?;
        if !upload.have.is_full() {
            let (have, all) = (upload.have.count(), upload.have.groups());
            return Err(refused(RefusalCode::Incomplete, format!("{have} of {all} groups are there")));
        }
        Ok(upload.meta)
    }

    pub(super) async fn receipt<S: BatchService>(
        &self,
        server: &TransferServer<S>,
        stream: &mut BiStream,
        request: ReceiptRequest,
    ) -> Result<(), StreamEnd> {
        if request.request != self.ticket.request {
            return Err(refused(RefusalCode::UnknownRequest, format!("this session is for {}", self.ticket.request)));
        }
        let (owner, metas) = (self.ticket.client, request.metas.into_inner());
        if let Some(error) = metas.iter().find_map(|meta| meta.check().err()) {
            return Err(refused(RefusalCode::BadBatch, error));
        }
        let receipt = server.service.receipt(owner, request.request, metas, request.expires).await?;
        server.reply(stream, &TransferReply::Receipt(receipt)).await?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Upload>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn next_put<S: BatchService>(
    server: &TransferServer<S>,
    stream: &mut BiStream,
) -> Result<Option<([u8; 32], (u32, u32))>, StreamEnd> {
    let read = tokio::time::timeout(server.config.idle, read_frame::<TransferRequest>(&mut stream.recv)).await;
    let read = read.map_err(|_| FrameError::Late { message: "put", after: server.config.idle })?;
    match read? {
        Some(TransferRequest::Put { root, first_leaf, count }) => Ok(Some((root, (first_leaf, count)))),
        Some(_) => Err(expelled(RefusalCode::Malformed, "only puts follow a put")),
        None => Ok(None),
    }
}

impl Claim<'_> {
    fn keep(mut self) {
        self.stored = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.uploads.lock().get_mut(&self.root) {
            if self.stored {
                upload.have.insert(self.groups.clone());
            } else {
                upload.taken.remove(self.groups.clone());
            }
        }
    }
}
