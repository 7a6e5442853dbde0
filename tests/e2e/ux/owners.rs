//! An owner's day: what a quote names, until when a file is paid, where its pieces are, and what deleting asks for.

use super::{grains, network, rich, text};
use crate::common::{noise, wait_for};
use std::path::Path;

#[test]
fn a_quote_names_everything_and_a_file_shows_its_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 6);
    let alice = rich(folder.path(), "alice", &network);
    let file = folder.path().join("file");
    std::fs::write(&file, noise(3_000_000, 7)).unwrap();
    let path = file.to_str().unwrap();
    let quote = alice.ask(&["quote", path, "--for", "1h"]);
    assert_eq!((&quote["file"], &quote["data"], &quote["parity"]), (&"file".into(), &4.into(), &2.into()));
    assert_eq!(grains(&quote["total"]), grains(&quote["storage"]) + grains(&quote["tx_fee"]));
    assert_eq!(grains(&quote["balance_after"]), grains(&quote["balance"]) - grains(&quote["total"]));
    assert!(quote["paid_until_ms"].as_u64().unwrap() > 3_600_000 && grains(&quote["per_gib_30_days"]) > 0);

    let stored = alice.ask(&["put", path, "--for", "1h", "--yes", "--max-hops", "1"]);
    let keepers = stored["holders"].as_array().unwrap();
    assert!(keepers.len() == 6 && keepers.iter().all(|keeper| keeper["path"].as_array().unwrap().len() == 1));
    let listed = alice.ask(&["ls", "--pieces", "file"])[0].clone();
    let (until, promised) = (listed["paid_until_ms"].as_u64().unwrap(), stored["paid_until_ms"].as_u64().unwrap());
    assert!(until.abs_diff(promised) <= 4 * 4_000, "within rounds of the promise: {until} {promised}");
    let pieces = listed["pieces"].as_array().unwrap();
    assert!(pieces.len() >= 6 && pieces.iter().all(|piece| piece["state"] == "sound" && piece["online"] == true));
    assert_eq!(listed["spare_pieces"], 2);

    let victim = text(&pieces[0]["address"]);
    let holders = network.said["holders"].as_array().unwrap();
    let dir = holders.iter().find(|holder| holder["address"] == victim.as_str()).unwrap()["dir"].clone();
    std::fs::remove_dir_all(Path::new(&text(&dir)).join("vault/batches")).unwrap();
    let listed = wait_for("the loss shows", || {
        let listed = alice.ask(&["ls", "file", "--pieces"])[0].clone();
        (listed["spare_pieces"] == 1).then_some(listed)
    });
    for piece in listed["pieces"].as_array().unwrap() {
        let expected = if piece["address"] == victim.as_str() { "faulty" } else { "sound" };
        assert_eq!(piece["state"], expected, "{piece}");
    }
    assert_eq!(alice.fail(&["ls", "--pieces", "nothing"]).0, 10);
}

#[test]
fn deleting_asks_for_agreement_and_for_folders_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 6);
    let alice = rich(folder.path(), "alice", &network);
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    for name in ["one", "two"] {
        std::fs::write(tree.join(name), noise(1_000, 8)).unwrap();
    }
    alice.ask(&["put", tree.to_str().unwrap(), "--for", "1h", "--yes"]);
    assert_eq!(alice.fail(&["rm", "tree/one"]).1["code"], "not-confirmed");
    assert_eq!(alice.fail(&["rm", "tree/one", "tree/two"]).1["code"], "not-confirmed", "the last files too");
    let (exit, error) = alice.fail(&["rm", "tree", "--yes"]);
    assert_eq!((exit, &error["code"]), (2, &"is-folder".into()));
    assert_eq!(alice.fail(&["rm", "three", "--yes"]).0, 10);
    assert_eq!(alice.fail(&["rm", "tree/one", "--yes", "--max-price", "1grain"]).0, 15);
    alice.ask(&["rm", "tree", "--recursive", "-n"]);
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 2, "nothing was deleted");
    let deleted = alice.ask(&["rm", "tree", "--recursive", "--yes"]);
    assert_eq!(deleted["deleted"], serde_json::json!(["tree/one", "tree/two"]));
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_file_is_renewed_before_its_term_is_over_and_outlives_it() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path(), 6);
    let alice = rich(folder.path(), "alice", &network);
    let (file, out) = (folder.path().join("file"), folder.path().join("out"));
    std::fs::write(&file, noise(500_000, 9)).unwrap();
    alice.ask(&["put", file.to_str().unwrap(), "--for", "20s", "--yes"]);
    let until = |name: &str| alice.ask(&["ls", name])[0]["paid_until_ms"].as_u64().unwrap();
    let first = until("file");
    assert_eq!(alice.fail(&["renew", "nothing", "--yes"]).0, 10);
    assert_eq!(alice.fail(&["renew", "--for", "1h"]).1["code"], "not-confirmed");
    assert_eq!(alice.fail(&["renew", "--for", "1h", "--yes", "--max-price", "1grain"]).0, 15);
    let quote = alice.ask(&["renew", "file", "--for", "1h", "-n"])["quote"].clone();
    assert_eq!(grains(&quote["total"]), grains(&quote["storage"]) + grains(&quote["fee"]));
    let before = grains(&alice.ask(&["wallet", "balance"])["balance"]);
    let renewed = alice.ask(&["renew", "file", "--for", "1h", "--yes"])["renewed"].clone();
    assert_eq!(grains(&alice.ask(&["wallet", "balance"])["balance"]), before - grains(&renewed["total"]));
    assert!(until("file") > first + 3_000_000, "an hour instead of seconds");
    wait_for("the first term is over", || {
        let time = alice.ask(&["status", "--short"])["chain"]["time"]["ms"].as_u64().unwrap();
        (time > first + 8_000).then_some(())
    });
    alice.ask(&["get", "file", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(&out).unwrap(), noise(500_000, 9));

    // The catalog is stored anew with every put: what is stored for a short time shortens what all files are paid for.
    alice.ask(&["put", file.to_str().unwrap(), "--as", "brief", "--for", "40s", "--yes"]);
    assert!(until("file") < first + 3_000_000);
    alice.ask(&["renew", "--for", "1h", "--yes"]);
    assert!(until("file") > first + 3_000_000 && until("brief") > first + 3_000_000);
}
