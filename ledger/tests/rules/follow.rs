//! Following the validators: what leads from one set to the next, and every way in which a liar might try to.

use holdfast_ledger::{FollowError, Header, STEP_BYTES_MAX, Step, Trusted};
use holdfast_primitives::{
    BlockHash, Bounded, Certificate, CertificateError, ChainId, CommitSignature, Digest, Height, Purpose, SecretKey,
    StateRoot, TimeMs, Validator, ValidatorSet, VrfProof, VrfSecretKey, decode_exact, vote_payload,
};
use proptest::prelude::*;
use std::sync::LazyLock;

const CHAIN: ChainId = ChainId::new([3; 32]);

/// Made once: two proofs of one output are not the same bytes.
static PROOF: LazyLock<VrfProof> = LazyLock::new(|| VrfSecretKey::from_seed([9; 32]).evaluate(&CHAIN, b"any").1);

fn key(name: u8) -> SecretKey {
    SecretKey::from_seed([name; 32])
}

fn set(names: &[u8]) -> ValidatorSet {
    let vrf = VrfSecretKey::from_seed([9; 32]).public();
    let validator = |name: &u8| Validator { address: key(*name).address(), vrf, power: 1 };
    ValidatorSet::new(names.iter().map(validator).collect()).unwrap()
}

fn header(height: u64, deciding: &ValidatorSet, next: &ValidatorSet) -> Header {
    Header {
        protocol_version: 1,
        chain: CHAIN,
        height: Height::new(height),
        time: TimeMs::new(height),
        parent: BlockHash::new([1; 32]),
        proposer: key(1).address(),
        tx_root: Digest::ZERO,
        result_root: Digest::ZERO,
        state_root: StateRoot::new([height as u8; 32]),
        beacon: [2; 32],
        vrf: *PROOF,
        validators: deciding.digest(),
        next_validators: next.digest(),
    }
}

fn certificate(header: &Header, signers: &[u8]) -> Certificate {
    let (height, block) = (header.height, header.hash());
    let payload = vote_payload(true, height, 2, Some(&block));
    let sign = |name: &u8| CommitSignature {
        validator: key(*name).address(),
        signature: key(*name).sign(Purpose::Vote, &CHAIN, &payload),
    };
    Certificate { height, round: 2, block, signatures: Bounded::new(signers.iter().map(sign).collect()).unwrap() }
}

const OLD: &[u8] = &[1, 2, 3, 4];
const NEW: &[u8] = &[3, 4, 5];

fn start() -> Trusted {
    Trusted { chain: CHAIN, height: Height::GENESIS, hash: BlockHash::ZERO, validators: set(OLD) }
}

/// The block after which the new set decides, with what leads there.
fn change() -> Step {
    let header = header(10, &set(OLD), &set(NEW));
    Step { certificate: certificate(&header, &[1, 2, 4]), header, next: Some(set(NEW)) }
}

#[test]
fn one_step_per_change_of_the_set_leads_from_genesis_to_now() {
    let quiet = header(4, &set(OLD), &set(OLD));
    let at_four = start().advance(&quiet, &certificate(&quiet, OLD), None).unwrap();
    assert_eq!((at_four.height, at_four.hash, &at_four.validators), (Height::new(4), quiet.hash(), &set(OLD)));
    let given_anyway = start().advance(&quiet, &certificate(&quiet, OLD), Some(&set(OLD)));
    assert_eq!(given_anyway.as_ref(), Ok(&at_four));

    // The quiet block may be left out, the change may not.
    let changed = start().follow(&change()).unwrap();
    assert_eq!(at_four.follow(&change()).as_ref(), Ok(&changed));
    assert_eq!(changed.validators, set(NEW));
    let late = header(90, &set(NEW), &set(NEW));
    let now = changed.advance(&late, &certificate(&late, NEW), None).unwrap();
    assert_eq!((now.height, now.hash), (Height::new(90), late.hash()));
}

#[test]
fn a_change_that_is_left_out_is_noticed_at_the_next_header() {
    let late = header(90, &set(NEW), &set(NEW));
    let expected =
        FollowError::OtherSet { height: Height::new(90), found: set(NEW).digest(), expected: set(OLD).digest() };
    assert_eq!(start().advance(&late, &certificate(&late, NEW), None), Err(expected));
}

#[test]
fn a_certificate_of_another_set_of_too_few_or_of_somebody_twice_proves_nothing() {
    let refused = |signers: &[u8]| match start().advance(
        &change().header,
        &certificate(&change().header, signers),
        Some(&set(NEW)),
    ) {
        Err(FollowError::Certificate { height, reason }) => (height.get(), reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(NEW), (10, CertificateError::UnknownValidator { validator: key(5).address() }));
    assert_eq!(refused(&[1, 2]), (10, CertificateError::NoQuorum { found: 2, total: 4 }));
    assert_eq!(refused(&[]), (10, CertificateError::NoQuorum { found: 0, total: 4 }));
    assert_eq!(refused(&[1, 2, 2]), (10, CertificateError::DuplicateValidator { validator: key(2).address() }));
    // Exactly two thirds are not more than two thirds.
    let three = Trusted { validators: set(&[1, 2, 3]), ..start() };
    let header = header(10, &set(&[1, 2, 3]), &set(&[1, 2, 3]));
    let outcome = three.advance(&header, &certificate(&header, &[1, 2]), None);
    let reason = CertificateError::NoQuorum { found: 2, total: 3 };
    assert_eq!(outcome, Err(FollowError::Certificate { height: Height::new(10), reason }));
}

#[test]
fn a_forged_header_finds_no_certificate() {
    let honest = change();
    let forged = Header { state_root: StateRoot::new([66; 32]), ..honest.header.clone() };
    let stolen = start().advance(&forged, &honest.certificate, Some(&set(NEW)));
    assert!(matches!(stolen, Err(FollowError::OtherCertificate { .. })), "{stolen:?}");
    let pointed = Certificate { block: forged.hash(), ..honest.certificate.clone() };
    let reason = CertificateError::BadSignature;
    let height = Height::new(10);
    assert_eq!(start().advance(&forged, &pointed, Some(&set(NEW))), Err(FollowError::Certificate { height, reason }));
    // Two thirds of some other set, which the header names itself.
    let usurped = Header { validators: set(NEW).digest(), ..forged };
    let outcome = start().advance(&usurped, &certificate(&usurped, NEW), Some(&set(NEW)));
    assert!(matches!(outcome, Err(FollowError::OtherSet { .. })), "{outcome:?}");
}

#[test]
fn the_next_set_must_be_the_one_that_the_header_names() {
    let Step { header, certificate, .. } = change();
    let missing = FollowError::NextSetMissing { height: Height::new(10) };
    assert_eq!(start().advance(&header, &certificate, None), Err(missing));
    for other in [OLD, &[3, 4], &[3, 4, 5, 6]] {
        let (found, expected) = (set(other).digest(), set(NEW).digest());
        let wrong = FollowError::NextSetOther { height: Height::new(10), found, expected };
        assert_eq!(start().advance(&header, &certificate, Some(&set(other))), Err(wrong));
    }
}

#[test]
fn neither_the_past_nor_another_chain_leads_anywhere() {
    let later = Trusted { height: Height::new(10), ..start() };
    let not_later = FollowError::NotLater { found: Height::new(10), trusted: Height::new(10) };
    assert_eq!(later.follow(&change()), Err(not_later));
    let elsewhere = ChainId::new([8; 32]);
    let other = FollowError::OtherChain { found: CHAIN, expected: elsewhere };
    assert_eq!(Trusted { chain: elsewhere, ..start() }.follow(&change()), Err(other));
}

#[test]
fn a_checkpoint_is_believed_for_its_hash_alone() {
    let header = change().header;
    let here = (Height::new(10), header.hash());
    let trusted = Trusted::checkpoint(CHAIN, here, &header, &set(NEW)).unwrap();
    assert_eq!(trusted, start().follow(&change()).unwrap());
    let forged = Header { beacon: [0; 32], ..header.clone() };
    let outcome = Trusted::checkpoint(CHAIN, here, &forged, &set(NEW));
    assert!(matches!(outcome, Err(FollowError::OtherBlock { .. })), "{outcome:?}");
    let outcome = Trusted::checkpoint(CHAIN, (Height::new(11), header.hash()), &header, &set(NEW));
    assert!(matches!(outcome, Err(FollowError::OtherBlock { .. })), "{outcome:?}");
    let outcome = Trusted::checkpoint(CHAIN, here, &header, &set(OLD));
    assert!(matches!(outcome, Err(FollowError::NextSetOther { .. })), "{outcome:?}");
    let outcome = Trusted::checkpoint(ChainId::new([8; 32]), here, &header, &set(NEW));
    assert!(matches!(outcome, Err(FollowError::OtherChain { .. })), "{outcome:?}");
}

#[test]
fn the_longest_step_keeps_its_limit() {
    let most: Vec<Validator> =
        (0..=255u8).map(|name| Validator { power: 1, ..set(&[name]).iter().next().unwrap().clone() }).collect();
    let most = ValidatorSet::new(most).unwrap();
    let header = header(10, &most, &most);
    let names: Vec<u8> = (0..=255).collect();
    let step = Step { certificate: certificate(&header, &names), header, next: Some(most) };
    assert!(borsh::to_vec(&step).unwrap().len() <= STEP_BYTES_MAX);
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_in_a_step_is_refused(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = borsh::to_vec(&change()).unwrap();
        *place.get_mut(&mut bytes) ^= 1 << bit;
        if let Ok(step) = decode_exact::<Step>(&bytes, STEP_BYTES_MAX) {
            prop_assert!(start().follow(&step).is_err());
        }
    }
}
