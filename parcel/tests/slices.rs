//! Slices of files: the right bytes, from no more leaves than they touch, and only where somebody vouches for the leaves.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use holdfast_parcel::limits::FRAME_BYTES;
use holdfast_parcel::{ChunkError, ChunkRecord, ChunkSlice, Locator, OwnerKeys, Piece, PieceRead, seal_chunk};
use holdfast_primitives::Bounded;
use proptest::prelude::*;
use std::ops::Range;
use support::{Owner, noise};

/// Content of which some frames compress and some do not.
fn content(seed: u64, frames: &[bool], last: usize) -> Vec<u8> {
    let mut content = Vec::new();
    for (index, compressible) in frames.iter().enumerate() {
        let frame = noise(seed + index as u64, FRAME_BYTES);
        let text = || frame.iter().map(|byte| b"holdfast"[usize::from(byte % 8)]).collect();
        content.extend_from_slice(&if *compressible { text() } else { frame.clone() });
    }
    content.truncate(content.len().saturating_sub(last));
    content
}

fn sealed(plaintext: &[u8]) -> (ChunkRecord, Vec<u8>) {
    let mut spent = plaintext.to_vec();
    let chunk = seal_chunk(OwnerKeys::derive(&[42; 32]).chunk_id(plaintext), &mut spent);
    let stored = chunk.stored_parts().concat();
    (chunk.into_record(3, 1_000), stored)
}

fn taken<'a>(stored: &'a [u8], at: &Locator) -> &'a [u8] {
    &stored[at.offset as usize - 1_000..at.end() as usize - 1_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_slice_of_a_chunk_is_what_the_plaintext_has_there(
        seed in any::<u64>(),
        frames in prop::collection::vec(any::<bool>(), 1..6),
        last in 0..FRAME_BYTES,
        ends in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let plaintext = content(seed % 1_000, &frames, last);
        let (record, stored) = sealed(&plaintext);
        let (one, other) = (ends.0.index(plaintext.len() + 1), ends.1.index(plaintext.len() + 1));
        let wanted = one.min(other)..one.max(other);
        let slice = ChunkSlice::new(&record, wanted.start as u32..wanted.end as u32).unwrap();
        let decoded = slice.decode(taken(&stored, slice.at()).to_vec()).unwrap();
        prop_assert!(decoded == plaintext[wanted.clone()], "bytes {wanted:?} of {}", plaintext.len());
        prop_assert!(slice.at().stored_len as usize <= most(&wanted, &frames), "{:?}", slice.at());
    }
}

/// What a slice may cost at most: the bytes themselves, and at its ends the rest of compressible frames, at half their size.
fn most(wanted: &Range<usize>, frames: &[bool]) -> usize {
    let touched = wanted.start / FRAME_BYTES..wanted.end.div_ceil(FRAME_BYTES).min(frames.len());
    let compressible = frames.get(touched).unwrap_or_default().iter().filter(|yes| **yes).count();
    wanted.len() + compressible * FRAME_BYTES / 2
}

#[test]
fn a_slice_of_noise_is_read_from_exactly_its_bytes() {
    let (record, _) = sealed(&noise(5, 300_000));
    let slice = ChunkSlice::new(&record, 70_001..70_002).unwrap();
    assert_eq!(*slice.at(), Locator { segment: 3, offset: 1_000 + 70_001, stored_len: 1 });
}

#[test]
fn without_someone_to_vouch_for_the_leaves_the_whole_chunk_is_read() {
    let plaintext = noise(6, 100_000);
    let (record, stored) = sealed(&plaintext);
    let piece = Piece { record: &record, from: 10, to: 20 };
    let careful = piece.read(false).unwrap();
    assert_eq!(*careful.at(), record.at);
    assert_eq!(careful.decode(stored.clone()).unwrap(), &plaintext[10..20]);
    let mut altered = stored.clone();
    altered[10] ^= 1;
    assert_eq!(careful.decode(altered).unwrap_err(), ChunkError::Altered { id: record.id });

    let whole = Piece { record: &record, from: 0, to: 100_000 }.read(true).unwrap();
    assert!(matches!(whole, PieceRead::Whole(_)), "a whole chunk is checked by its tag as well");
    let quick = piece.read(true).unwrap();
    assert_eq!((quick.at().offset, quick.at().stored_len), (1_010, 10));
    assert_eq!(quick.decode(stored[10..20].to_vec()).unwrap(), &plaintext[10..20]);
}

#[test]
fn a_record_that_contradicts_itself_yields_no_slice() {
    let (record, stored) = sealed(&content(7, &[true, false, true], 5));
    let lengths = record.frames.to_vec();
    assert_eq!(lengths.len(), 3);
    for frames in [vec![], vec![lengths[0]], vec![lengths[0], 0, lengths[2] + 1], [lengths.clone(), vec![1]].concat()] {
        let liar = ChunkRecord { frames: Bounded::new(frames).unwrap(), ..record.clone() };
        let refused = ChunkSlice::new(&liar, 0..10).err().unwrap();
        assert_eq!(refused, ChunkError::BadCompression { id: record.id, raw_len: record.raw_len });
    }
    let short = ChunkSlice::new(&record, 0..10).unwrap();
    let found = short.at().stored_len as usize - 1;
    let refused = short.decode(stored[..found].to_vec()).unwrap_err();
    assert_eq!(refused, ChunkError::WrongLength { id: record.id, found, expected: found as u32 + 1 });
}

#[test]
fn ranges_of_a_stored_file_come_back_whatever_they_cut_and_whichever_batch_is_lost() {
    let file = [content(8, &[true, false, true, true, false, false], 77), noise(9, 2_000_000)].concat();
    let mut owner = Owner::new();
    owner.store(&[("file", &file)]);
    let catalog = owner.catalog();
    for (from, to) in [(0, 1), (65_535, 65_537), (100_000, 400_000), (1_999_999, 2_300_000), (5, file.len() as u64)] {
        for lost in [&[][..], &[0, 5]] {
            let read = owner.read_range(&catalog, "file", from..to, lost).unwrap();
            assert!(read == file[from as usize..to as usize], "{from}..{to} without {lost:?}");
        }
    }
}
