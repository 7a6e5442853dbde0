//! What a number stands for.

use holdfast_consensus::sim::{Faults, SimRng};
use holdfast_ledger::{Genesis, GenesisValidator, Params};
use holdfast_por::ChallengeParams;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, Amount, Bounded, NetworkPrefix, SecretKey, TimeMs, VrfSecretKey, sha256};
use std::collections::BTreeSet;

/// When every chain starts.
pub const START_MS: u64 = 1_700_000_000_000;
/// Who has money.
pub const PEOPLE: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
/// Who may become a holder.
pub const HOLDERS: [&str; 2] = ["carol", "dave"];
/// Price that holders quote, per batch per round.
pub const PRICE: Amount = Amount::grains(10_000);
/// What everybody starts with.
const STAKE: Amount = Amount::hold(1_000);
/// How far clocks of honest nodes may be apart.
const SKEW_MS: u64 = 900;

/// How a dishonest validator misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Villain {
    /// Two machines with one key.
    Twins,
    /// One machine that proposes blocks whose state root is wrong.
    Liar,
    /// One machine that says nothing at all.
    Silent,
}

/// A node that runs.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Which validator it is.
    pub validator: usize,
    /// `None` when it is honest.
    pub villain: Option<Villain>,
    /// When it starts.
    pub starts_ms: u64,
    /// How far its clock is ahead, or behind when negative.
    pub skew_ms: i64,
    /// With whom it can ever talk; `None` for everybody.
    pub peers: Option<Vec<usize>>,
    /// Believes every signature.
    pub gullible: bool,
    /// Its log does not survive a crash.
    pub forgetful: bool,
}

/// All that a run hangs on.
#[derive(Clone, Debug)]
pub struct Scene {
    pub seed: u64,
    pub powers: Vec<u64>,
    pub actors: Vec<Actor>,
    pub faults: Faults,
    /// Whether people buy and sell.
    pub busy: bool,
}

/// The key that grows from a name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha256(name.as_bytes()))
}

pub fn address(name: &str) -> Address {
    key(name).address()
}

pub fn validator_key(index: usize) -> SecretKey {
    key(&format!("validator {index}"))
}

pub fn validator_vrf(index: usize) -> VrfSecretKey {
    VrfSecretKey::from_seed(sha256(format!("vrf of validator {index}").as_bytes()))
}

impl Scene {
    /// The scene of a number.
    pub fn draw(seed: u64) -> Self {
        let mut rng = SimRng::new(seed ^ 0x5ce7_e000);
        let count = *rng.pick(&[1, 3, 4, 4, 4, 5, 6]).unwrap();
        let powers: Vec<u64> = (0..count).map(|_| if rng.percent(50) { 4 } else { rng.between(1, 9) }).collect();
        let villains = draw_villains(&mut rng, &powers);
        let mut actors = draw_actors(&mut rng, &villains);
        if let Some(late) = actors.iter_mut().find(|actor| actor.villain.is_none()).filter(|_| rng.percent(30)) {
            late.starts_ms = rng.between(500, 4_000);
        }
        if rng.percent(60) {
            // One more honest node, which has bonded nothing yet.
            actors.push(draw_honest(&mut rng, powers.len()));
        }
        Self { seed, powers, actors, faults: draw_faults(&mut rng), busy: true }
    }

    /// Those that are not played by an honest machine, silent ones among them.
    pub fn dishonest(&self) -> BTreeSet<Address> {
        let honest = self.may_bond();
        let others = (0..self.powers.len()).filter(|validator| !honest.contains(validator));
        others.map(|validator| validator_key(validator).address()).collect()
    }

    /// Validators by number whose power may go up, and come down to what it was: the honest ones, so that the dishonest
    /// never hold a third.
    pub fn may_bond(&self) -> Vec<usize> {
        let honest = self.actors.iter().filter(|actor| actor.villain.is_none());
        honest.map(|actor| actor.validator).collect()
    }

    /// What a validator bonded at the beginning.
    pub fn first_bond(&self, validator: usize) -> Amount {
        Amount::hold(self.powers.get(validator).copied().unwrap_or_default())
    }

    pub fn genesis(&self) -> Genesis {
        let people = PEOPLE.iter().map(|name| address(name));
        let validators = (0..=self.powers.len()).map(|validator| validator_key(validator).address());
        let mut accounts: Vec<_> = people.chain(validators).map(|address| (address, STAKE)).collect();
        accounts.sort();
        let validator = |index: usize| GenesisValidator {
            address: validator_key(index).address(),
            vrf: validator_vrf(index).public(),
            bond: self.first_bond(index),
        };
        // Being jailed is for honest nodes that are away: among villains it would hand these a third.
        let missed_turns_max = if self.dishonest().is_empty() { 1 } else { 1_000_000 };
        Genesis {
            name: Bounded::new(b"simulation".to_vec()).unwrap(),
            time: TimeMs::new(START_MS),
            params: Params { missed_turns_max, ..params() },
            accounts: Bounded::new(accounts).unwrap(),
            validators: Bounded::new((0..self.powers.len()).map(validator).collect()).unwrap(),
            seed: sha256(&self.seed.to_le_bytes()),
        }
    }
}

/// Rounds of seconds, so that several fit into a run.
fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 4_000,
        proof_window_ms: 2_500,
        seed_delay_blocks: 2,
        challenge: ChallengeParams { k_min: 6, k_small: 4, target_rounds: 4 },
        proof_part_openings: 4,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20]).unwrap(),
        code_data: 1,
        code_parity: 0,
        contract_rounds_max: 100,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(3),
        proof_fee: Amount::grains(7),
        holder_bond: Amount::hold(1),
        collateral_rounds: 10,
        opening_fine_multiple: 10,
        missed_round_fine_percent: 20,
        declare_fine_percent: 10,
        validator_bond_min: Amount::hold(1),
        validators_max: 100,
        unbond_rounds: 2,
        missed_turns_max: 1_000_000,
        jail_rounds: 1,
        slash_bps: 500,
        block_interval_ms: 600,
        heartbeat_ms: 2_000,
        clock_drift_ms: 1_000,
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        grid: Bounded::empty(),
    }
}

/// Less than a third of the power may be dishonest.
fn draw_villains(rng: &mut SimRng, powers: &[u64]) -> Vec<Option<Villain>> {
    let total: u64 = powers.iter().sum();
    let (mut left, mut villains) = (total.div_ceil(3) - 1, vec![None; powers.len()]);
    if rng.percent(30) {
        return villains;
    }
    for (index, power) in powers.iter().enumerate() {
        if *power <= left && rng.percent(60) {
            left -= power;
            villains[index] = rng.pick(&[Villain::Twins, Villain::Twins, Villain::Liar, Villain::Silent]).copied();
        }
    }
    villains
}

fn draw_actors(rng: &mut SimRng, villains: &[Option<Villain>]) -> Vec<Actor> {
    let machines = |villain: &Option<Villain>| match villain {
        Some(Villain::Twins) => 2,
        Some(Villain::Silent) => 0,
        _ => 1,
    };
    let count: usize = villains.iter().map(machines).sum();
    let mut actors = Vec::new();
    for (validator, villain) in villains.iter().enumerate() {
        for _ in 0..machines(villain) {
            let some = *villain == Some(Villain::Twins) && rng.percent(60);
            let peers = some.then(|| (0..count).filter(|_| rng.percent(60)).collect());
            let skew_ms = rng.below(SKEW_MS) as i64 - SKEW_MS as i64 / 2;
            let (gullible, forgetful) = (false, false);
            actors.push(Actor { validator, villain: *villain, starts_ms: 0, skew_ms, peers, gullible, forgetful });
        }
    }
    actors
}

fn draw_honest(rng: &mut SimRng, validator: usize) -> Actor {
    let skew_ms = rng.below(SKEW_MS) as i64 - SKEW_MS as i64 / 2;
    Actor { validator, villain: None, starts_ms: 0, skew_ms, peers: None, gullible: false, forgetful: false }
}

fn draw_faults(rng: &mut SimRng) -> Faults {
    let bad_wires = rng.percent(70);
    Faults {
        until_ms: rng.between(3_000, 7_000),
        delay_ms_max: if bad_wires { rng.between(50, 1_500) } else { 60 },
        loss_percent: if bad_wires { rng.below(25) } else { 0 },
        duplicate_percent: rng.below(20),
        crashes: rng.below(6),
        splits: rng.below(3),
        forge_percent: rng.below(30),
    }
}
