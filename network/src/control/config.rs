//! What the control server is told, and what it asks.

use crate::heavy::GraphConfig;
use crate::lookup::HolderStanding;
use crate::placement::PlacementLimits;
use crate::wire::Role;
use holdfast_primitives::{Address, ChainId, Height};
use std::num::NonZeroU32;
use std::time::Duration;

/// What the control server asks the heavy node. Answers come from memory: they are asked for every candidate.
pub trait ControlPolicy: Send + Sync + 'static {
    /// The chain this node follows.
    fn chain(&self) -> ChainId;

    /// Its height now.
    fn height(&self) -> Height;

    /// What the ledger says of a holder; `None` when it is none.
    fn holder(&self, address: &Address) -> Option<HolderStanding>;

    /// Whether a node is a heavy node of the ledger: one that a footprint may name. Nobody is, unless the policy knows
    /// better.
    fn is_heavy(&self, _node: &Address) -> bool {
        false
    }

    /// How many heavy nodes the ledger knows.
    fn heavy_nodes(&self) -> u32 {
        0
    }

    /// Whether such a child may come at all.
    fn admits(&self, _child: &Address, _role: Role) -> bool {
        true
    }
}

/// Limits and timeouts of a [`ControlServer`](super::ControlServer).
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Children online at once.
    pub children_max: usize,
    /// Requests of one child served at once.
    pub requests_at_once: usize,
    /// Placements that one identity may start per minute; twice as many at a burst.
    pub placements_per_minute: NonZeroU32,
    /// Lookups that one identity may make per minute; twice as many at a burst.
    pub locates_per_minute: NonZeroU32,
    /// How long the first words of a connection, and of a request, may take.
    pub header: Duration,
    /// How long a write may stall.
    pub stall: Duration,
    /// How long a holder may think about a quote.
    pub ask: Duration,
    /// How long a visitor, who only measures the way, may stay.
    pub visit: Duration,
    /// How long a refused peer may take to read why.
    pub linger: Duration,
    /// How wide and how long a placement searches.
    pub placement: PlacementLimits,
    /// How long tickets count, in milliseconds.
    pub ticket_ms: u64,
    /// Bytes that a ticket for reading allows.
    pub read_bytes_max: u64,
    /// The relay that this node runs, as children should dial it.
    pub relay_url: Option<String>,
    /// Limits towards other heavy nodes.
    pub graph: GraphConfig,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            children_max: 2_048,
            requests_at_once: 8,
            placements_per_minute: NonZeroU32::new(60).expect("sixty is not zero"),
            locates_per_minute: NonZeroU32::new(120).expect("a hundred and twenty is not zero"),
            header: Duration::from_secs(5),
            stall: Duration::from_secs(30),
            ask: Duration::from_secs(5),
            visit: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            placement: PlacementLimits::default(),
            ticket_ms: 6 * 60 * 60 * 1_000,
            read_bytes_max: 1 << 40,
            relay_url: None,
            graph: GraphConfig::default(),
        }
    }
}
