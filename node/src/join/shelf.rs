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
pub struct Shelf<T = State> {
    interval: AtomicU64,
    kept: Mutex<VecDeque<Kept<T>>>,
}

struct Kept<T> {
    height: Height,
    state: Arc<T>,
    asked: Option<Instant>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { interval: AtomicU64::new(SNAPSHOT_INTERVAL), kept: Mutex::default() }
    }
}

impl<T> Shelf<T> {
    /// From now on a snapshot is due at every height that `interval` divides; zero for none.
    pub(crate) fn set_interval(&self, interval: u64) {
        self.interval.store(interval, Ordering::Relaxed);
    }

    /// Whether the state after this height is to be kept.
    pub(crate) fn is_due(&self, height: Height) -> bool {
        let interval = self.interval.load(Ordering::Relaxed);
        interval > 0 && height.get().is_multiple_of(interval)
    }

    /// Keeps the state after `height`, and lets the oldest go that nobody fetches any more.
    pub(crate) fn put(&self, height: Height, state: Arc<T>) {
        let mut kept = self.kept();
        kept.push_back(Kept { height, state, asked: None });
        let idle = |kept: &Kept<T>| kept.asked.is_none_or(|asked| asked.elapsed() > FETCHED_WITHIN);
        while kept.len() > KEPT_MAX || (kept.len() > KEPT && kept.front().is_some_and(idle)) {
            kept.pop_front();
        }
    }

    /// The state after `height`, if it is kept.
    pub(crate) fn get(&self, height: Height) -> Option<Arc<T>> {
        let mut kept = self.kept();
        let found = kept.iter_mut().find(|kept| kept.height == height)?;
        found.asked = Some(Instant::now());
        Some(Arc::clone(&found.state))
    }

    /// The heights of what is kept, ascending.
    pub fn heights(&self) -> Vec<Height> {
        self.kept().iter().map(|kept| kept.height).collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::{KEPT, KEPT_MAX, Shelf};
    use holdfast_primitives::Height;
    use std::sync::Arc;

    fn heights(shelf: &Shelf<u64>) -> Vec<u64> {
        shelf.heights().into_iter().map(Height::get).collect()
    }

    #[test]
    fn the_newest_are_kept_and_longer_only_what_is_being_fetched() {
        let shelf = Shelf::<u64>::default();
        for height in 1..=5 {
            shelf.put(Height::new(height), Arc::new(height));
        }
        assert_eq!(heights(&shelf), [4, 5]);
        assert_eq!(heights(&shelf).len(), KEPT);
        assert_eq!(*shelf.get(Height::new(4)).unwrap(), 4);
        assert!(shelf.get(Height::new(3)).is_none());
        for (height, expected) in [(6, vec![4, 5, 6]), (7, vec![4, 5, 6, 7]), (8, vec![7, 8])] {
            shelf.put(Height::new(height), Arc::new(height));
            assert_eq!(heights(&shelf), expected, "after {height}");
            assert!(heights(&shelf).len() <= KEPT_MAX);
        }
    }

    #[test]
    fn a_snapshot_is_due_at_multiples_of_the_interval_and_never_with_none() {
        let shelf = Shelf::<u64>::default();
        shelf.set_interval(10);
        let due: Vec<u64> = (1..=30).filter(|height| shelf.is_due(Height::new(*height))).collect();
        assert_eq!(due, [10, 20, 30]);
        shelf.set_interval(0);
        assert!((0..=30).all(|height| !shelf.is_due(Height::new(height))));
    }
}
