//! A certificate: a quorum of plain ed25519 signatures over one block. Verifying one needs borsh and ed25519 only.

use crate::address::Address;
use crate::bounded::Bounded;
use crate::hash::sha256_parts;
use crate::height::Height;
use crate::id::{BlockHash, ChainId, Digest};
use crate::keys::{BatchVerifier, Signature};
use crate::limits::VALIDATORS_MAX;
use crate::purpose::Purpose;
use crate::vrf::VrfPublicKey;
use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

/// One validator as consensus sees it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Its account, which is its signing key.
    pub address: Address,
    /// Its beacon key.
    pub vrf: VrfPublicKey,
    /// Its voting power; never zero.
    pub power: u64,
}

/// The validators of one height, sorted by address, no two alike.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ValidatorSet {
    validators: Bounded<Validator, VALIDATORS_MAX>,
}

/// One validator's signature on a block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitSignature {
    /// Who signed.
    pub validator: Address,
    /// Its signature over [`vote_payload`].
    pub signature: Signature,
}

/// Proof that validators with more than two thirds of the power precommitted one block.
///
/// Different nodes may hold different certificates of one height, so none is ever hashed into state.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The block's height.
    pub height: Height,
    /// The consensus round (not the verification round) in which it was decided.
    pub round: u32,
    /// The block.
    pub block: BlockHash,
    /// The signatures, each by another validator.
    pub signatures: Bounded<CommitSignature, VALIDATORS_MAX>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Signed by someone who is not in the set.
    #[error("{validator} is not a validator at this height")]
    UnknownValidator {
        /// The signer.
        validator: Address,
    },
    /// One validator signed twice.
    #[error("{validator} signed twice")]
    DuplicateValidator {
        /// The signer.
        validator: Address,
    },
    /// Not more than two thirds of the power.
    #[error("power {found} of {total} is not more than two thirds")]
    NoQuorum {
        /// Power that signed.
        found: u64,
        /// Power of the set.
        total: u64,
    },
    /// A signature does not hold.
    #[error("a signature does not hold")]
    BadSignature,
}

/// What a validator signs with [`Purpose::Vote`]: `vote type u8 | height u64 LE | round u32 LE | block hash`, where the
/// type is 0 for a prevote and 1 for a precommit, and 32 zero bytes stand for "nil".
pub fn vote_payload(precommit: bool, height: Height, round: u32, block: Option<&BlockHash>) -> Vec<u8> {
    let mut payload = Vec::with_capacity(45);
    payload.push(u8::from(precommit));
    payload.extend_from_slice(&height.get().to_le_bytes());
    payload.extend_from_slice(&round.to_le_bytes());
    payload.extend_from_slice(block.unwrap_or(&BlockHash::ZERO).as_bytes());
    payload
}

impl ValidatorSet {
    /// Sorts the validators by address.
    ///
    /// # Errors
    /// `None` when the list is empty or too long, two addresses are alike, a power is zero or the sum overflows.
    pub fn new(mut validators: Vec<Validator>) -> Option<Self> {
        validators.sort_by_key(|validator| validator.address);
        let distinct = validators.windows(2).all(|pair| pair[0].address != pair[1].address);
        let powers = validators.iter().all(|validator| validator.power > 0);
        validators.iter().try_fold(0u64, |sum, validator| sum.checked_add(validator.power))?;
        if validators.is_empty() || !distinct || !powers {
            return None;
        }
        Some(Self { validators: Bounded::new(validators).ok()? })
    }

    /// The validators in order.
    pub fn iter(&self) -> impl Iterator<Item = &Validator> {
        self.validators.iter()
    }

    /// How many there are; at least one.
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Never true for a set made by [`ValidatorSet::new`].
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The validator with this address.
    pub fn get(&self, address: &Address) -> Option<&Validator> {
        let index = self.validators.binary_search_by_key(address, |validator| validator.address).ok()?;
        Some(&self.validators[index])
    }

    /// The sum of all power.
    pub fn total_power(&self) -> u64 {
        self.validators.iter().map(|validator| validator.power).sum()
    }

    /// The set's hash, as headers carry it.
    pub fn digest(&self) -> Digest {
        let bytes = borsh::to_vec(self).expect("a validator set encodes into memory");
        Digest::new(sha256_parts(&[b"holdfast/validator-set/v1\0", &bytes]))
    }
}

impl Certificate {
    /// Whether validators of `set` with more than two thirds of its power signed this block on `chain`.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        let mut seen = std::collections::BTreeSet::new();
        let mut power: u128 = 0;
        let mut batch = BatchVerifier::new();
        let payload = vote_payload(true, self.height, self.round, Some(&self.block));
        for commit in self.signatures.iter() {
            let validator =
                set.get(&commit.validator).ok_or(CertificateError::UnknownValidator { validator: commit.validator })?;
            if !seen.insert(commit.validator) {
                return Err(CertificateError::DuplicateValidator { validator: commit.validator });
            }
            power += u128::from(validator.power);
            batch.push(&commit.validator, Purpose::Vote, chain, &payload, &commit.signature);
        }
        let total = set.total_power();
        if power * 3 <= u128::from(total) * 2 {
            return Err(CertificateError::NoQuorum { found: power as u64, total });
        }
        batch.verify().map_err(|_| CertificateError::BadSignature)
    }
}
