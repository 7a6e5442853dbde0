//! Who is struck down during a transfer, when, and for how long: drawn from one number.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::BTreeSet;
use std::time::Duration;

/// What can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Holder,
    Owner,
    Relay,
}

/// Some of them die at once.
#[derive(Clone, Debug)]
pub struct Blow {
    pub victims: BTreeSet<Victim>,
    /// Bytes that pass before, since the last blow's victims were back.
    pub after_bytes: u64,
    /// How long the ends that died stay away.
    pub away: Duration,
}

/// One to three blows that fall while a transfer of so many bytes is under way.
pub fn blows(seed: u64, among: &[Victim], batch_bytes: u64, away_max: Duration) -> Vec<Blow> {
    let mut rng = StdRng::seed_from_u64(seed);
    let count = rng.random_range(1..=3_u64);
    let one = |_| {
        let mut victims = BTreeSet::from([among[rng.random_range(0..among.len())]]);
        if rng.random_bool(0.3) {
            victims.insert(among[rng.random_range(0..among.len())]);
        }
        let after_bytes = rng.random_range(0..batch_bytes * 9 / 10 / count);
        Blow { victims, after_bytes, away: away_max.mul_f64(rng.random()) }
    };
    (0..count).map(one).collect()
}

/// The one number of `HOLDFAST_SEED`, or else all of these.
pub fn seeds(all: std::ops::Range<u64>) -> Vec<u64> {
    match std::env::var("HOLDFAST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => all.collect(),
    }
}
