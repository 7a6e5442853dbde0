//! kill -9, for real: a child process proposes and commits blocks and says each time that it is done; it is killed at a
//! random moment, and nothing that it said may be missing afterwards. Then the next child goes on.

use crate::world::{World, genesis};
use holdfast_primitives::{BlockHash, Height};
use holdfast_store::{ChainDb, ChainOptions, Undecided};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Names the database in which a child works; set only by [`start_child`].
const CHILD_ENV: &str = "HOLDFAST_CHAIN_TO_GROW";
const KILLS: u64 = 12;

/// What the children said.
#[derive(Default)]
struct Words {
    committed: BTreeMap<u64, BlockHash>,
    proposed: Vec<(u64, BlockHash)>,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_node_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut words = Words::default();
    for seed in 0..KILLS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut child = start_child(directory.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let patience = rng.random_range(1..40);
        let mut said = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(word) = line.strip_prefix("done ") {
                words.hear(word);
                said += 1;
            }
            if said == patience {
                std::thread::sleep(Duration::from_micros(rng.random_range(0..4_000)));
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "seed {seed}: {status}");
        words.compare(directory.path(), seed);
    }
    assert!(words.committed.len() as u64 > KILLS, "{} blocks were committed", words.committed.len());
}

/// The child's work. As an ordinary test it does nothing.
#[test]
fn child_that_grows_a_chain_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD_ENV) else { return };
    let db = open(Path::new(&directory));
    let mut world = World::from_db(&db);
    loop {
        let applied = world.build(world.transfers(world.next_height().get() % 5));
        let (height, block) = (world.next_height(), applied.hash);
        let bytes = borsh::to_vec(&applied.full).unwrap();
        db.save_undecided(Undecided { height, round: 0, block, bytes }).unwrap();
        say(&format!("proposed {height} {block}"));
        world.commit(&db, &applied);
        say(&format!("committed {height} {block}"));
    }
}

/// So little memory that files are written and merged while the children work.
fn open(directory: &Path) -> ChainDb {
    let options = ChainOptions { cache_bytes: 1 << 20, write_buffer_bytes: 64 << 10 };
    ChainDb::open_with(directory, &genesis("store"), &options).unwrap()
}

fn start_child(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::child_that_grows_a_chain_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD_ENV, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// One write per word, so that the parent hears all of it or nothing.
fn say(word: &str) {
    std::io::stdout().write_all(format!("\ndone {word}\n").as_bytes()).unwrap();
}

impl Words {
    fn hear(&mut self, line: &str) {
        let parts: Vec<&str> = line.split(' ').collect();
        let (height, block) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        match parts[0] {
            "proposed" => self.proposed.push((height, block)),
            "committed" => assert_eq!(self.committed.insert(height, block), None, "height {height} was decided twice"),
            other => panic!("the child said {other}"),
        }
    }

    fn compare(&self, directory: &Path, seed: u64) {
        let db = open(directory);
        let world = World::from_db(&db);
        let tip = db.tip();
        assert_eq!(world.state.chain().height, tip.height, "seed {seed}");
        for (height, block) in &self.committed {
            let (full, certificate) = db.decided(Height::new(*height)).unwrap().unwrap();
            assert_eq!((full.block.header.hash(), certificate.block), (*block, *block), "seed {seed}: height {height}");
            assert_eq!(db.height_of(block).unwrap(), Some(Height::new(*height)));
            assert!(full.block.txs.is_empty() || !db.events(Height::new(*height), 0, 1).unwrap().is_empty());
            assert!(full.block.txs.iter().all(|signed| db.tx_place(&signed.id()).unwrap().is_some()));
        }
        for (height, block) in self.proposed.iter().filter(|(height, _)| *height > tip.height.get()) {
            let kept = db.undecided(Height::new(*height)).unwrap();
            assert!(
                kept.iter().any(|proposal| proposal.block == *block),
                "seed {seed}: the proposal of height {height}"
            );
        }
    }
}
