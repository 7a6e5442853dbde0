//! The genesis ceremony at the command line: founder and operators, each in a folder of their own, handing files to each other.

use crate::common::{HOLDFAST, Running, wait_for};
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Someone in a folder of their own.
struct Desk(PathBuf);

impl Desk {
    fn new(folder: &Path, name: &str) -> Self {
        let desk = folder.join(name);
        std::fs::create_dir(&desk).unwrap();
        Self(desk)
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(HOLDFAST);
        command.args(words).arg("--json").current_dir(&self.0);
        command.env_remove("HOLDFAST_NETWORK").env("HOLDFAST_DATA_DIR", &self.0).output().unwrap()
    }

    fn ask(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A command that must fail: its exit code, its word for machines, and what it tells people.
    fn fail(&self, words: &[&str]) -> (i32, String, String) {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?} went well");
        let error: Value = serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
        let text = |key: &str| error["error"][key].as_str().unwrap_or_default().to_owned();
        (output.status.code().unwrap(), text("code"), format!("{}\n{}", text("message"), text("hint")))
    }

    fn refused(&self, words: &[&str], exit: i32, code: &str, told: &str) {
        let (found, word, text) = self.fail(words);
        assert_eq!((found, word.as_str()), (exit, code), "{words:?}: {text}");
        assert!(text.contains(told), "{words:?}: {text}");
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }

    fn hand(&self, file: &str, to: &Self) {
        std::fs::copy(self.0.join(file), to.0.join(file)).unwrap();
    }

    /// Writes this operator's entry, as if it sat at 192.0.2.`place`.
    fn enter(&self, name: &str, place: u8) -> Value {
        let host = format!("192.0.2.{place}");
        self.ask(&[
            "genesis",
            "add-validator",
            "draft.toml",
            "--dir",
            "node",
            "--name",
            name,
            "--bond",
            "10000HOLD",
            "--host",
            &host,
        ])
    }
}

/// A founder with a draft, and operators who have it.
fn drafted<const N: usize>(folder: &Path, names: [&str; N]) -> (Desk, [Desk; N]) {
    let founder = Desk::new(folder, "founder");
    founder.ask(&["genesis", "new", "--network", "testnet", "--name", "mine"]);
    let desks = names.map(|name| Desk::new(folder, name));
    desks.iter().for_each(|desk| founder.hand("draft.toml", desk));
    (founder, desks)
}

#[test]
fn operators_make_a_genesis_together_and_start_it_from_the_files_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let founder = Desk::new(folder.path(), "founder");
    founder.ask(&["genesis", "new", "--network", "devnet", "--name", "mine", "--round", "8s"]);
    let desks = ["alice", "bob"].map(|name| Desk::new(folder.path(), name));
    // Nobody else is likely to be given the same ports so soon.
    let ports = ["alice", "bob"].map(|_| {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        (udp.local_addr().unwrap().port().to_string(), tcp.local_addr().unwrap().port().to_string())
    });
    for ((desk, name), (udp, tcp)) in desks.iter().zip(["alice", "bob"]).zip(&ports) {
        founder.hand("draft.toml", desk);
        let words = ["genesis", "add-validator", "draft.toml", "--dir", "node", "--name", name, "--bond", "100HOLD"];
        desk.ask(&[&words[..], &["--host", "127.0.0.1", "--node-port", udp, "--consensus-port", tcp]].concat());
        desk.hand(&format!("{name}.toml"), &founder);
    }
    founder.ask(&["genesis", "collect", "draft.toml", "alice.toml", "bob.toml"]);
    let made = founder.ask(&["genesis", "finalize", "draft.toml"]);
    let nodes: Vec<Running> = desks
        .iter()
        .zip(&ports)
        .enumerate()
        .map(|(index, (desk, (udp, tcp)))| {
            founder.hand("genesis.toml", desk);
            founder.hand("peers.toml", desk);
            let shown = desk.ask(&["genesis", "show", "genesis.toml", "--dir", "node"]);
            assert_eq!(shown["chain_id"], made["chain_id"], "all compare the same id");
            assert!(shown["validator"].is_u64(), "{index}: {shown}");
            let mut command = Command::new(HOLDFAST);
            command.args(["heavy", "--dir", "node", "--peers", "peers.toml", "--rpc-listen", "127.0.0.1:0"]);
            command.args([
                "--listen",
                &format!("127.0.0.1:{udp}"),
                "--consensus-listen",
                &format!("/ip4/127.0.0.1/tcp/{tcp}"),
            ]);
            command.current_dir(&desk.0).stderr(Stdio::null());
            Running::start_command(command).unwrap()
        })
        .collect();
    for (desk, node) in desks.iter().zip(&nodes) {
        let rpc = node.said["rpc"].as_str().unwrap();
        wait_for("two validators decide together", || {
            let status = desk.ask(&["status", "--short", "--rpc", rpc]);
            (status["chain"]["height"].as_u64().unwrap() >= 2 && status["chain"]["chain"] == made["chain_id"])
                .then_some(())
        });
    }
}

#[test]
fn what_is_right_is_collected_what_is_wrong_is_named_and_twice_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let (founder, [alice, bob, mallory]) = drafted(folder.path(), ["alice", "bob", "mallory"]);
    for (place, (desk, name)) in (1..).zip([(&alice, "alice"), (&bob, "bob"), (&mallory, "mallory")]) {
        desk.enter(name, place);
        desk.hand(&format!("{name}.toml"), &founder);
    }
    founder.write("richer.toml", &founder.read("mallory.toml").replace("10000 HOLD", "90000 HOLD"));
    founder.write("moved.toml", &founder.read("bob.toml").replace("192.0.2.2", "192.0.2.3"));
    founder.write("garbage.toml", "what is this?");
    founder.write("huge.toml", &"#".repeat(100_000));
    let other = Desk::new(folder.path(), "other");
    other.ask(&["genesis", "new", "--network", "testnet", "--name", "other"]);
    other.enter("foreign", 9);
    other.hand("foreign.toml", &founder);

    let files = ["richer.toml", "moved.toml", "garbage.toml", "huge.toml", "foreign.toml", "missing.toml"];
    let (exit, code, text) = founder.fail(&[&["genesis", "collect", "draft.toml", "alice.toml"], &files[..]].concat());
    assert_eq!((exit, code.as_str()), (3, "bad-entry"));
    let reasons =
        ["changed after signing", "changed after signing", "no entry", "larger than", "is for draft", "No such file"];
    for (file, reason) in files.iter().zip(reasons) {
        assert!(text.lines().any(|line| line.starts_with(file) && line.contains(reason)), "{file}: {text}");
    }
    let draft = founder.read("draft.toml");
    assert!(draft.contains("alice") && !draft.contains("mallory"));
    founder.refused(&["genesis", "collect", "draft.toml", "richer.toml"], 1, "bad-entry", "richer.toml");
    let again = founder.ask(&["genesis", "collect", "draft.toml", "alice.toml"]);
    assert_eq!((&again["validators"], &again["taken"][0]["new"]), (&1.into(), &false.into()));
    assert_eq!(founder.read("draft.toml"), draft, "collecting twice changes nothing");

    // A second thought of alice's does not replace her first one unnoticed.
    std::fs::remove_file(alice.0.join("alice.toml")).unwrap();
    alice.enter("alice", 7);
    alice.hand("alice.toml", &founder);
    founder.refused(
        &["genesis", "collect", "draft.toml", "alice.toml"],
        1,
        "bad-entry",
        "remove its [[validators]] block",
    );
    let taken = founder.ask(&["genesis", "collect", "draft.toml", "bob.toml", "mallory.toml"]);
    assert_eq!(taken["validators"], 3);
}

#[test]
fn each_step_says_what_is_missing_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (founder, [alice, bob]) = drafted(folder.path(), ["alice", "bob"]);
    founder.refused(&["genesis", "new", "--network", "testnet"], 1, "exists", "--out");
    founder.refused(&["genesis", "finalize", "draft.toml"], 1, "bad-draft", "genesis collect draft.toml");
    founder.refused(&["genesis", "finalize", "nothing.toml"], 10, "unreadable", "genesis new");
    let words = ["genesis", "add-validator", "draft.toml", "--dir", "node", "--name", "alice", "--bond"];
    let loopback = [&words[..], &["10000HOLD", "--host", "127.0.0.1"]].concat();
    alice.refused(&loopback, 2, "bad-entry", "only a devnet");
    alice.refused(&[&words[..], &["0.5HOLD", "--host", "192.0.2.1"]].concat(), 2, "bad-entry", "less than");
    assert!(!alice.0.join("node").exists(), "no keys are made for an entry that cannot be");
    alice.enter("alice", 1);
    alice.refused(&[&words[..], &["10000HOLD", "--host", "192.0.2.1"]].concat(), 1, "exists", "--out");
    alice.refused(&["genesis", "show", "alice.toml"], 2, "no-genesis", "genesis collect");

    alice.hand("alice.toml", &founder);
    founder.ask(&["genesis", "collect", "draft.toml", "alice.toml"]);
    founder.ask(&["genesis", "finalize", "draft.toml"]);
    founder.refused(&["genesis", "finalize", "draft.toml"], 1, "exists", "--out");
    let genesis = founder.read("genesis.toml");
    bob.ask(&["genesis", "new", "--dir", "node", "--out", "other.toml"]);
    for desk in [&alice, &bob] {
        founder.hand("genesis.toml", desk);
        founder.hand("peers.toml", desk);
    }
    bob.refused(
        &["genesis", "show", "genesis.toml", "--dir", "node"],
        1,
        "no-validator",
        "the keys in node are of no validator",
    );
    bob.refused(
        &["heavy", "--dir", "node", "--genesis", "other.toml", "--peers", "peers.toml"],
        1,
        "bad-peers",
        "of chain",
    );
    assert_eq!(founder.read("genesis.toml"), genesis);
    assert!(alice.ask(&["genesis", "show", "genesis.toml", "--dir", "node"])["validator"] == 1);
}
