//! Files that change while they are stored. Nothing of such a put is registered or paid, and what was stored before is there.
//!
//! The moment is not guessed: a put is stopped (SIGSTOP) once it has read a part of the file, which `/proc` shows, then the
//! mischief happens, then it goes on.

use crate::common::{Person, devnet, noise, wait_closely, wait_for};
use crate::process::{is_stopped, position_in, signal};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output};

/// More than a put reads ahead and has under way, so that it cannot have read all of it at once.
const LARGE_BYTES: usize = 48 << 20;
const SMALL_BYTES: usize = 50_000;

/// What happens to the files, and which one is then named.
type Mischief = (&'static str, &'static str, fn(&Path));

/// `large` is being read when this happens, `small` has not been opened yet.
const MISCHIEFS: [Mischief; 8] = [
    ("it grows", "large", |tree| append(&tree.join("large"))),
    ("it shrinks", "large", |tree| open(&tree.join("large")).set_len(1_000).unwrap()),
    ("what was read is edited", "large", |tree| open(&tree.join("large")).write_all_at(b"x", 0).unwrap()),
    ("what comes is edited", "large", |tree| {
        open(&tree.join("large")).write_all_at(b"x", LARGE_BYTES as u64 - 1).unwrap();
    }),
    ("another takes its name", "large", |tree| {
        std::fs::write(tree.join("beside"), noise(LARGE_BYTES, 77)).unwrap();
        std::fs::rename(tree.join("beside"), tree.join("large")).unwrap();
    }),
    ("it is deleted", "large", |tree| std::fs::remove_file(tree.join("large")).unwrap()),
    ("the next one grows", "small", |tree| append(&tree.join("small"))),
    ("the next one is deleted", "small", |tree| std::fs::remove_file(tree.join("small")).unwrap()),
];

fn open(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

fn append(path: &Path) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

/// The folder that is stored, with the contents that `seed` gives.
fn fill(tree: &Path, seed: u64) {
    std::fs::create_dir_all(tree).unwrap();
    std::fs::write(tree.join("large"), noise(LARGE_BYTES, seed)).unwrap();
    std::fs::write(tree.join("small"), noise(SMALL_BYTES, seed + 1)).unwrap();
}

/// A put that was stopped while it reads `tree/large`; `None` if it was too quick for that.
fn put_stopped_halfway(alice: &Person, tree: &Path) -> Option<Child> {
    let large = tree.join("large");
    let mut put = alice.command(&["put", tree.to_str().unwrap(), "--yes", "--json"]).spawn().unwrap();
    let pid = put.id();
    let begun = wait_closely("the put reads the file or is over", || {
        let ended = put.try_wait().unwrap().is_some();
        let reads = position_in(pid, &large).is_some_and(|position| position > 0);
        (ended || reads).then_some(!ended)
    });
    if !begun {
        return None;
    }
    signal(pid, "STOP");
    wait_closely("it stands still", || is_stopped(pid).then_some(()));
    if position_in(pid, &large).is_some_and(|position| position < LARGE_BYTES as u64) {
        return Some(put);
    }
    signal(pid, "CONT");
    put.wait().unwrap();
    None
}

/// What is stored, and what is left to pay for more.
#[derive(Debug, PartialEq)]
struct Stored {
    balance: u64,
    listed: Value,
    seed: u64,
}

impl Stored {
    fn now(alice: &Person, seed: u64) -> Self {
        let mut listed = alice.ask(&["ls"]);
        for file in listed.as_array_mut().unwrap() {
            // An estimate from the clock: it moves when rounds do not come exactly when they are due.
            file.as_object_mut().unwrap().remove("paid_until_ms").unwrap();
        }
        Self { balance: alice.balance(), listed, seed }
    }

    fn check(&self, alice: &Person) {
        assert_eq!(alice.get("tree/large"), noise(LARGE_BYTES, self.seed));
        assert_eq!(alice.get("tree/small"), noise(SMALL_BYTES, self.seed + 1));
    }
}

/// Stores what `seed` gives with `mischief` in the middle.
fn put_with(alice: &Person, tree: &Path, seed: u64, stored: &mut Stored, mischief: fn(&Path)) -> Output {
    let put = wait_for("a put that is stopped halfway", || {
        fill(tree, seed);
        let put = put_stopped_halfway(alice, tree);
        if put.is_none() {
            // Too quick: then this is what is stored now.
            *stored = Stored::now(alice, seed);
        }
        put
    });
    mischief(tree);
    signal(put.id(), "CONT");
    put.wait_with_output().unwrap()
}

#[test]
fn a_file_that_changes_while_it_is_stored_is_named_and_nothing_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    // As the system names it, for it is looked for by that name.
    let tree: PathBuf = folder.path().canonicalize().unwrap().join("tree");
    fill(&tree, 1);
    alice.ask(&["put", tree.to_str().unwrap(), "--yes"]);
    let mut stored = Stored::now(&alice, 1);
    for (seed, (what, named, mischief)) in (10..).step_by(10).zip(MISCHIEFS) {
        let output = put_with(&alice, &tree, seed, &mut stored, mischief);
        let (exit, error) = Person::failure(&output, &[what]);
        assert_eq!((exit, error["code"].as_str().unwrap()), (1, "file-changed"), "{what}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(tree.join(named).to_str().unwrap()), "{what}: {message}");
        assert!(message.contains("nothing was registered or paid"), "{what}: {message}");
        assert!(error["hint"].as_str().unwrap().contains("again"), "{what}: {error}");
        assert_eq!(Stored::now(&alice, stored.seed), stored, "{what}");
    }
    stored.check(&alice);
    // A stop alone is no mischief.
    let output = put_with(&alice, &tree, 5, &mut stored, |_| ());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Stored::now(&alice, 5).check(&alice);
}
