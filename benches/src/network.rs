//! What travels between an owner and a holder: our range protocol against bare QUIC, directly and through a relay, and how
//! soon the first kilobyte comes. Everything is in this process and on loopback, so a figure is the CPU time of both ends
//! (and of the relay, where there is one).
//!
//! Bare QUIC is a stream, or as many as our transfer uses, between the same endpoints with the same settings; what comes is
//! counted and dropped. Ours verifies every leaf besides, so it is compared with bare streams whose receiver makes the
//! batch's tree of what comes, too. The holder keeps what it is sent in memory: disks are not what is measured.
//!
//! And how long an owner waits for offers among few and among many heavy nodes.

mod ends;
mod latency;
mod lookup;
mod rates;
mod shelf;

use crate::harness::Report;
use anyhow::Result;
use tokio::runtime::Runtime;

pub fn run(report: &Report) -> Result<()> {
    let runtime = Runtime::new()?;
    rates::run(report, &runtime)?;
    latency::run(report, &runtime)?;
    lookup::run(report)
}
