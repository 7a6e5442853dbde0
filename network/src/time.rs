//! What time it is. Tickets, capabilities and requests end at a wall-clock time, and tests bring their own clock.

use holdfast_primitives::TimeMs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> TimeMs;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimeMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimeMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
