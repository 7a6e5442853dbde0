//! In and out: what was put is what is read, however the upload went.

use crate::sample::{GROUPS, MIB, Sample, tag, vault};
use holdfast_por::{GROUP_BYTES, GROUP_LEAVES, RangeError, range_proof, verify_range};
use holdfast_primitives::Height;
use holdfast_store::{BatchTag, ProvenLeaves, VaultError};

/// Runs `work(0)`, `work(1)` ... at the same time.
fn each_thread(threads: u32, work: impl Fn(u32) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

#[test]
fn a_batch_comes_back_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let sample = Sample::new(1);
    sample.store(&vault);
    assert!(vault.contains(&sample.root()));
    assert_eq!(vault.read(&sample.root(), 0, MIB as usize).unwrap(), sample.bytes);
    assert_eq!(vault.read(&sample.root(), 1_000_003, 9).unwrap(), sample.bytes[1_000_003..1_000_012]);
    assert_eq!(vault.layers(&sample.root()).unwrap(), sample.layers);
    assert_eq!(std::fs::read(sample.file(directory.path(), "batch")).unwrap(), sample.bytes);
    assert!(!sample.file(directory.path(), "have").exists());
}

#[test]
fn a_reader_gets_ranges_that_prove_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let sample = Sample::new(2);
    sample.store(&vault);
    let root = sample.root();
    let layers = vault.layers(&root).unwrap();
    let read = |group, out: &mut [u8]| vault.read_group(&root, group, out).map_err(std::io::Error::other);
    let proof = range_proof(&sample.meta, &layers, 77, 200, read).unwrap();
    let leaves = vault.read(&root, 77 * 1024, 200 * 1024).unwrap();
    verify_range(&sample.meta, 77, &leaves, &proof).unwrap();
}

#[test]
fn reads_past_the_end_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let sample = Sample::new(3);
    sample.store(&vault);
    for (offset, len) in [(MIB, 1), (MIB - 1, 2), (u64::MAX, 1), (0, usize::MAX)] {
        let error = vault.read(&sample.root(), offset, len).unwrap_err();
        assert!(matches!(error, VaultError::OutOfBatch { .. }), "{error}");
    }
    let mut group = [0; GROUP_BYTES];
    assert!(matches!(vault.read_group(&sample.root(), GROUPS, &mut group), Err(VaultError::OutOfBatch { .. })));
    assert!(matches!(vault.read(&[7; 32], 0, 1), Err(VaultError::NotStored { .. })));
}

#[test]
fn an_upload_resumes_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(4);
    {
        let vault = vault(directory.path());
        let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
        sample.send(&upload, 3..7).unwrap();
        sample.send(&upload, 15..16).unwrap();
    }
    let vault = vault(directory.path());
    assert!(!vault.contains(&sample.root()));
    let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
    let have = upload.have();
    let arrived: Vec<u32> = (0..GROUPS).filter(|group| have.has(*group)).collect();
    assert_eq!((arrived, have.missing()), (vec![3, 4, 5, 6, 15], 11));
    let error = upload.finish().unwrap_err();
    assert!(matches!(error, VaultError::Incomplete { missing: 11, groups: 16, .. }), "{error}");
    sample.send(&upload, 0..3).unwrap();
    sample.send(&upload, 7..15).unwrap();
    upload.finish().unwrap();
    assert_eq!(vault.read(&sample.root(), 0, MIB as usize).unwrap(), sample.bytes);
}

#[test]
fn resuming_may_extend_the_expiry_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(5);
    let vault = vault(directory.path());
    let first = vault.reserve(sample.meta, tag("alice")).unwrap();
    let later = BatchTag { expires: Height::new(2_000), ..tag("alice") };
    let second = vault.reserve(sample.meta, later).unwrap();
    sample.send(&first, 0..8).unwrap();
    sample.send(&second, 8..16).unwrap();
    assert_eq!(first.have(), second.have());
    let mallory = vault.reserve(sample.meta, tag("mallory")).unwrap_err();
    assert!(matches!(mallory, VaultError::ReservedByAnother { owner, .. } if owner == tag("alice").owner));
    first.finish().unwrap();
    assert!(matches!(second.finish(), Err(VaultError::UploadClosed { .. })));
    assert!(matches!(sample.send(&first, 0..1), Err(VaultError::UploadClosed { .. })));
    assert!(matches!(vault.reserve(sample.meta, later), Err(VaultError::AlreadyStored { .. })));
    assert_eq!(vault.get(&sample.root()).unwrap().tag, later);
}

#[test]
fn parallel_streams_fill_parallel_uploads() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let samples = [Sample::new(6), Sample::new(7)];
    let uploads = samples.each_ref().map(|sample| vault.reserve(sample.meta, tag("alice")).unwrap());
    each_thread(4, |thread| {
        for group in (0..GROUPS).filter(|group| group % 4 == thread) {
            for (sample, upload) in samples.iter().zip(&uploads) {
                sample.send(upload, group..group + 1).unwrap();
            }
        }
    });
    uploads.iter().for_each(|upload| upload.finish().unwrap());
    for sample in &samples {
        assert_eq!(vault.read(&sample.root(), 0, MIB as usize).unwrap(), sample.bytes);
        assert!(vault.scrub(&sample.root()).unwrap().is_none());
    }
    assert!(vault.check().is_empty());
}

#[test]
fn leaves_that_prove_nothing_never_become_proven_leaves() {
    let sample = Sample::new(8);
    let mut flipped = sample.group(2).to_vec();
    flipped[12_345] ^= 1;
    let first = 2 * GROUP_LEAVES as u32;
    let proof = sample.proof(first, GROUP_LEAVES as u32);
    let error = ProvenLeaves::check(&sample.meta, first, &flipped, &proof).unwrap_err();
    assert!(matches!(error, VaultError::Range(RangeError::Mismatch { .. })), "{error}");
    ProvenLeaves::check(&sample.meta, first, sample.group(2), &proof).unwrap();
}

#[test]
fn leaves_go_only_where_they_belong() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let (sample, other) = (Sample::new(9), Sample::new(10));
    let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
    let error = other.send(&upload, 0..1).unwrap_err();
    assert!(matches!(error, VaultError::OtherBatch { .. }), "{error}");
    for (first, count) in [(1, 64), (0, 63), (0, 65)] {
        let bytes = &sample.bytes[first as usize * 1024..][..count as usize * 1024];
        let proof = sample.proof(first, count);
        let error = upload.put(ProvenLeaves::check(&sample.meta, first, bytes, &proof).unwrap()).unwrap_err();
        assert!(matches!(error, VaultError::NotWholeGroups { .. }), "{error}");
    }
    assert_eq!(upload.have().missing(), GROUPS);
}

#[test]
fn a_removed_batch_is_gone_and_its_space_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let (stored, uploading) = (Sample::new(11), Sample::new(12));
    stored.store(&vault);
    let upload = vault.reserve(uploading.meta, tag("bob")).unwrap();
    uploading.send(&upload, 0..4).unwrap();
    assert_eq!(vault.used_bytes(), 2 * MIB);
    for sample in [&stored, &uploading] {
        vault.remove(&sample.root()).unwrap();
        vault.remove(&sample.root()).unwrap();
        for extension in ["head", "batch", "tree", "part", "have"] {
            assert!(!sample.file(directory.path(), extension).exists(), "{extension}");
        }
    }
    assert!(matches!(uploading.send(&upload, 4..5), Err(VaultError::UploadClosed { .. })));
    assert!(matches!(upload.finish(), Err(VaultError::UploadClosed { .. })));
    assert_eq!((vault.used_bytes(), vault.list()), (0, Vec::new()));
    stored.store(&vault);
    assert!(vault.contains(&stored.root()));
}
