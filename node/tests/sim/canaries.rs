//! The simulation must be able to fail. Networks that are broken on purpose, and a judge that is lied to.

use crate::play_scene;
use crate::scene::{Actor, Scene, Villain};
use holdfast_consensus::sim::{Breach, Faults};

const QUIET: Faults = Faults {
    until_ms: 4_000,
    delay_ms_max: 200,
    loss_percent: 0,
    duplicate_percent: 0,
    crashes: 0,
    splits: 0,
    forge_percent: 0,
};

fn actor(validator: usize) -> Actor {
    Actor { validator, villain: None, starts_ms: 0, skew_ms: 0, peers: None, gullible: false, forgetful: false }
}

fn twin(validator: usize, peers: &[usize], skew_ms: i64) -> Actor {
    Actor { villain: Some(Villain::Twins), peers: Some(peers.to_vec()), skew_ms, ..actor(validator) }
}

/// Four equal validators, two of them dishonest: their machines show one face to each of the honest two, who do not hear
/// each other.
fn half_dishonest(seed: u64) -> Scene {
    let (left, right) = ([0, 2, 3], [1, 4, 5]);
    let actors = vec![
        Actor { peers: Some(left.to_vec()), ..actor(0) },
        Actor { peers: Some(right.to_vec()), ..actor(1) },
        twin(2, &left, -100),
        twin(3, &left, -100),
        twin(2, &right, 100),
        twin(3, &right, 100),
    ];
    Scene { seed, powers: vec![4; 4], actors, faults: QUIET, busy: true }
}

#[test]
fn more_than_a_third_dishonest_is_found_to_disagree() {
    let found = (0..20).filter_map(|seed| play_scene(half_dishonest(seed)).err());
    let disagreements =
        found.filter(|breach| matches!(breach, Breach::World { reason, .. } if reason.contains("disagrees")));
    assert!(disagreements.count() > 0, "nobody noticed that two chains were made");
}

#[test]
fn the_same_network_with_honest_machines_agrees() {
    for seed in 0..5 {
        let actors = (0..4).map(actor).collect();
        let scene = Scene { seed, powers: vec![4; 4], actors, faults: QUIET, busy: true };
        play_scene(scene).unwrap();
    }
}

/// A node that checks no signature, among forgers: what it decides cannot be certified.
#[test]
fn a_node_that_believes_everything_is_found() {
    let gullible = |seed| {
        let mut actors: Vec<Actor> = (0..4).map(actor).collect();
        actors[0].gullible = true;
        actors[3].villain = Some(Villain::Twins);
        let faults = Faults { forge_percent: 100, delay_ms_max: 800, loss_percent: 20, ..QUIET };
        Scene { seed, powers: vec![4; 4], actors, faults, busy: false }
    };
    let found = (0..40).filter_map(|seed| play_scene(gullible(seed)).err()).count();
    assert!(found > 0, "a node that checks nothing was never found out");
}

/// What a node says twice it must say alike, whatever it forgot. One whose log does not survive is found out.
#[test]
fn a_node_without_a_log_is_found_to_contradict_itself() {
    let forgetful = |seed| {
        let mut actors: Vec<Actor> = (0..4).map(actor).collect();
        actors.iter_mut().for_each(|actor| actor.forgetful = true);
        let faults = Faults { delay_ms_max: 900, loss_percent: 15, crashes: 12, until_ms: 6_000, ..QUIET };
        Scene { seed, powers: vec![4; 4], actors, faults, busy: false }
    };
    let found = (0..40).filter_map(|seed| play_scene(forgetful(seed)).err());
    let twice = found.filter(|breach| matches!(breach, Breach::SignedTwice { .. })).count();
    assert!(twice > 0, "nobody noticed");
}

/// With a third of the power and no luck on the wires nothing is decided: the judge of liveness says so.
#[test]
fn a_network_without_a_quorum_is_found_to_stand_still() {
    let actors = (0..2).map(actor).collect();
    let scene = Scene { seed: 1, powers: vec![4; 4], actors, faults: QUIET, busy: true };
    let breach = play_scene(scene).unwrap_err();
    assert!(breach.to_string().contains("not all honest nodes reached"), "{breach}");
}
