//! The disk of one of four validators fills up: a small file system of its own, mounted in memory, which only root may do.

use super::validators::Four;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The validator with the small disk, and its size: less than the database would set aside for its log.
const SMALL: usize = 3;
const DISK: &str = "size=24m";
/// What the node finds free when it runs out.
const LEFT_BYTES: u64 = 64 * 1024;

/// A mounted file system that is gone with its value.
struct Mount(PathBuf);

impl Mount {
    /// Takes the place of a folder, with all that is in it; none where that is not allowed.
    fn over(folder: &Path) -> Option<Self> {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mount = Self(folder.to_owned());
        let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(folder).status().unwrap();
        assert!(copied.success());
        Some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Writes a file until nothing more fits, then gives back a little.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let mut bytes = 0;
    while let Ok(written) = file.write(&[0xaa; 4096]) {
        bytes += written as u64;
    }
    file.set_len(bytes - LEFT_BYTES).unwrap();
}

#[test]
fn a_full_disk_ends_its_validator_with_the_reason_and_room_brings_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = Four::found(folder.path(), "1h");
    let dir = network.seats[SMALL].dir.clone();
    // The devnet's process may still be closing its database: one that starts after it has the folder to itself.
    network.start(SMALL);
    network.kill(&[SMALL]);
    let Some(_mount) = Mount::over(&dir) else {
        eprintln!("SKIPPED: mounting a small file system needs root");
        return;
    };
    network.start_all();
    network.level();

    let filler = dir.join("filler");
    fill(&filler);
    let deadline = std::time::Instant::now() + Duration::from_secs(180);
    while !network.has_ended(SMALL) {
        assert!(std::time::Instant::now() < deadline, "64 KiB last for ever: {}", network.log(SMALL));
        network.transfer();
    }
    let (status, log) = (network.ended(SMALL), network.log(SMALL));
    assert!(matches!(status.code(), Some(1 | 20)), "{log}");
    let error = log.lines().rev().find(|line| line.starts_with("{\"error\"")).unwrap_or_else(|| panic!("{log}"));
    assert!(error.contains("ledger-failed") || error.contains("log-failed"), "{error}");
    assert!(error.contains("disk is full") || error.contains("mend the disk"), "{error}");

    let before = network.highest();
    network.transfer();
    assert!(network.highest() > before, "three of four go on");

    std::fs::remove_file(&filler).unwrap();
    network.start(SMALL);
    network.transfer();
    let (agreed, _) = network.agreed();
    assert!(agreed > before);
}
