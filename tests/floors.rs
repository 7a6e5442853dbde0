//! Dependencies point down only, and only one room names each outside engine.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::BTreeMap;

/// The house, from the ground up. Within a floor a room may lean on a room that stands before it.
const FLOORS: &[&[&str]] = &[
    &["holdfast-primitives"],
    &["holdfast-por", "holdfast-parcel", "holdfast-ledger", "holdfast-genesis"],
    &["holdfast-store"],
    &["holdfast-consensus", "holdfast-network", "holdfast-holder", "holdfast-node"],
    &["holdfast-rpc", "holdfast-wallet", "holdfast", "holdfast-bench"],
];

/// Outside crates that only some rooms may name.
const ENGINES: &[(&str, &[&str])] = &[
    ("arc-malachitebft", &["holdfast-consensus"]),
    ("iroh", &["holdfast-network"]),
    ("rocksdb", &["holdfast-store"]),
    ("jsonrpsee", &["holdfast-rpc"]),
];

/// What floors 0 and 1 must never name: a runtime, a database, a socket, a clock.
const IMPURE: &[&str] = &[
    "tokio",
    "rocksdb",
    "iroh",
    "jsonrpsee",
    "axum",
    "hyper",
    "mio",
    "socket2",
    "jiff",
    "chrono",
    "time",
    "async-trait",
    "futures",
];

fn metadata() -> Metadata {
    MetadataCommand::new().other_options(vec!["--offline".to_owned()]).exec().unwrap()
}

/// Place of a room: floor, then order on the floor.
fn places() -> BTreeMap<&'static str, (usize, usize)> {
    let rooms = FLOORS.iter().enumerate();
    rooms
        .flat_map(|(floor, rooms)| rooms.iter().enumerate().map(move |(order, room)| (*room, (floor, order))))
        .collect()
}

#[test]
fn every_room_has_a_floor_and_leans_only_on_what_lies_below() {
    let places = places();
    for package in metadata().workspace_packages() {
        let here = places.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no floor", package.name));
        let built = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        for dependency in built {
            if let Some(there) = places.get(dependency.name.as_str()) {
                assert!(there < here, "{} must not lean on {}", package.name, dependency.name);
            }
        }
    }
}

#[test]
fn an_engine_is_named_in_one_room() {
    for package in metadata().workspace_packages() {
        for dependency in &package.dependencies {
            for (engine, rooms) in ENGINES {
                let named = dependency.name.starts_with(engine) && dependency.kind != DependencyKind::Development;
                assert!(!named || rooms.contains(&package.name.as_str()), "{} names {}", package.name, dependency.name);
            }
        }
    }
}

#[test]
fn the_lower_floors_are_pure() {
    let places = places();
    for package in metadata().workspace_packages() {
        let (floor, _) = places[package.name.as_str()];
        if floor > 1 {
            continue;
        }
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            assert!(!IMPURE.contains(&dependency.name.as_str()), "{} names {}", package.name, dependency.name);
        }
        for source in sources(package.manifest_path.parent().unwrap().join("src").as_std_path()) {
            let text = std::fs::read_to_string(&source).unwrap();
            for word in ["SystemTime", "Instant::now", "std::fs", "std::net", "std::thread::sleep"] {
                assert!(!text.contains(word), "{} names {word}", source.display());
            }
        }
    }
}

fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_room_says_what_it_must_never_know() {
    for package in metadata().workspace_packages() {
        let head = package.manifest_path.parent().unwrap().join("src/lib.rs");
        let Ok(text) = std::fs::read_to_string(&head) else { continue };
        let comment: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(comment.contains("never"), "{head} does not say what the room must never know");
    }
}
