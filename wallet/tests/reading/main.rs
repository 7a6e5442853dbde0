//! Reading from the fastest of the holders: the policy alone, and with real holders' servers of which some are villains.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod grants;
mod races;
mod stage;
mod villains;

// The network's cast: a clock, keys, a network in memory.
#[path = "../../../network/tests/common/mod.rs"]
mod common;
