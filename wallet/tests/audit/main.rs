//! The auditor against real servers: honest ones, forgetful ones, and villains with names.
//!
//! The chain is a real one: the ledger's own test market makes its blocks, so every proof, payment and fault in it is what
//! the rule book makes of real transactions.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod archive;
mod bundles;
mod light;
mod paths;
mod replays;
mod villains;

// The ledger's market, as its own tests use it.
#[allow(dead_code, reason = "the ledger's tests use more of it")]
#[path = "../../../ledger/tests/rules/disk.rs"]
mod disk;
#[allow(dead_code, reason = "the ledger's tests use more of it")]
#[path = "../../../ledger/tests/rules/market.rs"]
mod market;
#[allow(dead_code, reason = "the ledger's tests use more of it")]
#[path = "../../../ledger/tests/rules/signing.rs"]
mod signing;
#[allow(dead_code, reason = "the ledger's tests use more of it")]
#[path = "../../../ledger/tests/rules/vault.rs"]
mod vault;
