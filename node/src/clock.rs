//! The node's clock.

use holdfast_network::time::{Clock, SystemClock};
use holdfast_primitives::TimeMs;

/// This machine's clock, or what a node would read if it were set wrong by a fixed time: tests of wrong clocks need that,
/// nobody else.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeClock {
    ahead_ms: i64,
}

impl NodeClock {
    /// A clock that is ahead by so many seconds; behind, if negative.
    pub const fn ahead_by(seconds: i64) -> Self {
        Self { ahead_ms: seconds.saturating_mul(1_000) }
    }
}

impl Clock for NodeClock {
    fn now(&self) -> TimeMs {
        TimeMs::new(now().get().saturating_add_signed(self.ahead_ms))
    }
}

/// Now, by this machine's clock.
pub fn now() -> TimeMs {
    SystemClock.now()
}
