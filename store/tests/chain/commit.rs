//! One block in, everything about it out.

use crate::world::{WALTER, World, address};
use holdfast_ledger::{Applied, Event};
use holdfast_primitives::{BlockHash, Certificate, Height, TxId};
use holdfast_store::{ChainDb, CommitInput, Committed, StoreError, TxPlace};

fn open(directory: &tempfile::TempDir) -> (World, ChainDb) {
    let world = World::new();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    (world, db)
}

#[test]
fn a_committed_block_is_found_by_height_hash_and_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    let first = world.block(&db, world.transfers(3));
    let second = world.block(&db, world.transfers(2));
    let heights = [(Height::new(1), &first), (Height::new(2), &second)];
    for (height, applied) in heights {
        assert_eq!(db.block(height).unwrap().unwrap(), applied.full.block);
        assert_eq!(db.height_of(&applied.hash).unwrap(), Some(height));
        for (position, signed) in (0..).zip(applied.full.block.txs.iter()) {
            let place = TxPlace { height, position };
            assert_eq!(db.tx(&signed.id()).unwrap(), Some((place, signed.clone())));
            assert_eq!(db.openings(&signed.id()).unwrap(), None);
        }
        let (full, certificate) = db.decided(height).unwrap().unwrap();
        assert_eq!((full, certificate.clone()), (applied.full.clone(), world.certificate(applied)));
        let validators = db.validator_set(&applied.full.block.header.validators).unwrap().unwrap();
        certificate.verify(&world.state.chain().chain, &validators).unwrap();
        assert!(validators.get(&address(WALTER)).is_some());
    }
    assert_eq!(
        (db.tip().height, db.tip().hash, db.tip().state_root),
        (Height::new(2), second.hash, world.state.root())
    );
    assert_eq!(db.blocks(Height::new(1), 10).unwrap(), [first.full.block.clone(), second.full.block]);
    assert_eq!(db.blocks(Height::new(1), 1).unwrap(), [first.full.block]);
}

#[test]
fn transactions_are_found_between_two_ids() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    let committed = world.block(&db, world.transfers(5));
    let mut ids: Vec<TxId> = committed.full.block.txs.iter().map(|signed| signed.id()).collect();
    ids.sort();
    let (lowest, highest) = (TxId::ZERO, TxId::new([0xff; TxId::BYTES]));
    assert_eq!(db.txs_between(&lowest, &highest, 10).unwrap(), ids);
    assert_eq!(db.txs_between(&lowest, &highest, 2).unwrap(), ids[..2]);
    assert_eq!(db.txs_between(&ids[1], &ids[3], 10).unwrap(), ids[1..=3], "both ends belong to it");
    assert_eq!(db.txs_between(&ids[2], &ids[2], 10).unwrap(), ids[2..=2]);
    assert_eq!(db.txs_between(&TxId::ZERO, &TxId::ZERO, 10).unwrap(), []);
}

#[test]
fn what_was_never_committed_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    world.block(&db, world.transfers(1));
    for height in [Height::GENESIS, Height::new(2), Height::new(u64::MAX - 1)] {
        assert_eq!(db.block(height).unwrap(), None);
        assert_eq!(db.certificate(height).unwrap(), None);
        assert_eq!(db.decided(height).unwrap(), None);
        assert_eq!(db.events(height, 0, 10).unwrap(), []);
    }
    assert_eq!(db.height_of(&BlockHash::new([9; 32])).unwrap(), None);
    assert_eq!(db.tx(&TxId::new([9; 32])).unwrap(), None);
    assert_eq!(db.openings(&TxId::new([9; 32])).unwrap(), None);
}

#[test]
fn events_come_in_order_and_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    let applied = world.block(&db, world.transfers(5));
    let all: Vec<(u32, Event)> = (0..).zip(applied.events).collect();
    assert!(all.len() >= 10, "a transfer is an event and its fee is one: {all:?}");
    assert_eq!(db.events(Height::new(1), 0, usize::MAX).unwrap(), all);
    assert_eq!(db.events(Height::new(1), 4, 3).unwrap(), all[4..7]);
    assert_eq!(db.events(Height::new(1), all.len() as u32, 3).unwrap(), []);
    assert_eq!(db.events(Height::new(1), 0, 0).unwrap(), []);
}

#[test]
fn committing_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    let first = world.build(world.transfers(1));
    world.commit(&db, &first);
    let certificate = db.certificate(Height::new(1)).unwrap();
    world.block(&db, world.transfers(1));
    let tip = db.tip();
    assert_eq!(world.try_commit(&db, &first).unwrap(), Committed::Before);
    assert_eq!((db.tip(), db.certificate(Height::new(1)).unwrap()), (tip, certificate));
    assert_eq!(db.load_state(&world.genesis).unwrap().root(), world.state.root());
}

/// Every villain's commit is refused and leaves the database as it was.
#[test]
fn what_does_not_follow_the_tip_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (mut world, db) = open(&directory);
    let other = world.build(world.transfers(2));
    let first = world.block(&db, world.transfers(1));
    let second = world.build(world.transfers(1));
    let mut ahead =
        World { state: second.state.clone(), parent: second.hash, time: world.time + 1_000, ..World::new() };
    let third = ahead.build(ahead.transfers(1));
    ahead.parent = other.hash;
    let orphan =
        World { parent: other.hash, state: world.state.clone(), ..World::new() }.build_at(world.time + 1_000, vec![]);

    let equivocation = world.try_commit(&db, &other).unwrap_err();
    assert!(
        matches!(equivocation, StoreError::Conflict { stored, found, .. } if (stored, found) == (first.hash, other.hash))
    );
    let leap = world.try_commit(&db, &third).unwrap_err();
    assert!(matches!(leap, StoreError::NotNext { tip, found } if (tip.get(), found.get()) == (1, 3)), "{leap}");
    let fork = world.try_commit(&db, &orphan).unwrap_err();
    assert!(
        matches!(fork, StoreError::WrongParent { tip, found, .. } if (tip, found) == (first.hash, other.hash)),
        "{fork}"
    );
    for certificate in [world.certificate(&first), Certificate { height: Height::new(1), ..world.certificate(&second) }]
    {
        let error = commit_with(&db, &second, &certificate).unwrap_err();
        assert!(matches!(error, StoreError::WrongCertificate { .. }), "{error}");
    }

    assert_eq!(db.tip().hash, first.hash);
    assert_eq!(db.block(Height::new(2)).unwrap(), None);
    assert_eq!(db.load_state(&world.genesis).unwrap().root(), world.state.root());
    world.commit(&db, &second);
}

fn commit_with(db: &ChainDb, applied: &Applied, certificate: &Certificate) -> Result<Committed, StoreError> {
    db.commit(CommitInput { applied, certificate, evidence: &[] })
}
