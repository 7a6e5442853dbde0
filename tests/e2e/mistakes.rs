//! What people get wrong: each mistake has its own exit code, one sentence and a hint, and loses nothing.

use crate::common::{Person, devnet, noise, rpc};
use std::process::Command;

#[test]
fn wallets_refuse_wrong_words_and_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new(folder.path(), "http://127.0.0.1:1");
    let words = ["wallet", "import"];
    for (input, hint) in [("abandon art", "2 words"), ("abandon", "1 words"), (&"zoo ".repeat(24), "checksum")] {
        let (exit, error) = Person::failure(&alice.run_with(&words, input), &words);
        assert_eq!((exit, error["code"].as_str().unwrap()), (2, "bad-words"));
        assert!(error["message"].as_str().unwrap().contains(hint), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("24 words"), "{error}");
    }
    alice.refused(&["ls"], 10, "no-wallet", "wallet new");
    alice.ask(&["wallet", "new"]);
    alice.refused(&["wallet", "new"], 1, "wallet-exists", "--wallet");
    let keystore = folder.path().join("data/devnet/wallets/default.json");
    let sealed = std::fs::read_to_string(&keystore).unwrap();
    std::fs::write(folder.path().join("password"), "wrong\n").unwrap();
    alice.refused(&["ls"], 12, "wrong-password", "import");
    let cut = &sealed[..sealed.len() / 2];
    let newer = sealed.replace("\"version\": 1", "\"version\": 2");
    assert_ne!(newer, sealed);
    for text in ["", "{}", cut, &newer] {
        std::fs::write(&keystore, text).unwrap();
        alice.refused(&["ls"], 1, "corrupt-keystore", "import");
    }
    std::fs::remove_file(folder.path().join("password")).unwrap();
    assert_eq!(std::fs::read_to_string(&keystore).unwrap(), newer, "a keystore that cannot be read is left alone");
}

#[test]
fn an_unreachable_node_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new(folder.path(), "http://127.0.0.1:1");
    alice.ask(&["wallet", "new"]);
    for words in [vec!["status"], vec!["ls"], vec!["put", "password", "--yes"], vec!["audit", "round", "latest"]] {
        let words: Vec<String> = words
            .into_iter()
            .map(
                |word| {
                    if word == "password" { folder.path().join(word).display().to_string() } else { word.to_owned() }
                },
            )
            .collect();
        alice.refused(&words.iter().map(String::as_str).collect::<Vec<_>>(), 13, "unreachable", "devnet");
    }
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
    alice.refused(&["put", path, "--yes"], 11, "insufficient-funds", "faucet");
    alice.ask(&["wallet", "faucet"]);
    let balance = alice.balance();
    alice.refused(&["put", path], 2, "not-confirmed", "--yes");
    alice.refused(&["put", path, "--yes", "--max-price", "1grain"], 15, "above-max-price", "--max-price");
    let dear = ["put", path, "--yes", "--price-limit", "800HOLD"];
    alice.refused(&dear, 1, "not-enough-holders", "--price-limit");
    assert!(alice.fail(&dear).1["message"].as_str().unwrap().contains("0 holders would take it, 6 are needed"));
    for (wish, hint) in [
        (["--topic", "maps"], "no --topic"),
        (["--region", "moon"], "no --region"),
        (["--holder", "0"], "more --holder or none at all"),
        (["--not-holder", "0"], "holdfast status"),
    ] {
        let words = [&["put", path, "--yes"][..], &wish].concat();
        alice.refused(&words, 1, "not-enough-holders", hint);
    }
    let both = ["put", path, "--yes", "--holder", "1", "--not-holder", "1"];
    assert_eq!(alice.fail(&both).1["code"], "bad-wish");
    // A file with nothing in it but a length: what is refused is not read.
    let big = folder.path().join("big");
    std::fs::File::create(&big).unwrap().set_len(400 << 20).unwrap();
    alice.refused(&["put", big.to_str().unwrap(), "--yes"], 1, "not-enough-holders", "holdfast status");
    alice.refused(&["get", "nothing"], 10, "no-such-file", "holdfast ls");
    alice.refused(&["rm", "nothing", "--yes"], 10, "no-such-file", "holdfast ls");
    assert_eq!(alice.fail(&["put", "/nonexistent", "--yes"]).1["code"], "io");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (exit, error) = alice.fail(&["put", pipe.to_str().unwrap(), "--yes"]);
    assert_eq!((exit, error["code"].as_str().unwrap()), (10, "no-files"), "a pipe is no file, and nobody waits for it");
    assert_eq!(alice.balance(), balance, "nothing was spent");
    assert_eq!(alice.ask(&["put", path, "-n"])["balance"], balance.to_string(), "a quote alone stores nothing");
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 0);
}

#[test]
fn odd_files_and_ranges_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6", "--quota", "64MiB"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
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
        assert_eq!(alice.get(&format!("tree/{name}")), std::fs::read(tree.join(name)).unwrap(), "{name:?}");
    }
    let (deep, out) = ("tree/below/deep", folder.path().join("slice"));
    let slice = alice.ask(&["get", deep, "--range", "700000-700999", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(tree.join("below/deep")).unwrap()[700_000..701_000]);
    // A slice needs its chunk: at most 1 MiB and the leaves at its edges, never the file.
    // A thousand bytes touch one leaf or two.
    assert!([1_024, 2_048].contains(&slice["read"]["fetched_bytes"].as_u64().unwrap()), "{slice}");
    let out = out.to_str().unwrap();
    for (name, range) in [("tree/empty", "0-"), (deep, "1500000-"), (deep, "700000-699999")] {
        let slice = alice.ask(&["get", name, "--range", range, "--force", "--out", out]);
        assert_eq!((&slice["bytes"], std::fs::read(out).unwrap().len()), (&0.into(), 0), "{name} {range}");
    }
    for range in ["9-3", "x-3", "3", "-1", "0-18446744073709551615"] {
        assert_eq!(alice.fail(&["get", deep, "--force", "--out", out, &format!("--range={range}")]).0, 2, "{range}");
    }
    for (name, range) in [(deep, "0-1500000"), (deep, "1500001-"), ("tree/empty", "0-0")] {
        alice.refused(&["get", name, "--force", "--out", out, "--range", range], 1, "out-of-file", "holdfast ls");
    }
    assert_eq!(std::fs::read(out).unwrap().len(), 0, "what is refused writes nothing");
    alice.ask(&["rm", "tree/one", "--yes"]);
    assert_eq!(alice.fail(&["get", "tree/one"]).0, 10);
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), names.len() - 1);
}
