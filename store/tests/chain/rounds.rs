//! A whole round through both rooms: batches in the vault, proofs in blocks, rows for auditors, and pruning.

use crate::world::{HOLDERS, World, address};
use holdfast_ledger::{
    Block, Event, HolderClaim, KeptProof, RoundRecord, State, TxBody, audit_holder, audit_round_rows, replay_block,
};
use holdfast_por::{BatchMeta, GROUP_LEAVES, ProofPart, Tagged, Tagger, range_proof};
use holdfast_primitives::{BlockHash, Bounded, Height, HolderNo, RequestId, RoundNo, TxId};
use holdfast_store::{BatchTag, ChainDb, ProvenLeaves, Pruned, Vault};

/// A batch of 1 MiB, stored in the vault as a sender would.
fn store_batch(vault: &Vault, fill: u8) -> BatchMeta {
    let bytes = vec![fill; 1 << 20];
    let Tagged { meta, layers } = Tagger::read(20, &mut bytes.as_slice()).unwrap();
    let tag = BatchTag { owner: address("alice"), request: RequestId::new([fill; 16]), expires: Height::new(100) };
    let upload = vault.reserve(meta, tag).unwrap();
    let leaves = 16 * GROUP_LEAVES as u32;
    let proof = range_proof(&meta, &layers, 0, leaves, |_, _| unreachable!("whole groups")).unwrap();
    upload.put(ProvenLeaves::check(&meta, 0, &bytes, &proof).unwrap()).unwrap();
    upload.finish().unwrap();
    meta
}

/// Carol and Dave prove their batches, Erin sleeps.
fn play(world: &mut World, db: &ChainDb, vault: &Vault) -> RoundRecord {
    world.freeze_and_seed(db);
    for holder in &HOLDERS[..2] {
        let proof = world.proof(holder, vault);
        world.block(db, proof);
    }
    let settled = world.settle(db);
    let record = settled.events.iter().find_map(|event| match event {
        Event::RoundSettled(record) => Some(record.clone()),
        _ => None,
    });
    record.unwrap()
}

struct Scene {
    _directory: tempfile::TempDir,
    world: World,
    db: ChainDb,
    vault: Vault,
    record: RoundRecord,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let db = ChainDb::open(&directory.path().join("chain"), &world.genesis).unwrap();
    let vault = Vault::open(&directory.path().join("vault"), 8 << 20, 0).unwrap();
    let metas = [1, 2, 3].map(|fill| store_batch(&vault, fill));
    world.store(&db, &metas);
    let record = play(&mut world, &db, &vault);
    Scene { _directory: directory, world, db, vault, record }
}

/// The parts of a holder's proof, as an auditor asks for them.
fn parts(db: &ChainDb, round: RoundNo, holder: HolderNo) -> Vec<(ProofPart, Vec<u8>)> {
    let parts = db.proof_parts(round, holder).unwrap();
    parts
        .into_iter()
        .map(|(first_j, id)| {
            let (_, signed) = db.tx(&id).unwrap().unwrap();
            let TxBody::Prove { part, .. } = signed.tx.body else { panic!("{id} is no proof") };
            assert_eq!(part.first_j, first_j);
            (part, db.openings(&id).unwrap().unwrap())
        })
        .collect()
}

#[test]
fn a_round_can_be_audited_from_the_database_alone() {
    let Scene { world, db, record, .. } = &scene();
    let first = HolderNo::new(0);
    let frozen = db.frozen_holders(record.round, first, 10).unwrap();
    let results = db.results(record.round, first, 10).unwrap();
    let rows: Vec<_> = results.iter().map(|(_, result)| result.clone()).collect();
    audit_round_rows(record, &frozen, &rows).unwrap();
    assert_eq!((frozen.len(), record.missed), (3, 1));
    for (frozen, (number, result)) in frozen.iter().zip(&results) {
        assert_eq!((frozen.number, frozen.holder), (*number, result.holder));
        assert_eq!(db.frozen(record.round, *number).unwrap().as_ref(), Some(frozen));
        assert_eq!(db.result(record.round, *number).unwrap().as_ref(), Some(result));
        let (parts, evidence) = (parts(db, record.round, *number), db.evidence(record.round, *number).unwrap());
        let claim = HolderClaim { record, frozen, result, parts: &parts, evidence: &evidence };
        let audit = audit_holder(&world.genesis.params, &record_chain(world), &claim).unwrap();
        let sleeps = frozen.holder == address("erin");
        assert_eq!((audit.missed, audit.missing.is_empty()), (sleeps, !sleeps));
    }
    assert_eq!(db.frozen_holders(record.round, HolderNo::new(1), 1).unwrap(), frozen[1..2]);
    assert_eq!(db.frozen_holders(record.round.next(), first, 10).unwrap(), []);
}

fn record_chain(world: &World) -> holdfast_primitives::ChainId {
    world.genesis.chain_id()
}

#[test]
fn payments_are_found_by_round_and_add_up() {
    let Scene { db, record, .. } = &scene();
    let payments = db.payments(record).unwrap();
    assert_eq!(payments.len(), 2, "Erin is not paid");
    assert_eq!(payments.iter().map(|payment| payment.paid.get()).sum::<u64>(), record.paid.get());
    assert_eq!(payments.iter().map(|payment| payment.relay_fee.get()).sum::<u64>(), record.relay_fees.get());
}

#[test]
fn pruned_proofs_are_gone_and_nothing_else_is() {
    let Scene { mut world, db, vault, record, .. } = scene();
    let second = play(&mut world, &db, &vault);
    let carol = HolderNo::new(0);
    let old = db.proof_parts(record.round, carol).unwrap();
    let height = db.tx_place(&old[0].1).unwrap().unwrap().height;
    assert!(db.decided(height).unwrap().is_some());

    for _ in 0..2 {
        db.prune_openings(record.settle_height).unwrap();
        db.prune_evidence(second.round).unwrap();
    }
    assert_eq!(db.pruned().unwrap(), Pruned { openings_below: record.settle_height, evidence_below: second.round });
    assert!(old.iter().all(|(_, id)| db.openings(id).unwrap().is_none() && db.tx(id).unwrap().is_some()));
    assert_eq!(db.evidence(record.round, carol).unwrap(), []);
    assert_eq!(db.decided(height).unwrap(), None, "what is not whole is not served");
    assert!(db.decided(Height::new(1)).unwrap().is_some(), "a block without proofs stays whole");
    assert_eq!(db.results(record.round, carol, 10).unwrap().len(), 3);

    assert_eq!(parts(&db, second.round, carol).len(), old.len());
    assert!(!db.evidence(second.round, carol).unwrap().is_empty());
    db.prune_openings(Height::new(3)).unwrap();
    assert_eq!(db.pruned().unwrap().openings_below, record.settle_height, "pruning never goes back");
    db.prune_openings(Height::new(u64::MAX)).unwrap();
    assert_eq!(db.pruned().unwrap().openings_below, db.tip().height);
    assert_eq!(db.load_state(&world.genesis).unwrap().root(), world.state.root());
}

/// What a node still has of a block's proofs: openings, or what the events state of those that were pruned.
fn kept_proofs(db: &ChainDb, block: &Block) -> Vec<KeptProof> {
    let events = db.events(block.header.height, 0, usize::MAX).unwrap();
    let outcome = |id: TxId| {
        events.iter().find_map(|(_, event)| match event {
            Event::ProofVerified { tx, failed, .. } if *tx == id => Some(failed.clone()),
            _ => None,
        })
    };
    let proofs = block.txs.iter().filter(|signed| matches!(signed.tx.body, TxBody::Prove { .. }));
    let kept = |id: TxId| match db.openings(&id).unwrap() {
        Some(bytes) => KeptProof::Openings { bytes: Bounded::new(bytes).unwrap() },
        None => KeptProof::Outcome { failed: outcome(id).unwrap() },
    };
    proofs.map(|signed| kept(signed.id())).collect()
}

#[test]
fn a_pruned_chain_is_applied_again_from_the_genesis_to_the_same_root() {
    let Scene { world, db, .. } = scene();
    for pruned in [false, true] {
        if pruned {
            db.prune_openings(Height::new(u64::MAX)).unwrap();
        }
        let (mut state, mut parent, mut stated) = (State::genesis(&world.genesis).unwrap(), BlockHash::ZERO, 0);
        for block in db.blocks(Height::new(1), usize::MAX).unwrap() {
            let proofs = kept_proofs(&db, &block);
            stated += proofs.iter().filter(|proof| matches!(proof, KeptProof::Outcome { .. })).count();
            let replayed = replay_block(&state, parent, &block, proofs).unwrap();
            assert_eq!(replayed.hash, block.header.hash(), "at height {}", block.header.height);
            (state, parent) = (replayed.state, replayed.hash);
        }
        assert_eq!(stated > 0, pruned, "{stated} outcomes are taken as stated");
        assert_eq!((parent, state.root()), (db.tip().hash, world.state.root()));
    }
}
