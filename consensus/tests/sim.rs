//! The simulated network over a ledger of nothing but blocks: validator sets that change from height to height, twins,
//! crashes; what every node decides is the same.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use holdfast_consensus::sim::{Breach, Faults, NodeSpec, Plan, Post, SimClock, SimRng, Simulation, Tally, World};
use holdfast_consensus::{
    AppError, BlockIdentity, BuildRequest, Evidence, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict,
};
use holdfast_primitives::{
    Address, BlockHash, Certificate, ChainId, Height, SecretKey, Validator, ValidatorSet, VrfSecretKey, sha256,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CHAIN: ChainId = ChainId::new([7; 32]);
const SEEDS: u64 = 150;

#[derive(BorshSerialize, BorshDeserialize)]
struct Block {
    height: Height,
    parent: BlockHash,
    proposer: Address,
    stamp: u64,
}

/// Who votes at which height.
struct Rules {
    seed: u64,
    validators: usize,
}

impl Rules {
    /// Changes at every third height: powers, and at times who is there at all. The first two always stay.
    fn set(&self, height: Height) -> ValidatorSet {
        let mut rng = SimRng::new(self.seed ^ (height.get() / 3));
        let mut validators = Vec::new();
        for index in 0..self.validators {
            let power = rng.between(10, 14);
            if index < 3 || rng.percent(60) {
                let vrf = VrfSecretKey::from_seed([index as u8; 32]).public();
                validators.push(Validator { address: key(index).address(), vrf, power });
            }
        }
        ValidatorSet::new(validators).unwrap()
    }
}

fn key(index: usize) -> SecretKey {
    SecretKey::from_seed(sha256(&[index as u8]))
}

#[derive(Default)]
struct Disk {
    chain: Vec<(Bytes, Certificate)>,
    undecided: Vec<Undecided>,
}

/// Everybody's chain as far as it is known, and what is wrong with it.
#[derive(Default)]
struct Judge {
    chain: Vec<BlockHash>,
    heights: BTreeMap<usize, u64>,
    evidence: u64,
    fault: Option<String>,
}

struct App {
    node: usize,
    rules: Arc<Rules>,
    disk: Arc<Mutex<Disk>>,
    judge: Arc<Mutex<Judge>>,
    clock: SimClock,
    /// The twins' key, if there are twins; and whether this is one.
    twins: Option<Address>,
    is_twin: bool,
}

impl App {
    fn decode(block: &[u8]) -> Result<Block, AppError> {
        Ok(borsh::from_slice(block)?)
    }
}

#[async_trait]
impl LedgerApp for App {
    fn tip(&self) -> (Height, BlockHash) {
        let disk = self.disk.lock().unwrap();
        let hash = disk.chain.last().map_or(BlockHash::new([1; 32]), |(_, certificate)| certificate.block);
        (Height::new(disk.chain.len() as u64), hash)
    }

    fn config_for(&self, height: Height) -> Result<HeightConfig, AppError> {
        Ok(HeightConfig {
            validators: self.rules.set(height),
            target: Some(Duration::from_millis(300)),
            heartbeat: Duration::from_secs(1),
            timeouts: Timeouts { longest: Duration::from_secs(5), ..Timeouts::default() },
        })
    }

    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError> {
        let Block { height, proposer, .. } = Self::decode(block)?;
        Ok(BlockIdentity { hash: BlockHash::new(sha256(block)), height, proposer })
    }

    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError> {
        let stamp = self.clock.now_ms() * 10 + self.node as u64;
        let block = Block { height: request.height, parent: self.tip().1, proposer: request.proposer, stamp };
        Ok(borsh::to_vec(&block)?.into())
    }

    async fn validate(&self, _: &BlockIdentity, block: &Bytes) -> Verdict {
        match Self::decode(block) {
            Ok(block) if block.parent == self.tip().1 => Verdict::Valid,
            _ => Verdict::Invalid { reason: "another parent".to_owned() },
        }
    }

    fn save_undecided(&self, undecided: &Undecided) -> Result<(), AppError> {
        let kept = &mut self.disk.lock().unwrap().undecided;
        kept.retain(|other| (other.round, other.hash) != (undecided.round, undecided.hash));
        kept.push(undecided.clone());
        Ok(())
    }

    fn undecided(&self, height: Height) -> Result<Vec<Undecided>, AppError> {
        Ok(self.disk.lock().unwrap().undecided.iter().filter(|kept| kept.height == height).cloned().collect())
    }

    async fn commit(&self, block: Bytes, certificate: Certificate, evidence: Evidence) -> Result<(), AppError> {
        let (height, hash) = (certificate.height, certificate.block);
        if !self.is_twin {
            let mut judge = self.judge.lock().unwrap();
            judge.heights.insert(self.node, height.get());
            match judge.chain.get(height.get() as usize - 1).copied() {
                None => judge.chain.push(hash),
                Some(first) if first == hash => {}
                Some(first) => judge.fault = Some(format!("height {height}: {first} and {hash}")),
            }
            if let Err(error) = certificate.verify(&CHAIN, &self.rules.set(height)) {
                judge.fault = Some(format!("height {height}: {error}"));
            }
            for item in &evidence.items {
                judge.evidence += 1;
                if item.verify(&CHAIN).is_err() || Some(*item.validator()) != self.twins {
                    judge.fault = Some(format!("{} is accused", item.validator()));
                }
            }
        }
        let mut disk = self.disk.lock().unwrap();
        disk.chain.push((block, certificate));
        disk.undecided.clear();
        Ok(())
    }

    fn decided(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, AppError> {
        let disk = self.disk.lock().unwrap();
        Ok(height.get().checked_sub(1).and_then(|index| disk.chain.get(index as usize)).cloned())
    }

    fn min_height(&self) -> Height {
        Height::new(1)
    }

    async fn until_work(&self, _: Duration) {
        if self.clock.now_ms().is_multiple_of(3) {
            std::future::pending().await
        }
    }
}

struct Town {
    rules: Arc<Rules>,
    disks: Vec<Arc<Mutex<Disk>>>,
    judge: Arc<Mutex<Judge>>,
    clock: SimClock,
    twins: Option<Address>,
    specs: Vec<NodeSpec>,
}

impl World for Town {
    type App = App;

    fn open(&mut self, node: usize) -> Arc<App> {
        Arc::new(App {
            node,
            rules: Arc::clone(&self.rules),
            disk: Arc::clone(&self.disks[node]),
            judge: Arc::clone(&self.judge),
            clock: self.clock.clone(),
            twins: self.twins,
            is_twin: !self.specs[node].honest,
        })
    }

    fn crashed(&mut self, _: usize) {}

    fn beat(&mut self, _: u64) -> Vec<Post> {
        Vec::new()
    }

    fn receive(&mut self, _: usize, _: &Bytes) {}

    fn fault(&self) -> Option<String> {
        self.judge.lock().unwrap().fault.clone()
    }
}

/// Five validators, the last of which may have a twin; it never holds a third of the power.
fn play(seed: u64) -> Result<(Tally, u64), Breach> {
    let mut rng = SimRng::new(seed);
    let rules = Arc::new(Rules { seed, validators: 5 });
    let twins = rng.percent(50);
    let honest = |index| NodeSpec {
        key: key(index),
        honest: true,
        starts_ms: 0,
        peers: None,
        gullible: false,
        forgetful: false,
    };
    let mut specs: Vec<NodeSpec> = (0..5).map(honest).collect();
    if twins {
        specs[4].honest = false;
        specs.push(NodeSpec { peers: Some(vec![0, 1, 4]), ..specs[4].clone() });
    }
    let faults = Faults {
        until_ms: 6_000,
        delay_ms_max: rng.between(20, 1_200),
        loss_percent: rng.below(25),
        duplicate_percent: rng.below(20),
        crashes: rng.below(5),
        splits: rng.below(3),
        forge_percent: 20,
    };
    let clock = SimClock::default();
    let plan = Plan { seed, chain: CHAIN, block_bytes_max: 1 << 20, faults, clock: clock.clone() };
    let town = Town {
        rules,
        disks: specs.iter().map(|_| Arc::default()).collect(),
        judge: Arc::default(),
        clock,
        twins: twins.then(|| key(4).address()),
        specs: specs.clone(),
    };
    let count = specs.iter().filter(|spec| spec.honest).count();
    let mut simulation = Simulation::new(plan, specs, town);
    simulation.run(6_000, |_| false)?;
    let goal = simulation.world().judge.lock().unwrap().chain.len() as u64 + 4;
    let there = |town: &Town| {
        let heights = &town.judge.lock().unwrap().heights;
        heights.len() == count && heights.values().all(|height| *height >= goal)
    };
    if !simulation.run(66_000, there)? {
        let heights = simulation.world().judge.lock().unwrap().heights.clone();
        return Err(Breach::World { at_ms: simulation.now_ms(), reason: format!("goal {goal}, got {heights:?}") });
    }
    let evidence = simulation.world().judge.lock().unwrap().evidence;
    Ok((simulation.tally(), evidence))
}

#[test]
fn sets_that_change_under_faults_decide_one_chain() {
    let (mut sum, mut evidence) = (Tally::default(), 0);
    for seed in 0..SEEDS {
        let (tally, seen) = play(seed).unwrap_or_else(|breach| panic!("seed {seed}: {breach}"));
        sum.add(&tally);
        evidence += seen;
    }
    assert!(sum.crashes > 50 && sum.replays > 10, "{sum:?}");
    assert!(sum.synced > 50 && sum.late_rounds > 50, "{sum:?}");
    assert!(evidence > 10, "the twins were never caught");
}
