//! Random histories of writes: what the database has seen is always the state, and forks never meet.

use super::world::{Database, World, Write, address, genesis};
use crate::{LoadError, State, Table};
use holdfast_primitives::{AccountNo, HolderNo, SegmentNo, sha256_parts};
use proptest::prelude::*;

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0u64..200).prop_map(Write::Account),
        1 => Just(Write::Join),
        3 => any::<u64>().prop_map(Write::Open),
        2 => any::<u64>().prop_map(Write::Touch),
        1 => (1u64..5).prop_map(Write::TouchAll),
        6 => (any::<u64>(), 1u8..7).prop_map(|(pick, batches)| Write::Register(pick, batches)),
        4 => any::<u64>().prop_map(Write::Remove),
        2 => any::<u64>().prop_map(Write::Break),
        2 => any::<u64>().prop_map(Write::Progress),
        1 => Just(Write::ClearProgress),
        2 => any::<u64>().prop_map(Write::Defer),
        1 => Just(Write::TakeDeferred),
        1 => Just(Write::Round),
        1 => any::<u64>().prop_map(Write::Freeze),
        1 => Just(Write::Advance),
    ]
}

/// `None` seals, `Some((true, ..))` forks first.
pub(super) fn history() -> impl Strategy<Value = Vec<(usize, Option<(bool, Write)>)>> {
    let step = prop_oneof![1 => Just(None), 5 => (prop::bool::weighted(0.05), write()).prop_map(Some)];
    prop::collection::vec((any::<usize>(), step), 1..120)
}

/// The oracle: the state's root from the database's bytes alone, with raw SHA-256.
fn naive_root(database: &Database) -> [u8; 32] {
    let params = borsh::to_vec(&genesis().params).unwrap();
    let mut parts = vec![sha256_parts(&[b"holdfast/params/v1\0", &params])];
    parts.push(leaf(database.0.iter().find(|((table, _), _)| *table == Table::Chain).unwrap().1));
    let tables = [Table::Accounts, Table::Holders, Table::Contracts, Table::Segments, Table::Rounds, Table::Progress];
    for table in tables.into_iter().chain([Table::Deferred, Table::Validators]) {
        let rows = database.0.iter().filter(|((of, _), _)| *of == table);
        parts.push(naive_vector(rows.map(|(_, value)| leaf(value)).collect()));
    }
    sha256_parts(&[b"holdfast/state/v1\0", &parts.concat()])
}

fn leaf(bytes: &[u8]) -> [u8; 32] {
    sha256_parts(&[&[0], bytes])
}

fn naive_vector(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    let len = level.len() as u64;
    level.resize(level.len().next_power_of_two(), [0; 32]);
    while level.len() > 1 {
        let fold =
            |pair: &[[u8; 32]]| if pair == [[0; 32]; 2] { [0; 32] } else { sha256_parts(&[&[1], &pair.concat()]) };
        level = level.chunks(2).map(fold).collect();
    }
    sha256_parts(&[&[2], &len.to_le_bytes(), &level[0]])
}

fn assert_one_truth(world: &World) {
    let state = &world.state;
    let mut snapshot = Database::default();
    snapshot.write(&state.snapshot());
    assert!(snapshot == world.database, "the database that saw the diffs is not the state");
    assert_eq!(*state.root().as_bytes(), naive_root(&world.database));
    assert_eq!(State::load(&genesis(), &world.database).unwrap().root(), state.root());
}

/// Names lead to their records, and batches and segments point at each other.
fn assert_names_and_places_agree(state: &State, places: &[(HolderNo, u8, u32)]) {
    for (number, account) in state.iter_accounts() {
        assert_eq!(state.account_by_address(&account.address).unwrap().0, number);
    }
    for (number, segment) in state.iter_segments() {
        assert_eq!(state.segment_of(segment.owner, segment.ordinal), Some(number));
    }
    assert_eq!(state.segment_of(AccountNo::new(0), state.segments() as u32), None);
    for &(holder, size, slot) in places {
        let batch = state.slot(holder, size, slot).unwrap();
        let member = state.segment(batch.segment).unwrap().members[usize::from(batch.index)];
        assert_eq!((member.holder, member.slot), (holder, slot));
    }
    let alive =
        state.iter_segments().flat_map(|(_, segment)| segment.members.iter()).filter(|member| member.slot != u32::MAX);
    assert_eq!(alive.count(), places.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_diffs_roots_and_loads_agree_and_forks_never_meet(history in history()) {
        let mut forks = vec![World::new()];
        for (pick, step) in history {
            let pick = pick % forks.len();
            match step {
                None => {
                    forks[pick].seal();
                    assert_one_truth(&forks[pick]);
                }
                Some((fork, write)) => {
                    if fork && forks.len() < 4 {
                        forks.push(forks[pick].clone());
                    }
                    forks[pick].play(&write);
                }
            }
        }
        for mut world in forks {
            world.seal();
            assert_one_truth(&world);
            assert_names_and_places_agree(&world.state, &world.places());
        }
    }
}

fn busy_world() -> World {
    let mut world = World::new();
    (0..3).for_each(|_| world.play(&Write::Join));
    (0..40).for_each(|pick| world.play(&Write::Register(pick, 6)));
    (2..300).for_each(|name| world.play(&Write::Account(name)));
    world.seal();
    world
}

#[test]
fn a_seal_tells_only_what_changed() {
    let mut world = busy_world();
    assert!(world.state.seal().is_empty(), "nothing happened since");
    world.state.account_mut(AccountNo::new(1)).balance = holdfast_primitives::Amount::grains(1);
    let diff = world.state.seal();
    let told: Vec<_> = diff.iter().map(|(table, key, _)| (table, key.to_vec())).collect();
    assert_eq!(told, [(Table::Accounts, vec![0, 0, 0, 1])]);
}

#[test]
fn hundreds_of_holders_are_sealed_together_as_they_would_be_alone() {
    let (mut together, mut alone) = (World::new(), World::new());
    (0..200).for_each(|_| together.play(&Write::Join));
    (0..100).for_each(|pick| together.play(&Write::Register(pick * 7, 6)));
    together.seal();
    (0..200).for_each(|_| alone.play(&Write::Join));
    (0..100).for_each(|pick| {
        alone.play(&Write::Register(pick * 7, 6));
        alone.seal();
    });
    assert_eq!(together.database, alone.database);
    assert_eq!(together.state.root(), alone.state.root());
}

/// Enough for several threads: what each was told is put together again, in order.
#[test]
fn thousands_of_changes_in_one_seal_are_all_told_in_order() {
    let mut world = World::new();
    (2..9_000).for_each(|name| world.play(&Write::Account(name)));
    let diff = world.state.seal();
    let keys: Vec<_> = diff.iter().map(|(_, key, _)| key.to_vec()).collect();
    assert!(keys.len() == 8_998 && keys.is_sorted());
    world.database.write(&diff);
    assert_one_truth(&world);
}

#[test]
fn an_index_of_many_names_finds_each_and_no_other() {
    let mut state = World::new().state;
    let first = state.accounts() as u32;
    let numbers: Vec<_> = (2..5_002).map(|name| state.create_account(address(name))).collect();
    let before = state.clone();
    state.create_account(address(9_999));
    assert_eq!(numbers.last(), Some(&AccountNo::new(first + 4_999)));
    for (name, number) in (2..5_002).zip(numbers) {
        assert_eq!(state.account_by_address(&address(name)).unwrap().0, number);
    }
    assert_eq!(before.account_by_address(&address(9_999)), None, "an older clone does not know it");
}

fn refused(spoil: impl FnOnce(&mut Database)) -> LoadError {
    let mut database = busy_world().database;
    spoil(&mut database);
    State::load(&genesis(), &database).map(|state| state.root()).unwrap_err()
}

/// A database that lost or bent something is refused with what is wrong, or has another root.
#[test]
fn a_spoiled_database_is_no_state() {
    let key = |table, key: &[u8]| (table, key.to_vec());
    let account = key(Table::Accounts, &[0, 0, 0, 5]);
    let error = refused(|database| drop(database.0.remove(&account)));
    assert!(matches!(error, LoadError::Key { table: Table::Accounts, key } if key == [0, 0, 0, 6]));
    let error = refused(|database| database.0.get_mut(&account).unwrap().push(0));
    assert!(matches!(error, LoadError::Record { table: Table::Accounts, key, .. } if key == [0, 0, 0, 5]));
    let error = refused(|database| drop(database.0.remove(&key(Table::Chain, &[0, 0, 0, 0]))));
    assert!(matches!(error, LoadError::NoChain));
    let error = refused(|database| database.0.get_mut(&key(Table::Chain, &[0, 0, 0, 0])).unwrap()[0] ^= 1);
    assert!(matches!(error, LoadError::OtherChain { expected, .. } if expected == genesis().chain_id()));
    let slot = key(Table::Slots, &[0, 0, 0, 2, 20, 0, 0, 0, 1]);
    let error = refused(|database| database.0.get_mut(&slot).unwrap()[10] ^= 1);
    assert!(matches!(error, LoadError::Lists { holder } if holder == HolderNo::new(2)));
    let error = refused(|database| drop(database.0.remove(&slot)));
    assert!(matches!(error, LoadError::Key { table: Table::Slots, .. }));
    let error = refused(|database| database.0.retain(|(table, key), _| *table != Table::Slots || key[3] != 1));
    assert!(matches!(error, LoadError::Lists { holder } if holder == HolderNo::new(1)));
    let row = busy_world().database.0[&slot].clone();
    let error =
        refused(|database| drop(database.0.insert(key(Table::Slots, &[0, 0, 0, 3, 20, 0, 0, 0, 0]), row.clone())));
    assert!(matches!(error, LoadError::UnknownHolder { holder } if holder == HolderNo::new(3)));
    let error = refused(|database| drop(database.0.insert(key(Table::Slots, &[0, 0, 0, 2, 21, 0, 0, 0, 0]), row)));
    assert!(matches!(error, LoadError::Key { table: Table::Slots, .. }), "no batches of this size here");
    let mut other = genesis();
    other.params.round_ms = 0;
    assert!(matches!(State::load(&other, &Database::default()), Err(LoadError::Genesis(_))));
}

#[test]
fn a_released_segment_of_a_busy_world_can_be_named_by_number() {
    let world = busy_world();
    assert_eq!(world.state.segment_of(AccountNo::new(0), 39), Some(SegmentNo::new(39)));
    assert_eq!(world.state.segment_of(AccountNo::new(1), 39), None);
}
