//! Those who alter, swap, cut short, impersonate or send noise: each is refused, and by name.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use borsh::BorshDeserialize;
use holdfast_parcel::{
    BatchSpan, Catalog, CatalogError, CatalogHead, ChunkError, ChunkRecord, ErasureCode, FileMeta, FilePath,
    FileRecord, HeadError, Layout, Locator, OwnerKeys, SegmentInfo, SegmentShape, decode_chunk, plan_read, seal_chunk,
};
use holdfast_primitives::{Address, Bounded};
use proptest::prelude::*;
use support::{OWNER, Owner, noise};

fn keys() -> OwnerKeys {
    OwnerKeys::derive(&[42; 32])
}

fn sealed(plaintext: &[u8]) -> (ChunkRecord, Vec<u8>) {
    let mut spent = plaintext.to_vec();
    let chunk = seal_chunk(keys().chunk_id(plaintext), &mut spent);
    let stored = chunk.stored_parts().concat();
    (chunk.into_record(0, 0), stored)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_bit_flipper_is_found_in_every_chunk(bytes in 0usize..5_000, flat in any::<bool>(), bit in any::<prop::sample::Index>()) {
        let plaintext = if flat { vec![7; bytes] } else { noise(1, bytes) };
        let (record, mut stored) = sealed(&plaintext);
        prop_assert_eq!(decode_chunk(&record, stored.clone()).unwrap(), plaintext);
        let bit = bit.index(stored.len() * 8);
        stored[bit / 8] ^= 1 << (bit % 8);
        let refused = decode_chunk(&record, stored).unwrap_err();
        prop_assert_eq!(refused, ChunkError::Altered { id: record.id });
    }

    #[test]
    fn the_bit_flipper_is_found_in_every_head(bit in any::<prop::sample::Index>()) {
        let mut head = stored_owner().sealed_head;
        let bit = bit.index(head.len() * 8);
        head[bit / 8] ^= 1 << (bit % 8);
        let refused = CatalogHead::open(&head, &keys(), &OWNER).unwrap_err();
        let expected = if bit < 8 { HeadError::UnknownVersion { version: head[0] } } else { HeadError::WrongKeyOrOwner };
        prop_assert_eq!(refused, expected);
    }
}

fn stored_owner() -> Owner {
    let mut owner = Owner::new();
    owner.store(&[("a", b"content")]);
    owner
}

#[test]
fn the_swapper_who_delivers_another_chunk_is_refused() {
    let (first, first_stored) = sealed(&noise(1, 1_000));
    let (second, second_stored) = sealed(&noise(2, 1_000));
    assert_eq!(decode_chunk(&first, second_stored), Err(ChunkError::Altered { id: first.id }));
    let renamed = ChunkRecord { id: second.id, ..first.clone() };
    assert_eq!(
        decode_chunk(&renamed, first_stored),
        Err(ChunkError::Altered { id: second.id }),
        "the id is bound by the tag"
    );
}

#[test]
fn the_shortener_is_refused_before_anything_is_decrypted() {
    let (record, stored) = sealed(&noise(1, 1_000));
    for found in [0, 1, 15, 16, 1_015, 1_017] {
        let mut cut = stored.clone();
        cut.resize(found, 0);
        let refused = decode_chunk(&record, cut).unwrap_err();
        assert_eq!(refused, ChunkError::WrongLength { id: record.id, found, expected: 1_016 });
    }
}

#[test]
fn the_bomb_builder_gets_no_memory() {
    let (record, stored) = sealed(&vec![0; 1_000_000]);
    assert!(record.frames.len() == 16 && stored.len() < 1_000);
    let small = ChunkRecord { raw_len: 500, ..record.clone() };
    assert_eq!(decode_chunk(&small, stored.clone()), Err(ChunkError::BadCompression { id: record.id, raw_len: 500 }));
    let more = ChunkRecord { raw_len: 1_000_001, ..record.clone() };
    assert_eq!(
        decode_chunk(&more, stored.clone()),
        Err(ChunkError::BadCompression { id: record.id, raw_len: 1_000_001 })
    );
    let huge = ChunkRecord { raw_len: u32::MAX, ..record.clone() };
    assert_eq!(decode_chunk(&huge, stored.clone()), Err(ChunkError::TooLarge { id: record.id, raw_len: u32::MAX }));
    let raw = ChunkRecord { frames: Bounded::empty(), ..record.clone() };
    assert_eq!(decode_chunk(&raw, stored), Err(ChunkError::BadCompression { id: record.id, raw_len: 1_000_000 }));
}

#[test]
fn no_two_seals_of_one_plaintext_are_alike() {
    let (first, first_stored) = sealed(b"the same words");
    let (second, second_stored) = sealed(b"the same words");
    assert_eq!(first.id, second.id);
    assert_ne!(first_stored, second_stored);
    assert_ne!(first.key, second.key);
    assert_eq!(format!("{:?} {:?}", first.key, keys()), "ChunkKey(hidden) OwnerKeys(hidden)");
}

#[test]
fn the_impersonator_opens_no_head() {
    let owner = stored_owner();
    let open = |keys: &OwnerKeys, address: &Address| CatalogHead::open(&owner.sealed_head, keys, address).unwrap_err();
    assert_eq!(open(&OwnerKeys::derive(&[43; 32]), &OWNER), HeadError::WrongKeyOrOwner);
    assert_eq!(open(&keys(), &Address::new([8; 32])), HeadError::WrongKeyOrOwner, "a head moved into another account");
}

#[test]
fn a_head_cut_short_at_any_place_is_refused() {
    let head = stored_owner().sealed_head;
    assert_eq!(CatalogHead::open(&[], &keys(), &OWNER).unwrap_err(), HeadError::Empty);
    for length in 1..head.len() {
        let refused = CatalogHead::open(&head[..length], &keys(), &OWNER).unwrap_err();
        let short = HeadError::WrongLength { found: length };
        assert!(refused == if length < 29 { short } else { HeadError::WrongKeyOrOwner }, "{length} bytes: {refused}");
    }
    let long = [head, vec![0; 1_024]].concat();
    assert!(matches!(CatalogHead::open(&long, &keys(), &OWNER), Err(HeadError::WrongLength { .. })));
}

#[test]
fn the_holder_who_serves_a_stale_or_foreign_catalog_chunk_is_refused() {
    let owner = stored_owner();
    let head = CatalogHead::open(&owner.sealed_head, &keys(), &OWNER).unwrap();
    let nothing = head.fetch().supply(Vec::new()).err().unwrap();
    assert_eq!(nothing, HeadError::WrongCount { found: 0, expected: 1 });
    let wanted = head.fetch().wanted()[0].clone();
    let foreign = vec![0; wanted.at.stored_len as usize];
    let refused = head.fetch().supply(vec![foreign]).err().unwrap();
    assert_eq!(refused, HeadError::Chunk(ChunkError::Altered { id: wanted.id }));
}

#[test]
fn decoders_are_total() {
    bolero::check!().with_iterations(4_000).with_max_len(4_096).for_each(|bytes: &[u8]| {
        let _ = Catalog::decode(bytes);
        let _ = Catalog::decode(&[&[1], bytes].concat());
        let _ = CatalogHead::open(bytes, &keys(), &OWNER);
        let _ = CatalogHead::try_from_slice(bytes);
        let _ = ChunkRecord::try_from_slice(bytes);
        let _ = Layout::try_from_slice(bytes);
        let _ = FileMeta::try_from_slice(bytes);
        let _ = FileRecord::try_from_slice(bytes);
        let _ = FilePath::try_from_slice(bytes);
        let _ = SegmentInfo::try_from_slice(bytes);
        let _ = SegmentShape::try_from_slice(bytes);
    });
}

#[test]
fn whatever_a_catalog_says_reading_by_it_is_total() {
    let noise_of_locators = |bytes: &[u8]| -> Vec<Locator> {
        bytes.chunks_exact(16).filter_map(|bytes| Locator::try_from_slice(bytes).ok()).collect()
    };
    bolero::check!().with_iterations(4_000).with_max_len(512).for_each(|bytes: &[u8]| {
        let layout = Layout::new(4, 2, 20).unwrap();
        let plan = plan_read(&noise_of_locators(bytes), |_| Some(layout));
        let spans = plan.unwrap_or_default();
        assert!(spans.iter().all(|span| span.batch < 4 && span.to <= 1 << 20 && !span.is_empty()));
        let mut fetched = holdfast_parcel::Fetched::new();
        let span = BatchSpan { segment: 0, batch: bytes.len() as u8, from: 7, to: 3 };
        let _ = fetched.rebuild(&ErasureCode::new(layout), &span);
        let _ = decode_chunk(&sealed(b"x").0, bytes.to_vec());
    });
}

/// Valid catalogs with a few bytes changed reach deeper than noise does.
#[test]
fn mutated_catalogs_never_panic_nor_lie_about_their_files() {
    let mut owner = Owner::new();
    owner.store(&[("a/b", &noise(1, 300_000)), ("c", b"text"), ("empty", b"")]);
    let bytes = owner.catalog().encode().unwrap();
    bolero::check!().with_iterations(3_000).with_max_len(16).for_each(|mutation: &[u8]| {
        let mut mutated = bytes.clone();
        for change in mutation.chunks_exact(4) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % mutated.len();
            mutated[place] = change[2];
        }
        match Catalog::decode(&mutated) {
            Ok(catalog) => {
                for (path, file) in catalog.list("") {
                    let pieces = catalog.pieces(path.as_str(), 0..file.meta.size).unwrap();
                    let sum: u64 = pieces.iter().map(|piece| u64::from(piece.to - piece.from)).sum();
                    assert_eq!(sum, file.meta.size);
                }
            }
            Err(
                CatalogError::Malformed { .. }
                | CatalogError::Inconsistent { .. }
                | CatalogError::UnknownVersion { .. },
            ) => {}
            Err(other) => panic!("{other}"),
        }
    });
}
