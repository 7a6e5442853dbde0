//! Whatever the state is, it can be taken over chunk by chunk; whatever is changed on the way is noticed where it is changed.

use super::histories::history;
use super::world::{Database, World, Write, genesis};
use crate::join::{CheckedManifest, Chunk, ChunkAsk, ChunkError, ListIndex, Manifest};
use crate::{
    Block, EachRecord, Header, LoadError, MANIFEST_BYTES_MAX, State, StateSource, Table, Trusted, leaves_root,
};
use holdfast_primitives::{
    BlockHash, Bounded, Certificate, CommitSignature, Digest, Height, Purpose, SecretKey, TimeMs, Validator,
    ValidatorSet, VrfSecretKey, decode_exact, vote_payload,
};
use proptest::prelude::*;

fn signer() -> (SecretKey, ValidatorSet) {
    let (key, vrf) = (SecretKey::from_seed([5; 32]), VrfSecretKey::from_seed([6; 32]));
    let validator = Validator { address: key.address(), vrf: vrf.public(), power: 1 };
    (key, ValidatorSet::new(vec![validator]).unwrap())
}

fn trusted() -> Trusted {
    let validators = signer().1;
    Trusted { chain: genesis().chain_id(), height: Height::GENESIS, hash: BlockHash::ZERO, validators }
}

/// A manifest of a sealed state, decided by one validator.
fn manifest(state: &State) -> Manifest {
    let (key, set) = signer();
    let chain = genesis().chain_id();
    let header = Header {
        protocol_version: 1,
        chain,
        height: state.chain().height,
        time: TimeMs::new(7),
        parent: BlockHash::new([1; 32]),
        proposer: key.address(),
        tx_root: leaves_root(&[]),
        result_root: Digest::ZERO,
        state_root: state.root(),
        beacon: [2; 32],
        vrf: VrfSecretKey::from_seed([6; 32]).evaluate(&chain, b"any").1,
        validators: set.digest(),
        next_validators: set.digest(),
    };
    let payload = vote_payload(true, header.height, 0, Some(&header.hash()));
    let signature = key.sign(Purpose::Vote, &chain, &payload);
    let signatures = Bounded::new(vec![CommitSignature { validator: key.address(), signature }]).unwrap();
    let certificate = Certificate { height: header.height, round: 0, block: header.hash(), signatures };
    Manifest::new(state, Block { header, txs: Bounded::empty() }, certificate)
}

fn checked(state: &State) -> CheckedManifest {
    manifest(state).check(&trusted(), &genesis().params).unwrap()
}

/// A world after a random history, sealed, at a height of its own.
fn played(history: Vec<(usize, Option<(bool, Write)>)>) -> World {
    let mut world = World::new();
    for (_, step) in history {
        match step {
            Some((_, write)) => world.play(&write),
            None => world.seal(),
        }
    }
    world.play(&Write::Advance);
    world.seal();
    world
}

/// Fetches everything in chunks of at most `bytes_max` and hands each to `seen` before it is verified.
fn fetch(
    state: &State,
    bytes_max: usize,
    mut seen: impl FnMut(&CheckedManifest, &ListIndex, &ChunkAsk, &Chunk),
) -> Database {
    let manifest = checked(state);
    let mut database = Database::default();
    let mut lists = ListIndex::default();
    for at_lists in [false, true] {
        let asks = if at_lists { manifest.list_asks(&lists) } else { manifest.vector_asks() };
        for ask in asks {
            let mut next = Some(ask);
            while let Some(ask) = next {
                let chunk = state.chunk_within(&ask, bytes_max).unwrap_or_else(|| panic!("nothing for {ask:?}"));
                assert!(borsh::to_vec(&chunk).unwrap().len() <= bytes_max, "a chunk keeps its limit");
                seen(&manifest, &lists, &ask, &chunk);
                let verified = manifest.verify_chunk(&lists, &ask, chunk).unwrap();
                database.write(&verified.diff);
                next = verified.next;
            }
        }
        lists = ListIndex::read(&database).unwrap();
    }
    let chain = manifest.manifest().chain.to_vec();
    database.0.insert((Table::Chain, vec![0; 4]), chain);
    database
}

/// Flips bytes spread over `bytes` and hands each damaged copy to `judge`.
fn flips(bytes: &[u8], salt: usize, mut judge: impl FnMut(usize, &[u8])) {
    let step = (bytes.len() / 40).max(1);
    for place in (salt % step..bytes.len()).step_by(step) {
        let mut damaged = bytes.to_vec();
        damaged[place] ^= 1 << (salt % 8);
        judge(place, &damaged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_fetched_in_chunks_is_the_state_record_by_record(history in history(), bytes_max in 4_096usize..20_000) {
        let world = played(history);
        let fetched = fetch(&world.state, bytes_max, |_, _, _, _| {});
        prop_assert!(fetched == world.database, "the records are those of the state");
        prop_assert_eq!(State::load(&genesis(), &fetched).unwrap().root(), world.state.root());
    }

    #[test]
    fn a_flipped_byte_of_a_chunk_is_refused_on_arrival(history in history(), salt in any::<usize>()) {
        let world = played(history);
        fetch(&world.state, 6_000, |manifest, lists, ask, chunk| {
            flips(&borsh::to_vec(chunk).unwrap(), salt, |place, damaged| {
                let Ok(chunk) = decode_exact::<Chunk>(damaged, damaged.len()) else { return };
                assert!(manifest.verify_chunk(lists, ask, chunk).is_err(), "byte {place} of {ask:?}");
            });
        });
    }

    #[test]
    fn a_flipped_byte_of_a_manifest_is_refused(history in history(), salt in any::<usize>()) {
        let world = played(history);
        flips(&borsh::to_vec(&manifest(&world.state)).unwrap(), salt, |place, damaged| {
            let Ok(manifest) = decode_exact::<Manifest>(damaged, MANIFEST_BYTES_MAX) else { return };
            assert!(manifest.check(&trusted(), &genesis().params).is_err(), "byte {place}");
        });
    }

    #[test]
    fn any_bytes_get_an_answer(history in history(), bytes in prop::collection::vec(any::<u8>(), 0..200), ask in any::<[u8; 14]>()) {
        let world = played(history);
        let ask: ChunkAsk = borsh::from_slice(&ask).unwrap();
        let _ = world.state.chunk(&ask);
        let manifest = checked(&world.state);
        let lists = ListIndex::read(&world.database).unwrap();
        if let Ok(chunk) = decode_exact::<Chunk>(&bytes, bytes.len()) {
            let _ = manifest.verify_chunk(&lists, &ask, chunk);
        }
        let _ = decode_exact::<Manifest>(&bytes, bytes.len()).map(|manifest| manifest.check(&trusted(), &genesis().params));
    }
}

/// Some holders with lists of both sizes.
fn busy() -> World {
    let mut world = World::new();
    for number in 0..30 {
        world.play(&Write::Account(number));
        world.play(&Write::Join);
        world.play(&Write::Open(number));
        world.play(&Write::Register(number * 7 + 1, 6));
    }
    world.play(&Write::Advance);
    world.seal();
    world
}

/// The chunk that answers `ask`, and what a verifier says of it.
fn verdict(world: &World, ask: &ChunkAsk, change: impl FnOnce(&mut Vec<crate::Run>)) -> Result<(), ChunkError> {
    let lists = ListIndex::read(&world.database).unwrap();
    let mut runs = world.state.chunk(ask).unwrap().runs.into_inner();
    change(&mut runs);
    let chunk = Chunk { runs: Bounded::new(runs).unwrap() };
    checked(&world.state).verify_chunk(&lists, ask, chunk).map(drop)
}

#[test]
fn whoever_hides_swaps_or_adds_records_is_caught_by_the_chunk() {
    let world = busy();
    let manifest = checked(&world.state);
    let lists = ListIndex::read(&world.database).unwrap();
    let of = |table| manifest.vector_asks().into_iter().find(|ask| ask.table() == Some(table)).unwrap();
    let (accounts, slots) = (of(Table::Accounts), manifest.list_asks(&lists)[0]);
    assert_eq!(verdict(&world, &accounts, |_| {}), Ok(()));
    assert_eq!(verdict(&world, &slots, |_| {}), Ok(()));
    let records = |runs: &mut Vec<crate::Run>, change: &dyn Fn(&mut Vec<Bounded<u8, { crate::RECORD_BYTES_MAX }>>)| {
        let mut records = runs[0].records.to_vec();
        change(&mut records);
        runs[0].records = Bounded::new(records).unwrap();
    };
    for ask in [accounts, slots] {
        let not_the_state = |verdict| assert!(matches!(verdict, Err(ChunkError::NotTheState { .. })), "{verdict:?}");
        not_the_state(verdict(&world, &ask, |runs| records(runs, &|records| drop(records.pop()))));
        not_the_state(verdict(&world, &ask, |runs| records(runs, &|records| records.swap(0, 1))));
        let too_long = |verdict| assert!(matches!(verdict, Err(ChunkError::TooLong { .. })), "{verdict:?}");
        too_long(verdict(&world, &ask, |runs| records(runs, &|records| records.push(records[0].clone()))));
        too_long(verdict(&world, &ask, |runs| runs.push(runs[0].clone())));
        let empty = |verdict| assert!(matches!(verdict, Err(ChunkError::Empty { .. })), "{verdict:?}");
        empty(verdict(&world, &ask, |runs| runs.clear()));
        empty(verdict(&world, &ask, |runs| records(runs, &|records| records.clear())));
    }
}

#[test]
fn the_records_of_yesterday_are_not_those_of_today() {
    let world = busy();
    let mut later = world.clone();
    later.play(&Write::TouchAll(1));
    later.play(&Write::Break(3));
    later.play(&Write::Advance);
    later.seal();
    let (manifest, lists) = (checked(&later.state), ListIndex::read(&later.database).unwrap());
    let contracts = manifest.vector_asks().into_iter().find(|ask| ask.table() == Some(Table::Contracts)).unwrap();
    for ask in [contracts, manifest.list_asks(&lists)[0]] {
        let stale = world.state.chunk(&ask).unwrap();
        let refused = manifest.verify_chunk(&lists, &ask, stale);
        assert!(matches!(refused, Err(ChunkError::NotTheState { .. })), "{refused:?}");
        assert!(manifest.verify_chunk(&lists, &ask, later.state.chunk(&ask).unwrap()).is_ok());
    }
}

/// Names the tables in the order of their keys, whatever tables there are: what the wire's numbers mean.
#[test]
fn every_table_is_asked_for_but_the_chain_record() {
    struct Nothing;
    impl StateSource for Nothing {
        fn scan(&self, _: Table, _: EachRecord<'_>) -> Result<(), LoadError> {
            Ok(())
        }
    }
    let world = busy();
    let (manifest, lists) = (checked(&world.state), ListIndex::read(&world.database).unwrap());
    assert_eq!(manifest.list_asks(&ListIndex::read(&Nothing).unwrap()), []);
    let asked: Vec<Table> =
        manifest.vector_asks().iter().chain(&manifest.list_asks(&lists)).filter_map(ChunkAsk::table).collect();
    let with_records = |table: &Table| *table != Table::Chain && world.database.0.keys().any(|(of, _)| of == table);
    let mut expected: Vec<Table> = Table::ALL.into_iter().filter(with_records).collect();
    expected.sort();
    let mut asked = asked;
    asked.sort();
    assert_eq!(asked, expected);
}
