//! The proposers' round robin.

use holdfast_primitives::{Height, Schedule};
use proptest::prelude::*;

#[test]
fn equal_powers_take_turns_in_order() {
    let schedule = Schedule::new(&[5, 5, 5]);
    let turns: Vec<usize> = (1..=7).map(|height| schedule.turn(Height::new(height), 0)).collect();
    assert_eq!(turns, [1, 2, 0, 1, 2, 0, 1]);
    assert_eq!(schedule.turn(Height::new(1), 1), schedule.turn(Height::new(2), 0), "a failed round passes the turn on");
}

#[test]
fn a_large_validator_does_not_take_its_turns_in_a_row() {
    let schedule = Schedule::new(&[1, 1, 2]);
    let turns: Vec<usize> = (0..5_000).map(|height| schedule.turn(Height::new(height), 0)).collect();
    assert!(turns.windows(3).all(|run| run.iter().any(|&turn| turn != 2)), "never three in a row with half the power");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The oracle counts turns over one cycle and compares them with the exact share.
    #[test]
    fn turns_are_in_proportion_to_power(powers in prop::collection::vec(1u64..u64::MAX / 256, 1..=256)) {
        let schedule = Schedule::new(&powers);
        let cycle = u64::from(schedule.turns());
        let mut turns = vec![0u64; powers.len()];
        (0..cycle).for_each(|height| turns[schedule.turn(Height::new(height), 0)] += 1);
        let total: u128 = powers.iter().map(|&power| u128::from(power)).sum();
        for (&power, &found) in powers.iter().zip(&turns) {
            prop_assert!(found >= 1);
            // One turn each is given away before sharing, so the share is exact to that and to rounding.
            let shared = u128::from(cycle - powers.len() as u64);
            let exact = u128::from(power) * shared / total;
            prop_assert!((exact..=exact + 2).contains(&u128::from(found)), "{found} turns for {power} of {total}");
        }
    }

    #[test]
    fn any_height_and_round_has_a_proposer(powers in prop::collection::vec(1u64..100, 1..20), height: u64, round: u32) {
        prop_assert!(Schedule::new(&powers).turn(Height::new(height), round) < powers.len());
    }
}
