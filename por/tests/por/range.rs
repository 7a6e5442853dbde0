//! Runs of leaves: the checks behind uploads, downloads and byte ranges.

use crate::disk::{MIB, noise, tag};
use crate::oracle::{self, BatchHasher};
use holdfast_por::{GROUP_BYTES, RangeError, RangeProof, Tagged, open, range_proof, range_proof_hashes, verify_range};
use proptest::prelude::*;
use rs_merkle::MerkleTree;
use std::io;
use std::sync::LazyLock;

static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| noise(20, 1 << 20));
static TAGGED: LazyLock<Tagged> = LazyLock::new(|| tag(MIB, &DATA));
static ORACLE: LazyLock<MerkleTree<BatchHasher>> = LazyLock::new(|| oracle::tree(MIB, &DATA));

fn leaves(first: u32, count: u32) -> &'static [u8] {
    &DATA[first as usize * 1024..][..count as usize * 1024]
}

/// The proof, and which groups had to be read for it.
fn prove(first: u32, count: u32) -> (RangeProof, Vec<u32>) {
    let mut read = Vec::new();
    let proof = range_proof(&TAGGED.meta, &TAGGED.layers, first, count, |group, out| {
        read.push(group);
        out.copy_from_slice(&DATA[group as usize * GROUP_BYTES..][..GROUP_BYTES]);
        Ok(())
    });
    (proof.unwrap(), read)
}

fn any_range() -> impl Strategy<Value = (u32, u32)> {
    (0u32..1024).prop_flat_map(|first| (Just(first), 1..=1024 - first))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_range_proof_is_the_oracles_and_verifies((first, count) in any_range()) {
        let (proof, read) = prove(first, count);
        let indices: Vec<usize> = (first as usize..(first + count) as usize).collect();
        prop_assert_eq!(proof.as_bytes(), ORACLE.proof(&indices).proof_hashes().concat());
        prop_assert_eq!(proof.as_bytes().len(), 32 * range_proof_hashes(&TAGGED.meta, first, count).unwrap());
        prop_assert!(proof.as_bytes().len() <= RangeProof::BYTES_MAX);
        prop_assert!(read.len() <= 2, "only the groups at the edges are read: {read:?}");
        prop_assert!(verify_range(&TAGGED.meta, first, leaves(first, count), &proof).is_ok());
        let sent = RangeProof::from_bytes(&TAGGED.meta, first, count, proof.as_bytes()).unwrap();
        prop_assert_eq!(sent, proof);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_range_is_refused((first, count) in any_range(), bit: prop::sample::Index) {
        let (proof, _) = prove(first, count);
        let mut sent = leaves(first, count).to_vec();
        let bit = bit.index(sent.len() * 8);
        sent[bit / 8] ^= 1 << (bit % 8);
        let refused = verify_range(&TAGGED.meta, first, &sent, &proof).unwrap_err();
        let RangeError::Mismatch { first: named, count: leaves, .. } = refused else { panic!("{refused}") };
        prop_assert_eq!((named, leaves), (first, u64::from(count)));
    }

    #[test]
    fn a_flipped_bit_in_the_siblings_is_refused((first, count) in any_range(), bit: prop::sample::Index) {
        let (proof, _) = prove(first, count);
        let mut bytes = proof.as_bytes().to_vec();
        prop_assume!(!bytes.is_empty());
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let forged = RangeProof::from_bytes(&TAGGED.meta, first, count, &bytes).unwrap();
        prop_assert!(verify_range(&TAGGED.meta, first, leaves(first, count), &forged).is_err());
    }

    #[test]
    fn a_range_shown_somewhere_else_is_refused((first, count) in any_range(), elsewhere: u32) {
        let elsewhere = elsewhere % 2048;
        prop_assume!(elsewhere != first);
        let (proof, _) = prove(first, count);
        prop_assert!(verify_range(&TAGGED.meta, elsewhere, leaves(first, count), &proof).is_err());
    }
}

#[test]
fn a_range_of_one_leaf_is_its_opening() {
    for leaf in [0, 1, 63, 64, 511, 512, 1022, 1023] {
        let mut opening = Vec::new();
        let group = &DATA[leaf as usize / 64 * GROUP_BYTES..][..GROUP_BYTES];
        open(&TAGGED.meta, &TAGGED.layers, group, leaf, &mut opening).unwrap();
        assert_eq!([leaves(leaf, 1), prove(leaf, 1).0.as_bytes()].concat(), opening);
    }
}

#[test]
fn whole_groups_need_the_layers_only_and_a_whole_batch_needs_nothing() {
    for (first, count) in [(0, 64), (64, 64), (960, 64), (128, 640)] {
        assert!(prove(first, count).1.is_empty(), "{first}+{count}");
    }
    assert!(prove(0, 1024).0.as_bytes().is_empty());
    assert!(verify_range(&TAGGED.meta, 0, &DATA, &RangeProof::default()).is_ok());
}

#[test]
fn ranges_that_are_none_are_refused() {
    let (meta, none) = (&TAGGED.meta, RangeProof::default());
    let out = |first, bytes: &[u8]| verify_range(meta, first, bytes, &none).unwrap_err();
    assert!(matches!(out(0, &[]), RangeError::OutOfBatch { count: 0, .. }));
    assert!(matches!(out(1024, &[0; 1024]), RangeError::OutOfBatch { first: 1024, count: 1, leaves: 1024 }));
    assert!(matches!(out(u32::MAX, &[0; 1024]), RangeError::OutOfBatch { .. }));
    assert!(matches!(out(0, &[0; 1025]), RangeError::BrokenLeaf { found: 1025 }));
    assert!(matches!(out(0, &[0; 1024]), RangeError::ProofLength { found: 0, expected: 320 }));
    assert!(matches!(range_proof_hashes(meta, 1000, 25), Err(RangeError::OutOfBatch { .. })));
    assert!(matches!(range_proof_hashes(meta, u32::MAX, u32::MAX), Err(RangeError::OutOfBatch { .. })));
    let long = RangeProof::from_bytes(meta, 0, 1, &[0; 352]);
    assert!(matches!(long, Err(RangeError::ProofLength { found: 352, expected: 320 })));
}

#[test]
fn an_unreadable_edge_and_foreign_layers_are_named() {
    let failing = |_: u32, _: &mut [u8]| Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    let unreadable = range_proof(&TAGGED.meta, &TAGGED.layers, 70, 5, failing).unwrap_err();
    assert!(matches!(unreadable, RangeError::Read { group: 1, .. }));
    let larger = tag(21, b"larger").layers;
    let foreign = range_proof(&TAGGED.meta, &larger, 0, 64, failing).unwrap_err();
    assert!(matches!(foreign, RangeError::Layers { found: 32, expected: 16 }));
}
