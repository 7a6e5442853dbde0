//! Tells the operator when this machine's clock disagrees with the network's. Nothing is decided here: a validator whose
//! clock is wrong loses its turns or its votes, and nobody else could tell it why.

use holdfast_ledger::Header;
use holdfast_primitives::{Height, TimeMs};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far the time of the block that was decided may lie before that of ours until our clock is called wrong. A block of an
/// earlier round may be older by what the rounds between took.
const TOLERANCE_MS: u64 = 30_000;

/// What was seen of the network's time.
#[derive(Debug, Default)]
pub(crate) struct SkewWatch(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The last block that was built here.
    built: Option<(Height, TimeMs)>,
    /// The last height for which the operator was told that a block's time lies ahead.
    told: Option<Height>,
}

impl SkewWatch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block was built here.
    pub(crate) fn built(&self, header: &Header) {
        self.seen().built = Some((header.height, header.time));
    }

    /// A block was decided. One that was made after ours was refused should be later than ours.
    pub(crate) fn decided(&self, header: &Header) {
        let Some((height, time)) = self.seen().built else { return };
        let ahead_ms = time.since(header.time);
        if height == header.height && ahead_ms > TOLERANCE_MS {
            tracing::warn!(%height, ahead_ms, "this machine's clock is ahead of the network's: the block it proposed was refused");
        }
    }

    /// A block's time lies too far ahead of `now`; said once per height, though it may be asked about often.
    pub(crate) fn saw_time_ahead(&self, header: &Header, now: TimeMs) {
        let height = header.height;
        if self.seen().told.replace(height) != Some(height) {
            let behind_ms = header.time.since(now);
            tracing::warn!(%height, behind_ms, proposer = %header.proposer, "a block's time lies ahead of this machine's clock: one of the two clocks is wrong");
        }
    }
}
