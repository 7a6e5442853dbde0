//! What people get wrong: each mistake has its own exit code, one sentence and a hint, and loses nothing.

use crate::common::{HOLDFAST, Person, Running, devnet, noise, rpc, wait_for};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

#[test]
fn wallets_refuse_wrong_words_and_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new(folder.path(), "http://127.0.0.1:1");
    let words = ["wallet", "import"];
    for (input, hint) in [("abandon art", "2 words"), ("abandon", "1 words"), (&"zoo ".repeat(24), "checksum")] {
        let (exit, error) = Person::failure(&alice.run_with(&words, input), &words);
        assert_eq!(exit, 2);
        assert!(error["message"].as_str().unwrap().contains(hint), "{error}");
    }
    alice.ask(&["wallet", "new"]);
    assert_eq!(alice.fail(&["wallet", "new"]).1["code"], "wallet-exists");
    std::fs::write(folder.path().join("password"), "wrong\n").unwrap();
    let (exit, error) = alice.fail(&["ls"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (12, "wrong-password"));
    let keystore = folder.path().join("data/devnet/wallets/default.json");
    std::fs::write(&keystore, "{}").unwrap();
    let (exit, error) = alice.fail(&["ls"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (1, "corrupt-keystore"));
    assert!(error["hint"].as_str().unwrap().contains("import"));
}

#[test]
fn an_unreachable_node_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new(folder.path(), "http://127.0.0.1:1");
    let (exit, error) = alice.fail(&["status"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (13, "unreachable"));
    assert!(error["hint"].as_str().unwrap().contains("devnet"));
}

#[test]
fn spending_needs_money_agreement_and_holders() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6", "--quota", "64MiB"]);
    let alice = Person::new(&folder.path().join("alice"), rpc(&network));
    alice.ask(&["wallet", "new"]);
    let file = folder.path().join("file");
    std::fs::write(&file, noise(300_000, 3)).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(alice.fail(&["put", path, "--yes"]).0, 11, "no money");
    alice.ask(&["wallet", "faucet"]);
    assert_eq!(alice.fail(&["put", path]).0, 2, "nobody can be asked");
    assert_eq!(alice.fail(&["put", path, "--yes", "--max-price", "1grain"]).0, 15);
    let (_, dear) = alice.fail(&["put", path, "--yes", "--price-limit", "800HOLD"]);
    assert_eq!(dear["code"], "not-enough-holders", "{dear}");
    let big = folder.path().join("big");
    std::fs::write(&big, noise(400 << 20, 4)).unwrap();
    assert_eq!(alice.fail(&["put", big.to_str().unwrap(), "--yes"]).1["code"], "not-enough-holders", "no room");
    assert_eq!(alice.ask(&["wallet", "balance"])["balance"], "10000000000000", "nothing was spent");
    assert_eq!(alice.fail(&["get", "nothing"]).0, 10);
    assert_eq!(alice.fail(&["put", "/nonexistent", "--yes"]).1["code"], "io");
}

#[test]
fn odd_files_and_ranges_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6", "--quota", "64MiB"]);
    let alice = Person::new(&folder.path().join("alice"), rpc(&network));
    alice.ask(&["wallet", "new"]);
    alice.ask(&["wallet", "faucet"]);
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("below")).unwrap();
    let names = ["empty", "one", "-dash", "with space", "new\nline", "quote'\"", "emoji 🦀", "below/deep"];
    for (index, name) in names.iter().enumerate() {
        std::fs::write(tree.join(name), noise([0, 1, 100, 2_000, 70_000, 5, 300_000, 1_500_000][index], index as u64))
            .unwrap();
    }
    alice.ask(&["put", tree.to_str().unwrap(), "--yes"]);
    let listed = alice.ask(&["ls"]);
    assert_eq!(listed.as_array().unwrap().len(), names.len());
    for name in names {
        let (stored, out) = (format!("tree/{name}"), folder.path().join("out"));
        alice.ask(&["get", &stored, "--force", "--out", out.to_str().unwrap()]);
        assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(tree.join(name)).unwrap(), "{name:?}");
    }
    let (deep, out) = ("tree/below/deep", folder.path().join("slice"));
    let slice = alice.ask(&["get", deep, "--range", "700000-700999", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(tree.join("below/deep")).unwrap()[700_000..701_000]);
    // A slice needs its chunk: at most 1 MiB and the leaves at its edges, never the file.
    assert!(slice["read"]["fetched_bytes"].as_u64().unwrap() <= (1 << 20) + 2_048, "{slice}");
    assert_eq!(alice.fail(&["get", deep, "--range", "9-3", "--out", "/tmp/x"]).0, 2);
    assert_eq!(alice.fail(&["get", deep, "--range", "0-1500000", "--out", "/tmp/x"]).1["code"], "out-of-file");
    alice.ask(&["rm", "tree/one", "--yes"]);
    assert_eq!(alice.fail(&["get", "tree/one"]).0, 10);
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), names.len() - 1);
}

#[test]
fn one_folder_serves_one_process_and_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = Person::new(folder.path(), "http://127.0.0.1:1");
    let node = folder.path().join("node").display().to_string();
    let genesis = |name: &str| folder.path().join(name).display().to_string();
    for name in ["a.toml", "b.toml"] {
        nobody.ask(&["genesis", "new", "--dir", &node, "--out", &genesis(name)]);
    }
    let heavy =
        |file: &str| ["heavy", "--dir", &node, "--genesis", file, "--rpc-listen", "127.0.0.1:0"].map(str::to_owned);
    let start = |file: &str| {
        let words = heavy(&genesis(file));
        Running::start(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let first = start("a.toml").unwrap();
    let refused = |file: &str| {
        let output = Command::new(HOLDFAST).args(heavy(&genesis(file))).arg("--json").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line =
            text.lines().find(|line| line.starts_with("{\"error\"")).unwrap_or_else(|| panic!("{text}")).to_owned();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused("a.toml"), "dir-in-use");
    first.kill();
    assert_eq!(refused("b.toml"), "other-chain");
    drop(start("a.toml").unwrap());
}

#[test]
fn garbage_on_the_port_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "1"]);
    let address = rpc(&network).trim_start_matches("http://").to_owned();
    for seed in 0..50 {
        let mut stream = TcpStream::connect(&address).unwrap();
        // The node may close before it has read all of it.
        let _ = stream.write_all(&noise(4_096, seed));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let alice = Person::new(&folder.path().join("alice"), rpc(&network));
    let height = alice.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap();
    wait_for("the chain goes on", || {
        (alice.ask(&["status", "--short"])["chain"]["height"].as_u64().unwrap() > height).then_some(())
    });
}
