//! What scripts rely on: progress as lines, ids instead of waiting, a stream of blocks.

use super::{network, rich, rpc, text};
use crate::common::{HOLDFAST, Person, Running, noise, wait_for};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// The lines of JSON that a command wrote to stderr.
fn told(person: &Person, words: &[&str]) -> Vec<Value> {
    let output = person.run(words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {stderr}");
    stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} is no JSON"))).collect()
}

fn check(lines: &[Value], step: &str, bytes: u64) {
    let last = lines.last().unwrap();
    assert_eq!((&last["step"], &last["done"]), (&step.into(), &true.into()), "{last}");
    assert_eq!((last["bytes"].as_u64(), last["bytes_total"].as_u64()), (Some(bytes), Some(bytes)), "{last}");
    assert!(lines.iter().all(|line| line["bytes"].as_u64() <= Some(bytes)), "{lines:?}");
    assert!(lines.is_sorted_by_key(|line| line["bytes"].as_u64()), "{lines:?}");
    assert!(lines.iter().all(|line| line["bytes_per_second"].is_u64()), "{lines:?}");
}

#[test]
fn progress_comes_as_lines_of_json_and_never_otherwise_off_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 6);
    let alice = rich(folder.path(), "alice", &network);
    let file = folder.path().join("file");
    std::fs::write(&file, noise(9 << 20, 5)).unwrap();
    let path = file.to_str().unwrap();
    let stored = told(&alice, &["put", path, "--for", "1h", "--yes", "--json-progress"]);
    check(&stored, "storing", 9 << 20);
    let last = stored.last().unwrap();
    assert_eq!(last["pieces_stored"], last["pieces_needed"]);
    assert!(last["pieces_needed"].as_u64().unwrap() >= 18, "three segments of six: {last}");
    assert!(stored.iter().all(|line| line["pieces_stored"].as_u64() <= line["pieces_needed"].as_u64()));

    let (out, all) = (folder.path().join("out").display().to_string(), folder.path().join("all").display().to_string());
    check(&told(&alice, &["get", "file", "--out", &out, "--json-progress"]), "reading", 9 << 20);
    check(&told(&alice, &["restore", "--to", &all, "--json-progress"]), "restoring", 9 << 20);
    assert_eq!(std::fs::read(folder.path().join("all/file")).unwrap(), noise(9 << 20, 5));
    // Without the flag nothing is drawn where nobody looks.
    let quiet = Command::new(HOLDFAST)
        .args(["get", "file", "--force", "--out", &out, "--rpc", &rpc(&network), "--data-dir"])
        .arg(alice.folder.join("data"))
        .arg("--password-file")
        .arg(alice.folder.join("password"))
        .output()
        .unwrap();
    assert!(quiet.status.success());
    assert_eq!(String::from_utf8(quiet.stderr).unwrap(), "");
}

#[test]
fn asynchronous_commands_print_an_id_that_can_be_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 6);
    let alice = rich(folder.path(), "alice", &network);
    let bob = Person::new(&folder.path().join("bob"), &rpc(&network));
    let bobs = text(&bob.ask(&["wallet", "new"])["address"]);
    let file = folder.path().join("file");
    std::fs::write(&file, noise(400_000, 6)).unwrap();
    let path = file.to_str().unwrap();
    let wait = |words: &[&str]| {
        let tx = text(&alice.ask(words)["tx"]);
        assert!(alice.ask(&["tx", "wait", &tx])["height"].as_u64().unwrap() > 0, "{words:?}");
    };
    wait(&["wallet", "faucet", "--async"]);
    wait(&["wallet", "send", &bobs, "1HOLD", "--yes", "--async"]);
    wait(&["put", path, "--for", "1h", "--yes", "--async"]);
    wait(&["put", path, "--as", "second", "--for", "1h", "--yes", "--async"]);
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 2);
    wait(&["rm", "file", "--yes", "--async"]);
    wait(&["rm", "second", "--yes", "--async"]);
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 0);
    assert_eq!(bob.ask(&["wallet", "balance"])["balance"], "1000000000");
}

#[test]
fn status_goes_on_telling_of_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let network: Running = network(folder.path(), 1);
    let mut watching = Command::new(HOLDFAST)
        .args(["status", "--watch", "--json", "--rpc", &rpc(&network)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut height = 0;
    for _ in 0..3 {
        let line: Value = wait_for("a block", || Some(serde_json::from_str(&lines.next()?.unwrap()).unwrap()));
        assert!(line["height"].as_u64().unwrap() > height, "{line}");
        height = line["height"].as_u64().unwrap();
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
}
