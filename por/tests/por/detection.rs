//! Does drawing `k` leaves find a loss as often as 1 - (1 - f)^k says? (Ateniese et al., "Provable Data Possession at
//! Untrusted Stores", CCS 2007, section 5: the classic bound for sampled blocks.)

use holdfast_por::{ClassCount, HolderChallenge, Position, RoundSeed};
use holdfast_primitives::{Address, ChainId, RoundNo};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

const ROUNDS: u32 = 3_000;

fn detection_probability(lost_share: f64, challenges: u32) -> f64 {
    1.0 - (1.0 - lost_share).powi(challenges as i32)
}

/// The share of rounds in which at least one challenge hits what is lost.
fn detection_rate(classes: &[ClassCount], challenges: u32, is_lost: impl Fn(&Position) -> bool) -> f64 {
    let mut beacon = ChaCha8Rng::seed_from_u64(2026);
    let mut detected = 0;
    for round in 0..ROUNDS {
        let mut seed = [0; 32];
        beacon.fill_bytes(&mut seed);
        let of = RoundSeed {
            chain: ChainId::new([1; 32]),
            round: RoundNo::new(round.into()),
            seed,
            holder: Address::new([2; 32]),
            set_root: [3; 32],
        };
        let challenge = HolderChallenge::new(of, classes, challenges).unwrap();
        detected += u32::from(challenge.positions().any(|position| is_lost(&position)));
    }
    f64::from(detected) / f64::from(ROUNDS)
}

fn assert_agrees(rate: f64, lost_share: f64, challenges: u32) {
    let expected = detection_probability(lost_share, challenges);
    let sigma = (expected * (1.0 - expected) / f64::from(ROUNDS)).sqrt();
    assert!((rate - expected).abs() < 4.0 * sigma, "rate {rate}, expected {expected} +- {sigma}");
}

#[test]
fn mainnet_numbers_find_a_hundredth_with_ninety_nine_percent() {
    assert!(detection_probability(0.01, 459) > 0.99);
    assert!(detection_probability(0.01, 458) < 0.99);
    assert!(detection_probability(0.067, 66) > 0.989);
}

#[test]
fn whole_lost_batches_are_found_as_often_as_the_formula_says() {
    let classes = [ClassCount { batch_log2: 28, batches: 1000 }];
    for (lost_batches, challenges) in [(10, 66), (50, 20), (200, 5)] {
        let rate = detection_rate(&classes, challenges, |position| position.slot % 1000 < lost_batches);
        assert_agrees(rate, lost_batches as f64 / 1000.0, challenges);
    }
}

#[test]
fn scattered_lost_leaves_are_found_as_often_as_the_formula_says() {
    let classes = [ClassCount { batch_log2: 20, batches: 8 }, ClassCount { batch_log2: 23, batches: 2 }];
    let leaves = 8 * 1024 + 2 * 8192;
    let mut disk = ChaCha8Rng::seed_from_u64(99);
    let mut lost = BTreeSet::new();
    while lost.len() < leaves / 50 {
        let at = (disk.next_u64() % leaves as u64) as u32;
        let small = at < 8192;
        let (log2, rest) = if small { (20, at) } else { (23, at - 8192) };
        lost.insert((log2, u64::from(rest >> (log2 - 10)), rest % (1 << (log2 - 10))));
    }
    let is_lost = |position: &Position| lost.contains(&(position.batch_log2, position.slot, position.leaf));
    let share = lost.len() as f64 / leaves as f64;
    for challenges in [10, 40, 100] {
        assert_agrees(detection_rate(&classes, challenges, is_lost), share, challenges);
    }
}
