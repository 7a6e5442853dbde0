//! What a disk, or a careless hand, can do to a vault: always named, mended where that needs nobody's help.

use crate::sample::{GROUPS, MIB, Sample, tag, vault};
use holdfast_por::{ClassCount, GROUP_BYTES, HolderChallenge, ProofPart, RoundSeed, prove_part, verify_part};
use holdfast_primitives::{Address, ChainId, RoundNo};
use holdfast_store::{Damage, Damaged, Vault, VaultError};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a fresh look at the vault finds.
fn found(directory: &Path) -> (Vault, Vec<Damaged>) {
    let vault = vault(directory);
    let damaged = vault.check();
    (vault, damaged)
}

fn stored(directory: &Path, seed: u64) -> Sample {
    let sample = Sample::new(seed);
    sample.store(&vault(directory));
    sample
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    date_later(path);
}

/// A disk of coarse clocks may give two writes one time; whoever edits a stored batch comes later.
fn date_later(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
}

#[test]
fn a_whole_vault_has_nothing_to_declare() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    let (vault, damaged) = found(directory.path());
    assert!(damaged.is_empty(), "{damaged:?}");
    assert!(vault.scrub(&sample.root()).unwrap().is_none());
}

#[test]
fn a_lost_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    fs::remove_file(sample.file(directory.path(), "batch")).unwrap();
    let (vault, damaged) = found(directory.path());
    assert!(matches!(&damaged[..], [Damaged { root, damage: Damage::Missing }] if *root == sample.root()));
    assert!(matches!(
        vault.read(&sample.root(), 0, 1),
        Err(VaultError::Damaged(Damaged { damage: Damage::Missing, .. }))
    ));
    assert!(matches!(vault.scrub(&sample.root()), Ok(Some(Damaged { damage: Damage::Missing, .. }))));
}

#[test]
fn a_truncated_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    let file = File::options().write(true).open(sample.file(directory.path(), "batch")).unwrap();
    file.set_len(MIB - 1).unwrap();
    let (vault, damaged) = found(directory.path());
    let is_short =
        |damage: &Damage| matches!(damage, Damage::Length { found, expected } if (*found, *expected) == (MIB - 1, MIB));
    assert!(is_short(&damaged[0].damage), "{damaged:?}");
    assert_eq!(vault.read(&sample.root(), 0, 10).unwrap(), sample.bytes[..10]);
    match vault.read(&sample.root(), MIB - 10, 10) {
        Err(VaultError::Damaged(damaged)) => assert!(is_short(&damaged.damage), "{damaged}"),
        other => panic!("{other:?}"),
    }
    assert!(is_short(&vault.scrub(&sample.root()).unwrap().unwrap().damage));
}

#[test]
fn an_edited_file_is_suspected_at_once_and_convicted_by_a_scrub() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    flip(&sample.file(directory.path(), "batch"), 77_777);
    let (vault, damaged) = found(directory.path());
    assert!(matches!(&damaged[..], [Damaged { damage: Damage::Touched, .. }]), "{damaged:?}");
    let convicted = vault.scrub(&sample.root()).unwrap().unwrap();
    assert!(matches!(convicted.damage, Damage::Changed { found } if found != sample.root()), "{convicted}");
    assert!(!vault.check().is_empty(), "a scrub does not whitewash");
}

#[test]
fn a_copied_vault_is_cleared_by_a_scrub() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    fs::write(sample.file(directory.path(), "batch"), &sample.bytes).unwrap();
    fs::write(sample.file(directory.path(), "tree"), sample.layers.to_bytes()).unwrap();
    date_later(&sample.file(directory.path(), "batch"));
    let (vault, damaged) = found(directory.path());
    assert!(matches!(&damaged[..], [Damaged { damage: Damage::Touched, .. }]), "{damaged:?}");
    assert!(vault.scrub(&sample.root()).unwrap().is_none());
    assert!(vault.check().is_empty());
    drop(vault);
    assert!(found(directory.path()).1.is_empty());
}

#[test]
fn spoiled_layers_are_named_and_mended_by_a_scrub() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    let tree = sample.file(directory.path(), "tree");
    flip(&tree, 100);
    let (vault, damaged) = found(directory.path());
    assert!(matches!(&damaged[..], [Damaged { damage: Damage::LayersSpoiled { .. }, .. }]), "{damaged:?}");
    assert!(matches!(vault.layers(&sample.root()), Err(VaultError::Damaged(_))));
    assert!(vault.scrub(&sample.root()).unwrap().is_none());
    assert_eq!(vault.layers(&sample.root()).unwrap(), sample.layers);
    fs::remove_file(&tree).unwrap();
    assert!(matches!(&vault.check()[..], [Damaged { damage: Damage::LayersMissing, .. }]));
    assert!(vault.scrub(&sample.root()).unwrap().is_none());
    assert!(vault.check().is_empty());
}

#[test]
fn a_batch_without_its_head_is_named_and_can_be_adopted() {
    for torn in [None, Some(&b""[..]), Some(&b"hf-batch"[..]), Some(&[0xff; 400][..])] {
        let directory = tempfile::tempdir().unwrap();
        let sample = stored(directory.path(), 1);
        let head = sample.file(directory.path(), "head");
        match torn {
            None => fs::remove_file(&head).unwrap(),
            Some(bytes) => fs::write(&head, bytes).unwrap(),
        }
        let (vault, damaged) = found(directory.path());
        assert!(matches!(&damaged[..], [Damaged { damage: Damage::HeadLost, .. }]), "{damaged:?}");
        assert_eq!((vault.contains(&sample.root()), vault.used_bytes()), (false, MIB));
        assert!(matches!(vault.reserve(sample.meta, tag("alice")), Err(VaultError::Damaged(_))));
        vault.adopt(sample.meta, tag("bob")).unwrap();
        assert_eq!(vault.get(&sample.root()).unwrap().tag, tag("bob"));
        assert!(vault.check().is_empty());
        drop(vault);
        let (vault, damaged) = found(directory.path());
        assert!(damaged.is_empty() && vault.contains(&sample.root()));
    }
}

#[test]
fn only_the_right_bytes_can_be_adopted() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    fs::remove_file(sample.file(directory.path(), "head")).unwrap();
    flip(&sample.file(directory.path(), "batch"), 5);
    let vault = vault(directory.path());
    let error = vault.adopt(sample.meta, tag("bob")).unwrap_err();
    assert!(matches!(error, VaultError::Damaged(Damaged { damage: Damage::Changed { .. }, .. })), "{error}");
    assert!(vault.adopt(Sample::new(2).meta, tag("bob")).is_err());
    assert!(!vault.contains(&sample.root()));
    vault.remove(&sample.root()).unwrap();
    assert_eq!((vault.used_bytes(), vault.check().len()), (0, 0));
    sample.store(&vault);
}

#[test]
fn an_upload_whose_data_shrank_starts_over() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(1);
    {
        let vault = vault(directory.path());
        sample.send(&vault.reserve(sample.meta, tag("alice")).unwrap(), 0..GROUPS).unwrap();
    }
    let part = File::options().write(true).open(sample.file(directory.path(), "part")).unwrap();
    part.set_len(MIB - 1).unwrap();
    let vault = vault(directory.path());
    let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
    assert_eq!(upload.have().missing(), GROUPS);
    sample.send(&upload, 0..GROUPS).unwrap();
    upload.finish().unwrap();
}

#[test]
fn a_bitmap_that_lies_never_becomes_a_receipt() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(1);
    {
        let vault = vault(directory.path());
        sample.send(&vault.reserve(sample.meta, tag("alice")).unwrap(), 0..8).unwrap();
    }
    fs::write(sample.file(directory.path(), "have"), [0xff, 0xff]).unwrap();
    let vault = vault(directory.path());
    let upload = vault.reserve(sample.meta, tag("alice")).unwrap();
    assert_eq!(upload.have().missing(), 0);
    assert!(matches!(upload.finish(), Err(VaultError::UploadSpoiled { .. })));
    assert_eq!(upload.have().missing(), GROUPS);
    sample.send(&upload, 0..GROUPS).unwrap();
    upload.finish().unwrap();
    assert!(vault.scrub(&sample.root()).unwrap().is_none());
}

#[test]
fn a_bitmap_of_another_length_counts_for_nothing() {
    for bitmap in [&b""[..], &[0xff], &[0xff; 3], &[0xff; 4096]] {
        let directory = tempfile::tempdir().unwrap();
        let sample = Sample::new(1);
        drop(vault(directory.path()).reserve(sample.meta, tag("alice")).unwrap());
        fs::write(sample.file(directory.path(), "have"), bitmap).unwrap();
        let upload = vault(directory.path()).reserve(sample.meta, tag("alice")).unwrap();
        assert_eq!(upload.have().missing(), GROUPS);
    }
}

#[test]
fn a_crash_between_the_head_and_the_name_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    fs::rename(sample.file(directory.path(), "batch"), sample.file(directory.path(), "part")).unwrap();
    fs::write(sample.file(directory.path(), "have"), [0xff, 0xff]).unwrap();
    fs::write(sample.file(directory.path(), "head.tmp"), b"half a he").unwrap();
    let (vault, damaged) = found(directory.path());
    assert!(damaged.is_empty(), "{damaged:?}");
    assert_eq!(vault.read(&sample.root(), 0, MIB as usize).unwrap(), sample.bytes);
    assert!(!sample.file(directory.path(), "have").exists());
    assert!(!sample.file(directory.path(), "head.tmp").exists());
}

#[test]
fn files_that_are_not_batches_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let sample = stored(directory.path(), 1);
    let folder = sample.file(directory.path(), "batch").parent().unwrap().to_owned();
    fs::write(folder.join("notes.txt"), b"mine").unwrap();
    fs::write(folder.join(format!("{}.batch", "zz".repeat(32))), b"mine").unwrap();
    fs::write(directory.path().join("batches/README"), b"mine").unwrap();
    let (vault, damaged) = found(directory.path());
    assert!(damaged.is_empty() && vault.list().len() == 1);
    assert!(folder.join("notes.txt").exists());
}

/// The holder's side of a round over two batches: what is damaged fails, and only that.
#[test]
fn a_proof_opens_what_is_there_and_fails_what_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let vault = vault(directory.path());
    let samples = [Sample::new(1), Sample::new(2)];
    samples.iter().for_each(|sample| sample.store(&vault));
    let root_of =
        |batch_log2: u8, slot: u64| (batch_log2 == 20).then(|| samples.get(slot as usize).map(Sample::root)).flatten();
    let of = RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(7),
        seed: [2; 32],
        holder: Address::new([3; 32]),
        set_root: [4; 32],
    };
    let challenge = HolderChallenge::new(of, &[ClassCount { batch_log2: 20, batches: 2 }], 40).unwrap();
    let part = ProofPart::new(&challenge, 0, 40);
    let prove = || prove_part(&challenge, 0, 40, &mut vault.source(root_of)).unwrap();
    let failed = |openings: &[u8]| {
        verify_part(&challenge, &part, openings, |_, slot| Some(samples[slot as usize].meta)).unwrap()
    };
    let of_slot = |wanted: u64| -> Vec<u32> {
        (0..).zip(challenge.positions()).filter(|(_, position)| position.slot == wanted).map(|(j, _)| j).collect()
    };

    let whole = prove();
    assert!(whole.unreadable.is_empty() && failed(&whole.openings).is_empty());

    for group in 0..GROUPS {
        flip(&samples[1].file(directory.path(), "batch"), u64::from(group) * GROUP_BYTES as u64 + 9);
    }
    let edited = prove();
    assert!(edited.unreadable.is_empty(), "an edited batch can be read");
    assert_eq!(failed(&edited.openings), of_slot(1));

    fs::remove_file(samples[0].file(directory.path(), "tree")).unwrap();
    let lost = prove();
    assert_eq!(lost.unreadable, of_slot(0));
    assert_eq!(failed(&lost.openings).len(), 40);
}
