//! A run of leaves on a stream: siblings, then leaves, both as raw bytes whose lengths follow from the range.

use super::pace::Pace;
use bytes::Bytes;
use holdfast_por::{BatchMeta, GROUP_LEAVES, RangeError, RangeProof, range_proof_hashes, verify_range};
use holdfast_primitives::limits::LEAF_BYTES;
use std::io;
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncWrite};

/// Leaves in a group of 64 KiB.
pub(super) const GROUP: u32 = GROUP_LEAVES as u32;

/// A run of leaves as it came in; not verified yet.
pub(super) struct RawRange {
    siblings: Bytes,
    leaves: Bytes,
}

/// Reads the run of `count` leaves from `first` on. The caller has bounded `count` and checked that it lies in the batch.
pub(super) async fn read_range(
    stream: &mut (impl AsyncRead + Unpin),
    meta: &BatchMeta,
    (first, count): (u32, u32),
    pace: &Pace,
) -> io::Result<RawRange> {
    let hashes = range_proof_hashes(meta, first, count).map_err(io::Error::other)?;
    let siblings = pace.read(stream, 32 * hashes).await?;
    let leaves = pace.read(stream, count as usize * LEAF_BYTES).await?;
    Ok(RawRange { siblings, leaves })
}

/// Writes a run of leaves.
pub(super) async fn write_range(
    stream: &mut (impl AsyncWrite + Unpin),
    proof: &RangeProof,
    leaves: &[u8],
    pace: &Pace,
) -> io::Result<()> {
    pace.write(stream, proof.as_bytes()).await?;
    pace.write(stream, leaves).await
}

impl RawRange {
    /// How many bytes it came in.
    pub(super) fn bytes(&self) -> u64 {
        (self.siblings.len() + self.leaves.len()) as u64
    }

    /// The leaves, if they are the batch's leaves from `first` on. Hashing runs on a blocking thread.
    pub(super) async fn verify(self, meta: BatchMeta, first: u32) -> Result<Bytes, RangeError> {
        let leaves = self.leaves.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let count = (self.leaves.len() / LEAF_BYTES) as u32;
            let proof = RangeProof::from_bytes(&meta, first, count, &self.siblings)?;
            verify_range(&meta, first, &self.leaves, &proof)
        });
        match hashed.await {
            Ok(verdict) => verdict.map(|()| leaves),
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}

/// Whether `count` leaves from `first` on lie within the batch, and at least one does.
pub(super) fn lies_within(meta: &BatchMeta, first: u32, count: u32) -> bool {
    count > 0 && u64::from(first) + u64::from(count) <= meta.leaves()
}

/// The groups that a run of whole groups covers; `None` when it is not one.
pub(super) fn whole_groups(first: u32, count: u32) -> Option<Range<u32>> {
    let aligned = first.is_multiple_of(GROUP) && count.is_multiple_of(GROUP);
    aligned.then(|| first / GROUP..first / GROUP + count / GROUP)
}

/// Cuts a run of leaves at multiples of `longest`.
pub(super) fn cut(first: u32, count: u32, longest: u32) -> impl Iterator<Item = (u32, u32)> {
    let end = first + count;
    std::iter::successors(Some(first), move |from| Some((from / longest + 1) * longest))
        .take_while(move |from| *from < end)
        .map(move |from| (from, ((from / longest + 1) * longest).min(end) - from))
}
