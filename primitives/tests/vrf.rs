//! What the beacon rests on: a key and an input have exactly one output that verifies, whoever made the key.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_primitives::{ChainId, VrfProof, VrfPublicKey, VrfSecretKey, sha256};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, PublicKey, SecretKey, signing_context};
use std::collections::HashSet;

const CHAIN: ChainId = ChainId::new([7; 32]);
const INPUT: &[u8] = b"the beacon before";
/// The order of the group, little endian: 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn secret(seed: u8) -> VrfSecretKey {
    VrfSecretKey::from_seed([seed; 32])
}

/// The same key without our wrapping, for provers that do not keep to the rules.
fn pair(seed: u8) -> Keypair {
    MiniSecretKey::from_bytes(&[seed; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519)
}

/// A proof in the name of `public` that is made with `secret`, whether the two belong together or not.
fn claim(public: PublicKey, secret: SecretKey) -> VrfProof {
    let message = [CHAIN.as_bytes().as_slice(), INPUT].concat();
    let liar = Keypair { secret, public };
    let (in_out, proof, _) = liar.vrf_sign(signing_context(b"holdfast/beacon-vrf/v1").bytes(&message));
    VrfProof { pre_output: in_out.to_preout().to_bytes(), proof: proof.to_bytes() }
}

/// The key with a secret of our choice, which no key generation makes.
fn secret_scalar(scalar: u8) -> SecretKey {
    let mut bytes = [0; 64];
    bytes[0] = scalar;
    SecretKey::from_bytes(&bytes).unwrap()
}

#[test]
fn many_proofs_lead_to_one_output() {
    let key = secret(1);
    let made: Vec<_> = (0..32).map(|_| key.evaluate(&CHAIN, INPUT)).collect();
    let outputs: HashSet<[u8; 32]> =
        made.iter().map(|(_, proof)| key.public().verify(&CHAIN, INPUT, proof).unwrap()).collect();
    let stated: HashSet<[u8; 32]> = made.iter().map(|(output, _)| *output).collect();
    assert_eq!((outputs.len(), &outputs), (1, &stated));
    // The proofs differ: a proposer can change its block's hash that way, which is why no seed is ever made of one.
    let proofs: HashSet<[u8; 64]> = made.iter().map(|(_, proof)| proof.proof).collect();
    assert!(proofs.len() > 1);
}

#[test]
fn keys_inputs_and_chains_have_outputs_of_their_own() {
    let (output, proof) = secret(1).evaluate(&CHAIN, INPUT);
    let public = secret(1).public();
    assert_eq!(public.verify(&CHAIN, INPUT, &proof), Ok(output));
    assert!(secret(2).public().verify(&CHAIN, INPUT, &proof).is_err());
    assert!(public.verify(&CHAIN, b"another beacon", &proof).is_err());
    assert!(public.verify(&ChainId::new([8; 32]), INPUT, &proof).is_err());
    let others = [
        secret(2).evaluate(&CHAIN, INPUT).0,
        secret(1).evaluate(&CHAIN, b"another beacon").0,
        secret(1).evaluate(&ChainId::new([8; 32]), INPUT).0,
    ];
    assert!(others.iter().all(|other| *other != output));
}

#[test]
fn no_turned_bit_goes_unnoticed() {
    let (_, proof) = secret(1).evaluate(&CHAIN, INPUT);
    let public = secret(1).public();
    for bit in 0..768 {
        let mut turned = proof;
        if bit < 256 {
            turned.pre_output[bit / 8] ^= 1 << (bit % 8);
        } else {
            turned.proof[(bit - 256) / 8] ^= 1 << (bit % 8);
        }
        assert!(public.verify(&CHAIN, INPUT, &turned).is_err(), "bit {bit}");
    }
}

#[test]
fn a_prover_that_claims_another_output_is_refused() {
    let (own, public) = (pair(1), secret(1).public());
    assert!(public.verify(&CHAIN, INPUT, &claim(own.public, own.secret.clone())).is_ok(), "the forger's tool works");
    // The output of another key, the hashed input itself, and a multiple of it.
    for other in [pair(2).secret.clone(), secret_scalar(1), secret_scalar(8)] {
        assert!(public.verify(&CHAIN, INPUT, &claim(own.public, other)).is_err());
    }
}

#[test]
fn the_parts_of_two_good_proofs_do_not_mix() {
    let key = secret(1);
    let (first, second) = (key.evaluate(&CHAIN, INPUT).1, key.evaluate(&CHAIN, b"another beacon").1);
    let mixes = [
        VrfProof { pre_output: first.pre_output, proof: second.proof },
        VrfProof { pre_output: second.pre_output, proof: first.proof },
    ];
    for mix in mixes {
        assert!(key.public().verify(&CHAIN, INPUT, &mix).is_err());
        assert!(key.public().verify(&CHAIN, b"another beacon", &mix).is_err());
    }
}

/// Adds the order of the group: the same scalar to a verifier that reduces.
fn plus_order(scalar: &mut [u8]) {
    let mut carry = 0u16;
    for (byte, add) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
}

#[test]
fn the_same_scalar_written_otherwise_is_refused() {
    let (_, proof) = secret(1).evaluate(&CHAIN, INPUT);
    for half in [0..32, 32..64] {
        let mut written = proof;
        plus_order(&mut written.proof[half]);
        assert_ne!(written, proof);
        assert!(secret(1).public().verify(&CHAIN, INPUT, &written).is_err());
    }
}

/// A key whose secret is zero: its public key is the neutral element, and everybody could know its output beforehand.
#[test]
fn the_key_of_nobody_proves_nothing() {
    let nobody = secret_scalar(0).to_keypair();
    let public = VrfPublicKey::new(nobody.public.to_bytes());
    assert_eq!(public.as_bytes(), &[0; 32]);
    assert!(!public.is_valid() && secret(1).public().is_valid());
    let own = claim(nobody.public, nobody.secret.clone());
    assert_eq!(own.pre_output, [0; 32]);
    assert!(public.verify(&CHAIN, INPUT, &own).is_err());
    assert!(secret(1).public().verify(&CHAIN, INPUT, &own).is_err());
    // Nor does it prove what any other secret leads to.
    for other in [pair(1).secret.clone(), secret_scalar(1)] {
        assert!(public.verify(&CHAIN, INPUT, &claim(nobody.public, other)).is_err());
    }
}

#[test]
fn what_is_no_point_is_refused_without_a_panic() {
    let (_, proof) = secret(1).evaluate(&CHAIN, INPUT);
    let minus_one = {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xec, 0x7f);
        bytes
    };
    let modulus = {
        let mut bytes = minus_one;
        bytes[0] = 0xed;
        bytes
    };
    let one = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    // Ristretto has one encoding per element of a group of prime order: there are no points of small order to offer.
    for bytes in [[0xff; 32], minus_one, modulus, one, [0; 32]] {
        assert!(!VrfPublicKey::new(bytes).is_valid());
        assert!(VrfPublicKey::new(bytes).verify(&CHAIN, INPUT, &proof).is_err());
        let pre_output = VrfProof { pre_output: bytes, ..proof };
        assert!(secret(1).public().verify(&CHAIN, INPUT, &pre_output).is_err());
    }
}

#[test]
fn noise_proves_nothing() {
    let key = secret(1);
    let (_, good) = key.evaluate(&CHAIN, INPUT);
    for number in 0u32..300 {
        let noise = |tag: u8| sha256(&[number.to_le_bytes().as_slice(), &[tag]].concat());
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&noise(1));
        proof[32..].copy_from_slice(&noise(2));
        // Below the order, so that it gets past the encoding.
        (proof[31], proof[63]) = (proof[31] & 0x0f, proof[63] & 0x0f);
        assert!(key.public().verify(&CHAIN, INPUT, &VrfProof { pre_output: good.pre_output, proof }).is_err());
        assert!(key.public().verify(&CHAIN, INPUT, &VrfProof { pre_output: noise(3), ..good }).is_err());
        assert!(VrfPublicKey::new(noise(4)).verify(&CHAIN, INPUT, &good).is_err());
    }
}
