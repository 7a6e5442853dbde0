//! Tests that need the writers, which no other crate can reach.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod histories;
mod joins;
mod light_client;
mod world;
