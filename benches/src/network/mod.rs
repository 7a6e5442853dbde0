//! `./dev bench network`: what the network costs and how long it takes.

mod lookup;

use crate::harness::Report;
use anyhow::Result;

/// Prints all figures of the network.
pub fn run(report: &Report) -> Result<()> {
    lookup::run(report)
}
