//! Tagging: the streamed tree against `rs_merkle`, and the layers that are kept of it.

use crate::disk::{MIB, noise, tag};
use crate::oracle::{self, BatchHasher};
use holdfast_por::{BatchMeta, GROUP_BYTES, Layers, LayersError, MetaError, TagError, Tagger};
use proptest::prelude::*;
use rs_merkle::Hasher;
use std::io::Cursor;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_in_any_pieces_gives_the_oracles_root(
        seed: u64,
        bytes in 0usize..=1 << 20,
        cuts in proptest::collection::vec(0usize..=1 << 20, 0..12),
    ) {
        let data = noise(seed, bytes);
        let mut tagger = Tagger::new(MIB).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes)).chain([0, bytes]).collect();
        cuts.sort_unstable();
        for piece in cuts.windows(2) {
            tagger.update(&data[piece[0]..piece[1]]).unwrap();
        }
        let tagged = tagger.finish();
        let top = oracle::tree(MIB, &data).root().unwrap();
        prop_assert_eq!(tagged.layers.top(), top);
        prop_assert_eq!(tagged.meta.root, oracle::root(MIB, &top));
        prop_assert_eq!(tagged.meta.check(), Ok(()));
    }

    #[test]
    fn tiny_pieces_give_the_root_of_one_piece(seed: u64, sizes in proptest::collection::vec(1usize..200, 1..300)) {
        let data = noise(seed, sizes.iter().sum());
        let mut tagger = Tagger::new(MIB).unwrap();
        let mut rest = data.as_slice();
        for size in sizes {
            let (piece, after) = rest.split_at(size);
            tagger.update(piece).unwrap();
            rest = after;
        }
        prop_assert_eq!(tagger.finish(), tag(MIB, &data));
    }
}

#[test]
fn every_size_class_agrees_with_the_oracle_on_short_input() {
    let data = noise(1, 3 * GROUP_BYTES + 777);
    for batch_log2 in 20..=23 {
        let top = oracle::tree(batch_log2, &data).root().unwrap();
        assert_eq!(tag(batch_log2, &data).meta.root, oracle::root(batch_log2, &top), "2^{batch_log2}");
    }
}

#[test]
fn every_way_to_end_within_or_at_a_leaf_and_a_group_is_padded() {
    for bytes in [0, 1, 1023, 1024, 1025, 65_535, 65_536, 65_537, 66_560, (1 << 20) - 1, 1 << 20] {
        let data = noise(8, bytes);
        assert_eq!(Some(tag(MIB, &data).layers.top()), oracle::tree(MIB, &data).root(), "{bytes} bytes");
    }
}

#[test]
fn the_largest_batch_of_zeros_is_a_ladder() {
    let mut rung = BatchHasher::hash(&[0; 1024]);
    for _ in 0..18 {
        rung = BatchHasher::concat_and_hash(&rung, Some(&rung));
    }
    assert_eq!(Tagger::new(28).unwrap().finish().layers.top(), rung);
}

#[test]
fn padding_is_zeros_and_nothing_else() {
    let data = noise(2, 100_000);
    let mut padded = data.clone();
    padded.resize(1 << 20, 0);
    assert_eq!(tag(MIB, &data), tag(MIB, &padded));
    assert_eq!(Tagger::read(MIB, &mut Cursor::new(&data)).unwrap(), tag(MIB, &data));
}

#[test]
fn the_same_top_in_another_size_has_another_root() {
    let (small, large) = (tag(20, &[]), tag(21, &[]));
    assert_ne!(small.meta.root, large.meta.root);
    assert_ne!(oracle::root(20, &small.layers.top()), oracle::root(21, &small.layers.top()));
}

#[test]
fn one_byte_too_many_is_refused_and_nothing_of_it_taken() {
    let data = noise(3, 1 << 20);
    let mut tagger = Tagger::new(MIB).unwrap();
    tagger.update(&data[..1000]).unwrap();
    let refused = tagger.update(&data).unwrap_err();
    assert!(matches!(refused, TagError::TooLong { taken: 1000, given: 1_048_576, batch_bytes: 1_048_576 }));
    tagger.update(&data[1000..]).unwrap();
    assert!(matches!(tagger.update(&[0]), Err(TagError::TooLong { given: 1, .. })));
    assert_eq!(tagger.finish(), tag(MIB, &data));
    let one_more = noise(3, (1 << 20) + 1);
    assert!(matches!(Tagger::read(MIB, &mut Cursor::new(one_more)), Err(TagError::TooLong { .. })));
}

#[test]
fn a_batch_of_no_allowed_size_is_refused() {
    for batch_log2 in [0, 10, 19, 29, 64, 255] {
        let expected = MetaError::BatchSize { found: batch_log2, min: 20, max: 28 };
        assert_eq!(Tagger::new(batch_log2).unwrap_err(), expected);
        assert_eq!(Layers::encoded_bytes(batch_log2), Err(expected.clone()));
        assert_eq!(Layers::path_offsets(batch_log2, 0), Err(expected));
    }
}

#[test]
fn a_meta_is_checked_rule_by_rule() {
    let sound = BatchMeta { scheme: 1, batch_log2: 20, leaf_log2: 10, inner_code: 0, root: [9; 32] };
    assert_eq!(sound.check(), Ok(()));
    let cases = [
        (BatchMeta { scheme: 0, ..sound }, MetaError::UnknownScheme { found: 0 }),
        (BatchMeta { scheme: 2, ..sound }, MetaError::UnknownScheme { found: 2 }),
        (BatchMeta { batch_log2: 19, ..sound }, MetaError::BatchSize { found: 19, min: 20, max: 28 }),
        (BatchMeta { batch_log2: 29, ..sound }, MetaError::BatchSize { found: 29, min: 20, max: 28 }),
        (BatchMeta { leaf_log2: 11, ..sound }, MetaError::LeafSize { found: 11, expected: 10 }),
        (BatchMeta { inner_code: 1, ..sound }, MetaError::InnerCode { found: 1 }),
    ];
    for (meta, expected) in cases {
        assert_eq!(meta.check(), Err(expected));
    }
}

#[test]
fn every_group_root_is_the_oracles_seventh_level() {
    let data = noise(4, 1 << 20);
    let layers = tag(MIB, &data).layers;
    assert_eq!(layers.groups(), 16);
    for (group, bytes) in (0..).zip(data.chunks(GROUP_BYTES)) {
        assert_eq!(layers.group_root(group), oracle::tree(16, bytes).root());
    }
    assert_eq!(layers.group_root(16), None);
    assert!(layers.path(16).is_empty() && layers.path(u32::MAX).is_empty());
}

#[test]
fn layers_come_back_from_their_bytes() {
    for batch_log2 in [20, 22, 28] {
        let tagged = tag(batch_log2, &noise(5, 300_000));
        let bytes = tagged.layers.to_bytes();
        assert_eq!(bytes.len(), Layers::encoded_bytes(batch_log2).unwrap());
        assert_eq!(Layers::from_bytes(&tagged.meta, &bytes).unwrap(), tagged.layers);
    }
}

#[test]
fn path_offsets_point_at_the_path() {
    let tagged = tag(22, &noise(6, 1 << 22));
    let bytes = tagged.layers.to_bytes();
    for group in 0..64 {
        let offsets = Layers::path_offsets(22, group).unwrap();
        let read: Vec<[u8; 32]> = offsets.iter().map(|&at| bytes[at as usize..][..32].try_into().unwrap()).collect();
        assert_eq!(read, tagged.layers.path(group));
        assert_eq!(read.len(), 6);
    }
    assert!(Layers::path_offsets(22, 64).unwrap().is_empty());
}

#[test]
fn a_layers_file_with_any_damaged_byte_is_detected() {
    let tagged = tag(MIB, &noise(7, 1 << 20));
    let bytes = tagged.layers.to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let expected = if at < 16 { LayersError::Header } else { LayersError::Inconsistent };
        assert_eq!(Layers::from_bytes(&tagged.meta, &damaged), Err(expected), "byte {at}");
    }
    let short = &bytes[..bytes.len() - 1];
    assert_eq!(Layers::from_bytes(&tagged.meta, short), Err(LayersError::Length { found: 1007, expected: 1008 }));
}

#[test]
fn sound_layers_of_another_batch_are_detected() {
    let (mine, other) = (tag(MIB, b"mine"), tag(MIB, b"other"));
    assert_eq!(Layers::from_bytes(&mine.meta, &other.layers.to_bytes()), Err(LayersError::OtherBatch));
}
