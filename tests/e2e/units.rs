//! The units of `packaging/systemd`, judged by systemd itself; where there is none, the tests say so and pass.

use crate::common::HOLDFAST;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNITS: [&str; 2] = ["holdfast-heavy.service", "holdfast-hold.service"];
/// The share of what a service might do and these may, in tenths of a percent; systemd calls up to 200 "OK" and an unhardened
/// service comes to about 960.
const EXPOSURE_MAX: &str = "20";

/// The units as they are, but for the program, which lies elsewhere here.
fn units(folder: &Path) -> Vec<PathBuf> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let place = |name: &str| {
        let text = std::fs::read_to_string(packaging.join(name)).unwrap();
        assert_eq!(text.matches("=/usr/local/bin/holdfast ").count(), 1, "{name}");
        let file = folder.join(name);
        std::fs::write(&file, text.replace("/usr/local/bin/holdfast", HOLDFAST)).unwrap();
        file
    };
    UNITS.map(place).to_vec()
}

fn analyze(words: &[&str], units: &[PathBuf]) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(words).args(units).output();
    if output.is_err() {
        eprintln!("SKIPPED: systemd-analyze is missing, so nobody judges the units");
    }
    output.ok()
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let Some(output) = analyze(&["verify"], &units(folder.path())) else { return };
    let told = String::from_utf8_lossy(&output.stderr);
    // It calls a key that it does not know a warning.
    assert!(output.status.success() && told.trim().is_empty(), "{told}");
}

#[test]
fn a_line_that_systemd_does_not_understand_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());
    let text = std::fs::read_to_string(&units[0]).unwrap();
    std::fs::write(&units[0], text.replace("RestartSec=", "RestartSeconds=")).unwrap();
    let Some(output) = analyze(&["verify"], &units) else { return };
    assert!(String::from_utf8_lossy(&output.stderr).contains("RestartSeconds"));
}

#[test]
fn the_units_may_do_little_beyond_their_work() {
    let folder = tempfile::tempdir().unwrap();
    for unit in units(folder.path()) {
        let words = ["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX];
        let Some(output) = analyze(&words, &[unit]) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
