//! One of four validators has its clock wrong by ten minutes.

use super::validators::Four;
use holdfast_primitives::{Height, NetworkPrefix};

const TEN_MINUTES: i64 = 600;
/// More than two turns of each of four proposers.
const HEIGHTS: u64 = 10;
/// The validator with the wrong clock.
const WRONG: usize = 3;

/// What was decided while one clock was wrong.
struct Decided {
    network: Four,
    /// Heights that were decided on a block of the validator with the wrong clock.
    own: Vec<Height>,
    last: Height,
}

/// Transfers money, one block after another; each time all validators catch up before the next.
fn with_a_clock_ahead_by(seconds: i64, folder: &std::path::Path) -> Decided {
    let mut network = Four::found(folder, "1h");
    network.seats[WRONG].extra = vec!["--clock-ahead".to_owned(), seconds.to_string()];
    network.start_all();
    let first = network.level();
    let mut last = first;
    while last.get() < first.get() + HEIGHTS {
        network.transfer();
        last = network.level();
        // Whatever a proposer's clock says, no block is later than the honest clocks allow.
        let drift = network.drift_ms();
        assert!(network.header(last).time.ms <= holdfast_node::now().get() + drift, "height {last}");
    }
    let wrong = network.seats[WRONG].address.to_text(NetworkPrefix::Devnet);
    let own = (first.next().get()..=last.get()).map(Height::new);
    // The first block has no parent to compare its time with.
    let own = own.filter(|height| height.get() > 1 && network.header(*height).proposer.to_string() == wrong).collect();
    let (agreed, _) = network.agreed();
    assert!(agreed >= last);
    for height in (2..=last.get()).map(Height::new) {
        let before = network.header(height.previous().unwrap()).time.ms;
        assert!(network.header(height).time.ms > before, "height {height}");
    }
    Decided { network, own, last }
}

#[test]
fn a_clock_ahead_costs_its_validator_its_turns_and_nobody_else_anything() {
    let folder = tempfile::tempdir().unwrap();
    let Decided { network, own, last } = with_a_clock_ahead_by(TEN_MINUTES, folder.path());
    assert!(own.is_empty(), "{own:?} up to height {last}");
    let log = network.log(WRONG);
    assert!(log.contains("clock is ahead of the network's"), "{log}");
    let honest = network.log(0);
    assert!(honest.contains("lies ahead of this machine's clock"), "{honest}");
}

#[test]
fn a_clock_behind_makes_blocks_one_millisecond_after_their_parent_and_follows() {
    let folder = tempfile::tempdir().unwrap();
    let Decided { network, own, last } = with_a_clock_ahead_by(-TEN_MINUTES, folder.path());
    assert!(!own.is_empty(), "its turns are not lost, up to height {last}");
    for height in own {
        let before = network.header(height.previous().unwrap()).time.ms;
        assert_eq!(network.header(height).time.ms, before + 1, "height {height}");
    }
    let log = network.log(WRONG);
    assert!(log.contains("lies ahead of this machine's clock"), "{log}");
}
