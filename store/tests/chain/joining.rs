//! A database filled from a snapshot: whole or not there, and from then on like any other.

use crate::world::World;
use holdfast_ledger::{CheckedManifest, ChunkAsk, ListIndex, Manifest, State, Trusted};
use holdfast_por::{BatchMeta, Tagger};
use holdfast_primitives::{BlockHash, Height};
use holdfast_store::{ChainDb, Joined, Joining, StoreError, Target};
use std::path::{Path, PathBuf};

fn metas() -> [BatchMeta; 3] {
    [1u8, 2, 3].map(|fill| Tagger::read(20, &mut vec![fill; 1 << 20].as_slice()).unwrap().meta)
}

/// A node with a chain, and the folders of one that joins.
struct Scene {
    _folder: tempfile::TempDir,
    world: World,
    db: ChainDb,
    manifest: CheckedManifest,
    state: State,
    staging: PathBuf,
    chain: PathBuf,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let db = ChainDb::open(&folder.path().join("source"), &world.genesis).unwrap();
    world.store(&db, &metas());
    world.freeze_and_seed(&db);
    let transfers = world.transfers(5);
    world.block(&db, transfers);
    let tip = db.tip().height;
    let (block, certificate) = (db.block(tip).unwrap().unwrap(), db.certificate(tip).unwrap().unwrap());
    let trusted = Trusted::genesis(&world.genesis).unwrap();
    let manifest = Manifest::new(&world.state, block, certificate).check(&trusted, &world.genesis.params).unwrap();
    let (staging, chain) = (folder.path().join("chain.joining"), folder.path().join("chain"));
    Scene { state: world.state.clone(), _folder: folder, world, db, manifest, staging, chain }
}

impl Scene {
    fn open(&self) -> Joining {
        Joining::open(&self.staging, &self.world.genesis).unwrap()
    }

    fn block(&self) -> BlockHash {
        self.manifest.trusted().hash
    }

    /// Fetches one chunk of what is still to be asked for.
    fn one(&self, joining: &Joining, lists: &ListIndex, (number, ask): (u32, ChunkAsk)) {
        let verified = self.manifest.verify_chunk(lists, &ask, self.state.chunk(&ask).unwrap()).unwrap();
        joining.take(number, &verified.diff, verified.next.as_ref()).unwrap();
    }

    /// Fetches what is left, dropping and opening the database after every chunk, as kill -9 would.
    fn all(&self) {
        self.open().plan(Target { block: self.block(), at_lists: false }, &self.manifest.vector_asks()).unwrap();
        for at_lists in [false, true] {
            loop {
                let joining = self.open();
                assert_eq!(joining.target().unwrap(), Some(Target { block: self.block(), at_lists }));
                assert!(!joining.is_finished().unwrap());
                let lists = if at_lists { joining.lists().unwrap() } else { ListIndex::default() };
                let Some(next) = joining.asks().unwrap().first().copied() else { break };
                self.one(&joining, &lists, next);
            }
            if !at_lists {
                let joining = self.open();
                let asks = self.manifest.list_asks(&joining.lists().unwrap());
                assert!(!asks.is_empty());
                joining.plan(Target { block: self.block(), at_lists: true }, &asks).unwrap();
            }
        }
    }

    fn finish(&self, joining: &Joining) -> Result<(), StoreError> {
        let first = self.world.state.chain().validators.clone();
        joining.finish(&self.world.genesis, &self.manifest, &[], (Height::GENESIS, &first))
    }
}

fn has_blocks(scene: &Scene) -> bool {
    ChainDb::open_with_blocks(&scene.chain, &scene.world.genesis).unwrap().is_some()
}

fn open_chain(chain: &Path, world: &World) -> ChainDb {
    ChainDb::open(chain, &world.genesis).unwrap()
}

#[test]
fn a_database_from_a_snapshot_goes_on_like_the_one_it_was_taken_from() {
    let mut scene = scene();
    // What stands at the place so far never went beyond the genesis.
    drop(open_chain(&scene.chain, &scene.world));
    assert!(!has_blocks(&scene));
    scene.all();
    let joining = scene.open();
    scene.finish(&joining).unwrap();
    assert!(joining.is_finished().unwrap());
    joining.install(&scene.chain).unwrap();
    assert!(!scene.staging.exists());
    assert!(has_blocks(&scene));

    let joined = open_chain(&scene.chain, &scene.world);
    let height = scene.db.tip().height;
    assert_eq!(joined.tip(), scene.db.tip());
    assert_eq!(joined.load_state(&scene.world.genesis).unwrap().root(), scene.state.root());
    assert_eq!(joined.joined().unwrap(), Some(Joined { height, follow_from: Height::GENESIS }));
    assert_eq!(scene.db.joined().unwrap(), None);
    assert_eq!(joined.block(height).unwrap(), scene.db.block(height).unwrap());
    assert_eq!(joined.block(height.previous().unwrap()).unwrap(), None);
    assert_eq!(joined.pruned().unwrap().openings_below, height.next());
    assert_eq!(joined.step_at(height).unwrap(), scene.db.step_at(height).unwrap());

    // Both take the same next blocks, up to the round's end and beyond.
    let round = scene.state.chain().running.round;
    while scene.world.state.chain().running.round == round {
        let applied = scene.world.build(Vec::new());
        scene.world.try_commit(&joined, &applied).unwrap();
        scene.world.commit(&scene.db, &applied);
    }
    assert_eq!(joined.tip(), scene.db.tip());
    drop(joined);
    let again = open_chain(&scene.chain, &scene.world);
    assert_eq!(again.load_state(&scene.world.genesis).unwrap().root(), scene.world.state.root());
}

#[test]
fn half_a_snapshot_is_not_taken_for_a_whole_one() {
    let scene = scene();
    let joining = scene.open();
    joining.plan(Target { block: scene.block(), at_lists: false }, &scene.manifest.vector_asks()).unwrap();
    let asks = joining.asks().unwrap();
    // Everything but the last table, and no lists.
    for ask in &asks[..asks.len() - 1] {
        scene.one(&joining, &ListIndex::default(), *ask);
    }
    assert_eq!(joining.asks().unwrap(), asks[asks.len() - 1..]);
    assert!(matches!(scene.finish(&joining), Err(StoreError::Load(_) | StoreError::StateMismatch { .. })));
    assert!(!joining.is_finished().unwrap());
    assert!(!has_blocks(&scene));
    joining.discard().unwrap();
    assert!(!scene.staging.exists());
    assert_eq!(scene.open().target().unwrap(), None);
}

#[test]
fn killed_after_the_last_write_it_only_needs_its_place() {
    let scene = scene();
    scene.all();
    scene.finish(&scene.open()).unwrap();
    // The process dies here; so may the next one, while it makes room.
    drop(open_chain(&scene.chain, &scene.world));
    std::fs::remove_file(scene.chain.join("FORMAT")).unwrap();
    let found = scene.open();
    assert!(found.is_finished().unwrap());
    found.install(&scene.chain).unwrap();
    assert_eq!(open_chain(&scene.chain, &scene.world).tip(), scene.db.tip());
}
