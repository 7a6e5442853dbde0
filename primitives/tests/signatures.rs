//! Signatures, certificates and the VRF: one rule, and no statement that means two things.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_primitives::{
    BatchVerifier, BlockHash, Bounded, Certificate, CertificateError, ChainId, CommitSignature, Height, Purpose,
    SecretKey, Signature, Validator, ValidatorSet, VrfSecretKey, vote_payload,
};
use proptest::prelude::*;

const PURPOSES: [Purpose; 13] = [
    Purpose::Transaction,
    Purpose::Quote,
    Purpose::Receipt,
    Purpose::FootprintHop,
    Purpose::PlacementRequest,
    Purpose::Ticket,
    Purpose::Capability,
    Purpose::Vote,
    Purpose::Proposal,
    Purpose::ProposalFin,
    Purpose::ValidatorProof,
    Purpose::GenesisEntry,
    Purpose::HeavyCard,
];
const CHAIN: ChainId = ChainId::new([1; 32]);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

#[test]
fn a_signature_means_one_thing_on_one_chain() {
    let signer = key(1);
    for purpose in PURPOSES {
        let signature = signer.sign(purpose, &CHAIN, b"payload");
        for other in PURPOSES {
            assert_eq!(signature.verify(&signer.address(), other, &CHAIN, b"payload").is_ok(), other == purpose);
        }
        assert!(signature.verify(&signer.address(), purpose, &ChainId::new([2; 32]), b"payload").is_err());
        assert!(signature.verify(&key(2).address(), purpose, &CHAIN, b"payload").is_err());
    }
}

#[test]
fn no_purpose_is_a_prefix_of_another() {
    for a in PURPOSES {
        for b in PURPOSES {
            assert!(a == b || !a.tag().starts_with(b.tag()), "{a:?} {b:?}");
        }
    }
}

/// Small-order keys with a zero signature: dalek's strict and loose rules part on these; ZIP-215 accepts the canonical
/// encoding of the identity both ways. Whatever the answer, single and batch must give the same.
#[test]
fn crafted_keys_get_the_same_answer_alone_and_in_a_batch() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut non_canonical = [0xff; 32];
    non_canonical[0] = 0xee;
    non_canonical[31] = 0x7f;
    for point in [identity, [0; 32], non_canonical] {
        for response in [[0u8; 32], identity] {
            let bytes: [u8; 64] = [point, response].concat().try_into().unwrap();
            let signer = holdfast_primitives::Address::new(point);
            let signature = Signature::new(bytes);
            let alone = signature.verify(&signer, Purpose::Vote, &CHAIN, b"x").is_ok();
            let mut batch = BatchVerifier::new();
            batch.push(&signer, Purpose::Vote, &CHAIN, b"x", &signature);
            batch.push(&key(3).address(), Purpose::Vote, &CHAIN, b"y", &key(3).sign(Purpose::Vote, &CHAIN, b"y"));
            assert_eq!(batch.verify().is_ok(), alone);
        }
    }
}

fn committee(powers: &[u64]) -> (Vec<SecretKey>, ValidatorSet) {
    let keys: Vec<SecretKey> = (0..powers.len()).map(|index| key(10 + index as u8)).collect();
    let validators = keys.iter().zip(powers).map(|(key, power)| Validator {
        address: key.address(),
        vrf: VrfSecretKey::from_seed(key.to_seed()).public(),
        power: *power,
    });
    let set = ValidatorSet::new(validators.collect()).unwrap();
    (keys, set)
}

fn certify(signers: &[&SecretKey]) -> Certificate {
    let (height, round, block) = (Height::new(5), 2, BlockHash::new([9; 32]));
    let payload = vote_payload(true, height, round, Some(&block));
    let signatures = signers
        .iter()
        .map(|key| CommitSignature { validator: key.address(), signature: key.sign(Purpose::Vote, &CHAIN, &payload) });
    Certificate { height, round, block, signatures: Bounded::new(signatures.collect()).unwrap() }
}

#[test]
fn a_certificate_needs_more_than_two_thirds_of_the_power() {
    let (keys, set) = committee(&[1, 1, 1]);
    assert_eq!(certify(&[&keys[0], &keys[1], &keys[2]]).verify(&CHAIN, &set), Ok(()));
    assert_eq!(
        certify(&[&keys[0], &keys[1]]).verify(&CHAIN, &set),
        Err(CertificateError::NoQuorum { found: 2, total: 3 })
    );
    let (keys, set) = committee(&[7, 1, 1]);
    assert_eq!(certify(&[&keys[0]]).verify(&CHAIN, &set), Ok(()));
    assert!(certify(&[&keys[1], &keys[2]]).verify(&CHAIN, &set).is_err());
}

#[test]
fn certificate_villains_are_named() {
    let (keys, set) = committee(&[1, 1, 1, 1]);
    let stranger = key(99);
    let unknown = certify(&[&keys[0], &keys[1], &stranger]).verify(&CHAIN, &set);
    assert_eq!(unknown, Err(CertificateError::UnknownValidator { validator: stranger.address() }));
    let twice = certify(&[&keys[0], &keys[1], &keys[1]]).verify(&CHAIN, &set);
    assert_eq!(twice, Err(CertificateError::DuplicateValidator { validator: keys[1].address() }));
    let mut moved = certify(&[&keys[0], &keys[1], &keys[2]]);
    moved.round += 1;
    assert_eq!(moved.verify(&CHAIN, &set), Err(CertificateError::BadSignature));
}

#[test]
fn a_validator_set_is_sorted_distinct_and_powered() {
    let (_, set) = committee(&[3, 1, 2]);
    let sorted: Vec<_> = set.iter().map(|validator| validator.address).collect();
    assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
    let first = set.iter().next().unwrap().clone();
    assert!(ValidatorSet::new(vec![]).is_none());
    assert!(ValidatorSet::new(vec![first.clone(), first.clone()]).is_none());
    assert!(ValidatorSet::new(vec![Validator { power: 0, ..first }]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_holds_exactly_when_each_signature_holds(broken in proptest::collection::vec(any::<bool>(), 1..8)) {
        let mut batch = BatchVerifier::new();
        for (index, broken) in broken.iter().enumerate() {
            let signer = key(index as u8);
            let signature = signer.sign(Purpose::Vote, &CHAIN, &[index as u8]);
            let payload = if *broken { vec![0xff, 0xff] } else { vec![index as u8] };
            batch.push(&signer.address(), Purpose::Vote, &CHAIN, &payload, &signature);
        }
        prop_assert_eq!(batch.verify().is_ok(), broken.iter().all(|broken| !broken));
    }

    #[test]
    fn the_vrf_has_one_output_and_any_change_breaks_its_proof(seed in any::<[u8; 32]>(), input in any::<[u8; 32]>(), at in 0usize..96) {
        let secret = VrfSecretKey::from_seed(seed);
        let (output, proof) = secret.evaluate(&CHAIN, &input);
        let (again, _) = secret.evaluate(&CHAIN, &input);
        prop_assert_eq!(output, again);
        prop_assert_eq!(secret.public().verify(&CHAIN, &input, &proof), Ok(output));
        let mut bytes = borsh::to_vec(&proof).unwrap();
        bytes[at] ^= 1;
        let forged = borsh::from_slice(&bytes).unwrap();
        prop_assert!(secret.public().verify(&CHAIN, &input, &forged).is_err());
        prop_assert!(secret.public().verify(&ChainId::new([2; 32]), &input, &proof).is_err());
    }
}
