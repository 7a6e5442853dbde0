//! Signed transfers from JSON-RPC to durable blocks: how many a second, what of a processor each costs, and where.
//!
//! The validators are `holdfast heavy` processes as anyone runs them: JSON-RPC over loopback, mempool, gossip, the real
//! consensus engine, RocksDB with a synced write per block, the state root in every header. The client is this process: it
//! sends what was signed beforehand, 500 calls of `tx_submit` in one request as an exchange would, over eight connections,
//! and keeps no more than some tens of thousands waiting. A transaction counts once its block is durable.
//!
//! Everything runs on two processors, client included. The yardstick is the batch verification of ed25519 signatures by
//! as many different keys, per processor, just before and after.

mod client;
mod four;
mod network;
mod one;
mod people;
mod stages;
mod threads;
mod yardstick;

use crate::harness::Report;
use anyhow::Result;

pub fn run(report: &Report) -> Result<()> {
    one::run(report)?;
    four::run(report)
}
