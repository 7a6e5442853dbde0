//! Room is promised before anything is accepted, and one process at a time works in a vault.

use crate::sample::{MIB, Sample, tag, vault};
use holdfast_por::{BatchMeta, MetaError};
use holdfast_store::{LockError, SealedError, Vault, VaultError};
use std::os::unix::fs::MetadataExt as _;

#[test]
fn the_quota_counts_what_is_promised_not_what_has_arrived() {
    let directory = tempfile::tempdir().unwrap();
    let vault = Vault::open(directory.path(), 2 * MIB + 5, 0).unwrap();
    let samples = [1, 2, 3].map(Sample::new);
    let _first = vault.reserve(samples[0].meta, tag("alice")).unwrap();
    let _second = vault.reserve(samples[1].meta, tag("alice")).unwrap();
    let error = vault.reserve(samples[2].meta, tag("alice")).unwrap_err();
    let expected = (MIB, 2 * MIB, 2 * MIB + 5);
    assert!(matches!(error, VaultError::QuotaExceeded { wanted, used, quota } if (wanted, used, quota) == expected));
    assert!(!samples[2].file(directory.path(), "head").exists());
    vault.reserve(samples[0].meta, tag("alice")).unwrap();
    vault.remove(&samples[0].root()).unwrap();
    vault.reserve(samples[2].meta, tag("alice")).unwrap();
}

#[test]
fn the_disk_keeps_the_free_space_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let vault = Vault::open(directory.path(), u64::MAX, u64::MAX / 2).unwrap();
    let error = vault.reserve(Sample::new(1).meta, tag("alice")).unwrap_err();
    assert!(matches!(error, VaultError::DiskFull { wanted: MIB, free, .. } if free < u64::MAX / 2), "{error}");
    assert_eq!(vault.used_bytes(), 0);
}

#[test]
fn a_reservation_takes_its_blocks_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let sample = Sample::new(1);
    let _upload = vault.reserve(sample.meta, tag("alice")).unwrap();
    let metadata = std::fs::metadata(sample.file(directory.path(), "part")).unwrap();
    assert_eq!(metadata.len(), MIB);
    assert!(metadata.blocks() * 512 >= MIB, "{} blocks", metadata.blocks());
}

#[test]
fn a_meta_that_is_no_batch_reserves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    for batch_log2 in [0, 19, 29, 64, 255] {
        let meta = BatchMeta { batch_log2, ..Sample::new(1).meta };
        let error = vault.reserve(meta, tag("mallory")).unwrap_err();
        assert!(matches!(error, VaultError::Meta(MetaError::BatchSize { .. })), "{error}");
    }
    assert_eq!(vault.used_bytes(), 0);
}

#[test]
fn a_second_process_is_told_who_works_there() {
    let directory = tempfile::tempdir().unwrap();
    let first = vault(directory.path());
    let error = Vault::open(directory.path(), MIB, 0).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&error, VaultError::Lock(LockError::Held { pid: held, .. }) if *held == pid), "{error}");
    assert!(error.to_string().contains("stop that process"), "{error}");
    drop(first);
    vault(directory.path());
}

#[test]
fn a_newer_vault_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(vault(directory.path()));
    let path = directory.path().join("VAULT");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    let end = bytes.len() - 32;
    let seal = holdfast_primitives::sha256(&bytes[..end]);
    bytes[end..].copy_from_slice(&seal);
    std::fs::write(&path, bytes).unwrap();
    let error = Vault::open(directory.path(), MIB, 0).unwrap_err();
    assert!(matches!(error, VaultError::Sealed(SealedError::Newer { found: 2, supported: 1, .. })), "{error}");
    std::fs::write(&path, b"hf-vault torn").unwrap();
    let error = Vault::open(directory.path(), MIB, 0).unwrap_err();
    assert!(matches!(error, VaultError::Sealed(SealedError::Damaged { .. })), "{error}");
}

#[test]
fn a_directory_that_vanishes_gives_errors_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let vault = vault(&path);
    let (stored, uploading, late) = (Sample::new(1), Sample::new(2), Sample::new(3));
    stored.store(&vault);
    let upload = vault.reserve(uploading.meta, tag("alice")).unwrap();
    uploading.send(&upload, 0..15).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    vault.read(&stored.root(), 0, 10).unwrap_err();
    vault.layers(&stored.root()).unwrap_err();
    assert!(vault.scrub(&stored.root()).unwrap().is_some());
    assert_eq!(vault.check().len(), 1);
    vault.reserve(late.meta, tag("alice")).unwrap_err();
    uploading.send(&upload, 15..16).unwrap();
    upload.finish().unwrap_err();
    vault.remove(&stored.root()).unwrap_err();
}
