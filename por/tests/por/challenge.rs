//! Counting and drawing challenges.

use crate::oracle::sha256;
use holdfast_por::{
    ChallengeError, ChallengeParams, ClassCount, HolderChallenge, MetaError, Position, RoundSeed, challenge_count,
};
use holdfast_primitives::limits::CHALLENGES_MAX;
use holdfast_primitives::{Address, ChainId, RoundNo};
use proptest::prelude::*;

const MAINNET: ChallengeParams = ChallengeParams { k_min: 459, k_small: 66, target_rounds: 120 };

fn seed(byte: u8) -> RoundSeed {
    RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(3),
        seed: [byte; 32],
        holder: Address::new([4; 32]),
        set_root: [5; 32],
    }
}

fn class(batch_log2: u8, batches: u64) -> ClassCount {
    ClassCount { batch_log2, batches }
}

#[test]
fn mainnet_counts() {
    let table = [
        (0, 0),
        (1, 66),
        (8, 66),
        (9, 72),
        (57, 456),
        (58, 459),
        (55_080, 459),
        (55_081, 460),
        (400_000, 3_334),
        (7_864_320, 65_536),
        (1 << 40, 65_536),
        (u64::MAX, 65_536),
    ];
    for (batches, expected) in table {
        assert_eq!(challenge_count(batches, &MAINNET), expected, "{batches} batches");
    }
}

proptest! {
    #[test]
    fn the_count_follows_the_formula(
        batches in 0u64..=1 << 40,
        k_small in 1u32..=1000,
        more in 0u32..=10_000,
        target_rounds in 1u32..=10_000,
    ) {
        let params = ChallengeParams { k_min: k_small + more, k_small, target_rounds };
        prop_assert_eq!(params.check(), Ok(()));
        let (wide, rounds) = (u128::from(batches), u128::from(target_rounds));
        let by_size = (8 * wide).clamp(k_small.into(), (k_small + more).into());
        let expected = if batches == 0 { 0 } else { by_size.max(wide / rounds + u128::from(wide % rounds > 0)).min(65_536) };
        prop_assert_eq!(u128::from(challenge_count(batches, &params)), expected);
    }

    #[test]
    fn any_parameters_give_some_count(batches: u64, k_min: u32, k_small: u32, target_rounds: u32) {
        let params = ChallengeParams { k_min, k_small, target_rounds };
        prop_assert!(challenge_count(batches, &params) <= CHALLENGES_MAX);
    }

    #[test]
    fn positions_are_those_of_a_list_written_out(
        seed_byte: u8,
        small in 0u64..20,
        medium in 0u64..9,
        large in 0u64..5,
        count in 1u32..60,
    ) {
        let classes = [class(20, small), class(21, medium), class(23, large)];
        prop_assume!(small + medium + large > 0);
        let of = seed(seed_byte);
        let challenge = HolderChallenge::new(of, &classes, count).unwrap();
        let drawn: Vec<Position> = challenge.positions().collect();
        prop_assert_eq!(drawn, written_out(&of, &classes, count));
        prop_assert_eq!(challenge.position(count), None);
    }
}

/// The judge: writes out every mebibyte of every batch in order and picks by long multiplication.
fn written_out(of: &RoundSeed, classes: &[ClassCount], count: u32) -> Vec<Position> {
    let mut mebibytes = Vec::new();
    for class in classes {
        for slot in 0..class.batches {
            mebibytes.extend((0..1u32 << (class.batch_log2 - 20)).map(|part| (class.batch_log2, slot, part * 1024)));
        }
    }
    let batches: u64 = classes.iter().map(|class| class.batches).sum();
    let round = of.round.get().to_le_bytes();
    let tag = b"por/holder-seed/v1\0";
    let hs = sha256(&[
        tag,
        of.chain.as_bytes(),
        &round,
        &of.seed,
        of.holder.as_bytes(),
        &of.set_root,
        &batches.to_le_bytes(),
    ]);
    let leaves = mebibytes.len() as u64 * 1024;
    let pick = |j: u32| {
        let hash = sha256(&[b"por/index/v1\0", &hs, &j.to_le_bytes()]);
        let x = hash[..8].iter().rev().fold(0u64, |x, &byte| x << 8 | u64::from(byte));
        let (high, low) = (x >> 32, x & 0xffff_ffff);
        let index = (high * leaves + ((low * leaves) >> 32)) >> 32;
        let (batch_log2, slot, first) = mebibytes[index as usize / 1024];
        Position { batch_log2, slot, leaf: first + index as u32 % 1024 }
    };
    (0..count).map(pick).collect()
}

#[test]
fn every_input_of_the_seed_changes_the_draw() {
    let classes = [class(20, 100)];
    let drawn = |of: RoundSeed, classes: &[ClassCount]| -> Vec<Position> {
        HolderChallenge::new(of, classes, 20).unwrap().positions().collect()
    };
    let of = seed(2);
    let base = drawn(of, &classes);
    let others = [
        drawn(RoundSeed { chain: ChainId::new([9; 32]), ..of }, &classes),
        drawn(RoundSeed { round: RoundNo::new(4), ..of }, &classes),
        drawn(RoundSeed { seed: [9; 32], ..of }, &classes),
        drawn(RoundSeed { holder: Address::new([9; 32]), ..of }, &classes),
        drawn(RoundSeed { set_root: [9; 32], ..of }, &classes),
        drawn(of, &[class(20, 101)]),
    ];
    assert!(others.iter().all(|other| *other != base));
    assert_eq!(drawn(of, &classes), base);
}

#[test]
fn classes_are_covered_in_proportion_to_their_leaves() {
    let classes = [class(20, 32), class(22, 4), class(24, 1), class(25, 0)];
    let count = CHALLENGES_MAX;
    let challenge = HolderChallenge::new(seed(7), &classes, count).unwrap();
    let mut hits = [0u32; 3];
    for position in challenge.positions() {
        let index = classes.iter().position(|class| class.batch_log2 == position.batch_log2).unwrap();
        assert!(position.slot < classes[index].batches && u64::from(position.leaf) < 1 << (position.batch_log2 - 10));
        hits[index] += 1;
    }
    assert_eq!(hits.iter().sum::<u32>(), count);
    for (hit, share) in hits.into_iter().zip([0.5, 0.25, 0.25]) {
        let (expected, sigma) = (f64::from(count) * share, (f64::from(count) * share * (1.0 - share)).sqrt());
        assert!((f64::from(hit) - expected).abs() < 4.0 * sigma, "{hit} hits, expected {expected} +- {sigma}");
    }
}

#[test]
fn the_first_and_last_leaf_can_be_drawn() {
    // One batch of 1,024 leaves, 65,536 draws: a leaf is missed with probability e^-64.
    let challenge = HolderChallenge::new(seed(8), &[class(20, 1)], CHALLENGES_MAX).unwrap();
    let leaves: std::collections::BTreeSet<u32> = challenge.positions().map(|position| position.leaf).collect();
    assert_eq!(leaves.into_iter().collect::<Vec<_>>(), (0..1024).collect::<Vec<_>>());
}

#[test]
fn no_batches_no_challenges() {
    for classes in [vec![], vec![class(20, 0)], vec![class(20, 0), class(28, 0)]] {
        let challenge = HolderChallenge::new(seed(1), &classes, 459).unwrap();
        assert_eq!(challenge.count(), 0);
        assert_eq!(challenge.positions().count(), 0);
        assert_eq!(challenge.position(0), None);
        assert_eq!(challenge.parts(512).count(), 0);
    }
}

#[test]
fn impossible_lists_are_refused() {
    let draw = |classes: &[ClassCount], count| HolderChallenge::new(seed(1), classes, count).map(|_| ()).unwrap_err();
    assert_eq!(draw(&[class(21, 1), class(20, 1)], 1), ChallengeError::ClassOrder { previous: 21, found: 20 });
    assert_eq!(draw(&[class(20, 1), class(20, 1)], 1), ChallengeError::ClassOrder { previous: 20, found: 20 });
    let size = MetaError::BatchSize { found: 64, min: 20, max: 28 };
    assert_eq!(draw(&[class(64, 1)], 1), ChallengeError::Size(size));
    assert_eq!(draw(&[class(28, 1 << 46)], 1), ChallengeError::TooManyLeaves);
    assert_eq!(draw(&[class(20, u64::MAX), class(28, u64::MAX)], 1), ChallengeError::TooManyLeaves);
    let limit = CHALLENGES_MAX;
    assert_eq!(draw(&[class(20, 1)], 65_537), ChallengeError::TooManyChallenges { found: 65_537, limit });
    assert!(HolderChallenge::new(seed(1), &[class(28, 1 << 40)], limit).is_ok());
}

#[test]
fn senseless_parameters_are_refused() {
    assert_eq!(MAINNET.check(), Ok(()));
    let counts = |k_small, k_min| Err(ChallengeError::Counts { k_small, k_min });
    assert_eq!(ChallengeParams { k_small: 0, ..MAINNET }.check(), counts(0, 459));
    assert_eq!(ChallengeParams { k_small: 460, ..MAINNET }.check(), counts(460, 459));
    assert_eq!(ChallengeParams { target_rounds: 0, ..MAINNET }.check(), Err(ChallengeError::NoTargetRounds));
    let too_many = ChallengeError::TooManyChallenges { found: 65_537, limit: 65_536 };
    assert_eq!(ChallengeParams { k_min: 65_537, ..MAINNET }.check(), Err(too_many));
}

#[test]
fn parts_tile_the_challenges() {
    let challenge = HolderChallenge::new(seed(1), &[class(28, 1000)], 1100).unwrap();
    assert_eq!(challenge.parts(512).collect::<Vec<_>>(), [(0, 512), (512, 512), (1024, 76)]);
    assert_eq!(challenge.parts(1100).collect::<Vec<_>>(), [(0, 1100)]);
    assert_eq!(challenge.parts(0).count(), 1100);
    assert_eq!(challenge.parts(u32::MAX).collect::<Vec<_>>(), [(0, 1100)]);
}
