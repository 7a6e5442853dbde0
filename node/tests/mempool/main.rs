//! The mempool over the real rule book: what waits, in which order it goes into blocks, and what must go when it is full.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chain;

mod model;
mod proofs;
mod replacements;
