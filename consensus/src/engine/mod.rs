//! The real engine, Malachite, dressed for our types. Read [`start`] first: it is the map of what runs.

mod assembly;
mod codec;
mod config;
mod convert;
mod driver;
mod gate;
mod handle;
mod judge;
mod kept;
mod network;
mod part;
mod shared;
mod signing;
mod start;
mod types;
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
