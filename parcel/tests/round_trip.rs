//! What goes in comes out: any set of files, through segments, a sealed head and a bare machine.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use holdfast_parcel::limits::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, READ_AHEAD_BYTES};
use holdfast_parcel::{CatalogError, CatalogHead, Chunker, PackError, content_hash};
use proptest::prelude::*;
use std::io::{self, Read};
use support::{OWNER, Owner, fresh_packer, meta_of, noise, path_of, try_add};

/// A file of a random set: its content is a few runs, some shared with other files, some compressible.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let run = (0u64..6, 0usize..400_000, any::<bool>());
    prop::collection::vec(run, 0..4).prop_map(|runs| {
        let content =
            runs.into_iter().map(|(seed, bytes, flat)| if flat { vec![seed as u8; bytes] } else { noise(seed, bytes) });
        content.collect::<Vec<_>>().concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_set_of_files_comes_back(contents in prop::collection::vec(any_content(), 1..6), cut in any::<(u64, u64)>()) {
        let mut owner = Owner::new();
        let names: Vec<String> = (0..contents.len()).map(|index| format!("dir {}/file-{index}", index % 2)).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        let (early, late) = files.split_at(files.len() / 2);
        owner.store(early);
        owner.store(late);

        let catalog = owner.catalog();
        prop_assert_eq!(catalog.list("").count(), files.len());
        for (path, content) in files {
            prop_assert_eq!(owner.read(&catalog, path), content);
            prop_assert_eq!(catalog.file(path).unwrap().meta, meta_of(content));
            let size = content.len() as u64;
            let (a, b) = (cut.0 % (size + 1), cut.1 % (size + 1));
            let range = a.min(b)..a.max(b);
            let part = owner.read_range(&catalog, path, range.clone(), &[]).unwrap();
            prop_assert_eq!(part, &content[range.start as usize..range.end as usize]);
        }
    }

    /// Cutting depends on content alone: the same under any portioning, within bounds, and nothing lost between chunks.
    #[test]
    fn cutting_does_not_depend_on_the_reader(seed in any::<u64>(), bytes in 0usize..3_000_000, portion in 1usize..70_000) {
        let content = noise(seed, bytes);
        let whole = cut_all(&mut content.as_slice());
        prop_assert_eq!(&whole, &cut_all(&mut Portions { rest: &content, portion }));
        prop_assert_eq!(whole.iter().sum::<usize>(), bytes);
        if let Some((last, all_but_last)) = whole.split_last() {
            prop_assert!(*last <= CHUNK_BYTES_MAX);
            prop_assert!(all_but_last.iter().all(|length| (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(length)));
        }
    }
}

struct Portions<'a> {
    rest: &'a [u8],
    portion: usize,
}

impl Read for Portions<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let portion = self.portion.min(buffer.len());
        self.rest.read(&mut buffer[..portion])
    }
}

fn cut_all(reader: &mut impl Read) -> Vec<usize> {
    let mut chunker = Chunker::new();
    let mut lengths = Vec::new();
    loop {
        let group = chunker.next_group(reader).unwrap();
        if group.is_empty() {
            return lengths;
        }
        lengths.extend(group.iter().map(|chunk| chunk.len()));
    }
}

#[test]
fn our_cut_points_are_those_of_the_library_s_own_streaming_chunker() {
    let content = noise(3, READ_AHEAD_BYTES * 2 + 12_345);
    let (min, average, max) = (CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX);
    let library = fastcdc::v2020::StreamCDC::new(content.as_slice(), min, average, max);
    let expected: Vec<usize> = library.map(|chunk| chunk.unwrap().length).collect();
    assert!(expected.len() > 30, "{} chunks", expected.len());
    assert_eq!(cut_all(&mut content.as_slice()), expected);
}

#[test]
fn empty_files_single_bytes_and_odd_names_work() {
    let long = format!("{}/end", "d".repeat(4000));
    let odd = [
        "-rf",
        "new\nline",
        "\u{1F600} emoji",
        "quote\"s '",
        " ",
        "a b/ c",
        "tab\t",
        "back\\slash",
        "...",
        ".hidden",
        &long,
    ];
    let one = [9u8];
    let contents: [&[u8]; 3] = [&[], &one, &[0; 100]];
    let files: Vec<(&str, &[u8])> = odd.iter().enumerate().map(|(index, name)| (*name, contents[index % 3])).collect();
    let mut owner = Owner::new();
    owner.store(&files);
    let catalog = owner.catalog();
    for (path, content) in files {
        assert_eq!(owner.read(&catalog, path), content, "{path:?}");
    }
    assert_eq!(catalog.file("-rf").unwrap().chunk_count(), 0, "an empty file has no chunks");
}

#[test]
fn the_content_hash_is_equal_exactly_for_equal_bytes() {
    let (first, mut second) = (noise(1, 700_000), noise(1, 700_000));
    let mut owner = Owner::new();
    owner.store(&[("a", &first), ("b", &second)]);
    second[350_000] ^= 1;
    owner.store(&[("c", &second)]);
    let catalog = owner.catalog();
    let hash = |path| catalog.file(path).unwrap().content_hash;
    assert_eq!(hash("a"), hash("b"));
    assert_ne!(hash("a"), hash("c"));
    let ids: Vec<_> = catalog.chunks_of(catalog.file("a").unwrap()).map(|record| record.id).collect();
    assert_eq!(hash("a"), content_hash(700_000, &ids));
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_stored_is_an_error_and_leaves_nothing() {
    let mut packer = fresh_packer();
    let content = noise(5, 300_000);
    for (announced, found) in [(300_001u64, 300_000u64), (299_999, 300_000), (0, 1), (10, 11)] {
        let meta = holdfast_parcel::FileMeta { size: announced, ..meta_of(&content) };
        let error = packer.add_file(path_of("log"), meta, content.as_slice()).unwrap_err();
        let PackError::FileChanged { path, expected, found: seen } = error else { panic!("{error}") };
        assert_eq!((path.as_str(), expected, seen), ("log", announced, found));
    }
    let finish = packer.finish(holdfast_primitives::TimeMs::new(1)).unwrap();
    assert_eq!(finish.catalog.list("").count(), 0);
    assert_eq!(finish.catalog.chunks().count(), 0, "the keys of the torn file are gone");
}

#[test]
fn a_reader_that_fails_names_the_file() {
    struct BadDisk;
    impl Read for BadDisk {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad sector"))
        }
    }
    let error = fresh_packer().add_file(path_of("movie"), meta_of(&[0; 9]), BadDisk).unwrap_err();
    assert_eq!(error.to_string(), "cannot read \"movie\": bad sector");
}

#[test]
fn a_new_version_takes_the_place_of_the_old_and_shares_its_chunks() {
    let mut content = noise(8, 3_000_000);
    let mut owner = Owner::new();
    owner.store(&[("disk.img", &content)]);
    content[1_500_000] ^= 0xFF;
    let (added, _) = owner.store(&[("disk.img", &content)]);
    assert!(added[0].new_chunks < added[0].chunks / 2, "{added:?}");
    let catalog = owner.catalog();
    assert_eq!(owner.read(&catalog, "disk.img"), content);
    assert_eq!(catalog.chunks().count() as u64, added[0].chunks, "the replaced chunk's key is gone");
    assert_eq!(catalog.generation(), 2);
}

#[test]
fn a_file_and_a_directory_cannot_share_a_name() {
    let mut packer = fresh_packer();
    try_add(&mut packer, "a/b", b"1").unwrap();
    let below = try_add(&mut packer, "a/b/c", b"2").unwrap_err();
    assert!(matches!(below, PackError::Catalog(CatalogError::FileInTheWay { .. })), "{below}");
    let above = try_add(&mut packer, "a", b"3").unwrap_err();
    assert!(matches!(above, PackError::Catalog(CatalogError::IsDirectory { files: 1, .. })), "{above}");
}

#[test]
fn one_owner_with_one_smallest_batch_per_segment_can_store_too() {
    let mut owner = Owner::with_layout((1, 1, 20));
    let content = noise(4, 5_000_000);
    owner.store(&[("big", &content)]);
    assert_eq!(owner.read(&owner.catalog(), "big"), content);
}

#[test]
fn moving_what_lives_out_of_a_sparse_segment_frees_it() {
    let (keep, drop) = (noise(1, 100_000), noise(2, 3_000_000));
    let mut owner = Owner::new();
    owner.store(&[("keep", &keep), ("drop", &drop)]);
    let catalog = owner.catalog();
    let ids: Vec<_> = catalog.chunks_of(catalog.file("keep").unwrap()).cloned().collect();
    let stored = owner.fetch(&ids, |segment| catalog.segment(segment).ok().map(|info| info.layout), &[]).unwrap();
    let mut bad = stored[0].clone();
    bad[5] ^= 1;

    owner.session(|packer| {
        packer.catalog_mut().remove_file("drop").unwrap();
        assert!(matches!(packer.move_chunk(&ids[0].id, bad), Err(PackError::Chunk(_))), "rot is not carried on");
        for (record, stored) in ids.iter().zip(stored) {
            packer.move_chunk(&record.id, stored).unwrap();
        }
    });
    let catalog = owner.catalog();
    assert_eq!(catalog.dead_segments(), [0]);
    owner.vault.segments.remove(&0);
    assert_eq!(owner.read(&owner.catalog(), "keep"), keep);
    let head = CatalogHead::open(&owner.sealed_head, &owner.keys(), &OWNER).unwrap();
    assert!(head.segments().iter().all(|shape| shape.ordinal != 0));
}
