//! A write-ahead log on a disk that keeps what was flushed, and of the rest as much as chance wants.

use super::SimRng;
use crate::engine::types::Holdfast;
use arc_malachitebft_core_consensus::Input;
use holdfast_primitives::Height;

/// The log of one node; what is left of it after a crash is what the next life replays.
#[derive(Clone, Default)]
pub(super) struct Wal {
    height: Height,
    entries: Vec<Input<Holdfast>>,
    flushed: usize,
}

impl Wal {
    /// What must be replayed at `height`; a log of another height starts over.
    pub(super) fn begin(&mut self, height: Height) -> Vec<Input<Holdfast>> {
        if self.height != height {
            *self = Self { height, ..Self::default() };
        }
        self.entries.clone()
    }

    /// Starts over, whatever was there.
    pub(super) fn reset(&mut self, height: Height) {
        *self = Self { height, ..Self::default() };
    }

    /// Adds an entry; one for another height is ignored, as the engine's log does.
    pub(super) fn append(&mut self, height: Height, entry: Input<Holdfast>) {
        if self.height == height {
            self.entries.push(entry);
        }
    }

    /// Makes everything durable.
    pub(super) const fn flush(&mut self) {
        self.flushed = self.entries.len();
    }

    /// The power fails: of what was not flushed the first few entries may have reached the disk.
    pub(super) fn crash(&mut self, rng: &mut SimRng) {
        let unflushed = (self.entries.len() - self.flushed) as u64;
        let kept = self.flushed + usize::try_from(rng.between(0, unflushed)).expect("no more than there are entries");
        self.entries.truncate(kept);
        self.flushed = kept;
    }
}
