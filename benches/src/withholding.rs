//! What withholding a block is worth to a validator that is also a holder and has lost data.
//!
//! The beacon cannot be chosen, but a proposer whose turn is the seed's height knows the seed before anybody else, and may
//! keep its block back: then the proposer of the next consensus round makes the block, with a beacon that nobody knew.
//! So each turn at the end of the row is one more draw. Played here with the real VRF, beacon and draw.

use crate::harness::Report;
use anyhow::{Result, ensure};
use holdfast_ledger::next_beacon;
use holdfast_por::{ClassCount, HolderChallenge, RoundSeed};
use holdfast_primitives::{Address, ChainId, RoundNo, VrfSecretKey, sha256_parts};

/// Rounds played for each figure.
const ROUNDS: u32 = 4_000;
/// As on mainnet: log2 of a batch's bytes, batches of the holder (with which `challenges` is `k_min`), fine multiple.
const BATCH_LOG2: u8 = 28;
const BATCHES: u64 = 57;
const FINE_MULTIPLE: f64 = 10.0;
const LEAVES_LOG2: u32 = 18;
/// Parts of the data that are lost.
const LOST: [f64; 5] = [0.0002, 0.001, 0.002, 0.005, 0.01];
/// Turns in a row that end at the seed's height.
const TURNS: [u32; 4] = [0, 1, 2, 3];
/// Shares of the power, for what this comes to over many rounds.
const SHARES: [f64; 3] = [0.05, 0.1, 0.33];

/// A holder of which `lost` is gone, and the draws it meets.
struct Holder {
    lost_below: u32,
    challenges: u32,
    own: VrfSecretKey,
    other: VrfSecretKey,
}

/// How a round went.
#[derive(Clone, Copy, Default)]
struct Outcome {
    missing: u32,
    withheld: u32,
}

/// What many rounds come to, per round.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    detected: f64,
    missing: f64,
    withheld: f64,
}

/// Prints everything that `docs/beacon.md` states.
pub fn run(report: &Report) -> Result<()> {
    for challenges in [459, 66] {
        report.remark(&format!("{challenges} challenges over {BATCHES} batches, {ROUNDS} rounds a line"));
        for lost in LOST {
            row(report, challenges, lost)?;
        }
    }
    Ok(())
}

fn row(report: &Report, challenges: u32, lost: f64) -> Result<()> {
    let holder = Holder::new(challenges, lost);
    let hit = 1.0 - (1.0 - lost).powi(challenges as i32);
    let mut one = Mean::default();
    let mut none = Mean::default();
    for turns in TURNS {
        let mean = holder.mean(turns)?;
        let bound = hit.powi(turns as i32 + 1);
        let name = format!("loss {lost}, k {challenges}, turns {turns}: detected");
        report.figure(name, mean.detected, "of rounds", Some(mean.detected / bound), "1-(1-f)^k to the turns+1");
        // Four standard errors: this is arithmetic, not a measurement.
        let error = (bound * (1.0 - bound) / f64::from(ROUNDS)).sqrt();
        ensure!((mean.detected - bound).abs() <= 4.0 * error + 1e-3, "{} detected, {bound} expected", mean.detected);
        match turns {
            0 => none = mean,
            1 => one = mean,
            _ => {}
        }
    }
    let fine = |mean: &Mean| FINE_MULTIPLE * mean.missing / f64::from(challenges);
    let saved = fine(&none) - fine(&one);
    report.figure(format!("loss {lost}, k {challenges}: fines"), fine(&none), "revenues", None, "");
    report.figure(format!("loss {lost}, k {challenges}: saved by one turn"), saved, "revenues", None, "");
    report.figure(format!("loss {lost}, k {challenges}: blocks given up"), one.withheld, "per turn", None, "");
    for share in SHARES {
        let detected = (1.0 - share) * none.detected + share * one.detected;
        let fines = (1.0 - share) * fine(&none) + share * fine(&one);
        let name = format!("loss {lost}, k {challenges}, share {share}: rounds until caught");
        report.figure(name, 1.0 / detected, "rounds", Some(none.detected / detected), "without withholding");
        let name = format!("loss {lost}, k {challenges}, share {share}: fines");
        report.figure(name, fines / lost, "x lost pay", None, "");
        ensure!(fines > lost, "losing data pays");
    }
    Ok(())
}

impl Holder {
    fn new(challenges: u32, lost: f64) -> Self {
        let key = |name: &[u8]| VrfSecretKey::from_seed(sha256_parts(&[b"withholding", name]));
        let lost_below = (lost * f64::from(1u32 << LEAVES_LOG2)).round() as u32;
        Self { lost_below, challenges, own: key(b"own"), other: key(b"other") }
    }

    fn mean(&self, turns: u32) -> Result<Mean> {
        let mut sum = Mean::default();
        for round in 0..ROUNDS {
            let Outcome { missing, withheld } = self.round(round, turns)?;
            sum.detected += f64::from(u8::from(missing > 0));
            sum.missing += f64::from(missing);
            sum.withheld += f64::from(withheld);
        }
        let rounds = f64::from(ROUNDS);
        Ok(Mean { detected: sum.detected / rounds, missing: sum.missing / rounds, withheld: sum.withheld / rounds })
    }

    /// Plays the row of own turns that ends at the seed's height. The best there is to do: look where publishing all leads;
    /// if that is bad, give up the first turn that is left, which makes everything after it new, and look again.
    fn round(&self, round: u32, turns: u32) -> Result<Outcome> {
        let chain = ChainId::new([3; 32]);
        let mut beacon = sha256_parts(&[b"beacon before", &round.to_le_bytes(), &turns.to_le_bytes()]);
        for withheld in 0..turns {
            let seed = (withheld..turns).fold(beacon, |before, _| self.step(&chain, &self.own, &before));
            let missing = self.missing(&chain, round, seed)?;
            if missing == 0 {
                return Ok(Outcome { missing, withheld });
            }
            beacon = self.step(&chain, &self.other, &beacon);
        }
        // The last block is somebody else's, or all are: nothing is known before it is public.
        let seed = if turns == 0 { self.step(&chain, &self.other, &beacon) } else { beacon };
        Ok(Outcome { missing: self.missing(&chain, round, seed)?, withheld: turns })
    }

    fn step(&self, chain: &ChainId, key: &VrfSecretKey, before: &[u8; 32]) -> [u8; 32] {
        next_beacon(before, &key.evaluate(chain, before).0)
    }

    /// How many of the drawn leaves are lost.
    fn missing(&self, chain: &ChainId, round: u32, seed: [u8; 32]) -> Result<u32> {
        let of = RoundSeed {
            chain: *chain,
            round: RoundNo::new(u64::from(round)),
            seed,
            holder: Address::new([5; 32]),
            set_root: [6; 32],
        };
        let class = ClassCount { batch_log2: BATCH_LOG2, batches: BATCHES };
        let challenge = HolderChallenge::new(of, &[class], self.challenges)?;
        let lost = challenge.positions().filter(|position| position.leaf < self.lost_below).count();
        Ok(u32::try_from(lost)?)
    }
}
