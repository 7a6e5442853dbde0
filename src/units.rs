//! The units of `packaging/systemd` start this program: their command lines must be ones that it takes.

use crate::cli::{Cli, Command};
use clap::Parser as _;
use std::path::Path;

/// The words of a unit's `ExecStart`, with `options` where it has a variable.
fn command_line(unit: &str, options: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(unit);
    let text = std::fs::read_to_string(path).expect("the unit is part of the repository");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect();
    let [line] = lines[..] else { panic!("{unit} has {} ExecStart lines", lines.len()) };
    let variables = line.split_whitespace().filter(|word| word.starts_with('$')).count();
    assert_eq!(variables, 1, "{unit}: one variable takes what differs from machine to machine");
    let words =
        line.split_whitespace().flat_map(|word| if word.starts_with('$') { options } else { word }.split_whitespace());
    words.map(str::to_owned).collect()
}

fn parsed(unit: &str, options: &str) -> Command {
    Cli::try_parse_from(command_line(unit, options)).unwrap_or_else(|error| panic!("{unit}: {error}")).command
}

#[test]
fn the_heavy_nodes_unit_starts_a_heavy_node() {
    for options in ["", "--rpc-listen 0.0.0.0:7450 --relay-listen 0.0.0.0:7454 --relay-url http://192.0.2.7:7454"] {
        assert!(matches!(parsed("holdfast-heavy.service", options), Command::Heavy(_)));
    }
}

#[test]
fn the_holders_unit_starts_a_holder() {
    for options in ["", "--quota 1TiB --price 1.5HOLD"] {
        assert!(matches!(parsed("holdfast-hold.service", options), Command::Hold(_)));
    }
}

#[test]
fn a_word_that_the_program_does_not_know_is_noticed() {
    let mut words = command_line("holdfast-heavy.service", "");
    words.push("--rpc-listne".to_owned());
    assert!(Cli::try_parse_from(words).is_err());
}
