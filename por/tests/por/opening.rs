//! One leaf, opened and verified; and everything that must not verify.

use crate::disk::{MIB, noise, tag};
use crate::oracle;
use holdfast_por::{GROUP_BYTES, MetaError, OpenError, Tagged, open, scheme, verify_opening};
use proptest::prelude::*;
use std::sync::LazyLock;

const OPENING: usize = 1024 + 32 * 10;

static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| noise(10, 1 << 20));
static TAGGED: LazyLock<Tagged> = LazyLock::new(|| tag(MIB, &DATA));

fn group_of(data: &[u8], leaf: u32) -> &[u8] {
    &data[leaf as usize / 64 * GROUP_BYTES..][..GROUP_BYTES]
}

fn opening_of(leaf: u32) -> Vec<u8> {
    let mut opening = Vec::new();
    open(&TAGGED.meta, &TAGGED.layers, group_of(&DATA, leaf), leaf, &mut opening).unwrap();
    opening
}

proptest! {
    #[test]
    fn an_opening_is_the_leaf_and_the_oracles_siblings(leaf in 0u32..1024) {
        let opening = opening_of(leaf);
        let siblings = oracle::tree(MIB, &DATA).proof(&[leaf as usize]).proof_hashes().concat();
        prop_assert_eq!(&opening[..1024], &DATA[leaf as usize * 1024..][..1024]);
        prop_assert_eq!(&opening[1024..], siblings);
        prop_assert!(verify_opening(&TAGGED.meta, leaf, &opening));
    }

    #[test]
    fn an_opening_shows_its_own_leaf_only(leaf in 0u32..1024, claimed: u32) {
        let claimed = if claimed % 2 == 0 { claimed % 1024 } else { claimed };
        prop_assert_eq!(verify_opening(&TAGGED.meta, claimed, &opening_of(leaf)), claimed == leaf);
    }
}

#[test]
fn every_leaf_of_a_batch_verifies() {
    assert!((0..1024).all(|leaf| verify_opening(&TAGGED.meta, leaf, &opening_of(leaf))));
}

#[test]
fn index_wrapper_cannot_claim_a_leaf_past_the_end() {
    let opening = opening_of(7);
    assert!(verify_opening(&TAGGED.meta, 7, &opening));
    for wraps in [1, 2, 4, 1 << 21] {
        assert!(!verify_opening(&TAGGED.meta, 7 + wraps * 1024, &opening), "{wraps} batches too far");
    }
}

#[test]
fn bit_flipper_is_caught_at_every_bit() {
    let opening = opening_of(613);
    for bit in 0..OPENING * 8 {
        let mut flipped = opening.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify_opening(&TAGGED.meta, 613, &flipped), "bit {bit}");
    }
}

#[test]
fn root_forger_is_caught_in_every_byte_of_the_meta() {
    let opening = opening_of(5);
    let bytes = borsh::to_vec(&TAGGED.meta).unwrap();
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        assert!(!verify_opening(&borsh::from_slice(&forged).unwrap(), 5, &opening), "byte {at}");
    }
}

#[test]
fn swapper_cannot_pass_a_neighbour_off() {
    let (mine, neighbour) = (opening_of(100), opening_of(101));
    let neighbour_leaf_my_path = [&neighbour[..1024], &mine[1024..]].concat();
    assert!(!verify_opening(&TAGGED.meta, 100, &neighbour_leaf_my_path));
    assert!(!verify_opening(&TAGGED.meta, 100, &neighbour));
}

#[test]
fn truncator_and_padder_are_caught_at_every_length() {
    let opening = opening_of(0);
    for length in (0..OPENING).chain([OPENING + 1, OPENING + 32, 2 * OPENING]) {
        let mut other = opening.clone();
        other.resize(length, 0);
        assert!(!verify_opening(&TAGGED.meta, 0, &other), "{length} bytes");
    }
}

#[test]
fn node_disguiser_cannot_show_an_inner_node_as_a_leaf() {
    // A tree without separate prefixes would take two hashes laid side by side for a leaf.
    let opening = opening_of(0);
    let mut disguised = vec![0; OPENING];
    disguised[..64].copy_from_slice(&opening[1024..1088]);
    disguised[1024..OPENING - 32].copy_from_slice(&opening[1056..]);
    assert!(!verify_opening(&TAGGED.meta, 0, &disguised));
}

#[test]
fn damaged_data_opens_and_fails_and_its_neighbours_in_other_groups_do_not() {
    let mut data = DATA.clone();
    data[70 * 1024 + 5] ^= 0x40;
    for (leaf, sound) in [(70, false), (64, false), (127, false), (63, true), (128, true)] {
        let mut opening = Vec::new();
        open(&TAGGED.meta, &TAGGED.layers, group_of(&data, leaf), leaf, &mut opening).unwrap();
        assert_eq!(opening.len(), OPENING);
        assert_eq!(verify_opening(&TAGGED.meta, leaf, &opening), sound, "leaf {leaf}");
    }
}

#[test]
fn an_opening_is_appended_or_nothing_is() {
    let mut out = b"before".to_vec();
    let (meta, layers) = (&TAGGED.meta, &TAGGED.layers);
    let group = group_of(&DATA, 0);
    let no_leaf = open(meta, layers, group, 1024, &mut out);
    assert_eq!(no_leaf, Err(OpenError::NoSuchLeaf { leaf: 1024, leaves: 1024 }));
    let short = open(meta, layers, &group[1..], 0, &mut out);
    assert_eq!(short, Err(OpenError::GroupLength { found: 65_535, expected: 65_536 }));
    let larger = tag(21, b"larger").layers;
    assert_eq!(open(meta, &larger, group, 0, &mut out), Err(OpenError::PathLength { found: 5, expected: 4 }));
    let alien = holdfast_por::BatchMeta { scheme: 9, ..*meta };
    assert_eq!(open(&alien, layers, group, 0, &mut out), Err(OpenError::Meta(MetaError::UnknownScheme { found: 9 })));
    assert_eq!(out, b"before");
    open(meta, layers, group, 0, &mut out).unwrap();
    assert_eq!(out, [b"before".as_slice(), &opening_of(0)].concat());
}

#[test]
fn the_scheme_byte_names_one_scheme() {
    assert_eq!(scheme(1).unwrap().byte(), 1);
    assert!((0..=255).filter(|&byte| byte != 1).all(|byte| scheme(byte).is_none()));
    assert_eq!(scheme(1).unwrap().opening_bytes(28), 1024 + 32 * 18);
    assert_eq!(scheme(1).unwrap().path_hashes(28), 12);
}
