//! Bytes that outlive the process, frozen. A change here is a new format version and a migration.

use crate::world::World;
use holdfast_primitives::{BlockHash, Height, sha256};
use holdfast_store::{ChainDb, Undecided, tables};
use rocksdb::{DB, Options};

/// Name, key and value of every table of the chain; the state's tables are the ledger's to freeze.
const TABLES: [&str; 28] = [
    "chain: dense number => state record",
    "accounts: dense number => state record",
    "holders: dense number => state record",
    "contracts: dense number => state record",
    "segments: dense number => state record",
    "slots: dense number => state record",
    "rounds: dense number => state record",
    "progress: dense number => state record",
    "deferred: dense number => state record",
    "validators: dense number => state record",
    "tip: u8 => Tip",
    "pruned: u8 => Pruned",
    "blocks: Height => Block",
    "certificates: Height => Certificate",
    "openings: (Height, u32) => Bounded<u8, PROOF_PART_BYTES_MAX>",
    "events: (Height, u32) => Event",
    "block_heights: BlockHash => Height",
    "tx_places: TxId => TxPlace",
    "validator_sets: Digest => ValidatorSet",
    "set_changes: Height => Step",
    "frozen_holders: (RoundNo, HolderNo) => FrozenHolder",
    "round_results: (RoundNo, HolderNo) => RoundResult",
    "proof_parts: ((RoundNo, HolderNo), u32) => TxId",
    "slot_evidence: ((RoundNo, HolderNo), (u8, u32)) => SlotEvidence",
    "joined: u8 => Joined",
    "joining: u8 => Target",
    "joining_asks: u32 => ChunkAsk",
    "undecided: ((Height, u32), BlockHash) => Bounded<u8, { 2 * BLOCK_BYTES_MAX - 4 }>",
];

#[test]
fn the_schema_has_these_tables() {
    let found: Vec<String> =
        tables().iter().map(|table| format!("{}: {} => {}", table.name, table.key, table.value)).collect();
    assert_eq!(found, TABLES);
    assert!(tables().iter().all(|table| table.purpose.ends_with('.')), "every table says what it is for");
}

#[test]
fn the_format_file_names_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new();
    drop(ChainDb::open(directory.path(), &world.genesis).unwrap());
    let mut expected = b"hf-chain\x04\0\0\0\x20\0\0\0".to_vec();
    expected.extend_from_slice(world.genesis.chain_id().as_bytes());
    let seal = sha256(&expected);
    expected.extend_from_slice(&seal);
    assert_eq!(std::fs::read(directory.path().join("FORMAT")).unwrap(), expected);
}

/// Keys and values as RocksDB sees them: big-endian numbers, hashes, borsh.
#[test]
fn rows_are_borsh_under_big_endian_keys() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let db = ChainDb::open(directory.path(), &world.genesis).unwrap();
    let applied = world.block(&db, world.transfers(1));
    let block = BlockHash::new([8; 32]);
    db.save_undecided(Undecided { height: Height::new(2), round: 3, block, bytes: b"raw".to_vec() }).unwrap();
    drop(db);

    let names = tables().into_iter().map(|table| table.name);
    let db = DB::open_cf(&Options::default(), directory.path().join("db"), names).unwrap();
    let row = |table: &str, key: &[u8]| db.get_cf(db.cf_handle(table).unwrap(), key).unwrap().unwrap();
    let one = [0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(row("blocks", &one), borsh::to_vec(&applied.full.block).unwrap());
    assert_eq!(row("certificates", &one), borsh::to_vec(&world.certificate(&applied)).unwrap());
    assert_eq!(row("block_heights", applied.hash.as_bytes()), 1u64.to_le_bytes());
    let id = applied.full.block.txs[0].id();
    assert_eq!(row("tx_places", id.as_bytes()), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(row("events", &[&one[..], &[0, 0, 0, 1]].concat()), borsh::to_vec(&applied.events[1]).unwrap());
    let tip = [&1u64.to_le_bytes()[..], applied.hash.as_bytes(), world.state.root().as_bytes()].concat();
    assert_eq!(row("tip", &[0]), tip);
    let undecided = [&[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3], &[8; 32][..]].concat();
    assert_eq!(row("undecided", &undecided), b"\x03\0\0\0raw");
    assert_eq!(row("chain", &[0; 4]), borsh::to_vec(world.state.chain()).unwrap());
}
