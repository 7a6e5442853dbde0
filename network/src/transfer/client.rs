//! The client of the transfer protocol: opens a session, asks for receipts, reads slices.

use super::error::TransferError;
use super::heard::{Heard, Listening};
use super::meter::Meter;
use super::pace::Pace;
use super::range::{RawRange, cut, read_range};
use crate::address::NodeAddr;
use crate::transport::{BiStream, CloseReason, Connection, Endpoint, PathKind, Protocol, TransportError, last_words};
use crate::wire::{
    Access, FrameError, RECEIPT_BATCHES_MAX, ReceiptRequest, Refusal, TRANSFER_VERSION, TransferHello, TransferReply,
    TransferRequest, read_frame_within, write_frame,
};
use bytes::Bytes;
use futures::FutureExt as _;
use holdfast_ledger::statement::{Receipt, receipt_payload};
use holdfast_por::{BatchMeta, GROUP_LEAVES, RangeError};
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::{Address, Bounded, ChainId, Digest, Height, Purpose, RequestId};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that [`TransferClient::read_range`] reads at once, at most; larger runs go through a download.
const SLICE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Leaves in one piece of an answer that are accepted, at most.
const PIECE_LEAVES_MAX: u32 = 4_096;
/// How long to wait for the reason of a connection that is ending.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Settings of a [`TransferClient`].
#[derive(Clone, Debug)]
pub struct TransferClientConfig {
    /// Streams used at once; the holder may allow fewer.
    pub streams: usize,
    /// Leaves in one put or get; the holder may allow fewer in a put.
    pub range_leaves: u32,
    /// How long the holder's first words may take.
    pub header: Duration,
    /// How long the holder may take to answer a request that makes it work (verify, flush to disk).
    pub answer: Duration,
    /// How slow the holder may be.
    pub pace: Pace,
    /// How long to wait for a direct path before the next setting counts.
    pub wait_direct: Duration,
    /// Whether the transfer may go through a relay.
    pub allow_relayed: bool,
    /// Counts what travels, by path. A clone of these settings shares it.
    pub meter: Arc<Meter>,
}

/// A session with a holder. Dropping it ends it; [`TransferClient::close`] says goodbye.
pub struct TransferClient {
    pub(super) connection: Arc<dyn Connection>,
    pub(super) config: TransferClientConfig,
    pub(super) holder: Address,
    pub(super) put_leaves_max: u32,
    chain: ChainId,
    me: Address,
}

impl Default for TransferClientConfig {
    fn default() -> Self {
        Self {
            streams: 6,
            range_leaves: 1_024,
            header: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            pace: Pace::default(),
            wait_direct: Duration::from_secs(3),
            allow_relayed: true,
            meter: Arc::default(),
        }
    }
}

impl TransferClient {
    /// Dials the holder and opens a session.
    ///
    /// # Errors
    /// [`TransferError::Refused`] with the holder's code, or that it cannot be reached.
    pub async fn connect(
        endpoint: &dyn Endpoint,
        holder: &NodeAddr,
        chain: ChainId,
        access: Access,
        config: TransferClientConfig,
    ) -> Result<Self, TransferError> {
        let connection = endpoint.connect(holder, Protocol::Transfer).await?;
        let direct = connection.wait_direct(config.wait_direct).await == PathKind::Direct;
        if !direct && !config.allow_relayed {
            connection.close(0, "no direct path");
            return Err(TransferError::RelayedOnly { holder: holder.id });
        }
        let (holder, me) = (holder.id, endpoint.id());
        let mut client = Self { connection, config, holder, put_leaves_max: 0, chain, me };
        client.hello(access).await?;
        Ok(client)
    }

    async fn hello(&mut self, access: Access) -> Result<(), TransferError> {
        let hello = TransferHello { version: TRANSFER_VERSION, chain: self.chain, access };
        let mut stream = self.ask(&TransferRequest::Hello(Box::new(hello))).await?;
        match self.answer(&mut stream, self.config.header).await? {
            TransferReply::Welcome { put_leaves_max, streams_max } if put_leaves_max >= GROUP_LEAVES as u32 => {
                self.put_leaves_max = put_leaves_max;
                self.config.streams = self.config.streams.min(streams_max as usize).max(1);
                Ok(())
            }
            other => Err(self.unexpected(&other, "a welcome")),
        }
    }

    /// Whether the session is over: the holder ends one in which nothing was asked for a while.
    pub fn has_ended(&self) -> bool {
        self.connection.closed().now_or_never().is_some()
    }

    /// Whom this session is with.
    pub fn holder(&self) -> Address {
        self.holder
    }

    /// How bytes travel right now.
    pub fn path_kind(&self) -> PathKind {
        self.connection.path_kind()
    }

    /// What has travelled so far, by path; of all sessions that were given the same meter.
    pub fn meter(&self) -> &Meter {
        &self.config.meter
    }

    /// Asks for the holder's word that all batches of a placement lie on its disk, and checks its signature.
    pub async fn receipt(
        &self,
        request: RequestId,
        metas: &[BatchMeta],
        expires: Height,
    ) -> Result<Receipt, TransferError> {
        let (found, limit) = (metas.len(), RECEIPT_BATCHES_MAX);
        let listed = Bounded::new(metas.to_vec()).map_err(|_| TransferError::TooMany { found, limit })?;
        let asked = ReceiptRequest { request, metas: listed, expires };
        let mut stream = self.ask(&TransferRequest::Receipt(asked)).await?;
        let receipt = match self.answer(&mut stream, self.config.answer).await? {
            TransferReply::Receipt(receipt) => receipt,
            other => return Err(self.unexpected(&other, "a receipt")),
        };
        let payload = receipt_payload(&request, &self.me, receipt.expires, metas);
        let signed = receipt.signature.verify(&self.holder, Purpose::Receipt, &self.chain, &payload);
        signed.map_err(|_| TransferError::BadReceipt { holder: self.holder })?;
        Ok(receipt)
    }

    /// Reads `length` bytes of a batch from `offset` on, verified; at most 16 MiB.
    pub async fn read_range(&self, meta: &BatchMeta, offset: u64, length: u64) -> Result<Vec<u8>, TransferError> {
        self.read_range_heard(meta, offset, length, &|_| ()).await
    }

    /// As [`TransferClient::read_range`]; `heard` is told of bytes as they come, before they are verified. Dropping the
    /// future resets the stream: the holder stops sending.
    pub async fn read_range_heard(
        &self,
        meta: &BatchMeta,
        offset: u64,
        length: u64,
        heard: Heard<'_>,
    ) -> Result<Vec<u8>, TransferError> {
        meta.check()?;
        let (batch_bytes, leaf) = (meta.batch_bytes(), LEAF_BYTES as u64);
        let end = offset.checked_add(length).filter(|end| *end <= batch_bytes && length <= SLICE_BYTES_MAX);
        let end = end.ok_or(TransferError::BadRange { offset, length, batch_bytes })?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let (first, last) = (offset / leaf, (end - 1) / leaf);
        let count = (last - first + 1) as u32;
        let mut bytes = Vec::with_capacity(count as usize * LEAF_BYTES);
        self.get(meta, (first as u32, count), heard, |_, leaves| bytes.extend_from_slice(&leaves)).await?;
        let skipped = (offset - first * leaf) as usize;
        bytes.drain(..skipped);
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    /// Fetches a run of leaves; `take` is given each piece once it is verified, in order.
    pub(super) async fn get(
        &self,
        meta: &BatchMeta,
        (first, count): (u32, u32),
        heard: Heard<'_>,
        mut take: impl FnMut(u32, Bytes),
    ) -> Result<(), TransferError> {
        let mut stream = self.ask(&TransferRequest::Get { meta: *meta, first_leaf: first, count }).await?;
        let mut next = first;
        loop {
            match self.answer(&mut stream, self.config.answer).await? {
                TransferReply::Piece { first_leaf, count: piece }
                    if first_leaf == next && is_next_piece((next, piece), first + count) =>
                {
                    let range = self.receive(&mut stream, meta, (first_leaf, piece), heard).await?;
                    match range.verify(*meta, first_leaf).await {
                        Ok(leaves) => take(first_leaf, leaves),
                        Err(error) => return Err(self.blame(meta, (first_leaf, piece), &error).await),
                    }
                    next += piece;
                }
                TransferReply::End if next == first + count => return Ok(()),
                other => return Err(self.unexpected(&other, "the next piece")),
            }
        }
    }

    async fn receive(
        &self,
        stream: &mut BiStream,
        meta: &BatchMeta,
        run: (u32, u32),
        heard: Heard<'_>,
    ) -> Result<RawRange, TransferError> {
        let before = self.path_kind();
        let mut recv = Listening { inner: &mut stream.recv, heard };
        let read = read_range(&mut recv, meta, run, &self.config.pace).await;
        if let Ok(range) = &read {
            self.config.meter.note(before, &*self.connection, range.bytes());
        }
        read.map_err(|source| TransferError::Stream { holder: self.holder, source })
    }

    /// What is wrong with a holder whose piece does not verify. When a group elsewhere in the batch fails too, and both
    /// lead to one and the same root, it answers out of another batch; else some of its leaves are bad.
    async fn blame(&self, meta: &BatchMeta, run: (u32, u32), error: &RangeError) -> TransferError {
        let RangeError::Mismatch { found: Some(found), .. } = error else { return self.narrow(meta, run).await };
        let last = (meta.leaves() - GROUP_LEAVES as u64) as u32;
        let elsewhere = if run.0 < GROUP_LEAVES as u32 { last } else { 0 };
        match self.get_group(meta, (elsewhere, GROUP_LEAVES as u32)).await {
            Ok(Err(RangeError::Mismatch { found: Some(again), .. })) if again == *found && elsewhere != run.0 => {
                let (holder, batch) = (self.holder, Digest::new(meta.root));
                TransferError::OtherBatch { holder, batch, found: Digest::new(again) }
            }
            _ => self.narrow(meta, run).await,
        }
    }

    /// Finds the group within a bad piece that the holder cannot give. A holder keeps no hashes below a group, so no
    /// smaller run can be told apart.
    async fn narrow(&self, meta: &BatchMeta, (first, count): (u32, u32)) -> TransferError {
        for run in cut(first, count, GROUP_LEAVES as u32) {
            if matches!(self.get_group(meta, run).await, Ok(Err(_))) {
                return self.bad_leaves(meta, run);
            }
        }
        self.bad_leaves(meta, (first, count))
    }

    /// Whether a run within one group verifies.
    async fn get_group(
        &self,
        meta: &BatchMeta,
        (first_leaf, count): (u32, u32),
    ) -> Result<Result<(), RangeError>, TransferError> {
        let mut stream = self.ask(&TransferRequest::Get { meta: *meta, first_leaf, count }).await?;
        match self.answer(&mut stream, self.config.answer).await? {
            TransferReply::Piece { .. } => {
                let range = self.receive(&mut stream, meta, (first_leaf, count), &|_| ()).await?;
                Ok(range.verify(*meta, first_leaf).await.map(drop))
            }
            other => Err(self.unexpected(&other, "a piece")),
        }
    }

    fn bad_leaves(&self, meta: &BatchMeta, (first_leaf, count): (u32, u32)) -> TransferError {
        let (holder, batch) = (self.holder, Digest::new(meta.root));
        TransferError::BadLeaves { holder, batch, first_leaf, last_leaf: first_leaf + count - 1 }
    }

    /// Ends the session in good order.
    pub async fn close(self) {
        self.connection.close(0, "done");
        self.connection.closed().await;
    }

    pub(super) async fn ask(&self, request: &TransferRequest) -> Result<BiStream, TransferError> {
        let mut stream = self.connection.open_bi().await.map_err(|error| self.ended(error))?;
        self.send(&mut stream, request).await?;
        Ok(stream)
    }

    pub(super) async fn send(&self, stream: &mut BiStream, request: &TransferRequest) -> Result<(), TransferError> {
        let sent = write_frame(&mut stream.send, request, self.config.pace.stall).await;
        match sent {
            Ok(()) => Ok(()),
            Err(source) => Err(self.explain(source).await),
        }
    }

    /// Reads an answer; a refusal becomes an error.
    pub(super) async fn answer(&self, stream: &mut BiStream, within: Duration) -> Result<TransferReply, TransferError> {
        match read_frame_within(&mut stream.recv, within).await {
            Ok(TransferReply::Refused(refusal)) => Err(TransferError::Refused { holder: self.holder, refusal }),
            Ok(reply) => Ok(reply),
            Err(source) => Err(self.explain(source).await),
        }
    }

    /// A holder that closes the connection says why in the code; that is a refusal too.
    async fn explain(&self, source: FrameError) -> TransferError {
        let holder = self.holder;
        if matches!(source, FrameError::Stream { .. } | FrameError::Ended { .. }) {
            let words = last_words(&*self.connection, LAST_WORDS).await;
            if let Some(refusal) = words.and_then(|(code, reason)| Refusal::of_close(code, &reason)) {
                return TransferError::Refused { holder, refusal };
            }
        }
        TransferError::Frame { holder, source }
    }

    fn ended(&self, error: TransportError) -> TransferError {
        if let TransportError::Closed { reason: CloseReason::Remote { code, reason }, .. } = &error
            && let Some(refusal) = Refusal::of_close(*code, reason)
        {
            return TransferError::Refused { holder: self.holder, refusal };
        }
        error.into()
    }

    pub(super) fn unexpected(&self, found: &TransferReply, expected: &'static str) -> TransferError {
        let found = match found {
            TransferReply::Welcome { .. } => "a welcome",
            TransferReply::Refused(_) => "a refusal",
            TransferReply::Have(_) => "what it has",
            TransferReply::Stored { .. } => "that leaves are stored",
            TransferReply::Finished => "that the batch is complete",
            TransferReply::Receipt(_) => "a receipt",
            TransferReply::Piece { .. } => "another piece",
            TransferReply::End => "the end",
        };
        TransferError::Unexpected { holder: self.holder, found, expected }
    }
}

/// Whether a piece is not too large, and ends with a group or with the run.
fn is_next_piece((first, count): (u32, u32), end: u32) -> bool {
    let fits = (1..=PIECE_LEAVES_MAX).contains(&count) && count <= end - first;
    fits && (first + count == end || (first + count).is_multiple_of(GROUP_LEAVES as u32))
}
