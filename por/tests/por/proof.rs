//! Whole proofs: what an honest holder sends, what a damaged disk costs, what villains try.

use crate::disk::{Disk, MIB};
use holdfast_por::{
    BatchMeta, ClassCount, HolderChallenge, ProofError, ProofPart, Proved, RoundSeed, prove_part, verify_part,
};
use holdfast_primitives::{Address, ChainId, Digest, RoundNo};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const CHALLENGES: u32 = 60;
const OPENING: usize = 1024 + 32 * 10;

type Metas = BTreeMap<(u8, u64), BatchMeta>;

fn seed() -> RoundSeed {
    RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(12),
        seed: [2; 32],
        holder: Address::new([3; 32]),
        set_root: [4; 32],
    }
}

fn draw(of: RoundSeed, metas: &Metas) -> HolderChallenge {
    let mut classes: BTreeMap<u8, u64> = BTreeMap::new();
    for (batch_log2, _) in metas.keys() {
        *classes.entry(*batch_log2).or_default() += 1;
    }
    let classes: Vec<_> = classes.into_iter().map(|(batch_log2, batches)| ClassCount { batch_log2, batches }).collect();
    HolderChallenge::new(of, &classes, CHALLENGES).unwrap()
}

fn verify(
    challenge: &HolderChallenge,
    part: &ProofPart,
    openings: &[u8],
    metas: &Metas,
) -> Result<Vec<u32>, ProofError> {
    verify_part(challenge, part, openings, |batch_log2, slot| metas.get(&(batch_log2, slot)).copied())
}

/// Proves and verifies everything in one part: what was sent, and the challenges that failed.
fn round(disk: &mut Disk, metas: &Metas) -> (Proved, Vec<u32>) {
    let challenge = draw(seed(), metas);
    let proved = prove_part(&challenge, 0, CHALLENGES, disk).unwrap();
    let failed = verify(&challenge, &ProofPart::new(&challenge, 0, CHALLENGES), &proved.openings, metas).unwrap();
    (proved, failed)
}

/// The challenges that fall on what `hit` names.
fn challenged(metas: &Metas, hit: impl Fn(u8, u64, u32) -> bool) -> Vec<u32> {
    let positions = draw(seed(), metas).positions().collect::<Vec<_>>();
    let hits = (0..).zip(positions).filter(|(_, at)| hit(at.batch_log2, at.slot, at.leaf)).map(|(j, _)| j);
    hits.collect()
}

#[test]
fn an_honest_holder_misses_nothing() {
    let mut disk = Disk::default().with_noise(MIB, 4);
    let metas = disk.metas();
    let (proved, failed) = round(&mut disk, &metas);
    assert_eq!(proved.openings.len(), CHALLENGES as usize * OPENING);
    assert!(proved.unreadable.is_empty() && failed.is_empty());
}

#[test]
fn several_classes_make_one_proof_of_openings_of_several_lengths() {
    let mut disk = Disk::default().with_noise(20, 3).with_noise(21, 2).with_noise(22, 1);
    let metas = disk.metas();
    let (proved, failed) = round(&mut disk, &metas);
    let expected: usize = draw(seed(), &metas).positions().map(|at| 1024 + 32 * (at.batch_log2 as usize - 10)).sum();
    assert_eq!((proved.openings.len(), failed), (expected, vec![]));
}

#[test]
fn parts_verify_each_by_itself_and_together_are_the_whole() {
    let mut disk = Disk::default().with_noise(20, 2).with_noise(21, 1);
    let metas = disk.metas();
    let challenge = draw(seed(), &metas);
    let mut all = Vec::new();
    for (first_j, count) in challenge.parts(23) {
        let proved = prove_part(&challenge, first_j, count, &mut disk).unwrap();
        assert_eq!(proved.openings.len(), challenge.openings_bytes(first_j, count).unwrap());
        let part = ProofPart::new(&challenge, first_j, count);
        assert_eq!(verify(&challenge, &part, &proved.openings, &metas), Ok(vec![]));
        all.extend(proved.openings);
    }
    assert_eq!(all, round(&mut disk, &metas).0.openings);
}

#[test]
fn a_lost_batch_costs_its_own_openings_only() {
    let mut disk = Disk::default().with_noise(MIB, 4);
    let metas = disk.metas();
    disk.batches.remove(&(MIB, 2));
    let lost = challenged(&metas, |_, slot, _| slot == 2);
    assert!(!lost.is_empty() && lost.len() < CHALLENGES as usize);
    let (proved, failed) = round(&mut disk, &metas);
    assert_eq!((&proved.unreadable, &failed), (&lost, &lost));
    let zeros = &proved.openings[lost[0] as usize * OPENING..][..OPENING];
    assert!(zeros.iter().all(|&byte| byte == 0));
}

#[test]
fn a_damaged_group_costs_the_openings_in_it() {
    let mut disk = Disk::default().with_noise(MIB, 1);
    let metas = disk.metas();
    let group = draw(seed(), &metas).position(0).unwrap().leaf / 64;
    disk.batch(MIB, 0).data[group as usize * 65_536 + 9] ^= 1;
    let (proved, failed) = round(&mut disk, &metas);
    assert!(proved.unreadable.is_empty(), "silent damage is not noticed by the holder");
    assert_eq!(failed, challenged(&metas, |_, _, leaf| leaf / 64 == group));
}

#[test]
fn a_damaged_layers_file_costs_the_openings_that_need_it() {
    let mut disk = Disk::default().with_noise(MIB, 1);
    let metas = disk.metas();
    // The last but one hash of the file is the right half of the tree: every opening of the left half needs it.
    let file = &mut disk.batch(MIB, 0).layers_file;
    let right_half = file.len() - 64;
    file[right_half] ^= 1;
    assert_eq!(round(&mut disk, &metas).1, challenged(&metas, |_, _, leaf| leaf < 512));
}

#[test]
fn lazy_holder_that_answers_with_other_leaves_misses_everything() {
    let mut disk = Disk::default().with_noise(MIB, 2);
    let metas = disk.metas();
    let challenge = draw(seed(), &metas);
    let other = draw(RoundSeed { seed: [77; 32], ..seed() }, &metas);
    let proved = prove_part(&other, 0, CHALLENGES, &mut disk).unwrap();
    let failed = verify(&challenge, &ProofPart::new(&challenge, 0, CHALLENGES), &proved.openings, &metas).unwrap();
    let same = (0..CHALLENGES).filter(|&j| challenge.position(j) == other.position(j)).count();
    assert_eq!(failed.len(), CHALLENGES as usize - same);
}

#[test]
fn replayer_impersonator_and_list_swapper_are_refused_by_name() {
    let mut disk = Disk::default().with_noise(MIB, 1);
    let metas = disk.metas();
    let challenge = draw(seed(), &metas);
    let openings = prove_part(&challenge, 0, CHALLENGES, &mut disk).unwrap().openings;
    let sound = ProofPart::new(&challenge, 0, CHALLENGES);
    let (of, stranger) = (seed(), Address::new([9; 32]));
    let cases = [
        (ProofPart { version: 2, ..sound }, ProofError::Version { found: 2 }),
        (
            ProofPart { round: RoundNo::new(11), ..sound },
            ProofError::Round { found: RoundNo::new(11), expected: of.round },
        ),
        (ProofPart { holder: stranger, ..sound }, ProofError::Holder { found: stranger, expected: of.holder }),
        (
            ProofPart { set_root: [9; 32], ..sound },
            ProofError::SetRoot { found: Digest::new([9; 32]), expected: Digest::new(of.set_root) },
        ),
    ];
    for (part, expected) in cases {
        assert_eq!(verify(&challenge, &part, &openings, &metas), Err(expected));
    }
    assert_eq!(verify(&challenge, &sound, &openings, &metas), Ok(vec![]));
}

#[test]
fn a_proof_for_one_seed_fails_under_any_other() {
    let mut disk = Disk::default().with_noise(MIB, 4);
    let metas = disk.metas();
    let openings = round(&mut disk, &metas).0.openings;
    let others = [
        RoundSeed { round: RoundNo::new(13), ..seed() },
        RoundSeed { holder: Address::new([8; 32]), ..seed() },
        RoundSeed { set_root: [8; 32], ..seed() },
        RoundSeed { chain: ChainId::new([8; 32]), ..seed() },
    ];
    for of in others {
        let challenge = draw(of, &metas);
        let failed = verify(&challenge, &ProofPart::new(&challenge, 0, CHALLENGES), &openings, &metas).unwrap();
        assert!(failed.len() > CHALLENGES as usize - 3, "{} of {CHALLENGES} failed", failed.len());
    }
}

#[test]
fn the_length_is_exact_and_the_range_lies_within_the_challenge() {
    let mut disk = Disk::default().with_noise(MIB, 1);
    let metas = disk.metas();
    let challenge = draw(seed(), &metas);
    let openings = prove_part(&challenge, 0, CHALLENGES, &mut disk).unwrap().openings;
    let part = |first_j, count| ProofPart::new(&challenge, first_j, count);
    for found in [0, 1, openings.len() - 1, openings.len() - OPENING] {
        let expected = openings.len();
        let refused = verify(&challenge, &part(0, CHALLENGES), &openings[..found], &metas);
        assert_eq!(refused, Err(ProofError::Length { found, expected }));
    }
    for (first_j, count) in [(0, 0), (0, 61), (1, 60), (60, 1), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let expected = ProofError::OutOfRange { first_j, count, challenges: CHALLENGES };
        assert_eq!(verify(&challenge, &part(first_j, count), &openings, &metas), Err(expected.clone()));
        assert_eq!(challenge.openings_bytes(first_j, count), Err(expected.clone()));
        assert_eq!(prove_part(&challenge, first_j, count, &mut disk), Err(expected));
    }
    let many = HolderChallenge::new(seed(), &[ClassCount { batch_log2: 20, batches: 1 }], 600).unwrap();
    let refused = many.openings_bytes(0, 513);
    assert_eq!(refused, Err(ProofError::TooManyOpenings { found: 513, limit: 512 }));
}

#[test]
fn a_batch_the_ledger_does_not_know_or_knows_otherwise_fails_to_open() {
    let mut disk = Disk::default().with_noise(MIB, 2);
    let metas = disk.metas();
    let challenge = draw(seed(), &metas);
    let openings = prove_part(&challenge, 0, CHALLENGES, &mut disk).unwrap().openings;
    let part = ProofPart::new(&challenge, 0, CHALLENGES);
    let everything: Vec<u32> = (0..CHALLENGES).collect();
    let sound = |slot| metas.get(&(MIB, slot)).copied();
    assert_eq!(verify_part(&challenge, &part, &openings, |_, _| None), Ok(everything.clone()));
    let swapped = verify_part(&challenge, &part, &openings, |_, slot| sound(1 - slot));
    assert_eq!(swapped, Ok(everything.clone()));
    let resized =
        verify_part(&challenge, &part, &openings, |_, slot| Some(BatchMeta { batch_log2: 21, ..sound(slot)? }));
    assert_eq!(resized, Ok(everything));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_flipped_bit_costs_exactly_one_opening(bit: prop::sample::Index) {
        static HONEST: LazyLock<(Metas, Vec<u8>)> = LazyLock::new(|| {
            let mut disk = Disk::default().with_noise(MIB, 2);
            let metas = disk.metas();
            let openings = round(&mut disk, &metas).0.openings;
            (metas, openings)
        });
        let (metas, honest) = &*HONEST;
        let mut openings = honest.clone();
        let bit = bit.index(openings.len() * 8);
        openings[bit / 8] ^= 1 << (bit % 8);
        let challenge = draw(seed(), metas);
        let failed = verify(&challenge, &ProofPart::new(&challenge, 0, CHALLENGES), &openings, metas);
        prop_assert_eq!(failed, Ok(vec![(bit / 8 / OPENING) as u32]));
    }

    #[test]
    fn what_fails_is_exactly_what_is_lost(lost in proptest::collection::btree_set(0u64..6, 0..6)) {
        static SOUND: LazyLock<Disk> = LazyLock::new(|| Disk::default().with_noise(MIB, 6));
        let (mut disk, metas) = (SOUND.clone(), SOUND.metas());
        disk.batches.retain(|(_, slot), _| !lost.contains(slot));
        prop_assert_eq!(round(&mut disk, &metas).1, challenged(&metas, |_, slot, _| lost.contains(&slot)));
    }
}
