//! The proof engine's tests: vectors of the design, independent oracles, villains, and a simulation.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batch_tree;
mod challenge;
mod detection;
mod disk;
mod opening;
mod oracle;
mod proof;
mod range;
mod total;
mod vectors;
