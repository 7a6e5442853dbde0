//! The vectors of DESIGN section 4, and those of the encodings around them, to the byte.

use crate::disk::{MIB, tag};
use crate::oracle::sha256;
use holdfast_por::{
    BatchMeta, ClassCount, ClassList, HolderChallenge, Layers, PROOF_VERSION, Position, ProofPart, RoundSeed,
    openings_digest, proof_digest, set_root,
};
use holdfast_primitives::{Address, ChainId, Digest, RoundNo};

fn design_seed() -> RoundSeed {
    RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(7),
        seed: [2; 32],
        holder: Address::new([3; 32]),
        set_root: [4; 32],
    }
}

#[test]
fn an_all_zero_mebibyte() {
    let tagged = tag(MIB, &vec![0; 1 << 20]);
    assert_eq!(hex::encode(tagged.layers.top()), "0b99fcc28943b07073b50f67078beb2f93117d5acbb1f55cf3f845dea36fb1ae");
    assert_eq!(hex::encode(tagged.meta.root), "af9788b19a1346145df29e6400d3b24525b2a2841ac241897405a69b3d88b4a2");
}

#[test]
fn a_counting_mebibyte() {
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 256) as u8).collect();
    let tagged = tag(MIB, &data);
    assert_eq!(hex::encode(tagged.layers.top()), "19256b277a72d4776caeb24e4d776fae36b5cb28f015dd1042dae968fae7e5d6");
    assert_eq!(hex::encode(tagged.meta.root), "685f1f11808b3004cf4059ccb3258eb96912d910bb93888f529d9bb69bf8d72f");
}

#[test]
fn a_challenge_over_sixteen_large_batches() {
    let classes = [ClassCount { batch_log2: 28, batches: 16 }];
    let challenge = HolderChallenge::new(design_seed(), &classes, 4).unwrap();
    assert_eq!(
        hex::encode(challenge.holder_seed()),
        "dbcc12788e794b37d87ef215446d28d7b2f20f5a812ea4641fc6e9ddad127dae"
    );
    let positions: Vec<Position> = challenge.positions().collect();
    let expected = [(9, 95_472), (8, 236_332), (8, 9_132), (11, 107_362)];
    assert_eq!(positions, expected.map(|(slot, leaf)| Position { batch_log2: 28, slot, leaf }));
}

#[test]
fn a_meta_is_36_bytes_in_the_designs_order() {
    let meta = BatchMeta { scheme: 1, batch_log2: 28, leaf_log2: 10, inner_code: 0, root: [0xab; 32] };
    let bytes = borsh::to_vec(&meta).unwrap();
    assert_eq!(bytes, [[1, 28, 10, 0].as_slice(), &[0xab; 32]].concat());
    assert_eq!(bytes.len(), BatchMeta::BYTES);
    assert_eq!((meta.depth(), meta.leaves(), meta.leaf_bytes()), (18, 262_144, 1_024));
    assert_eq!(meta.batch_bytes(), 256 * 1024 * 1024);
}

#[test]
fn a_part_header_is_81_bytes_in_the_designs_order() {
    let challenge = HolderChallenge::new(design_seed(), &[ClassCount { batch_log2: 28, batches: 16 }], 459).unwrap();
    let part = ProofPart::new(&challenge, 256, 203);
    let mut expected = vec![PROOF_VERSION, 7, 0, 0, 0, 0, 0, 0, 0];
    expected.extend([3; 32]);
    expected.extend([4; 32]);
    expected.extend([0, 1, 0, 0, 203, 0, 0, 0]);
    assert_eq!(borsh::to_vec(&part).unwrap(), expected);
}

#[test]
fn a_full_part_of_large_batches_is_about_820_kilobytes() {
    let challenge = HolderChallenge::new(design_seed(), &[ClassCount { batch_log2: 28, batches: 16 }], 600).unwrap();
    assert_eq!(challenge.openings_bytes(0, 512).unwrap(), 512 * (1024 + 32 * 18));
}

#[test]
fn the_set_root_hashes_classes_in_order() {
    let small = ClassList { batch_log2: 20, batches: 5, list_root: [0x11; 32] };
    let large = ClassList { batch_log2: 28, batches: 300, list_root: [0x22; 32] };
    let expected = sha256(&[
        &[0x03],
        &[20],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        &[0x11; 32],
        &[28],
        &[44, 1, 0, 0, 0, 0, 0, 0],
        &[0x22; 32],
    ]);
    assert_eq!(set_root(&[small, large]), expected);
    assert_eq!(set_root(&[]), sha256(&[&[0x03]]));
}

#[test]
fn the_digests_carry_their_tags() {
    let openings = [7; 100];
    assert_eq!(openings_digest(&openings), Digest::new(sha256(&[b"por/openings/v1\0", &openings])));
    let (first, second) = (Digest::new([1; 32]), Digest::new([2; 32]));
    assert_eq!(proof_digest(&[first, second]), Digest::new(sha256(&[b"por/proof/v1\0", &[1; 32], &[2; 32]])));
    assert_ne!(proof_digest(&[first, second]), proof_digest(&[second, first]));
}

#[test]
fn the_layers_file_of_a_large_batch_is_256_kibibytes_and_a_header() {
    assert_eq!(Layers::encoded_bytes(28).unwrap(), 16 + 32 * 8191);
    let bytes = tag(MIB, b"kept").layers.to_bytes();
    assert_eq!(bytes.len(), 16 + 32 * 31);
    assert_eq!(&bytes[..16], b"holdfast-layers\x01");
}
