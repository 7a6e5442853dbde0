//! The verifiable random function behind the beacon (schnorrkel's, in production use in Polkadot).
//!
//! A VRF key is used for nothing else: a VRF proof made with a signing key can leak it.

use crate::id::{ChainId, decode_hex};
use borsh::{BorshDeserialize, BorshSerialize};
use schnorrkel::vrf::{VRFPreOut, VRFProof};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, PublicKey, signing_context};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

const CONTEXT: &[u8] = b"holdfast/beacon-vrf/v1";
const OUTPUT_CONTEXT: &[u8] = b"holdfast/beacon-output/v1";

/// Secret half. Not printed.
pub struct VrfSecretKey {
    seed: [u8; 32],
    pair: Keypair,
}

/// Public half, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct VrfPublicKey([u8; 32]);

/// The pre-output (32 bytes) and the proof that it is the only one (64 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VrfProof {
    /// The unique point that the output is hashed from.
    pub pre_output: [u8; 32],
    /// A discrete-log equality proof.
    pub proof: [u8; 64],
}

/// The proof was not made by this key over this input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("VRF proof does not hold")]
pub struct VrfError;

impl VrfSecretKey {
    /// A fresh key from the system's randomness.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system provides randomness");
        Self::from_seed(seed)
    }

    /// The key that grows from a 32-byte seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let mini = MiniSecretKey::from_bytes(&seed).expect("any 32 bytes are a mini secret key");
        Self { seed, pair: mini.expand_to_keypair(ExpansionMode::Ed25519) }
    }

    /// The seed, for key files.
    pub const fn to_seed(&self) -> [u8; 32] {
        self.seed
    }

    /// The public half.
    pub fn public(&self) -> VrfPublicKey {
        VrfPublicKey(self.pair.public.to_bytes())
    }

    /// The output for `input` on `chain`, and its proof. The same key and input always give the same output.
    pub fn evaluate(&self, chain: &ChainId, input: &[u8]) -> ([u8; 32], VrfProof) {
        let (in_out, proof, _) = self.pair.vrf_sign(signing_context(CONTEXT).bytes(&message(chain, input)));
        let output = in_out.make_bytes(OUTPUT_CONTEXT);
        (output, VrfProof { pre_output: in_out.to_preout().to_bytes(), proof: proof.to_bytes() })
    }
}

impl VrfPublicKey {
    /// Takes the raw bytes; they are checked when a proof is.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether these bytes are a key that proofs can be verified with: a point, and not the neutral one, under which the
    /// output would be known to everybody beforehand.
    pub fn is_valid(&self) -> bool {
        PublicKey::from_bytes(&self.0).is_ok() && self.0 != [0; 32]
    }

    /// The output that `proof` proves for `input` on `chain`.
    pub fn verify(&self, chain: &ChainId, input: &[u8], proof: &VrfProof) -> Result<[u8; 32], VrfError> {
        let public = PublicKey::from_bytes(&self.0).map_err(|_| VrfError)?;
        let pre_output = VRFPreOut::from_bytes(&proof.pre_output).map_err(|_| VrfError)?;
        let dleq = VRFProof::from_bytes(&proof.proof).map_err(|_| VrfError)?;
        let transcript = signing_context(CONTEXT).bytes(&message(chain, input));
        let (in_out, _) = public.vrf_verify(transcript, &pre_output, &dleq).map_err(|_| VrfError)?;
        Ok(in_out.make_bytes(OUTPUT_CONTEXT))
    }
}

fn message(chain: &ChainId, input: &[u8]) -> Vec<u8> {
    [chain.as_bytes().as_slice(), input].concat()
}

impl fmt::Debug for VrfSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VrfSecretKey(of {})", self.public())
    }
}

impl fmt::Display for VrfPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for VrfPublicKey {
    type Err = crate::id::IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode_hex("VrfPublicKey", text).map(Self)
    }
}

impl Serialize for VrfPublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VrfPublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
