//! The real engine, Malachite, dressed for our types. Read [`start`] first: it is the map of what runs.

pub(crate) mod assembly;
mod codec;
mod config;
pub(crate) mod convert;
mod driver;
mod gate;
mod handle;
mod judge;
pub(crate) mod kept;
mod network;
pub(crate) mod part;
mod shared;
pub(crate) mod signing;
mod start;
pub(crate) mod types;
mod watchdog;

#[cfg(test)]
mod tests;

pub use config::{ConsensusError, EngineConfig, LOG_FILTER, Publish};
pub use handle::{Dialler, EngineHandle};
pub use network::peer_id;
pub use start::start;
pub use watchdog::Stopped;

/// Counters of all engines in this process in Prometheus' text form, told apart by moniker.
pub fn metrics_text() -> String {
    let mut text = String::new();
    arc_malachitebft_app::metrics::export(&mut text);
    text
}
