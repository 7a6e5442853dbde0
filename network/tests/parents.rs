//! Whom a light node takes as its parent: the rules one by one, then properties against an oracle that compares pair by pair.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{bare, id};
use holdfast_network::parents::{BondStanding, CLASSES_TO_MOVE, HeavyNode, PARENTS, PARENTS_KNOWN_MAX, Roster};
use holdfast_primitives::Address;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ME: u8 = 200;
const NOW: Duration = Duration::from_secs(100);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn node(seed: u8, standing: BondStanding) -> HeavyNode {
    HeavyNode { standing, ..HeavyNode::unknown(bare(seed)) }
}

fn good(seed: u8) -> HeavyNode {
    node(seed, BondStanding::Good)
}

/// Who knows these, all measured.
fn roster(nodes: &[(HeavyNode, u64)]) -> Roster {
    let mut roster = Roster::new(id(ME));
    roster.know(&nodes.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>());
    for (node, round_trip) in nodes {
        roster.measured(&node.id(), ms(*round_trip), NOW);
    }
    roster
}

fn chosen(roster: &Roster, now: Duration) -> Vec<Address> {
    roster.choice(now).iter().map(HeavyNode::id).collect()
}

#[test]
fn the_nearest_is_the_parent_and_the_next_two_are_backups() {
    let roster = roster(&[(good(1), 300), (good(2), 10), (good(3), 120), (good(4), 60), (good(5), 900)]);
    assert_eq!(chosen(&roster, NOW), [id(2), id(4), id(3)]);
}

#[test]
fn nobody_is_taken_who_is_not_in_good_standing_while_somebody_is() {
    use BondStanding::{Banned, Jailed, Unbonded};
    let near = [(node(1, Jailed), 1), (node(2, Banned), 1), (node(3, Unbonded), 1)];
    let with_a_far_one = [&near[..], &[(good(4), 700)]].concat();
    assert_eq!(chosen(&roster(&with_a_far_one), NOW), [id(4)]);
    // Without, the unbonded come before the jailed, and who lied is not among them.
    assert_eq!(chosen(&roster(&near), NOW), [id(3), id(1)]);
    assert_eq!(chosen(&roster(&near[1..2]), NOW), [id(2)], "better than nobody");
}

#[test]
fn who_misses_turns_comes_after_its_equals() {
    for (late, punctual) in [(1, 2), (2, 1)] {
        let late_one = HeavyNode { missed_in_row: 3, ..good(late) };
        let roster = roster(&[(late_one, 40), (good(punctual), 40)]);
        assert_eq!(chosen(&roster, NOW), [id(punctual), id(late)]);
    }
}

#[test]
fn a_parent_is_left_for_one_twice_as_near_and_not_for_less() {
    let mut roster = roster(&[(good(1), 60), (good(2), 30)]);
    roster.took(id(1));
    assert_eq!(chosen(&roster, NOW)[0], id(1), "one class better");
    roster.measured(&id(2), ms(10), NOW);
    assert_eq!(chosen(&roster, NOW)[0], id(2), "{CLASSES_TO_MOVE} classes better");
}

#[test]
fn who_fails_rests_longer_each_time_and_is_tried_again_when_all_rest() {
    let mut roster = roster(&[(good(1), 10), (good(2), 50)]);
    roster.took(id(1));
    roster.failed(&id(1), NOW);
    assert_eq!(chosen(&roster, NOW), [id(2), id(1)], "the dead one is the last resort");
    assert_eq!(roster.all_rest_until(NOW), None);
    roster.failed(&id(2), NOW);
    assert_eq!(roster.all_rest_until(NOW), Some(NOW + ms(1_000)));
    assert_eq!(chosen(&roster, NOW).len(), 2);
    for _ in 0..20 {
        roster.failed(&id(1), NOW);
    }
    assert_eq!(chosen(&roster, NOW + ms(59_999)), [id(2), id(1)]);
    assert_eq!(chosen(&roster, NOW + ms(60_000)), [id(1), id(2)]);
    roster.failed(&id(1), NOW);
    roster.measured(&id(1), ms(10), NOW);
    assert_eq!(chosen(&roster, NOW)[0], id(1), "one answer wipes the slate");
}

#[test]
fn a_parent_that_the_ledger_forgets_is_kept_only_while_nobody_is_in_good_standing() {
    let mut roster = roster(&[(good(1), 10), (good(2), 20)]);
    roster.took(id(1));
    roster.know(&[]);
    assert_eq!(chosen(&roster, NOW)[0], id(1), "nobody said anything");
    roster.know(&[node(3, BondStanding::Unbonded)]);
    roster.measured(&id(3), ms(10), NOW);
    assert_eq!(chosen(&roster, NOW)[0], id(1));
    roster.know(&[good(2)]);
    assert_eq!(chosen(&roster, NOW), [id(2)]);
}

#[test]
fn backups_are_measured_more_often_than_others_and_the_parent_by_its_session() {
    let nodes: Vec<(HeavyNode, u64)> = (1..=5).map(|seed| (good(seed), u64::from(seed) * 100)).collect();
    let mut roster = roster(&nodes);
    roster.took(id(1));
    let due = |roster: &mut Roster, after: u64| -> BTreeSet<Address> {
        roster.due(NOW + Duration::from_secs(after)).iter().map(|addr| addr.id).collect()
    };
    assert!(due(&mut roster, 299).is_empty());
    assert_eq!(due(&mut roster, 300), BTreeSet::from([id(2), id(3)]));
    assert!(due(&mut roster, 301).is_empty(), "they are being measured");
    assert_eq!(due(&mut roster, 1_800), BTreeSet::from([id(2), id(3), id(4), id(5)]));
}

#[test]
fn a_crowd_of_heavy_nodes_is_cut_and_those_in_good_standing_are_kept() {
    let crowd: Vec<HeavyNode> = (0..=199).map(|seed| node(seed, BondStanding::Unbonded)).collect();
    let mut roster = Roster::new(id(ME));
    roster.know(&[&crowd[..150], &[good(150), good(151)]].concat());
    assert_eq!(chosen(&roster, NOW).len(), 2);
    assert_eq!(roster.due(NOW).len(), PARENTS_KNOWN_MAX);
}

#[test]
fn equals_share_their_children() {
    let mut children = BTreeMap::<Address, u32>::new();
    for child in 0..300u16 {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&child.to_le_bytes());
        let mut roster = Roster::new(Address::new(bytes));
        roster.know(&[good(1), good(2), good(3)]);
        (1..=3).for_each(|seed| roster.measured(&id(seed), ms(5 + u64::from(seed)), NOW));
        *children.entry(chosen(&roster, NOW)[0]).or_default() += 1;
    }
    // 100 are expected of each, with a deviation of 8.
    assert!(children.len() == 3 && children.values().all(|count| (60..=140).contains(count)), "{children:?}");
}

fn any_standing() -> impl Strategy<Value = BondStanding> {
    prop_oneof![
        4 => Just(BondStanding::Good),
        1 => Just(BondStanding::Unbonded),
        1 => Just(BondStanding::Jailed),
        1 => Just(BondStanding::Banned),
    ]
}

/// What happened to one heavy node: how far it is if it was ever reached, and whether it failed last.
type Story = (BondStanding, Option<u64>, bool);

fn any_world() -> impl Strategy<Value = BTreeMap<u8, Story>> {
    proptest::collection::btree_map(0u8..40, (any_standing(), proptest::option::of(1u64..2_000), any::<bool>()), 1..12)
}

fn live_through(world: &BTreeMap<u8, Story>, order: impl Iterator<Item = u8>) -> Roster {
    let mut roster = Roster::new(id(ME));
    roster.know(&order.map(|seed| node(seed, world[&seed].0)).collect::<Vec<_>>());
    for (seed, (_, round_trip, fails)) in world {
        if let Some(round_trip) = round_trip {
            roster.measured(&id(*seed), ms(*round_trip), NOW);
        }
        if *fails {
            roster.failed(&id(*seed), NOW);
        }
    }
    roster
}

proptest! {
    /// The oracle: nobody who was left out beats anybody who was taken, by any rule, pair by pair.
    #[test]
    fn nobody_left_out_is_better_than_anybody_taken(world in any_world()) {
        let roster = live_through(&world, world.keys().copied());
        let taken = chosen(&roster, NOW);
        let seeds: BTreeMap<Address, u8> = world.keys().map(|seed| (id(*seed), *seed)).collect();
        prop_assert!(taken.len() <= PARENTS && !taken.is_empty());
        prop_assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
        let any_good = world.values().any(|(standing, ..)| *standing == BondStanding::Good);
        for (place, one) in taken.iter().enumerate() {
            let (standing, round_trip, fails) = world[&seeds[one]];
            prop_assert!(!any_good || standing == BondStanding::Good);
            let behind = taken[place + 1..].iter().chain(seeds.keys().filter(|other| !taken.contains(other)));
            for other in behind {
                let (their_standing, their_round_trip, they_fail) = world[&seeds[other]];
                if any_good && their_standing != BondStanding::Good || their_standing == BondStanding::Banned {
                    continue;
                }
                prop_assert!(!fails || they_fail, "{} failed, {} did not", seeds[one], seeds[other]);
                // Of the same kind, the other must not be farther than the end of the class.
                if fails == they_fail && standing == their_standing {
                    match (round_trip, their_round_trip) {
                        (Some(ours), Some(theirs)) => prop_assert!(ours < 2 * theirs.max(25) || theirs >= 800),
                        (None, Some(_)) => prop_assert!(false, "one that was never reached before one that was"),
                        (_, None) => {}
                    }
                }
            }
        }
    }

    /// In which order they were told makes no difference.
    #[test]
    fn the_order_of_the_list_means_nothing(world in any_world()) {
        let there = live_through(&world, world.keys().copied());
        let back = live_through(&world, world.keys().rev().copied());
        prop_assert_eq!(chosen(&there, NOW), chosen(&back, NOW));
    }

    /// Round trips that vary by less than a factor of two never move anybody, however long it goes on.
    #[test]
    fn noise_moves_nobody(
        base in 5u64..700,
        noise in proptest::collection::vec((1u8..5, 100u64..199), 1..200),
    ) {
        let mut roster = roster(&(1..5).map(|seed| (good(seed), base)).collect::<Vec<_>>());
        let parent = chosen(&roster, NOW)[0];
        roster.took(parent);
        for (seed, percent) in noise {
            roster.measured(&id(seed), ms(base * percent / 100), NOW);
            prop_assert_eq!(chosen(&roster, NOW)[0], parent);
        }
    }

    /// Whatever happens, one that works is first, and a working parent is never more than the hysteresis behind the best.
    #[test]
    fn the_first_works_if_any_does(world in any_world(), parent in 0u8..40) {
        let mut roster = live_through(&world, world.keys().copied());
        roster.took(id(parent));
        let first = chosen(&roster, NOW)[0];
        let seeds: BTreeMap<Address, u8> = world.keys().map(|seed| (id(*seed), *seed)).collect();
        let best = world.values().map(|(standing, ..)| *standing).min().unwrap();
        let works = |(standing, _, fails): &Story| *standing == best && !fails;
        prop_assert!(!world.values().any(works) || !world[&seeds[&first]].2);
    }
}
