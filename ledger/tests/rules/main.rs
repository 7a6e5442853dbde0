//! The rule book from outside: every rule has its breaker, money is recounted after every block, and every block is built
//! and checked by the same rules, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod any_bytes;
mod audits;
mod beacon;
mod blocks;
mod disk;
mod extensions;
mod first_block;
mod follow;
mod footprints;
mod fuzz;
mod inclusion;
mod market;
mod oracle;
mod replays;
mod rounds;
mod shape;
mod signing;
mod stake;
mod standing;
mod storm;
mod upgrades;
mod vault;
mod villains;
