//! The snapshots that a node keeps for those who join.
//!
//! A snapshot is a state value: it shares all pages with the newest state that have not changed since. What a settlement
//! changes (contracts, holders, balances) is copied once per snapshot; the lists, which are most of the state, seldom change.
//! So two snapshots cost a fraction of a state, and nothing is written or read while a snapshot is made. A snapshot of the
//! database would cost no memory, but the hashes beside a chunk would have to be computed from the whole table each time.
//! After a restart the state at the start is the first snapshot.

use holdfast_ledger::State;
use holdfast_primitives::Height;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Blocks between two snapshots, if the operator does not choose.
pub const SNAPSHOT_INTERVAL: u64 = 1_000;
/// Snapshots that are kept.
const KEPT: usize = 2;
/// Snapshots that are kept while older ones are still being fetched.
const KEPT_MAX: usize = 4;
/// So long after it was last asked for, a snapshot counts as being fetched.
const FETCHED_WITHIN: Duration = Duration::from_secs(300);

/// A few states, newest last.
pub struct Shelf {
    interval: AtomicU64,
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    state: Arc<State>,
    asked: Option<Instant>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { interval: AtomicU64::new(SNAPSHOT_INTERVAL), kept: Mutex::default() }
    }
}

impl Shelf {
    /// From now on a snapshot is due at every height that `interval` divides; zero for none.
    pub(crate) fn set_interval(&self, interval: u64) {
        self.interval.store(interval, Ordering::Relaxed);
    }

    /// Whether the state after this height is to be kept.
    pub(crate) fn is_due(&self, height: Height) -> bool {
        let interval = self.interval.load(Ordering::Relaxed);
        interval > 0 && height.get() % interval == 0
    }

    /// Keeps a state, and lets the oldest go that nobody fetches any more.
    pub(crate) fn put(&self, state: Arc<State>) {
        let mut kept = self.kept();
        kept.push_back(Kept { state, asked: None });
        let idle = |kept: &Kept| kept.asked.is_none_or(|asked| asked.elapsed() > FETCHED_WITHIN);
        while kept.len() > KEPT_MAX || (kept.len() > KEPT && kept.front().is_some_and(idle)) {
            kept.pop_front();
        }
    }

    /// The state after `height`, if it is kept.
    pub(crate) fn get(&self, height: Height) -> Option<Arc<State>> {
        let mut kept = self.kept();
        let found = kept.iter_mut().find(|kept| kept.state.chain().height == height)?;
        found.asked = Some(Instant::now());
        Some(Arc::clone(&found.state))
    }

    /// The heights of what is kept, ascending.
    pub fn heights(&self) -> Vec<Height> {
        self.kept().iter().map(|kept| kept.state.chain().height).collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
