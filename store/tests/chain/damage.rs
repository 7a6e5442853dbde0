//! A disk that changes rows: the state is never taken for what it is not, and no row makes a panic.

use crate::world::World;
use borsh::BorshDeserialize as _;
use holdfast_ledger::{Account, LoadError, Table};
use holdfast_primitives::{Amount, Height};
use holdfast_store::{ChainDb, StoreError, tables};
use rocksdb::{DB, Options, WriteBatch};
use std::path::Path;

/// Changes rows behind the database's back.
fn tamper(directory: &Path, change: impl FnOnce(&DB, &mut WriteBatch)) {
    let names = tables().into_iter().map(|table| table.name);
    let db = DB::open_cf(&Options::default(), directory.join("db"), names).unwrap();
    let mut batch = WriteBatch::default();
    change(&db, &mut batch);
    db.write(batch).unwrap();
}

fn two_blocks(directory: &Path) -> World {
    let mut world = World::new();
    let db = ChainDb::open(directory, &world.genesis).unwrap();
    world.block(&db, world.transfers(2));
    world.block(&db, world.transfers(1));
    world
}

fn load_error(directory: &Path, world: &World) -> StoreError {
    ChainDb::open(directory, &world.genesis).unwrap().load_state(&world.genesis).unwrap_err()
}

#[test]
fn one_grain_more_in_an_account_is_a_state_mismatch() {
    let directory = tempfile::tempdir().unwrap();
    let world = two_blocks(directory.path());
    tamper(directory.path(), |db, batch| {
        let accounts = db.cf_handle(Table::Accounts.name()).unwrap();
        let key = [0; 4];
        let mut account = Account::try_from_slice(&db.get_cf(accounts, key).unwrap().unwrap()).unwrap();
        account.balance = Amount::grains(account.balance.get() + 1);
        batch.put_cf(accounts, key, borsh::to_vec(&account).unwrap());
    });
    let error = load_error(directory.path(), &world);
    let expected = world.state.root();
    assert!(
        matches!(error, StoreError::StateMismatch { expected: said, found, .. } if said == expected && found != said)
    );
}

#[test]
fn a_lost_or_garbled_record_is_named() {
    for (value, is_named) in [
        (
            None,
            (|error| matches!(error, StoreError::Load(LoadError::Key { table: Table::Accounts, .. })))
                as fn(&_) -> bool,
        ),
        (Some(&b"garbage"[..]), |error| {
            matches!(error, StoreError::Load(LoadError::Record { table: Table::Accounts, .. }))
        }),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let world = two_blocks(directory.path());
        tamper(directory.path(), |db, batch| {
            let accounts = db.cf_handle(Table::Accounts.name()).unwrap();
            match value {
                None => batch.delete_cf(accounts, [0, 0, 0, 1]),
                Some(value) => batch.put_cf(accounts, [0, 0, 0, 1], value),
            }
        });
        let error = load_error(directory.path(), &world);
        assert!(is_named(&error), "{error}");
    }
}

/// Garbage in every table, under a key of every length: answers, not panics.
#[test]
fn garbage_in_any_table_is_an_error_at_most() {
    for table in tables() {
        let directory = tempfile::tempdir().unwrap();
        let world = two_blocks(directory.path());
        tamper(directory.path(), |db, batch| {
            let family = db.cf_handle(table.name).unwrap();
            for length in 0..24 {
                batch.put_cf(family, vec![0; length], b"\xff\xff\xff\xffgarbage");
            }
            batch.put_cf(family, 1u64.to_be_bytes(), b"garbage");
        });
        if let Ok(db) = ChainDb::open(directory.path(), &world.genesis) {
            let _ = db.load_state(&world.genesis);
            read_everything(&db);
        }
    }
}

fn read_everything(db: &ChainDb) {
    let (round, holder) = (holdfast_primitives::RoundNo::new(0), holdfast_primitives::HolderNo::new(0));
    for height in (0..4).map(Height::new) {
        let _ = (db.decided(height), db.events(height, 0, 9), db.undecided(height), db.blocks(height, 9));
    }
    let _ = (db.frozen_holders(round, holder, 9), db.results(round, holder, 9), db.evidence(round, holder));
    let _ = (db.frozen(round, holder), db.result(round, holder), db.proof_parts(round, holder), db.pruned());
    let _ = (db.prune_openings(Height::new(2)), db.prune_evidence(round.next()));
}

#[test]
fn a_block_whose_certificate_is_gone_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let world = two_blocks(directory.path());
    tamper(directory.path(), |db, batch| batch.delete_cf(db.cf_handle("certificates").unwrap(), 1u64.to_be_bytes()));
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    let error = db.decided(Height::new(1)).unwrap_err();
    assert!(matches!(error, StoreError::MissingRow { table: "certificates", .. }), "{error}");
    assert!(db.decided(Height::new(2)).unwrap().is_some());
}

#[test]
fn a_database_whose_files_are_gone_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let world = two_blocks(directory.path());
    for entry in std::fs::read_dir(directory.path().join("db")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("MANIFEST") {
            std::fs::write(path, b"not a manifest").unwrap();
        }
    }
    assert!(matches!(ChainDb::open(directory.path(), &world.genesis), Err(StoreError::Database { .. })));
}

/// The log of fresh writes holds acknowledged blocks: a bad byte within it must not make them vanish in silence.
#[test]
fn a_flipped_byte_in_the_log_is_an_error_not_a_shorter_chain() {
    for place in 1..8 {
        let directory = tempfile::tempdir().unwrap();
        let world = two_blocks(directory.path());
        let log = std::fs::read_dir(directory.path().join("db")).unwrap().map(|entry| entry.unwrap().path());
        let log = log.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap();
        let mut bytes = std::fs::read(&log).unwrap();
        let offset = bytes.len() * place / 8;
        bytes[offset] ^= 1;
        std::fs::write(&log, bytes).unwrap();
        let opened = ChainDb::open(directory.path(), &world.genesis);
        assert!(matches!(opened, Err(StoreError::Database { .. })), "byte {offset}: {opened:?}");
    }
}

/// A write that was under way when the power went was acknowledged to nobody.
#[test]
fn a_log_cut_short_loses_the_last_write_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = two_blocks(directory.path());
    let before = world.state.root();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    let third = world.block(&db, world.transfers(1));
    drop(db);
    let log = std::fs::read_dir(directory.path().join("db")).unwrap().map(|entry| entry.unwrap().path());
    let log = log.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap();
    let file = std::fs::File::options().write(true).open(&log).unwrap();
    file.set_len(file.metadata().unwrap().len() - 9).unwrap();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    assert_eq!((db.tip().height, db.block(Height::new(3)).unwrap()), (Height::new(2), None));
    assert_eq!(db.load_state(&world.genesis).unwrap().root(), before);
    let world = World::from_db(&db);
    world.try_commit(&db, &third).unwrap();
    assert_eq!(db.tip().hash, third.hash);
}
