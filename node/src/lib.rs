//! Floor 3: the heavy node.
//!
//! Joins the rule book, the chain database, consensus and the network into one node: a mempool before the chain
//! ([`Mempool`]), the ledger as consensus drives it ([`NodeApp`]), the tip that everyone reads ([`NodeCore`]), and the
//! policy by which light nodes are introduced ([`LedgerPolicy`]). [`HeavyNode`] starts and stops all of it.
//!
//! It must never know JSON, a terminal, or what a wallet or a holder does with what it is told.

mod admission;
mod app;
mod clock;
mod core;
mod gossip;
mod grid;
mod heavy;
mod introduce;
mod join;
mod keys;
mod mempool;
mod metrics;
mod placement;
mod skew;
mod work;

pub use app::NodeApp;
pub use clock::{NodeClock, now};
pub use core::{NodeCore, Tip};
pub use heavy::{HeavyConfig, HeavyError, HeavyHandle, HeavyLimits, HeavyNode, NodeStopped};
pub use holdfast_consensus::{LOG_FILTER, Stopped};
pub use join::{Checkpoint, CheckpointError, JoinError, SNAPSHOT_INTERVAL, Shelf, SyncMode};
pub use keys::{KeyFileError, NodeKeys, load_identity, load_or_create_identity, write_key};
pub use mempool::{DropReason, Mempool, MempoolLimits, REPLACEMENT_PERCENT, SubmitError, Waiting};
pub use metrics::NodeMetrics;
pub use placement::LedgerPolicy;
pub use work::{RoundWork, round_work};
