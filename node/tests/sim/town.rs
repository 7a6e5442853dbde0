//! The world that the simulated nodes stand in: their disks, the applications on them, and the people who use them.

use crate::app::{Disk, SimApp};
use crate::judge::Judge;
use crate::scene::{Scene, validator_key};
use crate::users::Users;
use bytes::Bytes;
use holdfast_consensus::sim::{NodeSpec, Plan, Post, SimClock, SimRng, World};
use holdfast_ledger::{State, TxEnvelope};
use holdfast_primitives::decode_exact;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// How often a node passes on again everything that waits, in beats.
const REPEAT_BEATS: u64 = 10;

/// The world.
pub struct Town {
    scene: Scene,
    clock: SimClock,
    disks: Vec<Arc<Mutex<Disk>>>,
    apps: Vec<Option<Arc<SimApp>>>,
    judge: Arc<Mutex<Judge>>,
    users: Users,
    beats: u64,
}

impl Town {
    /// Everything that a simulation of the scene needs.
    pub fn build(scene: Scene) -> (Plan, Vec<NodeSpec>, Self) {
        let genesis = State::genesis(&scene.genesis()).unwrap();
        let clock = SimClock::default();
        let plan = Plan {
            seed: scene.seed,
            chain: genesis.chain().chain,
            block_bytes_max: BLOCK_BYTES_MAX,
            faults: scene.faults.clone(),
            clock: clock.clone(),
        };
        let specs = scene.actors.iter().map(|actor| NodeSpec {
            key: validator_key(actor.validator),
            honest: actor.villain.is_none(),
            starts_ms: actor.starts_ms,
            peers: actor.peers.clone(),
            gullible: actor.gullible,
            forgetful: actor.forgetful,
        });
        let specs = specs.collect();
        let count = scene.actors.len();
        let honest: Vec<usize> = (0..count).filter(|node| scene.actors[*node].villain.is_none()).collect();
        let judge = Judge::new(genesis.clone(), honest.into_iter(), scene.dishonest());
        let town = Self {
            clock,
            disks: (0..count).map(|_| Arc::new(Mutex::new(Disk::new(genesis.clone())))).collect(),
            apps: vec![None; count],
            judge: Arc::new(Mutex::new(judge)),
            users: Users::new(SimRng::new(scene.seed ^ 0x05e5), &scene),
            beats: 0,
            scene,
        };
        (plan, specs, town)
    }

    pub fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap()
    }

    /// The height of each honest node.
    pub fn heights(&self) -> BTreeMap<usize, u64> {
        self.judge().heights().clone()
    }

    pub fn highest(&self) -> u64 {
        self.judge().heights().values().copied().max().unwrap()
    }

    pub fn lowest(&self) -> u64 {
        self.judge().heights().values().copied().min().unwrap()
    }
}

fn post(from: usize, envelope: &TxEnvelope) -> Post {
    Post { from, bytes: borsh::to_vec(envelope).unwrap().into() }
}

impl World for Town {
    type App = SimApp;

    fn open(&mut self, node: usize) -> Arc<SimApp> {
        let (actor, clock) = (self.scene.actors[node].clone(), self.clock.clone());
        let (disk, judge) = (Arc::clone(&self.disks[node]), Arc::clone(&self.judge));
        let app = Arc::new(SimApp::open(node, actor, clock, disk, judge));
        self.apps[node] = Some(Arc::clone(&app));
        app
    }

    fn crashed(&mut self, node: usize) {
        self.apps[node] = None;
    }

    fn beat(&mut self, _: u64) -> Vec<Post> {
        self.beats += 1;
        let mut posts = Vec::new();
        if self.scene.busy {
            let up: Vec<(usize, &Arc<SimApp>)> =
                self.apps.iter().enumerate().filter_map(|(node, app)| Some((node, app.as_ref()?))).collect();
            let sent = self.users.act(&up);
            posts.extend(sent.iter().map(|(node, envelope)| post(*node, envelope)));
        }
        for (node, app) in self.apps.iter().enumerate() {
            if let Some(app) = app.as_ref().filter(|_| (self.beats + node as u64).is_multiple_of(REPEAT_BEATS)) {
                posts.extend(app.waiting().iter().map(|envelope| post(node, envelope)));
            }
        }
        posts
    }

    fn receive(&mut self, node: usize, bytes: &Bytes) {
        let Some(app) = &self.apps[node] else { return };
        let envelope: TxEnvelope = decode_exact(bytes, BLOCK_BYTES_MAX).unwrap();
        // Refusals are what most of these meet: they are here already, or come out of order.
        let _ = app.submit(envelope);
    }

    fn fault(&self) -> Option<String> {
        self.judge().fault()
    }
}
