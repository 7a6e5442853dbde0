//! A disk that is really full: the kernel says so, nobody pretends.
//!
//! The scenes play on a file system of 6 MiB in memory, which this test mounts in a namespace of its own, so that it is
//! gone with the process whatever happens. Where the system allows no such mount, the test says that it is skipped; the
//! scene on `/dev/full`, which gives the same error without any mount, plays everywhere.

use crate::batch::{Batch, MIB, edit};
use crate::chain::address;
use crate::desk::{Desk, request};
use holdfast_holder::RESERVED_MS;
use holdfast_network::wire::{QuoteRefusal, Refusal, RefusalCode};
use holdfast_por::{ClassCount, HolderChallenge, ProofPart, RoundSeed, prove_part, verify_part};
use holdfast_primitives::{ChainId, RoundNo, TimeMs};
use holdfast_store::{Vault, VaultError};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const QUOTA: u64 = 64 * MIB;
const PAGE: u64 = 4_096;
/// Set for the process that finds the small disk mounted.
const SMALL_DISK: &str = "HOLDFAST_TEST_SMALL_DISK";

/// The folder of the small disk if this process has it. Otherwise runs the test of this name in a process that has.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn small_disk(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(SMALL_DISK) {
        return Some(folder.into());
    }
    let Some(unshare) = namespace() else {
        println!("SKIPPED: {test}: this system lets nobody mount a file system, not even in a namespace of one's own");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let mount_and_run = "mount -t tmpfs -o size=6m tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c", mount_and_run]).arg(folder.path()).arg(std::env::current_exe().unwrap());
    let played = command.args(["--exact", test, "--nocapture"]).env(SMALL_DISK, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&played.stdout) + String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.contains("1 passed"), "on the small disk:\n{said}");
    None
}

/// How this user may get a namespace in which it may mount.
fn namespace() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    ways.into_iter().find(|way| {
        let probe = tempfile::tempdir().unwrap();
        let mount = "mount -t tmpfs -o size=1m tmpfs \"$0\"";
        let tried = Command::new("unshare").args(*way).args(["sh", "-c", mount]).arg(probe.path()).output();
        tried.is_ok_and(|tried| tried.status.success())
    })
}

/// Somebody else's file that takes all but `pages` pages of the disk.
fn ballast(folder: &Path, pages: u64) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[1; PAGE as usize]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    let taken = file.metadata().unwrap().len() / PAGE;
    file.set_len((taken - pages) * PAGE).unwrap();
    path
}

fn files_of(batch: &Batch, vault: &Path) -> Vec<String> {
    let folder = batch.file(vault, "head").parent().unwrap().to_owned();
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&batch.name())).collect()
}

fn is_no_room(answer: Result<impl std::fmt::Debug, Refusal>) {
    let refusal = answer.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoRoom, "{refusal:?}");
    assert_eq!(refusal.code as u8, 51, "the number that owners' programs know");
}

/// Reads a batch back and proves it, as an owner and a round would ask.
fn serves_and_proves(vault: &Vault, batch: &Batch) {
    assert_eq!(vault.read(&batch.root(), 0, MIB as usize).unwrap(), batch.bytes);
    let holder = address("carol");
    let of =
        RoundSeed { chain: ChainId::new([1; 32]), round: RoundNo::new(7), seed: [2; 32], holder, set_root: [4; 32] };
    let challenge = HolderChallenge::new(of, &[ClassCount { batch_log2: 20, batches: 1 }], 20).unwrap();
    let proved = prove_part(&challenge, 0, 20, &mut vault.source(|_, _| Some(batch.root()))).unwrap();
    let part = ProofPart::new(&challenge, 0, 20);
    let failed = verify_part(&challenge, &part, &proved.openings, |_, _| Some(batch.meta)).unwrap();
    assert!(proved.unreadable.is_empty() && failed.is_empty());
}

#[tokio::test]
async fn a_holder_on_a_full_disk_refuses_first_and_keeps_what_it_has() {
    let Some(disk) = small_disk("full_disk::a_holder_on_a_full_disk_refuses_first_and_keeps_what_it_has") else {
        return;
    };
    let vault_folder = disk.join("vault");
    let [kept, late] = [1, 2].map(Batch::new);
    let desk = Desk::new(&disk, QUOTA);
    let all = desk.quote("alice", request(1), 6).await.unwrap_err();
    assert_eq!(all, QuoteRefusal::NoRoom { batches_free: 5 }, "what the disk cannot hold is not even quoted");
    desk.quote("alice", request(1), 4).await.unwrap();
    desk.begin("alice", request(1), &kept).await.unwrap();
    desk.send_all("alice", request(1), &kept).await.unwrap();
    desk.receipt("alice", request(1), &kept).await.unwrap();

    // Somebody else fills the disk. Enough is left to begin in, at first sight: the batch without its head.
    for pages in [0, MIB / PAGE - 1, MIB / PAGE] {
        let ballast = ballast(&disk, pages);
        is_no_room(desk.begin("alice", request(1), &late).await);
        assert_eq!(files_of(&late, &vault_folder), [""; 0], "with {pages} pages free");
        assert_eq!((desk.vault.used_bytes(), desk.vault.list().len()), (MIB, 1));
        serves_and_proves(&desk.vault, &kept);
        fs::remove_file(ballast).unwrap();
    }

    // It dies and comes back while the disk is full.
    let (ballast, now) = (ballast(&disk, 0), desk.now());
    drop(desk);
    let desk = Desk::open(&disk, QUOTA, now);
    assert!(desk.vault.check().is_empty());
    assert_eq!(desk.vault.list().len(), 1);
    serves_and_proves(&desk.vault, &kept);
    desk.receipt("alice", request(1), &kept).await.expect("what it has, it says so");
    is_no_room(desk.begin("alice", request(1), &late).await);

    // Once there is room the promise still stands: nothing was counted against it.
    fs::remove_file(ballast).unwrap();
    for batch in [&late, &Batch::new(3), &Batch::new(4)] {
        desk.begin("alice", request(1), batch).await.unwrap();
        desk.send_all("alice", request(1), batch).await.unwrap();
    }
    let over = desk.begin("alice", request(1), &Batch::new(5)).await.unwrap_err();
    assert_eq!(over.code, RefusalCode::UnknownRequest, "four were promised, four are here");
}

#[tokio::test]
async fn an_upload_that_meets_the_end_of_the_disk_loses_nothing_and_signs_nothing() {
    let Some(disk) = small_disk("full_disk::an_upload_that_meets_the_end_of_the_disk_loses_nothing_and_signs_nothing")
    else {
        return;
    };
    let batch = Batch::new(1);
    let desk = Desk::new(&disk, QUOTA);
    desk.quote("alice", request(1), 1).await.unwrap();
    desk.begin("alice", request(1), &batch).await.unwrap();
    let ballast = ballast(&disk, 0);
    // Its blocks were set aside, so every leaf finds room; only the layers do not.
    is_no_room(desk.send_all("alice", request(1), &batch).await);
    assert!(!desk.vault.contains(&batch.root()));
    let refusal = desk.receipt("alice", request(1), &batch).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Incomplete, "no receipt for what is not stored");

    let now = desk.now();
    drop(desk);
    let desk = Desk::open(&disk, QUOTA, now);
    assert!(!desk.vault.contains(&batch.root()), "nothing half-accepted after a restart");
    fs::remove_file(ballast).unwrap();
    let have = desk.begin("alice", request(1), &batch).await.unwrap();
    assert!(have.is_full(), "it goes on where it stopped");
    desk.finish("alice", request(1), &batch).await.unwrap();
    desk.receipt("alice", request(1), &batch).await.unwrap();
    serves_and_proves(&desk.vault, &batch);
}

#[tokio::test]
async fn a_full_disk_is_no_reason_to_keep_what_nobody_pays_for() {
    let Some(disk) = small_disk("full_disk::a_full_disk_is_no_reason_to_keep_what_nobody_pays_for") else { return };
    let [kept, unpaid] = [1, 2].map(Batch::new);
    let desk = Desk::new(&disk, QUOTA);
    desk.quote("alice", request(1), 2).await.unwrap();
    for batch in [&kept, &unpaid] {
        desk.begin("alice", request(1), batch).await.unwrap();
        desk.send_all("alice", request(1), batch).await.unwrap();
    }
    let vault_folder = disk.join("vault");
    edit(&kept.file(&vault_folder, "tree"), 7);
    ballast(&disk, 0);
    assert!(matches!(desk.vault.scrub(&kept.root()), Err(VaultError::File(error)) if error.is_disk_full()));
    desk.vault.remove(&unpaid.root()).unwrap();
    assert_eq!(files_of(&unpaid, &vault_folder), [""; 0]);
    assert!(desk.vault.scrub(&kept.root()).unwrap().is_none(), "now there is room to mend in");
    serves_and_proves(&desk.vault, &kept);
    let now = TimeMs::new(desk.now().get() + RESERVED_MS);
    drop(desk);
    assert_eq!(Desk::open(&disk, QUOTA, now).vault.list().len(), 1);
}

/// Without any mount: the new batch's files are led to the device that is always full.
#[tokio::test]
async fn on_dev_full_a_batch_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault_folder = folder.path().join("vault");
    let desk = Desk::new(folder.path(), QUOTA);
    let [kept, late] = [1, 2].map(Batch::new);
    desk.quote("alice", request(1), 2).await.unwrap();
    desk.begin("alice", request(1), &kept).await.unwrap();
    desk.send_all("alice", request(1), &kept).await.unwrap();
    for file in ["head.tmp", "have.tmp"] {
        let path = late.file(&vault_folder, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        is_no_room(desk.begin("alice", request(1), &late).await);
        assert_eq!(files_of(&late, &vault_folder), [""; 0], "{file}");
        serves_and_proves(&desk.vault, &kept);
    }
    desk.begin("alice", request(1), &late).await.unwrap();
    std::os::unix::fs::symlink("/dev/full", late.file(&vault_folder, "tree.tmp")).unwrap();
    is_no_room(desk.send_all("alice", request(1), &late).await);
    assert_eq!(desk.receipt("alice", request(1), &late).await.unwrap_err().code, RefusalCode::Incomplete);
    let now = desk.now();
    drop(desk);
    let desk = Desk::open(folder.path(), QUOTA, now);
    assert!(!desk.vault.contains(&late.root()));
    desk.begin("alice", request(1), &late).await.unwrap();
    desk.finish("alice", request(1), &late).await.unwrap();
    serves_and_proves(&desk.vault, &late);
}
