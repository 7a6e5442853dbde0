//! Limits among heavy nodes.

use std::num::NonZeroU32;
use std::time::Duration;

/// Limits and timeouts towards neighbours.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// Neighbours connected at once.
    pub neighbours_max: usize,
    /// Requests of one neighbour served at once.
    pub requests_at_once: usize,
    /// Owners' requests that one neighbour may pass on per minute; twice as many at a burst.
    pub seeks_per_minute: NonZeroU32,
    /// Questions for whereabouts that one neighbour may ask per minute; twice as many at a burst.
    pub questions_per_minute: NonZeroU32,
    /// Requests that are remembered, so that those that come round again are known.
    pub seen_max: usize,
    /// How long a question for whereabouts may take in all, in milliseconds.
    pub whereis_ms: u64,
    /// How long a neighbour that sent what no honest node sends is neither dialled nor let in.
    pub shun: Duration,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self {
            neighbours_max: 64,
            requests_at_once: 24,
            seeks_per_minute: NonZeroU32::new(1_200).expect("twelve hundred is not zero"),
            questions_per_minute: NonZeroU32::new(12_000).expect("twelve thousand is not zero"),
            seen_max: 65_536,
            whereis_ms: 4_000,
            shun: Duration::from_secs(60),
        }
    }
}
