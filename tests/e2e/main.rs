//! The program as a stranger runs it: real processes, real kills, real mistakes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it saw before")]

mod audit;
mod bounds;
mod ceremony;
mod changes;
mod common;
mod computer;
mod crash;
mod demo;
mod faults;
mod folders;
mod grid;
mod guide;
mod join;
mod mistakes;
mod nat;
mod netns;
mod network;
mod parents;
mod partitions;
mod ports;
mod process;
mod readme;
mod sharing;
mod stake;
mod together;
mod units;
mod ux;
