//! What waits for a block waits in memory. Whoever waits for it is told that it is final, or that it can never be, even when
//! every node that knew of it was killed.

use super::validators::Four;
use crate::common::wait_for;
use serde_json::Value;
use std::process::Stdio;

const ALL: [usize; 4] = [0, 1, 2, 3];

fn started(folder: &std::path::Path) -> Four {
    let mut network = Four::found(folder, "1h");
    network.start_all();
    network
}

/// Takes two of four down: nothing is decided, what is handed in waits. One of them is the next proposer, so that nobody puts it
/// into a block, which would be kept.
fn halt(network: &mut Four) {
    while network.next_proposer() < 2 {
        network.transfer();
    }
    network.kill(&[2, 3]);
}

/// Kills all and starts them anew: everybody has forgotten what waited.
fn forget(network: &mut Four) {
    network.kill(&[0, 1]);
    network.start_all();
}

fn to(network: &Four) -> String {
    network.account(2).address().to_text(holdfast_primitives::NetworkPrefix::Devnet)
}

#[test]
fn who_waits_is_told_that_it_is_final_though_every_node_forgot_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = started(folder.path());
    let owner = network.owner(0);
    let to = to(&network);
    halt(&mut network);
    let words = ["wallet", "send", &to, "5HOLD", "--yes", "--json"];
    let waiting = owner.command(&words).stdin(Stdio::null()).spawn().unwrap();
    wait_for("the transfer waits", || (network.waiting(0) == 1).then_some(()));
    forget(&mut network);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (_, txs) = network.agreed();
    assert!(txs.contains(sent["tx"].as_str().unwrap()), "{sent}");
    assert!(ALL.iter().all(|index| !network.log(*index).contains("panicked")));
}

#[test]
fn who_did_not_wait_can_ask_later_and_is_told_what_can_never_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = started(folder.path());
    let owner = network.owner(0);
    let to = to(&network);
    let sent = |amount: &str| {
        let sent = owner.ask(&["wallet", "send", &to, amount, "--yes", "--async"]);
        sent["tx"].as_str().unwrap().to_owned()
    };
    halt(&mut network);
    let first = sent("5HOLD");
    wait_for("the transfer waits", || (network.waiting(0) == 1).then_some(()));
    forget(&mut network);
    // This machine still has it, and hands it in again.
    let found = owner.ask(&["tx", "wait", &first]);
    assert_eq!(found["tx"].as_str().unwrap(), first);

    halt(&mut network);
    let second = sent("6HOLD");
    wait_for("the transfer waits", || (network.waiting(0) == 1).then_some(()));
    forget(&mut network);
    // Forgotten, its sequence number is free again: another transfer takes it.
    let third = owner.ask(&["wallet", "send", &to, "7HOLD", "--yes"]);
    let (exit, error) = owner.fail(&["tx", "wait", &second]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (1, "wrong_sequence"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("sequence number"), "{error}");

    // Of what somebody else handed in elsewhere only the id is known.
    let nowhere = "ab".repeat(32);
    let (exit, error) = owner.fail(&["tx", "wait", &nowhere, "--timeout", "1s"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (10, "tx-unknown"), "{error}");

    let (_, txs) = network.agreed();
    assert!(txs.contains(&first) && txs.contains(third["tx"].as_str().unwrap()) && !txs.contains(&second));
}
