//! kill -9 of a parent: holders and an owner who were told of one heavy node only go on at others, with what was under way.

use crate::common::{HOLDFAST, Person, Running, noise, wait_closely, wait_for};
use crate::faults::validators::Four;
use crate::process::signal;
use holdfast_rpc::RpcClient;
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// As many as a segment has batches: every one of them is needed.
const HOLDERS: usize = 6;
const ROUND: &str = "8s";

/// The holders' processes; all of them are told of the first heavy node and of no other.
fn holder(network: &Four, folder: &Path, index: usize) -> Running {
    let mut command = Command::new(HOLDFAST);
    let log = std::fs::File::options().create(true).append(true).open(folder.join(format!("holder-{index}.log")));
    command.args(["hold", "--quota", "2GiB", "--price", "1000HOLD", "--network", "devnet", "--rpc", &network.url(0)]);
    command.arg("--dir").arg(folder.join(format!("network/holder-{index}"))).stderr(log.unwrap());
    Running::start_command(command).unwrap()
}

/// Children of each heavy node; `None` of one that does not answer.
fn children(network: &Four) -> Vec<Option<u32>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = |index: usize| {
        let client = RpcClient::connect(&network.url(index)).unwrap();
        runtime.block_on(async { Some(client.market_node().await.ok()?.children) })
    };
    (0..4).map(count).collect()
}

/// Waits until every holder is somebody's child.
fn all_at_home(network: &Four, dead: &[usize]) {
    wait_for("every holder has a parent", || {
        let living = (0..4).filter(|index| !dead.contains(index));
        let counts = children_of(network, living.collect());
        (counts.iter().sum::<u32>() >= HOLDERS as u32).then_some(())
    });
}

fn children_of(network: &Four, nodes: Vec<usize>) -> Vec<u32> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = |index: usize| {
        let client = RpcClient::connect(&network.url(index)).unwrap();
        runtime.block_on(async { client.market_node().await.map_or(0, |node| node.children) })
    };
    nodes.into_iter().map(count).collect()
}

/// Starts a command and leaves it alone.
fn begin(person: &Person, words: &[&str]) -> Child {
    person.command(words).arg("--json").stdin(Stdio::null()).spawn().unwrap()
}

/// What a command that was begun printed in the end.
fn finish(child: Child, what: &str) -> Value {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn holders_and_owner_outlive_their_heavy_node_with_what_was_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Four::found_with_holders(folder.path(), ROUND, HOLDERS);
    network.start_all();
    let mut holders: Vec<Running> = (0..HOLDERS).map(|index| holder(&network, folder.path(), index)).collect();
    wait_for("all holders are children of the one that they were told of", || {
        (children(&network)[0] == Some(HOLDERS as u32)).then_some(())
    });
    let owner = network.owner(0);
    let (old, old_bytes) = (folder.path().join("old"), noise(24_000_000, 5));
    std::fs::write(&old, &old_bytes).unwrap();
    owner.ask(&["put", old.to_str().unwrap(), "--yes"]);

    // An upload that waits for one holder, and a reading, are under way when the parent of all of them dies.
    let (new, new_bytes) = (folder.path().join("new"), noise(48_000_000, 6));
    std::fs::write(&new, &new_bytes).unwrap();
    let batches = folder.path().join("network/holder-0/vault/batches");
    let files = || std::fs::read_dir(&batches).unwrap().count();
    let before = files();
    let put = begin(&owner, &["put", new.to_str().unwrap(), "--yes"]);
    wait_closely("the upload has begun", || (files() > before).then_some(()));
    signal(holders[5].pid(), "STOP");
    network.kill(&[0]);
    let moved = wait_for("the others have moved", || {
        let counts = children_of(&network, vec![1, 2, 3]);
        (counts.iter().sum::<u32>() >= HOLDERS as u32 - 1).then_some(counts)
    });
    signal(holders[5].pid(), "CONT");
    finish(put, "the upload");
    eprintln!("children of the living: {moved:?}");
    all_at_home(&network, &[0]);

    let out = folder.path().join("read");
    let reading = begin(&owner, &["get", "old", "--out", out.to_str().unwrap()]);
    finish(reading, "a reading by who knows the dead one only");
    assert!(std::fs::read(&out).unwrap() == old_bytes);
    assert!(owner.get("new") == new_bytes);

    // Rounds that began after the death are proved by everyone, and paid.
    let round = |person: &Person| person.ask(&["status", "--short"])["chain"]["round"].as_u64().unwrap();
    let begun = round(&owner) + 1;
    let settled = wait_for("a whole round after the death is settled", || {
        let settled = owner.ask(&["status", "--short"])["settled"].clone();
        (settled["round"].as_u64() > Some(begun)).then_some(settled)
    });
    assert_ne!(settled["paid"].as_str(), Some("0"), "{settled}");
    assert_eq!(settled["missed"].as_u64(), Some(0), "{settled}");

    // A holder that starts while the only heavy node that it is told of is dead finds the others in its folder.
    holders.remove(3).kill();
    wait_for("its parent has noticed", || {
        (children_of(&network, vec![1, 2, 3]).iter().sum::<u32>() < HOLDERS as u32).then_some(())
    });
    holders.push(holder(&network, folder.path(), 3));
    all_at_home(&network, &[0]);
    assert!(owner.get("new") == new_bytes);
}

#[test]
fn a_reading_that_the_parent_dies_over_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Four::found_with_holders(folder.path(), ROUND, HOLDERS);
    network.start_all();
    let holders: Vec<Running> = (0..HOLDERS).map(|index| holder(&network, folder.path(), index)).collect();
    all_at_home(&network, &[]);
    let owner = network.owner(0);
    let (file, bytes) = (folder.path().join("file"), noise(40_000_000, 7));
    std::fs::write(&file, &bytes).unwrap();
    owner.ask(&["put", file.to_str().unwrap(), "--yes"]);

    // It cannot be over before the parent dies: what is read has nowhere to go.
    let mut reading = owner.command(&["get", "file", "--out", "-"]).spawn().unwrap();
    let mut out = reading.stdout.take().unwrap();
    let mut read = vec![0; 1 << 16];
    out.read_exact(&mut read).unwrap();
    network.kill(&[0]);
    out.read_to_end(&mut read).unwrap();
    assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
    assert!(reading.wait().unwrap().success());
    drop(holders);
}
