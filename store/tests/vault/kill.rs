//! kill -9, for real: a child process uploads, finishes and removes batches and says each time that it is done; it is
//! killed at a random moment, and nothing that it said may be untrue afterwards. Then the next child goes on.

use crate::sample::{GROUPS, MIB, Sample, tag};
use holdfast_store::Vault;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Names the vault in which a child works; set only by [`start_child`].
const CHILD_ENV: &str = "HOLDFAST_VAULT_TO_FILL";
const KILLS: u64 = 12;
/// Different batches; the child fills and empties them round and round.
const BATCHES: u64 = 6;

/// What the child said last of each batch.
#[derive(Default, Debug)]
struct Word {
    put: BTreeSet<u32>,
    stored: bool,
    removing: bool,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_holder_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut words: BTreeMap<u64, Word> = BTreeMap::new();
    let mut heard = 0;
    for seed in 0..KILLS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut child = start_child(directory.path(), seed);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let patience = rng.random_range(1..120);
        let mut said = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(word) = line.strip_prefix("done ") {
                hear(&mut words, word);
                said += 1;
            }
            if said == patience {
                std::thread::sleep(Duration::from_micros(rng.random_range(0..4_000)));
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "seed {seed}: {status}");
        heard += said;
        compare(directory.path(), &words, seed);
        // What became of an interrupted removal is for the next child to find out.
        words.retain(|_, word| !word.removing);
    }
    assert!(heard > KILLS, "the children said {heard} things");
}

/// The child's work. As an ordinary test it does nothing.
#[test]
fn child_that_fills_a_vault_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD_ENV) else { return };
    let (directory, seed) = directory.rsplit_once(':').unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed.parse().unwrap());
    let vault = Vault::open(Path::new(directory), BATCHES * MIB, 0).unwrap();
    let samples: Vec<Sample> = (0..BATCHES).map(Sample::new).collect();
    loop {
        let number = rng.random_range(0..BATCHES);
        let sample = &samples[number as usize];
        if vault.contains(&sample.root()) {
            say(&format!("removing {number}"));
            vault.remove(&sample.root()).unwrap();
            say(&format!("removed {number}"));
        }
        let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
        let mut groups: Vec<u32> = (0..GROUPS).filter(|group| !upload.have().has(*group)).collect();
        groups.shuffle(&mut rng);
        for group in groups {
            sample.send(&upload, group..group + 1).unwrap();
            say(&format!("put {number} {group}"));
        }
        upload.finish().unwrap();
        say(&format!("stored {number}"));
    }
}

fn start_child(directory: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::child_that_fills_a_vault_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD_ENV, format!("{}:{seed}", directory.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// One write per word, so that the parent hears all of it or nothing.
fn say(word: &str) {
    std::io::stdout().write_all(format!("\ndone {word}\n").as_bytes()).unwrap();
}

fn hear(words: &mut BTreeMap<u64, Word>, line: &str) {
    let mut parts = line.split(' ');
    let verb = parts.next().unwrap();
    let batch = parts.next().unwrap().parse().unwrap();
    let word = words.entry(batch).or_default();
    match verb {
        "put" => {
            word.put.insert(parts.next().unwrap().parse().unwrap());
        }
        "stored" => word.stored = true,
        "removing" => word.removing = true,
        "removed" => *word = Word::default(),
        other => panic!("the child said {other}"),
    }
}

/// A removal that was under way may have happened or not; everything else must be as it was said.
fn compare(directory: &Path, words: &BTreeMap<u64, Word>, seed: u64) {
    let vault = Vault::open(directory, BATCHES * MIB, 0).unwrap();
    assert!(vault.check().is_empty(), "seed {seed}: {:?}", vault.check());
    for (number, word) in words.iter().filter(|(_, word)| !word.removing) {
        let sample = Sample::new(*number);
        if word.stored {
            assert!(vault.contains(&sample.root()), "seed {seed}: batch {number} was stored");
        }
        if vault.contains(&sample.root()) {
            assert!(vault.scrub(&sample.root()).unwrap().is_none(), "seed {seed}: batch {number}");
            assert_eq!(vault.layers(&sample.root()).unwrap(), sample.layers);
        } else if !word.put.is_empty() {
            let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
            let lost: Vec<_> = word.put.iter().filter(|group| !upload.have().has(**group)).collect();
            assert!(lost.is_empty(), "seed {seed}: batch {number} lost groups {lost:?}");
        }
    }
}
