//! Proposals outlive the process until their height is decided, and not longer.

use crate::world::World;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{BlockHash, Height};
use holdfast_store::{ChainDb, StoreError, Undecided};

fn proposal(height: u64, round: u32, fill: u8) -> Undecided {
    let bytes = vec![fill; 1_000 + round as usize];
    Undecided { height: Height::new(height), round, block: BlockHash::new([fill; 32]), bytes }
}

#[test]
fn proposals_come_back_by_round_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new();
    let saved = [proposal(1, 0, 9), proposal(1, 0, 10), proposal(1, 1, 3), proposal(1, 256, 2), proposal(2, 0, 1)];
    {
        let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
        for proposal in saved.iter().rev() {
            db.save_undecided(proposal.clone()).unwrap();
            db.save_undecided(proposal.clone()).unwrap();
        }
    }
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    assert_eq!(db.undecided(Height::new(1)).unwrap(), saved[..4]);
    assert_eq!(db.undecided(Height::new(2)).unwrap(), saved[4..]);
    assert_eq!(db.undecided(Height::new(3)).unwrap(), []);
}

#[test]
fn a_commit_drops_the_proposals_of_its_height_and_below() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    for height in 1..=4 {
        db.save_undecided(proposal(height, 0, 1)).unwrap();
        db.save_undecided(proposal(height, 7, 2)).unwrap();
    }
    for height in 1..=3 {
        world.block(&db, vec![]);
        let kept: Vec<usize> = (1..=4).map(|height| db.undecided(Height::new(height)).unwrap().len()).collect();
        let expected: Vec<usize> = (1..=4).map(|other| if other <= height { 0 } else { 2 }).collect();
        assert_eq!(kept, expected);
    }
    db.save_undecided(proposal(3, 0, 1)).unwrap();
    assert_eq!(db.undecided(Height::new(3)).unwrap(), [], "a decided height needs no proposals");
}

#[test]
fn a_proposal_larger_than_any_block_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    let huge = Undecided { bytes: vec![0; 2 * BLOCK_BYTES_MAX], ..proposal(1, 0, 1) };
    assert!(matches!(db.save_undecided(huge), Err(StoreError::TooLarge { .. })));
    let full = Undecided { bytes: vec![5; BLOCK_BYTES_MAX], ..proposal(1, 0, 1) };
    db.save_undecided(full.clone()).unwrap();
    assert_eq!(db.undecided(Height::new(1)).unwrap(), [full]);
}
