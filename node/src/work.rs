//! When a block is worth making (the idle gate's question).

use holdfast_ledger::{Phase, RunningRound};
use holdfast_primitives::TimeMs;
use std::time::Duration;

/// What the round asks of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundWork {
    /// A block now.
    Now,
    /// A block after this long.
    After(Duration),
}

/// What the running round asks for at `now`.
///
/// A frozen round needs blocks until its seed is there. Proofs bring their own blocks by waiting in the mempool, so
/// between seed and deadline an otherwise idle chain may rest; the freeze and the settlement are due at set times.
pub fn round_work(running: &RunningRound, now: TimeMs) -> RoundWork {
    if running.phase == Phase::AwaitingSeed || now >= running.due {
        return RoundWork::Now;
    }
    RoundWork::After(Duration::from_millis(running.due.since(now)))
}
