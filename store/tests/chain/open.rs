//! Who may open a chain database: one process, of the right release, with the right genesis.

use crate::world::{World, genesis};
use holdfast_ledger::{GenesisError, State};
use holdfast_primitives::{BlockHash, Height, sha256};
use holdfast_store::{ChainDb, LockError, SealedError, StoreError, Tip};
use std::fs;
use std::path::Path;

#[test]
fn a_new_database_holds_the_genesis_state() {
    let directory = tempfile::tempdir().unwrap();
    let genesis = genesis("store");
    for _ in 0..2 {
        let db = ChainDb::open(directory.path(), &genesis).unwrap();
        let state_root = State::genesis(&genesis).unwrap().root();
        assert_eq!(db.tip(), Tip { height: Height::GENESIS, hash: BlockHash::ZERO, state_root });
        assert_eq!(db.load_state(&genesis).unwrap().root(), state_root);
    }
}

#[test]
fn a_second_process_is_told_who_works_there() {
    let directory = tempfile::tempdir().unwrap();
    let genesis = genesis("store");
    let _first = ChainDb::open(directory.path(), &genesis).unwrap();
    let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(error, StoreError::Lock(LockError::Held { .. })), "{error}");
    let said = error.to_string();
    assert!(said.contains(&std::process::id().to_string()) && said.contains("stop that process"), "{said}");
}

#[test]
fn another_chain_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new();
    world.block(&ChainDb::open(directory.path(), &world.genesis).unwrap(), vec![]);
    let other = genesis("other");
    let error = ChainDb::open(directory.path(), &other).unwrap_err();
    let expected = (world.genesis.chain_id(), other.chain_id());
    assert!(matches!(&error, StoreError::OtherChain { found, expected: wanted, .. } if (*found, *wanted) == expected));
    assert!(error.to_string().contains("use that chain's genesis"), "{error}");
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    assert_eq!(db.tip().hash, world.parent);
    assert!(db.load_state(&other).is_err());
}

#[test]
fn a_newer_or_older_format_is_refused_and_a_torn_one_named() {
    let directory = tempfile::tempdir().unwrap();
    let genesis = genesis("store");
    drop(ChainDb::open(directory.path(), &genesis).unwrap());
    let path = directory.path().join("FORMAT");
    let whole = fs::read(&path).unwrap();
    write_sealed(&path, &whole, |bytes| bytes[8] = 5);
    let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(&error, StoreError::Format(SealedError::Newer { found: 5, supported: 4, .. })), "{error}");
    assert!(error.to_string().contains("use a newer release"), "{error}");

    write_sealed(&path, &whole, |bytes| bytes[8] = 3);
    let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(&error, StoreError::Format(SealedError::Older { found: 3, oldest: 4, .. })), "{error}");

    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    let torn: [&[u8]; 4] = [b"", &whole[..47], &whole[..whole.len() - 1], &flipped];
    for bytes in torn {
        fs::write(&path, bytes).unwrap();
        let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
        assert!(matches!(error, StoreError::Format(SealedError::Damaged { .. })), "{error}");
    }
    for change in [|bytes: &mut [u8]| bytes[0] = b'x', |bytes: &mut [u8]| bytes[12] = 31] {
        write_sealed(&path, &whole, change);
        let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
        assert!(matches!(error, StoreError::Format(SealedError::Damaged { .. })), "{error}");
    }

    fs::remove_file(&path).unwrap();
    let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(error, StoreError::FormatLost { .. }), "{error}");
    fs::write(&path, whole).unwrap();
    ChainDb::open(directory.path(), &genesis).unwrap();
}

#[test]
fn a_genesis_that_breaks_a_rule_makes_no_chain() {
    let directory = tempfile::tempdir().unwrap();
    let mut genesis = genesis("store");
    genesis.params.relay_fee_bps = 10_001;
    let error = ChainDb::open(directory.path(), &genesis).unwrap_err();
    assert!(matches!(error, StoreError::Genesis(GenesisError::RelayFee { .. })), "{error}");
}

#[test]
fn a_path_that_is_a_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"mine").unwrap();
    assert!(matches!(ChainDb::open(&path, &genesis("store")), Err(StoreError::Lock(LockError::File(_)))));
}

/// Writes a sealed file with one change and a seal that fits.
fn write_sealed(path: &Path, whole: &[u8], change: fn(&mut [u8])) {
    let mut bytes = whole[..whole.len() - 32].to_vec();
    change(&mut bytes);
    let seal = sha256(&bytes);
    bytes.extend_from_slice(&seal);
    fs::write(path, bytes).unwrap();
}
