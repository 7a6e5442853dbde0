//! Following the validators from a set that is trusted to the set of any later height, without trusting whoever tells of it.
//!
//! ```text
//! genesis --------------------------.
//! checkpoint (height, hash) --.      |        what is trusted before anything is asked
//!                             v      v
//!                          Trusted { height, hash, validators }
//!                             | advance(header, certificate, next set)      one step per change of the set, and one
//!                             v                                             to the height that is wanted
//!                          Trusted { later height, ... }
//! ```
//! Headers between two changes of the set may be left out: the set that signs is the same. A change may not: the header
//! after it names a set that is not the trusted one. Anyone who follows from long ago trusts that no two thirds of a former
//! set have since sold their keys; a checkpoint of recent days, had from people one trusts, is the cure.
//!
//! Joining nodes and light clients use this file alike. Pure: no clock, no disk, no socket.

use crate::{Genesis, GenesisError, Header, State};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{BlockHash, Bounded, Certificate, CertificateError, ChainId, Digest, Height, ValidatorSet};
use thiserror::Error;

/// Bytes of the longest step: a certificate of and a set of the most validators.
pub const STEP_BYTES_MAX: usize = 64 * 1024;
/// Steps handed over at once, at most.
pub const STEPS_MAX: usize = 1_024;
/// Bytes from which on no further step is added to those handed over at once.
pub const STEPS_BYTES: usize = 2 * 1024 * 1024;

/// Steps as they are handed over: ascending.
pub type Steps = Bounded<Step, STEPS_MAX>;

/// A block that is known to be decided, and who decides the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The chain.
    pub chain: ChainId,
    /// The block's height; zero for the genesis.
    pub height: Height,
    /// The block's hash; zero for the genesis.
    pub hash: BlockHash,
    /// Who decides the block after it.
    pub validators: ValidatorSet,
}

/// What leads from one trusted block to a later one. Comes from strangers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// The later block's header.
    pub header: Header,
    /// The quorum that decided it.
    pub certificate: Certificate,
    /// Who decides the block after it, where that is another set than the one that decided it.
    pub next: Option<ValidatorSet>,
}

/// Why a step leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FollowError {
    /// The header is of another chain.
    #[error("the header is of chain {found}, followed is {expected}")]
    OtherChain {
        /// The header's chain.
        found: ChainId,
        /// The followed chain.
        expected: ChainId,
    },
    /// The header is not later than what is trusted.
    #[error("height {found} is not later than the trusted height {trusted}")]
    NotLater {
        /// The header's height.
        found: Height,
        /// The trusted height.
        trusted: Height,
    },
    /// The header is not the one of the checkpoint.
    #[error("block {found} at height {found_height} is not the checkpoint {expected} at height {height}")]
    OtherBlock {
        /// The header's hash.
        found: BlockHash,
        /// The header's height.
        found_height: Height,
        /// The hash that is trusted.
        expected: BlockHash,
        /// The height that is trusted.
        height: Height,
    },
    /// The header was decided by another set: a change of the set was left out, or the header is forged.
    #[error(
        "height {height} names the deciding set {found}, trusted is {expected}: a change of validators is left out"
    )]
    OtherSet {
        /// The header's height.
        height: Height,
        /// The set that the header names.
        found: Digest,
        /// The trusted set.
        expected: Digest,
    },
    /// The certificate is of another block than the header.
    #[error("the certificate is of block {found} at height {found_height}, the header of {expected} at {height}")]
    OtherCertificate {
        /// What the certificate certifies.
        found: BlockHash,
        /// At which height.
        found_height: Height,
        /// The header's hash.
        expected: BlockHash,
        /// The header's height.
        height: Height,
    },
    /// The certificate proves nothing.
    #[error("the certificate of height {height}: {reason}")]
    Certificate {
        /// The height.
        height: Height,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// The set changes after this header, and the new set was not given.
    #[error("the validators change after height {height} and the new set was not given")]
    NextSetMissing {
        /// The header's height.
        height: Height,
    },
    /// The set that was given is not the one that the header names.
    #[error("the set given for after height {height} is {found}, the header names {expected}")]
    NextSetOther {
        /// The header's height.
        height: Height,
        /// The digest of the given set.
        found: Digest,
        /// The digest in the header.
        expected: Digest,
    },
}

impl Trusted {
    /// What is trusted from the genesis alone.
    ///
    /// # Errors
    /// When the genesis breaks a rule.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let state = State::genesis(genesis)?;
        Ok(Self {
            chain: genesis.chain_id(),
            height: Height::GENESIS,
            hash: BlockHash::ZERO,
            validators: state.chain().validators.clone(),
        })
    }

    /// What is trusted from a checkpoint, a height and a hash had from people one trusts: `header` is what strangers
    /// say is behind the hash, `next` the set that decides the block after it. No certificate is needed.
    ///
    /// # Errors
    /// When the header or the set is not what the hash stands for.
    pub fn checkpoint(
        chain: ChainId,
        (height, hash): (Height, BlockHash),
        header: &Header,
        next: &ValidatorSet,
    ) -> Result<Self, FollowError> {
        let (found, found_height) = (header.hash(), header.height);
        if (found, found_height) != (hash, height) {
            return Err(FollowError::OtherBlock { found, found_height, expected: hash, height });
        }
        if header.chain != chain {
            return Err(FollowError::OtherChain { found: header.chain, expected: chain });
        }
        check_next(header, next)?;
        Ok(Self { chain, height, hash, validators: next.clone() })
    }

    /// Goes on to a later block: `certificate` must be of `header` and by the trusted set; `next` is needed where the
    /// header says that the set changes after it, and may be left out where it does not.
    ///
    /// # Errors
    /// The first thing that does not fit. What was trusted before stays so.
    pub fn advance(
        &self,
        header: &Header,
        certificate: &Certificate,
        next: Option<&ValidatorSet>,
    ) -> Result<Self, FollowError> {
        let (height, hash) = (header.height, header.hash());
        self.check_place(header)?;
        if (certificate.block, certificate.height) != (hash, height) {
            let (found, found_height) = (certificate.block, certificate.height);
            return Err(FollowError::OtherCertificate { found, found_height, expected: hash, height });
        }
        let verified = certificate.verify(&self.chain, &self.validators);
        verified.map_err(|reason| FollowError::Certificate { height, reason })?;
        let validators = match next {
            Some(next) => {
                check_next(header, next)?;
                next
            }
            None if header.next_validators == header.validators => &self.validators,
            None => return Err(FollowError::NextSetMissing { height }),
        };
        Ok(Self { chain: self.chain, height, hash, validators: validators.clone() })
    }

    /// [`Trusted::advance`] by a step that somebody sent.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn follow(&self, step: &Step) -> Result<Self, FollowError> {
        self.advance(&step.header, &step.certificate, step.next.as_ref())
    }

    fn check_place(&self, header: &Header) -> Result<(), FollowError> {
        if header.chain != self.chain {
            return Err(FollowError::OtherChain { found: header.chain, expected: self.chain });
        }
        if header.height <= self.height {
            return Err(FollowError::NotLater { found: header.height, trusted: self.height });
        }
        let expected = self.validators.digest();
        if header.validators != expected {
            return Err(FollowError::OtherSet { height: header.height, found: header.validators, expected });
        }
        Ok(())
    }
}

fn check_next(header: &Header, next: &ValidatorSet) -> Result<(), FollowError> {
    let (found, expected) = (next.digest(), header.next_validators);
    if found != expected {
        return Err(FollowError::NextSetOther { height: header.height, found, expected });
    }
    Ok(())
}
