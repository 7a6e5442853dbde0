//! Bonds move the set of validators while the chain runs, and a rule book that a program does not know stops it in time.

use crate::common::{Person, Running, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Three validators and no holder; rounds are short, nothing has to be proven.
fn start(folder: &Path, more: &[&str]) -> Vec<String> {
    let dir = folder.join("network").display().to_string();
    let words = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "4s", "--validators", "3"];
    words.iter().chain(&["--holders", "0"]).chain(more).map(|word| (*word).to_owned()).collect()
}

fn network(folder: &Path, more: &[&str]) -> Running {
    let words = start(folder, more);
    Running::start(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

fn node(folder: &Path, index: usize) -> PathBuf {
    folder.join("network").join(if index == 0 { "heavy".to_owned() } else { format!("heavy-{index}") })
}

fn validators(person: &Person) -> Value {
    person.ask(&["validator", "list"])
}

fn weights(person: &Person) -> Vec<u64> {
    let list = validators(person);
    list["validators"].as_array().unwrap().iter().map(|one| one["power"].as_u64().unwrap()).collect()
}

fn height(person: &Person) -> u64 {
    person.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap()
}

#[test]
fn a_validator_leaves_and_comes_back_and_an_unknown_rule_book_stops_every_node_before_its_first_block() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = network(folder.path(), &[]);
    let alice = Person::funded(&folder.path().join("alice"), &devnet);
    assert_eq!(weights(&alice), [1_000, 1_000, 1_000]);

    // Fees for the commands below come from a wallet.
    let listed = validators(&alice);
    for one in listed["validators"].as_array().unwrap() {
        alice.ask(&["wallet", "send", one["address"].as_str().unwrap(), "200HOLD", "--yes"]);
    }
    let dir = |index| node(folder.path(), index).display().to_string();
    let own = alice.ask(&["validator", "address", "--dir", &dir(2)])["address"].as_str().unwrap().to_owned();
    assert!(listed["validators"].as_array().unwrap().iter().any(|one| one["address"] == own.as_str()), "{own}");
    // Whoever bonds decides from the next block on; numbers are given in the order of addresses, so ask who it was.
    let (left, last) = (dir(2), |person: &Person| {
        let mut found = weights(person);
        found.sort_unstable();
        found
    });
    alice.ask(&["validator", "unbond", "all", "--dir", &left, "--yes"]);
    assert_eq!(last(&alice), [0, 1_000, 1_000], "two of three decide");
    let before = height(&alice);
    alice.ask(&["validator", "bond", "150HOLD", "--dir", &left, "--yes"]);
    assert_eq!(last(&alice), [150, 1_000, 1_000]);
    assert!(height(&alice) > before);
    let total = |person: &Person| validators(person)["validators"].to_string();
    wait_for("what was taken back has come", || (!total(&alice).contains("\"unbonding\":[{")).then_some(()));

    alice.refused(&["validator", "unjail", "--dir", &left, "--yes"], 1, "not_jailed", "");
    alice.refused(&["validator", "bond", "1HOLD", "--dir", "/nowhere", "--yes"], 10, "no-node-keys", "heavy --dir");

    verified_without_trust(&alice);

    // Two of three, with more than two thirds of the weight, are ready for rule book 2.
    let first = (height(&alice) + 20).to_string();
    for index in [0, 1] {
        alice.ask(&["validator", "ready", "2", &first, "--dir", &dir(index), "--yes"]);
    }
    let agreed = validators(&alice)["set"]["upgrade"].clone();
    assert_eq!((agreed["version"].as_u64(), agreed["height"].to_string()), (Some(2), first.clone()));

    // Every block is work: the chain comes to the height by itself, for heartbeats would take too long.
    let exit = pushed_until_it_stops(&alice, devnet);
    assert_eq!(exit, 1);
    let (_, error) = Running::refused(&start(folder.path(), &[]).iter().map(String::as_str).collect::<Vec<_>>());
    let message = error["message"].as_str().unwrap();
    let told = format!("rule book 2 begins at height {first}, this program knows rule books up to 1");
    assert!(message.contains(&told), "{message}");

    // A program that knows it goes on where the others stopped.
    let newer = network(folder.path(), &["--rule-book", "2"]);
    let alice = Person { rpc: crate::common::rpc(&newer).to_owned(), ..alice };
    let address = alice.ask(&["wallet", "balance"])["address"].as_str().unwrap().to_owned();
    alice.ask(&["wallet", "send", &address, "1HOLD", "--yes"]);
    assert_eq!(validators(&alice)["set"]["protocol"], 2);
    assert!(height(&alice) >= first.parse().unwrap());
}

/// A light client follows both changes of validators, from the chain's id alone, and remembers.
fn verified_without_trust(alice: &Person) {
    let (exit, error) = alice.fail(&["status", "--light"]);
    assert_eq!((exit, error["code"].as_str()), (2, Some("usage")), "nothing is trusted yet: {error}");
    let chain = alice.ask(&["status", "--short"])["chain"]["chain"].as_str().unwrap().to_owned();
    let light = alice.ask(&["status", "--light", "--chain", &chain]);
    assert_eq!(
        (light["from"].as_u64(), light["changes"].as_u64(), light["weight"].as_u64()),
        (Some(0), Some(2), Some(2_150))
    );
    assert_eq!(light["account"]["balance"], alice.ask(&["wallet", "balance"])["balance"]);
    let again = alice.ask(&["status", "--light"]);
    assert_eq!((again["from"].as_u64(), again["changes"].as_u64()), (light["height"].as_u64(), Some(0)));
    let checkpoint = format!("{}:{}", again["height"], again["hash"].as_str().unwrap());
    assert_eq!(alice.ask(&["status", "--light", "--checkpoint", &checkpoint])["protocol"], 1);
    let wrong = format!("{}:{}", again["height"], "0".repeat(64));
    alice.refused(&["status", "--light", "--checkpoint", &wrong], 14, "unverifiable", "another heavy node");
    alice.refused(&["status", "--light", "--chain", &"1".repeat(64)], 14, "other-chain", "--chain");
}

/// Transfers bring blocks until the network ends by itself; its exit code.
fn pushed_until_it_stops(person: &Person, mut devnet: Running) -> i32 {
    let address = person.ask(&["wallet", "balance"])["address"].as_str().unwrap().to_owned();
    wait_for("the network stops by itself", || {
        // The last of these finds nobody to answer.
        person.run(&["wallet", "send", &address, "1HOLD", "--yes", "--async"]);
        devnet.ended()
    })
}
