//! The demo is a test: it ends with `demo: ok` or fails.

use crate::common::{HOLDFAST, noise};
use std::process::Command;

#[test]
fn the_demo_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("something real.bin");
    std::fs::write(&file, noise(5_000_000, 1)).unwrap();
    let output = Command::new(HOLDFAST).arg("demo").arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "demo: ok");
    assert!(told.contains(", hop 2: "), "{told}");
    assert!(told.contains("exactly these two failed"), "{told}");
    assert!(told.contains("every claim holds"), "{told}");
    assert!(told.contains("applied all"), "{told}");
    assert!(told.contains("verified once more from one file"), "{told}");
}
