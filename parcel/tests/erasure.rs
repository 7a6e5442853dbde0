//! The erasure code: against a field and matrices written here from the textbook, and end to end with batches lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use holdfast_parcel::{
    CodeError, ErasureCode, Fetched, Layout, LayoutError, Locator, MemorySpace, PackedSegment, Packer, ReadError,
    SegmentSink, plan_read,
};
use holdfast_primitives::TimeMs;
use proptest::prelude::*;
use std::io;
use support::{Owner, noise, try_add};

/// GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1, by the book: multiplication bit by bit, inverse by search.
mod textbook {
    pub fn times(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b != 0 {
            if b & 1 != 0 {
                product ^= a;
            }
            let carry = a & 0x80 != 0;
            a <<= 1;
            if carry {
                a ^= 29;
            }
            b >>= 1;
        }
        product
    }

    fn inverse(a: u8) -> u8 {
        (1..=255).find(|b| times(a, *b) == 1).unwrap()
    }

    fn power(a: u8, n: usize) -> u8 {
        (0..n).fold(1, |product, _| times(product, a))
    }

    /// The `m` parity rows of the systematic code: rows of the Vandermonde matrix `r^c` times the inverse of its top.
    pub fn parity_rows(data: usize, parity: usize) -> Vec<Vec<u8>> {
        let vandermonde: Vec<Vec<u8>> =
            (0..data + parity).map(|r| (0..data).map(|c| power(r as u8, c)).collect()).collect();
        let inverse = invert(vandermonde[..data].to_vec());
        let entry = |row: &Vec<u8>, c: usize| (0..data).fold(0, |sum, i| sum ^ times(row[i], inverse[i][c]));
        vandermonde[data..].iter().map(|row| (0..data).map(|c| entry(row, c)).collect()).collect()
    }

    /// Gauss and Jordan, beside the identity.
    fn invert(mut matrix: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let n = matrix.len();
        for (index, row) in matrix.iter_mut().enumerate() {
            row.extend((0..n).map(|c| u8::from(c == index)));
        }
        for pivot in 0..n {
            let swap = (pivot..n).find(|r| matrix[*r][pivot] != 0).unwrap();
            matrix.swap(pivot, swap);
            let scale = inverse(matrix[pivot][pivot]);
            matrix[pivot].iter_mut().for_each(|entry| *entry = times(*entry, scale));
            let pivot_row = matrix[pivot].clone();
            for (_, row) in matrix.iter_mut().enumerate().filter(|(r, _)| *r != pivot) {
                let factor = row[pivot];
                row.iter_mut().zip(&pivot_row).for_each(|(entry, other)| *entry ^= times(*other, factor));
            }
        }
        matrix.into_iter().map(|row| row[n..].to_vec()).collect()
    }
}

fn columns(seed: u64, count: usize, bytes: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| noise(seed * 1_000 + index as u64, bytes)).collect()
}

fn encode(code: &ErasureCode, data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut parity = vec![vec![0xAA; data[0].len()]; code.layout().parity()];
    code.encode_stripe(data, &mut parity).unwrap();
    parity
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parity_is_that_of_the_textbook(data in 1u8..14, parity in 1u8..22, bytes in 1usize..70, seed in 0u64..1_000) {
        let code = ErasureCode::new(Layout::new(data, parity, 20).unwrap());
        let columns = columns(seed, usize::from(data), bytes);
        let found = encode(&code, &columns);
        for (row, column) in textbook::parity_rows(usize::from(data), usize::from(parity)).iter().zip(&found) {
            let expected = (0..bytes).map(|at| row.iter().zip(&columns).fold(0, |sum, (c, column)| sum ^ textbook::times(*c, column[at])));
            prop_assert_eq!(column, &expected.collect::<Vec<u8>>());
        }
    }

    #[test]
    fn any_k_rebuild_all(data in 1u8..14, parity in 1u8..22, seed in 0u64..1_000, order in any::<u64>()) {
        let code = ErasureCode::new(Layout::new(data, parity, 20).unwrap());
        let data_columns = columns(seed, usize::from(data), 33);
        let all = [data_columns.clone(), encode(&code, &data_columns)].concat();
        let mut survivors: Vec<usize> = (0..all.len()).collect();
        survivors.sort_by_key(|index| holdfast_primitives::sha256(&[order.to_le_bytes(), index.to_le_bytes()].concat()));
        survivors.truncate(usize::from(data));
        let left: Vec<Option<Vec<u8>>> = (0..all.len()).map(|index| survivors.contains(&index).then(|| all[index].clone())).collect();
        prop_assert_eq!(code.reconstruct(left.clone()).unwrap(), data_columns);
        prop_assert_eq!(code.reconstruct_all(left).unwrap(), all);
    }
}

/// The parity of four columns that hold one byte each, worked out with Backblaze's published matrix for 4 + 2
/// (rows 4 and 5 of its systematic Vandermonde matrix are 27 28 18 20 and 28 27 20 18).
#[test]
fn four_and_two_is_the_classic_matrix() {
    assert_eq!(textbook::parity_rows(4, 2), [[27, 28, 18, 20], [28, 27, 20, 18]]);
    let code = ErasureCode::new(Layout::new(4, 2, 20).unwrap());
    for (place, expected) in [[27, 28], [28, 27], [18, 20], [20, 18]].iter().enumerate() {
        let data: Vec<Vec<u8>> = (0..4).map(|index| vec![u8::from(index == place)]).collect();
        assert_eq!(encode(&code, &data).concat(), expected);
    }
}

#[test]
fn with_any_two_of_six_batches_lost_every_byte_comes_back() {
    let content = noise(11, 6_000_000);
    let mut owner = Owner::new();
    owner.store(&[("film", &content)]);
    for first in 0..6 {
        for second in first + 1..6 {
            let lost = [first, second];
            let catalog = owner.catalog_without(&lost).unwrap();
            let range = 1_000_000..5_000_001;
            let part = owner.read_range(&catalog, "film", range, &lost).unwrap();
            assert_eq!(part, &content[1_000_000..5_000_001], "batches {lost:?} lost");
        }
    }
}

#[test]
fn with_three_of_six_lost_the_error_says_how_many_are_missing() {
    let content = noise(12, 3_000_000);
    let mut owner = Owner::new();
    owner.store(&[("film", &content)]);
    let catalog = owner.catalog();
    let error = owner.read_range(&catalog, "film", 0..3_000_000, &[0, 3, 5]).unwrap_err();
    let ReadError::CannotRebuild { source, .. } = &error else { panic!("{error}") };
    assert_eq!(*source, CodeError::TooFew { present: 3, needed: 4 });
    assert!(
        error.to_string().ends_with("3 batches of the segment can be read, 4 are needed to rebuild the rest"),
        "{error}"
    );
}

#[test]
fn a_repairer_rebuilds_any_lost_batch_to_the_byte() {
    let mut owner = Owner::new();
    owner.store(&[("film", &noise(13, 3_500_000))]);
    let (layout, batches) = &owner.vault.segments[&0];
    let code = ErasureCode::new(*layout);
    for lost in 0..6usize {
        let left = batches
            .iter()
            .enumerate()
            .map(|(index, batch)| (index != lost && index != (lost + 1) % 6).then(|| batch.clone()));
        assert_eq!(code.reconstruct_all(left.collect()).unwrap()[lost], batches[lost], "batch {lost}");
    }
}

#[test]
fn a_part_of_any_batch_can_be_had_again() {
    struct Keep(Vec<PackedSegment<MemorySpace>>);
    impl SegmentSink for Keep {
        type Space = MemorySpace;
        fn open(&mut self, _: u32, _: &Layout) -> io::Result<MemorySpace> {
            Ok(MemorySpace::new())
        }
        fn ship(&mut self, segment: PackedSegment<MemorySpace>) -> io::Result<Vec<[u8; 32]>> {
            self.0.push(segment);
            Ok(Vec::new())
        }
    }
    let owner = Owner::new();
    let mut packer = Packer::new(owner.layout, 5, holdfast_parcel::Catalog::new(), owner.keys(), Keep(Vec::new()));
    let content = noise(14, 2_300_000);
    packer.add_file(support::path_of("f"), support::meta_of(&content), content.as_slice()).unwrap();
    let segment = packer.finish(TimeMs::new(1)).unwrap().sink.0.pop().unwrap();
    assert_eq!(segment.ordinal(), 5);
    let mut batches = vec![Vec::new(); 6];
    segment.write_batches(&mut batches).unwrap();
    assert!(batches.iter().all(|batch| batch.len() == 1 << 20));
    for (index, batch) in batches.iter().enumerate() {
        for (offset, length) in [(0, 1), (65_535, 2), (300_000, 200_000), (1_048_575, 1), (1_048_576, 0)] {
            let mut part = vec![0xEE; length];
            segment.read_batch(index as u8, offset, &mut part).unwrap();
            assert_eq!(part, batch[offset as usize..offset as usize + length], "batch {index} from {offset}");
        }
    }
}

#[test]
fn columns_that_do_not_fit_are_named() {
    let code = ErasureCode::new(Layout::new(2, 1, 20).unwrap());
    let wrong = code.reconstruct(vec![Some(vec![1]), None]).unwrap_err();
    assert_eq!(wrong, CodeError::WrongCount { found: 2, expected: 3 });
    let unequal = code.reconstruct(vec![Some(vec![1]), None, Some(vec![1, 2])]).unwrap_err();
    assert_eq!(unequal, CodeError::UnequalLengths { first: 1, other: 2 });
    let short = code.encode_stripe(&[vec![1], vec![2]], &mut [Vec::<u8>::new()]).unwrap_err();
    assert_eq!(short, CodeError::UnequalLengths { first: 1, other: 0 });
    assert_eq!(code.reconstruct(vec![Some(vec![]), None, Some(vec![])]).unwrap(), [[], []] as [[u8; 0]; 2]);
}

#[test]
fn layouts_no_network_allows_do_not_exist() {
    assert_eq!(Layout::new(0, 2, 20), Err(LayoutError::DataBatches { data: 0 }));
    assert_eq!(Layout::new(65, 2, 20), Err(LayoutError::DataBatches { data: 65 }));
    assert_eq!(Layout::new(4, 0, 20), Err(LayoutError::ParityBatches { data: 4, parity: 0 }));
    assert_eq!(Layout::new(64, 65, 20), Err(LayoutError::ParityBatches { data: 64, parity: 65 }));
    assert_eq!(Layout::new(4, 2, 19), Err(LayoutError::BatchSize { batch_log2: 19 }));
    assert_eq!(Layout::new(4, 2, 29), Err(LayoutError::BatchSize { batch_log2: 29 }));
    assert_eq!(Layout::from_record(4, 2, 2, 20), Err(LayoutError::UnknownCodec { codec: 2 }));
    assert!(Layout::new(64, 64, 28).is_ok());
}

#[test]
fn a_read_plan_touches_only_what_it_needs_and_merges_neighbours() {
    let layout = Layout::new(4, 2, 20).unwrap();
    let mib = 1u64 << 20;
    let at = |segment, offset, stored_len| Locator { segment, offset, stored_len };
    let chunks = [at(1, 0, 10), at(0, mib - 5, 20), at(0, mib + 15, 5), at(1, 10, 10), at(1, 4 * mib - 1, 1)];
    let plan = plan_read(&chunks, |_| Some(layout)).unwrap();
    let shown: Vec<_> = plan.iter().map(|span| (span.segment, span.batch, span.from, span.to)).collect();
    assert_eq!(
        shown,
        [(0, 0, mib as u32 - 5, mib as u32), (0, 1, 0, 20), (1, 0, 0, 20), (1, 3, mib as u32 - 1, mib as u32)]
    );
    let aligned: Vec<_> = plan.iter().map(|span| span.leaf_aligned()).map(|span| (span.from, span.to)).collect();
    assert_eq!(aligned, [(mib as u32 - 1024, mib as u32), (0, 1024), (0, 1024), (mib as u32 - 1024, mib as u32)]);

    let outside = plan_read(&[at(0, 4 * mib - 1, 2)], |_| Some(layout)).unwrap_err();
    assert!(
        matches!(outside, ReadError::BadLocator { segment: 0, source: LayoutError::OutsideSegment { .. } }),
        "{outside}"
    );
    assert!(plan_read(&[at(0, u64::MAX, u32::MAX)], |_| Some(layout)).is_err());
    assert_eq!(plan_read(&[at(9, 0, 1)], |_| None).unwrap_err(), ReadError::UnknownSegment { segment: 9 });
}

#[test]
fn what_arrives_in_parts_and_twice_is_read_as_one() {
    let bytes = noise(15, 5_000);
    let mut fetched = Fetched::new();
    for (from, to) in [(3_000, 5_000), (0, 1_024), (1_000, 2_000), (1_000, 1_100), (1_900, 3_000), (1_950, 1_960)] {
        fetched.insert(0, 2, from, bytes[from as usize..to].to_vec());
    }
    let span = |from, to| holdfast_parcel::BatchSpan { segment: 0, batch: 2, from, to };
    assert_eq!(fetched.read(&span(0, 5_000)).unwrap(), bytes);
    assert_eq!(fetched.read(&span(1_955, 1_999)).unwrap(), &bytes[1_955..1_999]);
    assert_eq!(fetched.read(&span(4_000, 5_001)), None);
    assert_eq!(fetched.read(&span(0, 1).in_batch(1)), None);
    let missing = Locator { segment: 0, offset: 0, stored_len: 9 };
    let error = fetched.chunk(&missing, &Layout::new(4, 2, 20).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "bytes 0..9 of batch 0 of segment 0 are missing");
}

#[test]
fn adding_after_the_last_segment_number_is_an_error() {
    let owner = Owner::new();
    let vault = support::Vault::default();
    let mut packer = Packer::new(owner.layout, u32::MAX, holdfast_parcel::Catalog::new(), owner.keys(), vault);
    let error = try_add(&mut packer, "big", &noise(16, 5_000_000)).unwrap_err();
    assert_eq!(error.to_string(), "no segment number is left after 4294967295");
}
