//! A holder's day without a network: real vaults in temporary folders, and a chain of one validator behind the holder's
//! own trait, whose every block the rule book builds.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batch;
mod chain;
mod desk;
mod keeper;

mod full_disk;
mod grants;
mod promises;
mod scrub;
