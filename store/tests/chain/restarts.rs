//! Any order of blocks, proposals and restarts, against a list of what was committed.

use crate::world::World;
use holdfast_ledger::Applied;
use holdfast_primitives::{BlockHash, Height};
use holdfast_store::{ChainDb, ChainOptions, Committed, Undecided};
use proptest::prelude::*;
use std::path::Path;

#[derive(Clone, Debug)]
enum Step {
    Commit { transfers: u64 },
    CommitAgain { back: usize },
    Propose { ahead: u64, round: u32 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u64).prop_map(|transfers| Step::Commit { transfers }),
        1 => (0..4usize).prop_map(|back| Step::CommitAgain { back }),
        2 => (1..3u64, 0..3u32).prop_map(|(ahead, round)| Step::Propose { ahead, round }),
        2 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_chain_is_what_was_committed(steps in proptest::collection::vec(step(), 1..16)) {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new();
        let mut db = open(directory.path(), &world);
        let (mut committed, mut proposed): (Vec<Applied>, Vec<Undecided>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Commit { transfers } => {
                    committed.push(world.block(&db, world.transfers(transfers)));
                    proposed.retain(|proposal| proposal.height >= world.next_height());
                }
                Step::CommitAgain { back } => {
                    if let Some(applied) = committed.iter().rev().nth(back) {
                        prop_assert_eq!(world.try_commit(&db, applied).unwrap(), Committed::Before);
                    }
                }
                Step::Propose { ahead, round } => {
                    let height = Height::new(world.next_height().get() + ahead - 1);
                    let proposal = Undecided { height, round, block: BlockHash::new([round as u8; 32]), bytes: vec![1] };
                    db.save_undecided(proposal.clone()).unwrap();
                    proposed.retain(|known| *known != proposal);
                    proposed.push(proposal);
                }
                Step::Reopen => {
                    drop(db);
                    db = open(directory.path(), &world);
                    prop_assert_eq!(db.load_state(&world.genesis).unwrap().root(), world.state.root());
                }
            }
            compare(&db, &world, &committed, &proposed);
        }
    }
}

/// So little memory that blocks reach their files while the test runs.
fn open(directory: &Path, world: &World) -> ChainDb {
    let options = ChainOptions { cache_bytes: 1 << 20, write_buffer_bytes: 64 << 10 };
    ChainDb::open_with(directory, &world.genesis, &options).unwrap()
}

fn compare(db: &ChainDb, world: &World, committed: &[Applied], proposed: &[Undecided]) {
    assert_eq!((db.tip().height.get(), db.tip().hash), (committed.len() as u64, world.parent));
    let blocks = db.blocks(Height::GENESIS, usize::MAX).unwrap();
    assert_eq!(blocks.len(), committed.len());
    for (block, applied) in blocks.iter().zip(committed) {
        assert_eq!(*block, applied.full.block);
        let events = db.events(block.header.height, 0, usize::MAX).unwrap();
        assert!(events.iter().map(|(_, event)| event).eq(&applied.events));
    }
    for height in (1..committed.len() as u64 + 4).map(Height::new) {
        let mut expected: Vec<_> = proposed.iter().filter(|proposal| proposal.height == height).cloned().collect();
        expected.sort_by_key(|proposal| proposal.round);
        assert_eq!(db.undecided(height).unwrap(), expected);
    }
}
