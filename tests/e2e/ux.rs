//! What UX promises to people of every kind, tried as they would: holders, owners, scripts.

mod holders;
mod ids;
mod owners;
mod scripts;

use crate::common::{Person, Running};
use serde_json::Value;
use std::path::Path;

/// A devnet with short rounds.
fn network(folder: &Path, holders: u32) -> Running {
    let dir = folder.join("network").display().to_string();
    let holders = holders.to_string();
    Running::start(&[
        "devnet",
        "--rpc-listen",
        "127.0.0.1:0",
        "--dir",
        &dir,
        "--round",
        "4s",
        "--holders",
        &holders,
        "--quota",
        "64MiB",
    ])
    .unwrap()
}

fn rpc(network: &Running) -> String {
    text(&network.said["rpc"])
}

/// Someone with a wallet and money.
fn rich(folder: &Path, name: &str, network: &Running) -> Person {
    let person = Person::new(&folder.join(name), &rpc(network));
    person.ask(&["wallet", "new"]);
    person.ask(&["wallet", "faucet"]);
    person
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// An amount in grain.
fn grains(value: &Value) -> u64 {
    text(value).parse().unwrap()
}
