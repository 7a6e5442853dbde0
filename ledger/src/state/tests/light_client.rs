//! What a light client accepts as part of a state, and what not.

use super::world::{World, Write};
use crate::{Holder, Place, RecordKey, StateProof, StateProofError, verify_record};
use holdfast_primitives::{AccountNo, Bounded, ContractNo, HolderNo, RoundNo, SegmentNo, StateRoot, decode_exact};

fn world() -> World {
    let mut world = World::new();
    (0..5).for_each(|_| world.play(&Write::Join));
    (0..70).for_each(|pick| {
        world.play(&Write::Open(pick));
        world.play(&Write::Register(pick, 6));
        world.play(&Write::Account(pick));
    });
    (0..3).for_each(|_| world.play(&Write::Round));
    world.seal();
    world
}

fn keys(world: &World) -> Vec<RecordKey> {
    let state = &world.state;
    let accounts = state.iter_accounts().map(|(number, _)| RecordKey::Account(number));
    let holders = state.iter_holders().map(|(number, _)| RecordKey::Holder(number));
    let contracts = state.iter_contracts().map(|(number, _)| RecordKey::Contract(number));
    let segments = state.iter_segments().map(|(number, _)| RecordKey::Segment(number));
    let rounds = state.iter_rounds().map(|round| RecordKey::Round(round.round));
    let slots =
        world.places().into_iter().map(|(holder, batch_log2, slot)| RecordKey::Slot { holder, batch_log2, slot });
    [RecordKey::Chain]
        .into_iter()
        .chain(accounts)
        .chain(holders)
        .chain(contracts)
        .chain(segments)
        .chain(rounds)
        .chain(slots)
        .collect()
}

fn proof(world: &World, key: RecordKey) -> StateProof {
    world.state.prove(&key).unwrap()
}

const SLOT: RecordKey = RecordKey::Slot { holder: HolderNo::new(2), batch_log2: 20, slot: 7 };

#[test]
fn every_record_proves_itself_as_bytes_that_travel() {
    let world = world();
    let keys = keys(&world);
    assert!(keys.len() > 500);
    for key in keys {
        let bytes = borsh::to_vec(&proof(&world, key)).unwrap();
        let arrived: StateProof = decode_exact(&bytes, 128 * 1024).unwrap();
        arrived.verify(&world.state.root()).unwrap();
        assert_eq!(arrived.key, key);
    }
    let record = proof(&world, SLOT).record;
    assert_eq!(*record, borsh::to_vec(world.state.slot(HolderNo::new(2), 20, 7).unwrap()).unwrap());
}

#[test]
fn what_is_not_there_has_no_proof() {
    let world = world();
    let beyond = [
        RecordKey::Account(AccountNo::new(world.state.accounts() as u32)),
        RecordKey::Holder(HolderNo::new(5)),
        RecordKey::Contract(ContractNo::new(u32::MAX)),
        RecordKey::Segment(SegmentNo::new(70)),
        RecordKey::Round(RoundNo::new(u64::MAX)),
        RecordKey::Slot { holder: HolderNo::new(2), batch_log2: 22, slot: 0 },
        RecordKey::Slot { holder: HolderNo::new(2), batch_log2: 20, slot: 10_000 },
        RecordKey::Slot { holder: HolderNo::new(9), batch_log2: 20, slot: 0 },
    ];
    assert!(beyond.iter().all(|key| world.state.prove(key).is_none()));
}

/// The relabeler shows a true record under another key.
#[test]
fn the_relabeler_is_refused() {
    let world = world();
    let root = world.state.root();
    let keys =
        [keys(&world), vec![RecordKey::Account(AccountNo::new(9_999)), RecordKey::Round(RoundNo::new(u64::MAX))]]
            .concat();
    let twins = |a: &RecordKey, b: &RecordKey| {
        proof(&world, *a).record == world.state.prove(b).map_or(Bounded::empty(), |b| b.record)
    };
    for honest in
        [RecordKey::Chain, RecordKey::Account(AccountNo::new(3)), RecordKey::Contract(ContractNo::new(4)), SLOT]
    {
        let honest_proof = proof(&world, honest);
        for claimed in keys.iter().filter(|key| **key != honest && !twins(&honest, key)) {
            let lie = StateProof { key: *claimed, ..honest_proof.clone() };
            assert!(lie.verify(&root).is_err(), "{honest:?} passed off as {claimed:?}");
        }
    }
}

/// The forger changes any one bit of a proof that travels.
#[test]
fn the_forger_is_refused_at_every_byte() {
    let world = world();
    let root = world.state.root();
    for key in [RecordKey::Chain, RecordKey::Holder(HolderNo::new(1)), SLOT] {
        let bytes = borsh::to_vec(&proof(&world, key)).unwrap();
        for place in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[place] ^= 1 << (place % 8);
            let accepted =
                decode_exact::<StateProof>(&forged, 128 * 1024).is_ok_and(|proof| proof.verify(&root).is_ok());
            assert!(!accepted, "byte {place} of {} is not bound", bytes.len());
        }
    }
}

#[test]
fn every_way_to_be_wrong_has_its_name() {
    let mut world = world();
    let root = world.state.root();
    let honest = proof(&world, SLOT);

    let wrong_place = StateProof { place: Place::Chain, ..honest.clone() };
    assert_eq!(wrong_place.verify(&root), Err(StateProofError::WrongPlace { key: SLOT }));

    let key = RecordKey::Slot { holder: HolderNo::new(2), batch_log2: 28, slot: 7 };
    let no_list = StateProof { key, ..honest.clone() };
    assert_eq!(no_list.verify(&root), Err(StateProofError::NoSuchList { batch_log2: 28 }));

    let bent = StateProof { record: Bounded::new(vec![0; 46]).unwrap(), ..honest.clone() };
    assert_eq!(bent.verify(&root), Err(StateProofError::Path { key: SLOT }));

    world.play(&Write::Advance);
    world.seal();
    let expected = world.state.root();
    assert_eq!(honest.verify(&expected), Err(StateProofError::OtherState { found: root, expected }));
    assert!(matches!(honest.verify(&StateRoot::ZERO), Err(StateProofError::OtherState { .. })));
}

/// An auditor asks for a batch as it was at the freeze, after the list has grown.
#[test]
fn a_frozen_list_still_proves_its_batches_after_appends() {
    let mut world = world();
    let frozen = world.state.holder(HolderNo::new(2)).unwrap().lists[0];
    (0..50).for_each(|pick| world.play(&Write::Register(pick * 2, 6)));
    world.seal();
    let now: &Holder = world.state.holder(HolderNo::new(2)).unwrap();
    assert!(now.lists[0].batches > frozen.batches);

    let list = world.state.list(HolderNo::new(2), frozen.batch_log2).unwrap();
    assert_eq!(list.root_of_prefix(frozen.batches as usize), Some(frozen.list_root));
    for slot in 0..frozen.batches {
        let record = borsh::to_vec(list.get(slot as usize).unwrap()).unwrap();
        let proof = list.proof_in_prefix(frozen.batches as usize, slot as usize).unwrap();
        assert!(verify_record(&frozen.list_root, frozen.batches, slot, &record, &proof));
    }
}
