//! Uploading one batch: asks what is there, sends what is missing on several streams, finishes.

use super::Progress;
use super::client::TransferClient;
use super::error::TransferError;
use super::range::{GROUP, write_range};
use super::source::{SourceError, UploadSource};
use crate::transport::BiStream;
use crate::wire::{GroupSet, TransferReply, TransferRequest};
use bytes::Bytes;
use futures::future::try_join_all;
use holdfast_por::{BatchMeta, GROUP_BYTES, RangeProof};
use holdfast_primitives::Digest;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt as _;

/// What the streams of one upload share.
struct Plan<'a> {
    source: Arc<dyn UploadSource>,
    meta: BatchMeta,
    /// Runs of groups that no stream has taken yet.
    missing: Mutex<VecDeque<Range<u32>>>,
    /// Groups that are there for good.
    done: Mutex<u32>,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl TransferClient {
    /// Uploads a batch; returns once the holder says that it is complete on its disk. What is there already is not sent
    /// again. `progress` is told whenever more is there for good, first with what was there before.
    pub async fn upload(
        &self,
        source: Arc<dyn UploadSource>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), TransferError> {
        let meta = source.meta();
        meta.check()?;
        let have = self.begin(meta).await?;
        let groups = (self.config.range_leaves.min(self.put_leaves_max) / GROUP).max(1);
        let missing = VecDeque::from(have.missing(groups));
        let streams = self.config.streams.min(missing.len());
        let done = Mutex::new(have.count());
        let plan = Plan { source, meta, missing: Mutex::new(missing), done, progress };
        plan.tell(0);
        try_join_all((0..streams).map(|_| self.put_until_done(&plan))).await?;
        self.finish(meta).await
    }

    /// Announces a batch; returns what of it is there.
    async fn begin(&self, meta: BatchMeta) -> Result<GroupSet, TransferError> {
        let mut stream = self.ask(&TransferRequest::Begin(meta)).await?;
        match self.answer(&mut stream, self.config.answer).await? {
            TransferReply::Have(have) if have.groups() == GroupSet::groups_of(&meta) => Ok(have),
            other => Err(self.unexpected(&other, "what it has of the batch")),
        }
    }

    async fn put_until_done(&self, plan: &Plan<'_>) -> Result<(), TransferError> {
        let mut stream: Option<BiStream> = None;
        while let Some(groups) = plan.take() {
            let (first_leaf, count) = (groups.start * GROUP, (groups.end - groups.start) * GROUP);
            let (leaves, proof) = plan.read(first_leaf, count).await?;
            let put = TransferRequest::Put { root: plan.meta.root, first_leaf, count };
            let stream = match &mut stream {
                Some(stream) => {
                    self.send(stream, &put).await?;
                    stream
                }
                none => none.insert(self.ask(&put).await?),
            };
            self.put(stream, &leaves, &proof, (first_leaf, count)).await?;
            plan.tell(groups.end - groups.start);
        }
        if let Some(mut stream) = stream {
            // Everything on it was answered; whether the other side hears of its end does not matter.
            let _ = stream.send.shutdown().await;
        }
        Ok(())
    }

    async fn put(
        &self,
        stream: &mut BiStream,
        leaves: &Bytes,
        proof: &RangeProof,
        (first_leaf, count): (u32, u32),
    ) -> Result<(), TransferError> {
        let before = self.path_kind();
        let written = write_range(&mut stream.send, proof, leaves, &self.config.pace).await;
        if written.is_ok() {
            let bytes = proof.as_bytes().len() + leaves.len();
            self.config.meter.note(before, &*self.connection, bytes as u64);
        }
        // A holder that refuses stops reading: its words are worth more than the broken pipe.
        let within = if written.is_ok() { self.config.answer } else { self.config.header };
        match (self.answer(stream, within).await, written) {
            (Ok(reply), _) if reply == TransferReply::Stored { first_leaf, count } => Ok(()),
            (Ok(reply), _) => Err(self.unexpected(&reply, "that the leaves are stored")),
            (Err(refused @ TransferError::Refused { .. }), _) => Err(refused),
            (Err(_), Err(source)) => Err(TransferError::Stream { holder: self.holder, source }),
            (Err(error), Ok(())) => Err(error),
        }
    }

    async fn finish(&self, meta: BatchMeta) -> Result<(), TransferError> {
        let mut stream = self.ask(&TransferRequest::Finish { root: meta.root }).await?;
        match self.answer(&mut stream, self.config.answer).await? {
            TransferReply::Finished => Ok(()),
            other => Err(self.unexpected(&other, "that the batch is complete")),
        }
    }
}

impl Plan<'_> {
    fn take(&self) -> Option<Range<u32>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn tell(&self, more: u32) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += more;
        let done_bytes = u64::from(*done) * GROUP_BYTES as u64;
        (self.progress)(Progress { done_bytes, total_bytes: self.meta.batch_bytes() });
    }

    async fn read(&self, first_leaf: u32, count: u32) -> Result<(Bytes, RangeProof), TransferError> {
        let (source, batch) = (self.source.clone(), Digest::new(self.meta.root));
        let read = tokio::task::spawn_blocking(move || source.range(first_leaf, count)).await;
        match read {
            Ok(Ok(range)) => Ok(range),
            Ok(Err(SourceError::Read(source))) => Err(TransferError::Source { batch, source }),
            Ok(Err(SourceError::Proof(source))) => Err(TransferError::Proof { batch, source }),
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}
