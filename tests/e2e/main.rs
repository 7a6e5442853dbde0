//! The program as a stranger runs it: real processes, real kills, real mistakes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod audit;
mod bounds;
mod changes;
mod common;
mod crash;
mod demo;
mod folders;
mod mistakes;
mod network;
mod ports;
mod process;
mod readme;
mod together;
mod ux;
