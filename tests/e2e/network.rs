//! Several validators, each a process of its own: any of them may be asked, and one of four may die.

use crate::common::{Person, Running, noise, wait_for};
use crate::process::signal;
use serde_json::Value;
use std::path::Path;

/// Four validators, with rounds long enough for a slow machine.
fn four(folder: &Path, holders: &str) -> Running {
    let dir = folder.join("network").display().to_string();
    let start = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "8s"];
    Running::start(&[&start[..], &["--validators", "4", "--holders", holders]].concat()).unwrap()
}

/// Someone with a wallet who asks the validator at `rpc`.
fn person(folder: &Path, name: &str, rpc: &str) -> Person {
    let person = Person::new(&folder.join(name), rpc);
    person.ask(&["wallet", "new"]);
    person
}

fn validators(network: &Running) -> Vec<(String, u32)> {
    let listed = network.said["validators"].as_array().unwrap().iter();
    let of = |value: &Value| (value["rpc"].as_str().unwrap().to_owned(), value["pid"].as_u64().unwrap() as u32);
    listed.map(of).collect()
}

fn address(person: &Person) -> String {
    person.ask(&["wallet", "balance"])["address"].as_str().unwrap().to_owned()
}

/// What a validator comes to at a height, computed from every block that it hands out.
fn replayed(person: &Person, height: u64) -> (Value, Value) {
    let verdict = person.ask(&["audit", "chain", "--to", &height.to_string()]);
    (verdict["block"].clone(), verdict["state_root"].clone())
}

fn height(person: &Person) -> u64 {
    person.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap()
}

#[test]
fn four_validators_agree_pass_transactions_on_and_bear_the_death_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let network = four(folder.path(), "6");
    let others = validators(&network);
    assert_eq!(others.len(), 3);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let bob = person(folder.path(), "bob", &others[0].0);
    let carol = person(folder.path(), "carol", &others[1].0);

    // Handed to one validator, made final by all, seen at another.
    let to_bob = address(&bob);
    alice.ask(&["wallet", "send", &to_bob, "100HOLD", "--yes"]);
    wait_for("bob's validator knows", || (bob.balance() == 100_000_000_000).then_some(()));
    let to_carol = address(&carol);
    bob.ask(&["wallet", "send", &to_carol, "7HOLD", "--yes"]);
    wait_for("carol's validator knows", || (carol.balance() == 7_000_000_000).then_some(()));

    let (file, content) = (folder.path().join("file"), noise(3_000_000, 31));
    std::fs::write(&file, &content).unwrap();
    alice.ask(&["put", file.to_str().unwrap(), "--yes"]);

    signal(others[2].1, "KILL");
    let dead = height(&alice);
    bob.ask(&["wallet", "send", &to_carol, "1HOLD", "--yes"]);
    wait_for("three of four go on", || (carol.balance() == 8_000_000_000 && height(&carol) > dead).then_some(()));
    wait_for("a round after the death pays", || {
        let settled = alice.ask(&["status", "--short"])["settled"].clone();
        settled["paid"].as_str().filter(|paid| *paid != "0").map(drop)
    });
    assert_eq!(alice.get("file"), content);

    let all = [&alice, &bob, &carol];
    let common = all.iter().map(|person| height(person)).min().unwrap();
    let results: Vec<(Value, Value)> = all.iter().map(|person| replayed(person, common)).collect();
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[test]
fn a_devnet_made_for_four_validators_does_not_start_with_one() {
    let folder = tempfile::tempdir().unwrap();
    four(folder.path(), "1").kill();
    let dir = folder.path().join("network").display().to_string();
    let (exit, error) = Running::refused(&["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (2, "other-network"));
    assert!(error["hint"].as_str().unwrap().contains("--heavy 4"), "{error}");
}

/// With two of four dead no block is made, so what waits goes on waiting.
#[test]
fn a_transfer_that_pays_more_takes_the_place_of_one_that_waits_on_other_validators_too() {
    let folder = tempfile::tempdir().unwrap();
    let network = four(folder.path(), "1");
    let others = validators(&network);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let elsewhere = Person::new(&folder.path().join("alice"), &others[0].0);
    let bob = person(folder.path(), "bob", &others[0].0);
    let to = address(&bob);
    let sequence = alice.ask(&["wallet", "balance"])["sequence"].as_u64().unwrap().to_string();
    others[1..].iter().for_each(|(_, pid)| signal(*pid, "KILL"));

    let send = ["wallet", "send", &to, "1HOLD", "--yes", "--async"];
    let first = alice.ask(&send)["tx"].as_str().unwrap().to_owned();
    let replacing =
        |amount, fee| [&send[..3], &[amount], &send[4..], &["--sequence", &sequence, "--fee", fee]].concat();
    let second = elsewhere.ask(&replacing("2HOLD", "0.5HOLD"))["tx"].as_str().unwrap().to_owned();
    let (_, error) = alice.fail(&["tx", "wait", &first]);
    assert_eq!(error["code"], "tx_replaced", "{error}");
    assert!(error["message"].as_str().unwrap().contains(&second), "{error}");

    let (_, error) = alice.fail(&replacing("3HOLD", "0.54HOLD"));
    assert_eq!(error["code"], "replacement_underpriced", "{error}");
    assert!(error["message"].as_str().unwrap().contains(&second), "the first validator has it too: {error}");
}
