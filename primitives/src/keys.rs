//! Signing and verifying. Keys sign by RFC 8032; everyone verifies by ZIP-215 (`ed25519-zebra`), whose single and
//! batch verification agree by construction, so that no crafted signature can split the chain.

use crate::address::Address;
use crate::id::{ChainId, decode_hex};
use crate::purpose::{Purpose, signing_bytes};
use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::{Signer as _, SigningKey};
use ed25519_zebra::{VerificationKey, VerificationKeyBytes, batch};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A signature does not hold, or key bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The signature was not made by this key over these bytes.
    #[error("signature by {signer} does not hold")]
    BadSignature {
        /// Who was said to have signed.
        signer: Address,
    },
    /// At least one signature of a batch does not hold.
    #[error("a signature of the batch does not hold")]
    BadBatch,
}

/// An ed25519 secret key. Wiped on drop, never printed, never serialised by accident.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// 64 bytes of an ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Signature([u8; 64]);

/// Collects signatures to verify them together: about half the work of one by one.
#[derive(Default)]
pub struct BatchVerifier {
    items: Vec<batch::Item>,
}

impl SecretKey {
    /// A fresh key from the system's randomness.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system provides randomness");
        Self::from_seed(seed)
    }

    /// The key that grows from a 32-byte seed (RFC 8032, 5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, for key files. Handle with care.
    pub fn to_seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key, which is the address.
    pub fn address(&self) -> Address {
        Address::new(self.0.verifying_key().to_bytes())
    }

    /// Signs `payload` for one purpose on one chain.
    pub fn sign(&self, purpose: Purpose, chain: &ChainId, payload: &[u8]) -> Signature {
        Signature(self.0.sign(&signing_bytes(purpose, chain, payload)).to_bytes())
    }

    /// Signs bytes that already name their purpose: only for a consensus engine that builds its own sign bytes with
    /// [`signing_bytes`].
    pub fn sign_raw(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

impl Signature {
    /// Length in bytes.
    pub const BYTES: usize = 64;

    /// Takes the raw bytes.
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Whether `signer` signed `payload` for `purpose` on `chain`.
    pub fn verify(&self, signer: &Address, purpose: Purpose, chain: &ChainId, payload: &[u8]) -> Result<(), KeyError> {
        self.verify_raw(signer, &signing_bytes(purpose, chain, payload))
    }

    /// As [`Signature::verify`], over bytes that already name their purpose.
    pub fn verify_raw(&self, signer: &Address, bytes: &[u8]) -> Result<(), KeyError> {
        let bad = || KeyError::BadSignature { signer: *signer };
        let key = VerificationKey::try_from(VerificationKeyBytes::from(*signer.as_bytes())).map_err(|_| bad())?;
        key.verify(&ed25519_zebra::Signature::from(self.0), bytes).map_err(|_| bad())
    }
}

impl BatchVerifier {
    /// No signatures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one signature.
    pub fn push(&mut self, signer: &Address, purpose: Purpose, chain: &ChainId, payload: &[u8], signature: &Signature) {
        let bytes = signing_bytes(purpose, chain, payload);
        let key = VerificationKeyBytes::from(*signer.as_bytes());
        self.items.push(batch::Item::from((key, ed25519_zebra::Signature::from(signature.0), &bytes)));
    }

    /// How many signatures wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether every signature holds; exactly when each would hold alone.
    pub fn verify(self) -> Result<(), KeyError> {
        let mut verifier = batch::Verifier::new();
        for item in self.items {
            verifier.queue(item);
        }
        verifier.verify(rand::rng()).map_err(|_| KeyError::BadBatch)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..4]))
    }
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        decode_hex("Signature", &text).map(Self).map_err(serde::de::Error::custom)
    }
}
