//! Coming to the chain's newest state: by a snapshot and then by blocks, or by blocks alone; and helping others do so.
//!
//! ```text
//! chain/ has blocks -------------------------------------------------> nothing to do
//! chain.joining/ is finished -> renamed to chain/ -------------------> nothing more to do
//! else: ask the peers what they have -> decide (policy.rs)
//!         Blocks    -> consensus fetches every block from the first on
//!         Snapshot  -> follow the validators, check a manifest, fetch and verify chunks (run.rs, sink.rs), then as above
//! ```

mod desk;
mod policy;
mod run;
mod shelf;
mod sink;
mod watch;

pub use desk::JoinDesk;
pub use policy::{Checkpoint, CheckpointError, SyncMode};
pub use run::{JoinError, prepare};
pub use shelf::{SNAPSHOT_INTERVAL, Shelf};
pub use watch::{watch_history, widen};
