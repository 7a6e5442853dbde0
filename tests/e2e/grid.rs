//! A private grid as its people meet it: members hold and store, a stranger is turned away at every door, by name. And what
//! holders say of themselves, as those who look for room read it.

use crate::common::{Person, Running, noise, rpc, wait_for};
use serde_json::Value;
use std::path::Path;

const HOLDERS: usize = 6;
const NOWHERE: &str = "http://127.0.0.1:1";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn hold_dir(folder: &Path, index: usize) -> String {
    folder.join(format!("holder-{index}")).display().to_string()
}

/// Asks one kind of offers: the numbers of the holders.
fn offers(person: &Person, wish: &[&str]) -> Vec<u64> {
    let offers = person.ask(&[&["offers"], wish].concat());
    offers.as_array().unwrap().iter().map(|offer| offer["number"].as_u64().unwrap()).collect()
}

#[test]
fn members_of_a_private_grid_store_and_a_stranger_is_turned_away_at_every_door() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let founder = Person::new(&folder.join("founder"), NOWHERE);
    let (node, genesis) =
        (folder.join("heavy").display().to_string(), folder.join("genesis.toml").display().to_string());
    let wallet = |name: &str| text(&Person::new(&folder.join(name), NOWHERE).ask(&["wallet", "new"])["address"]);
    let holders: Vec<String> = (0..=HOLDERS)
        .map(|index| text(&founder.ask(&["hold", "address", "--dir", &hold_dir(folder, index)])["address"]))
        .collect();
    let (alice, mallory) = (wallet("alice"), wallet("mallory"));
    let stranger = &holders[HOLDERS];

    let mut words: Vec<String> =
        ["genesis", "new", "--dir", &node, "--out", &genesis, "--round", "6s"].map(str::to_owned).to_vec();
    for address in holders.iter().chain([&alice, &mallory]) {
        words.extend(["--fund".to_owned(), format!("{address}=100000HOLD")]);
    }
    for member in holders[..HOLDERS].iter().chain([&alice]) {
        words.extend(["--member".to_owned(), member.clone()]);
    }
    founder.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let grid = &founder.ask(&["genesis", "show", &genesis])["genesis"]["rules"]["grid"];
    assert_eq!(grid.as_array().unwrap().len(), HOLDERS + 1);

    let start =
        ["heavy", "--dir", &node, "--genesis", &genesis, "--rpc-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    let heavy = wait_for("the heavy node starts", || Running::start(&start));
    let url = rpc(&heavy).to_owned();
    let hold = |index: usize, more: &[&str]| {
        let dir = hold_dir(folder, index);
        let words =
            ["hold", "--dir", &dir, "--quota", "1GiB", "--price", "100HOLD", "--network", "devnet", "--rpc", &url];
        [&words[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let started = |index: usize, more: &[&str]| {
        let words = hold(index, more);
        Running::start(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    };
    let said: [&[&str]; HOLDERS] = [
        &["--region", "eu-west", "--operator", "acme", "--max-term", "1h"],
        &["--region", "eu-west", "--operator", "bolt"],
        &["--region", "us"],
        &[],
        &[],
        &[],
    ];
    let mut running: Vec<Running> = (0..HOLDERS).map(|index| started(index, said[index])).collect();
    let number = |running: &Running| running.said["holder"].as_u64().unwrap();
    assert_eq!(running[0].said["profile"]["operator"], "acme");

    // The doors: the ledger, for who would hold; the heavy node, for who would store.
    let words = hold(HOLDERS, &[]);
    let (exit, error) = Running::refused(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((exit, text(&error["code"])), (1, "not-admitted".to_owned()), "{error}");
    assert!(text(&error["hint"]).contains("private grid"), "{error}");
    let file = folder.join("file");
    std::fs::write(&file, noise(300_000, 3)).unwrap();
    let store = ["put", file.to_str().unwrap(), "--for", "30m", "--yes"];
    let mallory = Person::new(&folder.join("mallory"), &url);
    mallory.refused(&store, 1, "not-admitted", "private grid");
    let alice = Person::new(&folder.join("alice"), &url);
    wait_for("six holders take it", || alice.run(&store).status.success().then_some(()));
    assert_eq!(alice.get("file"), noise(300_000, 3));
    alice.ask(&["wallet", "send", stranger, "1HOLD", "--yes"]);

    // What holders say of themselves, and that a restart with another word changes it.
    let all: Vec<u64> = running.iter().map(number).collect();
    let found = offers(&mallory, &[]);
    assert_eq!((found.len(), all.iter().all(|number| found.contains(number))), (HOLDERS, true), "anyone may look");
    assert_eq!(offers(&alice, &["--region", "eu-west", "--operator", "acme"]), [number(&running[0])]);
    assert_eq!(offers(&alice, &["--region", "us", "--region", "mars"]), [number(&running[2])]);
    assert!(!offers(&alice, &["--for", "2h"]).contains(&number(&running[0])), "one hour at the longest");
    assert!(offers(&alice, &["--topic", "films"]).is_empty());
    running.remove(2).kill();
    let moved = started(2, &["--topic", "films"]);
    assert_eq!(offers(&alice, &["--topic", "films"]), [number(&moved)]);
    assert!(offers(&alice, &["--region", "us"]).is_empty(), "what a start leaves out is taken back");
}
