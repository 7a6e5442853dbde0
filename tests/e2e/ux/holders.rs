//! A holder's day: what it earned, why a round failed, what the next failure costs, and how it leaves.

use super::{grains, network, rich, rpc, text};
use crate::common::{Person, Running, noise, wait_for};
use serde_json::Value;

fn start(dir: &str, rpc: &str, more: &[&str]) -> Option<Running> {
    let words = ["hold", "--dir", dir, "--quota", "64MiB", "--price", "900HOLD", "--network", "devnet", "--rpc", rpc];
    Running::start(&[&words, more].concat())
}

fn rounds(person: &Person, holder: &str, failed: bool) -> Vec<Value> {
    let words = ["hold", "audits", holder, "--failed"];
    let audits = person.ask(&words[..if failed { 4 } else { 3 }]);
    audits["rounds"].as_array().unwrap().clone()
}

#[test]
fn a_holder_sees_what_it_earned_and_why_it_was_fined_and_leaves_with_its_money() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 5);
    let alice = rich(folder.path(), "alice", &network);
    let dir = folder.path().join("sixth").display().to_string();
    let address = text(&alice.ask(&["hold", "address", "--dir", &dir])["address"]);
    alice.ask(&["wallet", "send", &address, "200HOLD", "--yes"]);
    let holder = start(&dir, &rpc(&network), &[]).unwrap();
    let number = holder.said["holder"].to_string();
    let file = folder.path().join("file");
    std::fs::write(&file, noise(300_000, 3)).unwrap();
    let store = ["put", file.to_str().unwrap(), "--for", "1h", "--yes"];
    // The sixth holder is online once its parent has heard of it.
    wait_for("six holders take it", || alice.run(&store).status.success().then_some(()));

    let proved = wait_for("a paid round", || {
        rounds(&alice, &number, false).into_iter().find(|row| row["result"]["paid"] != "0")
    });
    assert_eq!((&proved["reason"], &proved["result"]["missing"]), (&"proved".into(), &0.into()));
    let earnings = alice.ask(&["hold", "earnings", &address[..12]]);
    assert!(grains(&earnings["earned"]) >= grains(&proved["result"]["paid"]));
    assert_eq!(grains(&earnings["per_round"]), grains(&proved["result"]["paid"]), "one contract, nothing faulty");
    assert!(grains(&earnings["to_come"]) > 100 * grains(&earnings["per_round"]), "an hour of rounds of 4 s");
    let parts = ["locked", "bond", "free"].iter().map(|part| grains(&earnings[*part])).sum::<u64>();
    assert_eq!((parts, &earnings["at_risk"]), (grains(&earnings["deposit"]), &"0".into()));

    holder.kill();
    let failed = wait_for("a missed round", || rounds(&alice, &number, true).pop());
    assert!(text(&failed["reason"]).contains("no proof came"), "{failed}");
    let penalty = &alice.ask(&["hold", "audits", &number])["penalty"];
    assert_eq!(failed["result"]["fined"], penalty["missed_round_fine"], "the fine that was foretold");
    let holder = start(&dir, &rpc(&network), &[]).unwrap();
    assert_eq!(holder.said["accepting"], true);

    let left = alice.ask(&["hold", "exit", "--dir", &dir, "--yes"]);
    assert_eq!(
        (&left["left"], &left["holder"]["accepting"], &left["holder"]["free"]),
        (&false.into(), &false.into(), &"0".into())
    );
    assert_eq!(grains(&left["holder"]["deposit"]), grains(&left["holder"]["bond"]) + grains(&left["holder"]["locked"]));
    holder.kill();
    let holder = start(&dir, &rpc(&network), &[]).unwrap();
    assert_eq!(holder.said["accepting"], false, "a restart does not undo it");
    let refused = wait_for("it takes nothing new", || {
        let output = alice.run(&["put", file.to_str().unwrap(), "--as", "again", "--for", "1h", "--yes"]);
        (!output.status.success()).then(|| Person::failure(&output, &["put"]).1)
    });
    assert_eq!(refused["code"], "not-enough-holders", "{refused}");

    alice.ask(&["rm", "file", "--yes"]);
    let gone = alice.ask(&["hold", "exit", "--dir", &dir, "--yes", "--wait"]);
    assert_eq!((&gone["left"], &gone["holder"]["deposit"]), (&true.into(), &"0".into()));
    let before = grains(&alice.ask(&["wallet", "balance"])["balance"]);
    let own = text(&alice.ask(&["wallet", "balance"])["address"]);
    let sent = alice.ask(&["hold", "withdraw", "--dir", &dir, &own, "all", "--yes"]);
    assert_eq!(grains(&alice.ask(&["wallet", "balance"])["balance"]), before + grains(&sent["amount"]));
    assert_eq!(alice.ask(&["wallet", "balance", &address])["balance"], "0");
    assert!(grains(&sent["amount"]) > 199_000_000_000, "all but fines and fees: {sent}");
    holder.kill();
    assert!(start(&dir, &rpc(&network), &[]).is_none(), "it has left");
}

#[test]
fn leaving_needs_a_holders_key() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 1);
    let alice = rich(folder.path(), "alice", &network);
    let (dir, stranger) =
        (folder.path().join("none").display().to_string(), folder.path().join("new").display().to_string());
    assert_eq!(alice.fail(&["hold", "exit", "--dir", &dir, "--yes"]).1["code"], "no-holder-key");
    assert!(!folder.path().join("none").exists(), "looking makes no key");
    alice.ask(&["hold", "address", "--dir", &stranger]);
    assert_eq!(alice.fail(&["hold", "exit", "--dir", &stranger, "--yes"]).1["code"], "not-a-holder");
}
