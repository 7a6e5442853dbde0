//! The node's clock, in one word.

use holdfast_network::time::{Clock as _, SystemClock};
use holdfast_primitives::TimeMs;

/// Now, by this machine's clock.
pub fn now() -> TimeMs {
    SystemClock.now()
}
