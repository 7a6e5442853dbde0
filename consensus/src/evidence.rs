//! Evidence of misbehaviour: two signed statements that no honest validator makes side by side. Anyone can check it
//! with the offender's public key and the chain id alone.

use crate::payload::proposal_payload;
use holdfast_primitives::{Address, BlockHash, ChainId, Height, KeyError, Purpose, Signature, vote_payload};
use thiserror::Error;

/// What was seen of misbehaviour since the commit before. Every node may have seen something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Each by itself a proof.
    pub items: Vec<Misbehaviour>,
}

/// One validator said two things of which it may say only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Two votes of one kind in one round.
    DoubleVote {
        /// Who voted.
        validator: Address,
        /// One vote.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// Two proposals in one round.
    DoubleProposal {
        /// Who proposed.
        validator: Address,
        /// One proposal.
        first: SignedProposal,
        /// The other.
        second: SignedProposal,
    },
}

/// A vote with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedVote {
    /// A precommit, or else a prevote.
    pub precommit: bool,
    /// The height it is for.
    pub height: Height,
    /// The round it is for.
    pub round: u32,
    /// The block, or nil.
    pub block: Option<BlockHash>,
    /// Over [`holdfast_primitives::vote_payload`] with [`Purpose::Vote`].
    pub signature: Signature,
}

/// A proposal with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedProposal {
    /// The height it is for.
    pub height: Height,
    /// The round it is for.
    pub round: u32,
    /// The earlier round in which two thirds prevoted the block, if any.
    pub valid_round: Option<u32>,
    /// The block.
    pub block: BlockHash,
    /// Over `height u64 LE | round u32 LE | valid round i64 LE, -1 for none | block hash` with [`Purpose::Proposal`].
    pub signature: Signature,
}

/// Why a piece of evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// The two statements may stand side by side.
    #[error("the two statements of {validator} do not contradict each other")]
    NoContradiction {
        /// The accused.
        validator: Address,
    },
    /// The accused did not sign this.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

impl Misbehaviour {
    /// The accused.
    pub const fn validator(&self) -> &Address {
        match self {
            Self::DoubleVote { validator, .. } | Self::DoubleProposal { validator, .. } => validator,
        }
    }

    /// Whether this proves that the accused misbehaved on `chain`.
    ///
    /// # Errors
    /// When the statements agree, differ in height, round or kind, or a signature does not hold.
    pub fn verify(&self, chain: &ChainId) -> Result<(), EvidenceError> {
        if !self.contradicts() {
            return Err(EvidenceError::NoContradiction { validator: *self.validator() });
        }
        match self {
            Self::DoubleVote { validator, first, second } => {
                first.verify(validator, chain)?;
                second.verify(validator, chain)?;
            }
            Self::DoubleProposal { validator, first, second } => {
                first.verify(validator, chain)?;
                second.verify(validator, chain)?;
            }
        }
        Ok(())
    }

    fn contradicts(&self) -> bool {
        match self {
            Self::DoubleVote { first: a, second: b, .. } => {
                (a.precommit, a.height, a.round) == (b.precommit, b.height, b.round) && a.block != b.block
            }
            Self::DoubleProposal { first: a, second: b, .. } => {
                (a.height, a.round) == (b.height, b.round) && (a.valid_round, a.block) != (b.valid_round, b.block)
            }
        }
    }
}

impl SignedVote {
    fn verify(&self, validator: &Address, chain: &ChainId) -> Result<(), KeyError> {
        let payload = vote_payload(self.precommit, self.height, self.round, self.block.as_ref());
        self.signature.verify(validator, Purpose::Vote, chain, &payload)
    }
}

impl SignedProposal {
    fn verify(&self, validator: &Address, chain: &ChainId) -> Result<(), KeyError> {
        let payload = proposal_payload(self.height, self.round, self.valid_round, &self.block);
        self.signature.verify(validator, Purpose::Proposal, chain, &payload)
    }
}
