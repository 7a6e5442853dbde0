//! Several commands of one wallet at the same time: they take turns, and nobody is cut off.

use crate::common::{Person, devnet, noise, wait_for};
use crate::process::signal;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;

/// The lock of a person's wallet.
fn lock_of(person: &Person) -> File {
    let path = person.folder.join("data/devnet/wallets/default.lock");
    File::options().write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn commands_of_one_wallet_started_together_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let files: Vec<_> = ["first", "second", "third"].iter().map(|name| folder.path().join(name)).collect();
    for (seed, file) in (1..).zip(&files) {
        std::fs::write(file, noise(700_000, seed)).unwrap();
    }
    let paths: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    alice.ask(&["put", paths[0], "--yes"]);

    let out = folder.path().join("out");
    let commands: [&[&str]; 4] = [
        &["put", paths[1], "--yes"],
        &["get", "first", "--out", out.to_str().unwrap()],
        &["put", paths[2], "--yes"],
        &["ls"],
    ];
    let started: Vec<_> = commands.iter().map(|words| alice.command(words).spawn().unwrap()).collect();
    for (child, words) in started.into_iter().zip(commands) {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {told}");
        assert!(told.matches("waiting for another command").count() <= 1, "{words:?}: {told}");
    }
    assert_eq!(std::fs::read(out).unwrap(), noise(700_000, 1));
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 3, "no put undid another's catalog");
    assert_eq!(alice.get("second"), noise(700_000, 2));
    assert_eq!(alice.get("third"), noise(700_000, 3));
}

#[test]
fn waiting_for_a_turn_is_said_and_can_be_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "1"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let other_command = lock_of(&alice);
    other_command.lock().unwrap();

    let mut waiting = alice.command(&["ls"]).spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting for another command of wallet default to end\n");
    signal(waiting.id(), "INT");
    assert_eq!(waiting.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("waiting").count(), 0, "said once: {rest}");

    // What talks to nobody as this wallet needs no turn.
    assert!(alice.balance() > 0);
    assert_eq!(alice.ask(&["wallet", "list"]).as_array().unwrap().len(), 1, "a lock is no wallet");
    other_command.unlock().unwrap();
    alice.ask(&["ls"]);
}

#[test]
fn a_killed_command_leaves_its_turn_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let file = folder.path().join("large");
    std::fs::write(&file, noise(48 << 20, 5)).unwrap();
    let mut putting = alice.command(&["put", file.to_str().unwrap(), "--yes"]).spawn().unwrap();
    let lock = lock_of(&alice);
    wait_for("the put takes its turn", || match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(()),
        _ => {
            lock.unlock().unwrap();
            None
        }
    });
    putting.kill().unwrap();
    assert_eq!(putting.wait().unwrap().signal(), Some(9), "it was at work when it was killed");
    assert_eq!(alice.ask(&["ls"]).as_array().unwrap().len(), 0);
}
