//! Nothing that others send makes the engine panic. Fuzz targets on random bytes; invariants:
//!
//! 1. Every call returns.
//! 2. Random bytes never verify.
//! 3. What decodes encodes back to the same bytes.

use crate::disk::{MIB, tag};
use bolero::check;
use holdfast_por::{
    BatchMeta, ClassCount, HolderChallenge, Layers, ProofPart, RangeProof, RoundSeed, range_proof_hashes,
    verify_opening, verify_part, verify_range,
};
use holdfast_primitives::{Address, ChainId, RoundNo, decode_exact};

const ITERATIONS: usize = 2_000;

fn challenge() -> HolderChallenge {
    let of = RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(0),
        seed: [2; 32],
        holder: Address::new([0; 32]),
        set_root: [0; 32],
    };
    HolderChallenge::new(of, &[ClassCount { batch_log2: MIB, batches: 3 }], 20).unwrap()
}

/// The next 32 bits of the input, and the rest.
fn take_u32(bytes: &[u8]) -> (u32, &[u8]) {
    match bytes.split_first_chunk() {
        Some((number, rest)) => (u32::from_le_bytes(*number), rest),
        None => (0, bytes),
    }
}

#[test]
fn any_meta_and_any_opening() {
    check!().with_iterations(ITERATIONS).with_max_len(2048).for_each(|bytes: &[u8]| {
        let Some((head, rest)) = bytes.split_first_chunk::<{ BatchMeta::BYTES }>() else {
            assert!(decode_exact::<BatchMeta>(bytes, BatchMeta::BYTES).is_err());
            return;
        };
        let meta: BatchMeta = decode_exact(head, BatchMeta::BYTES).unwrap();
        assert_eq!(borsh::to_vec(&meta).unwrap(), head);
        let sizes = (u64::from(meta.depth()), meta.leaves(), meta.leaf_bytes(), meta.batch_bytes());
        assert!(sizes.1 <= sizes.3.max(1));
        let (leaf, rest) = take_u32(rest);
        assert!(!verify_opening(&meta, leaf, rest));
        assert!(verify_range(&meta, leaf, rest, &RangeProof::default()).is_err());
        assert!(Layers::from_bytes(&meta, rest).is_err());
        assert!(meta.check().is_ok() || range_proof_hashes(&meta, leaf, 1).is_err());
    });
}

#[test]
fn any_bytes_where_a_sound_meta_is_known() {
    let meta = tag(MIB, b"a real batch").meta;
    check!().with_iterations(ITERATIONS).with_max_len(4096).for_each(|bytes: &[u8]| {
        let (first, rest) = take_u32(bytes);
        let opening: Vec<u8> = rest.iter().copied().cycle().take(1024 + 320).collect();
        assert!(!verify_opening(&meta, first % 1024, &opening));
        let leaves = &rest[..rest.len() / 1024 * 1024];
        assert!(verify_range(&meta, first, leaves, &RangeProof::default()).is_err());
        let count = leaves.len() as u32 / 1024;
        if let Ok(proof) = RangeProof::from_bytes(&meta, first, count, rest) {
            assert!(verify_range(&meta, first, leaves, &proof).is_err());
        }
        if let Ok(hashes) = range_proof_hashes(&meta, first % 1024, 1) {
            let siblings: Vec<u8> = rest.iter().copied().cycle().take(32 * hashes).collect();
            let proof = RangeProof::from_bytes(&meta, first % 1024, 1, &siblings);
            assert!(proof.is_err() || verify_range(&meta, first % 1024, &opening[..1024], &proof.unwrap()).is_err());
        }
    });
}

#[test]
fn any_part_and_any_openings() {
    let (challenge, meta) = (challenge(), tag(MIB, b"a real batch").meta);
    let encoded = borsh::to_vec(&ProofPart::new(&challenge, 0, 1)).unwrap().len();
    check!().with_iterations(ITERATIONS).with_max_len(8192).for_each(|bytes: &[u8]| {
        let (head, openings) = bytes.split_at(encoded.min(bytes.len()));
        let Ok(part) = decode_exact::<ProofPart>(head, encoded) else { return };
        assert_eq!(borsh::to_vec(&part).unwrap(), head);
        assert!(verify_part(&challenge, &part, openings, |_, _| Some(meta)).is_err());
        let header =
            ProofPart { first_j: part.first_j % 40, count: part.count % 40, ..ProofPart::new(&challenge, 0, 1) };
        if let Ok(exact) = challenge.openings_bytes(header.first_j, header.count) {
            let padded: Vec<u8> = bytes.iter().copied().cycle().take(exact).collect();
            let failed = verify_part(&challenge, &header, &padded, |_, _| Some(meta)).unwrap();
            assert_eq!(failed, (header.first_j..header.first_j + header.count).collect::<Vec<_>>());
        }
    });
}
