//! An auditor's day: a round, its evidence in a file, the whole chain, and a node that is gone.

use crate::common::{HOLDFAST, Person, Running, noise, wait_for};
use std::process::Command;

#[test]
fn a_round_is_audited_bundled_replayed_and_verified_again_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("network").display().to_string();
    let devnet = Running::start(&["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "8s"]).unwrap();
    let rpc = devnet.said["rpc"].as_str().unwrap().to_owned();
    let alice = Person::new(&folder.path().join("alice"), &rpc);
    alice.ask(&["wallet", "new"]);
    alice.ask(&["wallet", "faucet"]);
    let file = folder.path().join("file");
    std::fs::write(&file, noise(2_000_000, 11)).unwrap();
    alice.ask(&["put", file.to_str().unwrap(), "--yes"]);
    let round = wait_for("a round pays", || {
        let settled = alice.ask(&["status", "--short"])["settled"].clone();
        settled["paid"].as_str().filter(|paid| *paid != "0")?;
        Some(settled["round"].as_u64()?.to_string())
    });

    let genesis = format!("{dir}/genesis.toml");
    let bundle = folder.path().join("round.evidence").display().to_string();
    let told = alice.ask(&["audit", "round", &round, "--genesis", &genesis, "--bundle", &bundle]);
    assert_ne!(told["paid"], "0", "{told}");
    let chain = told["chain"].as_str().unwrap().to_owned();
    let replayed = alice.ask(&["audit", "chain", "--genesis", &genesis]);
    assert_eq!(replayed["chain"], told["chain"]);
    assert!(replayed["height"].as_u64() >= told["settled_at"].as_u64(), "{replayed}");
    assert!(replayed["openings"].as_u64().unwrap() > 0 && replayed["payments"].as_u64().unwrap() > 0, "{replayed}");
    assert_eq!(alice.ask(&["audit", "chain", "--to", "3", "--chain", &chain])["height"], 3);

    let stranger = "ab".repeat(32);
    for words in [&["audit", "round", "latest"][..], &["audit", "chain"], &["audit", "bundle", &bundle]] {
        let (exit, error) = alice.fail(&[words, &["--chain", &stranger]].concat());
        assert_eq!((exit, error["code"].as_str().unwrap()), (14, "other-chain"), "{words:?}");
        assert!(error["hint"].as_str().unwrap().contains("--rpc"), "{error}");
    }
    let unpinned = Command::new(HOLDFAST).args(["audit", "round", &round, "--rpc", &rpc]).output().unwrap();
    let (out, note) = (String::from_utf8_lossy(&unpinned.stdout), String::from_utf8_lossy(&unpinned.stderr));
    assert!(note.contains(&format!("--chain {chain}")) && note.lines().count() == 1, "{note}");
    assert!(out.contains("holdfast audit chain"), "it says what it leaves to others: {out}");

    devnet.kill();
    assert_eq!(alice.fail(&["audit", "round", &round]).0, 13);
    assert_eq!(alice.ask(&["audit", "bundle", &bundle, "--genesis", &genesis]), told);
    let mut bytes = std::fs::read(&bundle).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let (exit, error) = alice.fail(&["audit", "bundle", &bundle]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (14, "unverifiable"), "{error}");
    assert!(error["message"].as_str().unwrap().contains(&format!("the bundle of round {round}")), "{error}");
}
