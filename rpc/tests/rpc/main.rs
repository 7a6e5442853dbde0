//! The interface from outside: a served in-memory node, its callers, and those who mean it harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod calls;
mod client;
mod common;
mod errors;
mod fuzz;
mod http;
mod nodes;
mod quote;
mod shapes;
mod text;
mod villains;
