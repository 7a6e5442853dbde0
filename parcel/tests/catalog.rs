//! The catalog as the owner uses it: names, lists, deletion, dead segments, a hundred thousand files, frozen bytes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use holdfast_parcel::limits::PATH_BYTES_MAX;
use holdfast_parcel::{Catalog, CatalogError, CatalogHead, CatalogLoad, FilePath, OwnerKeys, PathError, roots_digest};
use holdfast_primitives::sha256;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::{OWNER, Owner, noise, path_of, try_add};

#[test]
fn names_that_could_not_be_restored_are_refused() {
    let refused = |path: &str| FilePath::new(path).unwrap_err();
    assert_eq!(refused(""), PathError::Empty);
    assert_eq!(refused("/etc/passwd"), PathError::Absolute { path: "/etc/passwd".into() });
    assert_eq!(refused("a\0b"), PathError::Nul { path: "a\0b".into() });
    for (path, component) in
        [("../up", ".."), ("a/../b", ".."), ("a//b", ""), ("a/", ""), ("./a", "."), ("a/.", "."), ("..", "..")]
    {
        assert_eq!(refused(path), PathError::BadComponent { path: path.into(), component: component.into() });
    }
    assert_eq!(refused(&"x".repeat(PATH_BYTES_MAX + 1)), PathError::TooLong { bytes: PATH_BYTES_MAX + 1 });
    assert!(FilePath::new("x".repeat(PATH_BYTES_MAX)).is_ok());
    assert!(FilePath::new("a/..b/c..").is_ok());
}

fn holiday() -> Owner {
    let mut owner = Owner::new();
    let names = ["photos", "photos-old/a.jpg", "photos/b/c.jpg", "Readme.md", "photos/a.jpg", "photos.zip"];
    let files: Vec<(&str, &[u8])> = names[1..].iter().map(|name| (*name, name.as_bytes())).collect();
    owner.store(&files);
    owner
}

#[test]
fn a_directory_lists_what_lies_below_it_and_nothing_else() {
    let catalog = holiday().catalog();
    let names = |directory| catalog.list(directory).map(|(path, _)| path.as_str()).collect::<Vec<_>>();
    assert_eq!(names("photos"), ["photos/a.jpg", "photos/b/c.jpg"]);
    assert_eq!(names("photos/"), ["photos/a.jpg", "photos/b/c.jpg"]);
    assert_eq!(names("photos/b"), ["photos/b/c.jpg"]);
    assert_eq!(names("photos/a.jpg"), ["photos/a.jpg"]);
    assert_eq!(names("phot"), [""; 0]);
    assert_eq!(names(""), ["Readme.md", "photos-old/a.jpg", "photos.zip", "photos/a.jpg", "photos/b/c.jpg"]);
}

#[test]
fn a_missing_name_is_answered_with_a_hint() {
    let catalog = holiday().catalog();
    let missing = |path: &str| catalog.file(path).unwrap_err().to_string();
    assert_eq!(missing("README.MD"), "no file \"README.MD\"; the nearest name is \"Readme.md\"");
    assert_eq!(missing("photos/a.jpeg"), "no file \"photos/a.jpeg\"; the nearest name is \"photos/a.jpg\"");
    assert_eq!(missing("photos"), "\"photos\" is a directory: 2 files lie below it");
    assert_eq!(missing("zzz"), "no file \"zzz\"");
    assert_eq!(Catalog::new().file("a").unwrap_err().to_string(), "no file \"a\"");
}

#[test]
fn renaming_moves_the_name_only() {
    let mut catalog = holiday().catalog();
    let before = catalog.file("photos.zip").unwrap().clone();
    catalog.rename_file("photos.zip", path_of("archive/p.zip")).unwrap();
    assert_eq!(catalog.file("archive/p.zip").unwrap(), &before);
    assert!(matches!(catalog.file("photos.zip"), Err(CatalogError::NotFound { .. })));
    let taken = catalog.rename_file("archive/p.zip", path_of("Readme.md")).unwrap_err();
    assert_eq!(taken, CatalogError::Exists { path: path_of("Readme.md") });
    let blocked = catalog.rename_file("archive/p.zip", path_of("Readme.md/x")).unwrap_err();
    assert!(matches!(blocked, CatalogError::FileInTheWay { .. }), "{blocked}");
    assert!(catalog.file("archive/p.zip").is_ok(), "a refused renaming changes nothing");
    catalog.rename_file("archive/p.zip", path_of("archive/p.zip/inner")).unwrap();
    assert!(matches!(catalog.rename_file("gone", path_of("x")), Err(CatalogError::NotFound { .. })));
}

#[test]
fn ranges_outside_a_file_are_refused() {
    let owner = holiday();
    let catalog = owner.catalog();
    let size = "Readme.md".len() as u64;
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may hand in such a range")]
    for range in [0..size + 1, size + 1..size + 1, 5..4, 0..u64::MAX] {
        let error = catalog.pieces("Readme.md", range.clone()).unwrap_err();
        let expected = CatalogError::OutsideFile { path: "Readme.md".into(), from: range.start, to: range.end, size };
        assert_eq!(error, expected);
    }
    assert!(catalog.pieces("Readme.md", 3..3).unwrap().is_empty());
    assert_eq!(owner.read_range(&catalog, "Readme.md", 4..6, &[]).unwrap(), b"me");
}

#[test]
fn a_deleted_file_s_keys_go_unless_another_file_shares_them_and_its_segment_dies() {
    let shared = noise(31, 500_000);
    let own = noise(32, 3_000_000);
    let mut owner = Owner::new();
    owner.store(&[("a", &own), ("b", &shared), ("c", &shared)]);
    owner.store(&[("later", b"x")]);
    let mut catalog = owner.catalog();
    let (own_ids, shared_ids) = (ids(&catalog, "a"), ids(&catalog, "b"));
    assert_eq!(ids(&catalog, "c"), shared_ids);
    assert_eq!(catalog.dead_segments(), [0u32; 0]);

    catalog.remove_file("a").unwrap();
    catalog.remove_file("b").unwrap();
    assert!(own_ids.iter().all(|id| catalog.find_chunk(id).is_none()), "keys only a had are gone");
    assert!(shared_ids.iter().all(|id| catalog.find_chunk(id).is_some()), "c still has its keys");
    assert_eq!(catalog.dead_segments(), [0u32; 0]);
    catalog.remove_file("c").unwrap();
    assert_eq!(catalog.live_bytes()[&0], 0);
    assert_eq!(catalog.dead_segments(), [0], "segment 1 holds the catalog itself and a later file");
    catalog.remove_file("later").unwrap();
    assert_eq!(catalog.dead_segments(), [0], "the catalog itself still lies in segment 1");
    catalog.forget_segment(0).unwrap();
    assert_eq!(catalog.segment(0).unwrap_err(), CatalogError::UnknownSegment { ordinal: 0 });
    assert!(matches!(catalog.remove_file("a"), Err(CatalogError::NotFound { .. })));
}

fn ids(catalog: &Catalog, path: &str) -> Vec<holdfast_parcel::ChunkId> {
    catalog.chunks_of(catalog.file(path).unwrap()).map(|record| record.id).collect()
}

#[test]
fn roots_are_noted_once_known() {
    let mut owner = Owner::new();
    owner.store(&[("big", &noise(33, 5_000_000))]);
    let mut catalog = owner.catalog();
    let noted = |catalog: &Catalog, ordinal| catalog.segment(ordinal).unwrap().roots_digest;
    let real = |ordinal: u32| -> Vec<[u8; 32]> {
        owner.vault.segments[&ordinal].1.iter().map(|batch| sha256(batch)).collect()
    };
    let plain = [b"holdfast/segment-roots/v1\0".as_slice(), real(0).as_flattened()].concat();
    assert_eq!(noted(&catalog, 0), Some(sha256(&plain)));
    assert_eq!(noted(&catalog, 1), Some(roots_digest(&real(1))), "the head knows the segment the catalog lies in");
    let mut alone = Catalog::decode(&catalog.encode().unwrap()).unwrap();
    alone.set_roots(0, &[]).unwrap();
    assert_eq!(noted(&alone, 0), None);
    let wrong = catalog.set_roots(1, &[[0; 32]; 5]).unwrap_err();
    assert_eq!(wrong, CatalogError::WrongRoots { ordinal: 1, found: 5, expected: 6 });
    catalog.set_roots(1, &[[1; 32]; 6]).unwrap();
    assert_eq!(noted(&catalog, 1), Some(roots_digest(&[[1; 32]; 6])));
    assert_eq!(catalog.set_roots(9, &[]).unwrap_err(), CatalogError::UnknownSegment { ordinal: 9 });
}

#[test]
fn a_hundred_thousand_files_are_stored_through_an_index_and_found_again() {
    let mut owner = Owner::new();
    let stats = owner.session(|packer| {
        for index in 0..100_000u32 {
            try_add(packer, &format!("{:02}/{index}", index % 100), &index.to_le_bytes()).unwrap();
        }
    });
    assert!(stats.catalog_bytes > 9 << 20, "more than the head can name itself: {stats:?}");
    let head = CatalogHead::open(&owner.sealed_head, &owner.keys(), &OWNER).unwrap();
    assert_eq!(head.fetch().wanted().len(), 1, "the head names the one chunk of an index");
    let mut catalog = owner.catalog();
    assert_eq!(catalog.list("").count(), 100_000);
    assert_eq!(catalog.chunks().count(), 100_000);
    for index in [0u32, 815, 99_999] {
        assert_eq!(owner.read(&catalog, &format!("{:02}/{index}", index % 100)), index.to_le_bytes());
    }
    let bytes = catalog.encode().unwrap();
    assert_eq!(Catalog::decode(&bytes).unwrap().encode().unwrap(), bytes);
}

/// One step of an owner's life.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    Rename(u8, u8),
    StoreAndReload,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..8, 0u8..5).prop_map(|(name, content)| Step::Put(name, content)),
        2 => (0u8..8).prop_map(Step::Remove),
        1 => (0u8..8, 0u8..8).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => Just(Step::StoreAndReload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The oracle is a plain map from names to contents; every content here is one chunk.
    #[test]
    fn whatever_the_owner_does_the_catalog_agrees_with_a_plain_map(steps in prop::collection::vec(any_step(), 1..25)) {
        let mut owner = Owner::new();
        let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for session in steps.split(|step| matches!(step, Step::StoreAndReload)) {
            owner.session(|packer| session.iter().for_each(|step| take_step(packer, &mut model, step)));
            let catalog = owner.catalog();
            let listed: Vec<&str> = catalog.list("").map(|(path, _)| path.as_str()).collect();
            prop_assert_eq!(listed, model.keys().map(String::as_str).collect::<Vec<_>>());
            for (path, content) in &model {
                prop_assert_eq!(&owner.read(&catalog, path), content);
            }
            let distinct: BTreeSet<&Vec<u8>> = model.values().collect();
            prop_assert_eq!(catalog.chunks().count(), distinct.len());
            let live: u64 = catalog.live_bytes().values().sum();
            let chunks: u64 = catalog.chunks().map(|record| u64::from(record.at.stored_len)).sum();
            prop_assert!(live > chunks, "the catalog itself lives too");
            let here: BTreeSet<u32> = catalog.chunks().map(|record| record.at.segment).collect();
            prop_assert!(catalog.dead_segments().iter().all(|ordinal| !here.contains(ordinal)));
        }
    }
}

fn take_step(packer: &mut holdfast_parcel::Packer<support::Vault>, model: &mut BTreeMap<String, Vec<u8>>, step: &Step) {
    let name = |index: &u8| format!("d{}/f{index}", index % 2);
    match step {
        Step::Put(index, content) => {
            let content = noise(u64::from(*content), 2_000);
            try_add(packer, &name(index), &content).unwrap();
            model.insert(name(index), content);
        }
        Step::Remove(index) => {
            let removed = packer.catalog_mut().remove_file(&name(index));
            assert_eq!(removed.is_ok(), model.remove(&name(index)).is_some());
        }
        Step::Rename(from, to) => {
            let renamed = packer.catalog_mut().rename_file(&name(from), path_of(&name(to)));
            let possible = model.contains_key(&name(from)) && !model.contains_key(&name(to));
            assert_eq!(renamed.is_ok(), possible);
            if possible {
                let content = model.remove(&name(from)).unwrap();
                model.insert(name(to), content);
            }
        }
        Step::StoreAndReload => unreachable!("sessions are split here"),
    }
}

/// Version 1 to the byte, written by hand from the drawing in the format's description.
#[test]
fn the_encoding_is_frozen() {
    let id = [0x11; 32];
    let content = [b"holdfast/content/v1\0".as_slice(), &4u64.to_le_bytes(), &id].concat();
    let chunk = [
        id.as_slice(),
        &[0x22; 32],
        &[4, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0],
        &[9, 0, 0, 0, 0, 0, 0, 0],
        &[20, 0, 0, 0],
    ]
    .concat();
    let file = [
        &[3, 0, 0, 0],
        b"a/b".as_slice(),
        &4u64.to_le_bytes(),
        &77u64.to_le_bytes(),
        &0o644u32.to_le_bytes(),
        &sha256(&content),
        &[1, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let segment = [[3, 0, 0, 0].as_slice(), &[4, 2, 1, 20], &29u64.to_le_bytes(), &[1], &[0x33; 32]].concat();
    let one = [1u8, 0, 0, 0];
    let header = [[1].as_slice(), &5u64.to_le_bytes(), &6u64.to_le_bytes()].concat();
    let bytes = [header.as_slice(), &one, &chunk, &one, &file, &one, &segment].concat();

    let mut catalog = Catalog::decode(&bytes).unwrap();
    assert_eq!((catalog.generation(), catalog.written().get()), (5, 6));
    assert_eq!((chunk.len(), catalog.file("a/b").unwrap().meta.mode), (90, 0o644));
    assert_eq!(catalog.encode().unwrap(), bytes);

    let mut later = bytes.clone();
    later[0] = 2;
    assert_eq!(Catalog::decode(&later).err().unwrap(), CatalogError::UnknownVersion { version: 2 });
    let mut other_size = bytes.clone();
    other_size[1 + 16 + 4 + 90 + 4 + 7] = 5;
    assert_eq!(Catalog::decode(&other_size).err().unwrap(), CatalogError::Inconsistent { path: path_of("a/b") });
    assert!(matches!(Catalog::decode(&[bytes, vec![0]].concat()), Err(CatalogError::Malformed { .. })));
    let twice = [header.as_slice(), &[2, 0, 0, 0], &chunk, &chunk, &[0; 8]].concat();
    assert!(matches!(Catalog::decode(&twice), Err(CatalogError::Malformed { .. })));
}

/// Computed with Python's hmac and blake3 modules: id of "abc" under the dedupe key of master 00 01 .. 1f.
#[test]
fn ids_are_frozen() {
    let master: [u8; 32] = std::array::from_fn(|index| index as u8);
    let id = OwnerKeys::derive(&master).chunk_id(b"abc");
    assert_eq!(hex::encode(id.as_bytes()), "e32a8e001a7d32d7509fdf4214d5c4f0edc7e4cfe25cef7c635e4c2595519af4");
    assert_ne!(OwnerKeys::derive(&[9; 32]).chunk_id(b"abc"), id, "another owner's ids tell nothing");
}

#[test]
fn the_longest_head_fits_the_account() {
    let chunk =
        |index: u8| [[index; 64].as_slice(), &[0, 0, 1, 0], &[16, 0, 0, 0], &[index; 2 * 16], &[index; 16]].concat();
    let shape = |index: u8| [[index, 0, 0, 0, 10, 20, 1, 28, 1].as_slice(), &[index; 32]].concat();
    let (chunks, shapes): (Vec<u8>, Vec<u8>) = ((0..6).flat_map(chunk).collect(), (0..6).flat_map(shape).collect());
    let body = [[9; 16].as_slice(), &[1], &[6, 0, 0, 0], &chunks, &[6, 0, 0, 0], &shapes].concat();
    let head: CatalogHead = borsh::from_slice(&body).unwrap();
    let keys = OwnerKeys::derive(&[1; 32]);
    let sealed = head.seal(&keys, &OWNER);
    assert_eq!(sealed.len(), 1_020);
    assert_eq!(CatalogHead::open(&sealed, &keys, &OWNER).unwrap(), head);
    assert_eq!(head.segments()[5].layout.batches(), 30);
    let seven = [[9; 16].as_slice(), &[1], &[7, 0, 0, 0], &chunks, &chunk(6), &[6, 0, 0, 0], &shapes].concat();
    assert!(borsh::from_slice::<CatalogHead>(&seven).is_err());
}

#[test]
fn a_head_of_another_generation_still_opens_and_says_which_it_is() {
    let mut owner = Owner::new();
    owner.store(&[("a", b"1")]);
    let first = owner.sealed_head.clone();
    owner.store(&[("b", b"2")]);
    let open = |sealed: &[u8]| CatalogHead::open(sealed, &owner.keys(), &OWNER).unwrap();
    assert_eq!((open(&first).generation(), open(&owner.sealed_head).generation()), (1, 2));
    assert_eq!(open(&first).written().get(), 1_000);
    let old = open(&first).fetch();
    let stored = owner.fetch(old.wanted(), |segment| old.shape(segment).map(|shape| shape.layout), &[]).unwrap();
    let CatalogLoad::Ready(catalog) = old.supply(stored).unwrap() else { panic!("a small catalog needs no index") };
    assert_eq!(catalog.list("").count(), 1);
}
