//! Where the chunks of a snapshot go: verified on arrival, written with what is still to be asked for.

use async_trait::async_trait;
use holdfast_ledger::{CheckedManifest, Chunk, ChunkAsk, ListIndex};
use holdfast_network::join::{JoinSink, TakeError};
use holdfast_network::wire::ToSource;
use holdfast_primitives::limits::SNAPSHOT_CHUNK_BYTES_MAX;
use holdfast_primitives::{Bounded, Height, decode_exact};
use holdfast_store::Joining;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Chunks between two lines of progress.
const CHUNKS_PER_LINE: u64 = 64;

/// Verifies chunks and writes them.
pub(super) struct Sink(Arc<Writer>);

struct Writer {
    joining: Arc<Joining>,
    manifest: Arc<CheckedManifest>,
    lists: ListIndex,
    taken: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    /// Checks against `manifest` and `lists`, writes to `joining`.
    pub(super) fn new(joining: Arc<Joining>, manifest: Arc<CheckedManifest>, lists: ListIndex) -> Self {
        let (taken, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Writer { joining, manifest, lists, taken, bytes }))
    }

    /// Whether any chunk was good.
    pub(super) fn has_taken(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed) > 0
    }
}

impl Writer {
    fn height(&self) -> Height {
        self.manifest.trusted().height
    }

    fn take(&self, number: u32, ask: &ChunkAsk, data: &[u8]) -> Result<Option<ChunkAsk>, TakeError> {
        let lies = |reason: String| TakeError::Lie { reason };
        let chunk: Chunk = decode_exact(data, SNAPSHOT_CHUNK_BYTES_MAX).map_err(|error| lies(error.to_string()))?;
        let verified = self.manifest.verify_chunk(&self.lists, ask, chunk).map_err(|error| lies(error.to_string()))?;
        let kept = self.joining.take(number, &verified.diff, verified.next.as_ref());
        kept.map_err(|error| TakeError::Fault(Box::new(error)))?;
        let bytes = self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed) + data.len() as u64;
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken.is_multiple_of(CHUNKS_PER_LINE) {
            tracing::info!(height = %self.height(), chunks = taken, bytes, "fetches a snapshot");
        }
        Ok(verified.next)
    }
}

#[async_trait]
impl JoinSink for Sink {
    type Job = (u32, ChunkAsk);

    fn question(&self, (_, ask): &Self::Job) -> ToSource {
        let ask = borsh::to_vec(ask).expect("an ask encodes into memory");
        ToSource::Chunk { height: self.0.height(), ask: Bounded::new(ask).expect("an ask has 14 bytes") }
    }

    async fn take(&self, (number, ask): Self::Job, data: Vec<u8>) -> Result<Option<Self::Job>, TakeError> {
        let writer = Arc::clone(&self.0);
        let taken = tokio::task::spawn_blocking(move || writer.take(number, &ask, &data)).await;
        let left = taken.map_err(|error| TakeError::Fault(Box::new(error)))??;
        Ok(left.map(|ask| (number, ask)))
    }
}
