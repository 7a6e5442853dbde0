//! Evidence of misbehaviour: two signed statements that no honest validator makes side by side. Anyone can check it
//! with the offender's public key and the chain id alone.

use crate::address::Address;
use crate::certificate::vote_payload;
use crate::height::Height;
use crate::id::{BlockHash, ChainId};
use crate::keys::{KeyError, Signature};
use crate::purpose::Purpose;
use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

/// One validator said two things of which it may say only one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// A precommit, or else a prevote.
    pub precommit: bool,
    /// The height it is for.
    pub height: Height,
    /// The round it is for.
    pub round: u32,
    /// The block, or nil.
    pub block: Option<BlockHash>,
    /// Over [`vote_payload`] with [`Purpose::Vote`].
    pub signature: Signature,
}

/// A proposal with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedProposal {
    /// The height it is for.
    pub height: Height,
    /// The round it is for.
    pub round: u32,
    /// The earlier round in which two thirds prevoted the block, if any.
    pub valid_round: Option<u32>,
    /// The block.
    pub block: BlockHash,
    /// Over [`proposal_payload`] with [`Purpose::Proposal`].
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

/// What a validator signs with [`Purpose::Proposal`]:
/// `height u64 LE | round u32 LE | valid round i64 LE, -1 for none | block hash`.
pub fn proposal_payload(height: Height, round: u32, valid_round: Option<u32>, block: &BlockHash) -> Vec<u8> {
    let mut payload = Vec::with_capacity(52);
    payload.extend_from_slice(&height.get().to_le_bytes());
    payload.extend_from_slice(&round.to_le_bytes());
    payload.extend_from_slice(&valid_round.map_or(-1, i64::from).to_le_bytes());
    payload.extend_from_slice(block.as_bytes());
    payload
}

impl Misbehaviour {
    /// The accused.
    pub const fn validator(&self) -> &Address {
        match self {
            Self::DoubleVote { validator, .. } | Self::DoubleProposal { validator, .. } => validator,
        }
    }

    /// The height at which it was done.
    pub const fn height(&self) -> Height {
        match self {
            Self::DoubleVote { first, .. } => first.height,
            Self::DoubleProposal { first, .. } => first.height,
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
        for (purpose, payload, signature) in self.statements() {
            signature.verify(self.validator(), purpose, chain, &payload)?;
        }
        Ok(())
    }

    /// The two statements as they were signed: for what, the bytes, the signature.
    pub fn statements(&self) -> [(Purpose, Vec<u8>, Signature); 2] {
        match self {
            Self::DoubleVote { first, second, .. } => [first.statement(), second.statement()],
            Self::DoubleProposal { first, second, .. } => [first.statement(), second.statement()],
        }
    }

    /// Whether no honest validator makes both statements.
    pub fn contradicts(&self) -> bool {
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
    fn statement(&self) -> (Purpose, Vec<u8>, Signature) {
        (Purpose::Vote, vote_payload(self.precommit, self.height, self.round, self.block.as_ref()), self.signature)
    }
}

impl SignedProposal {
    fn statement(&self) -> (Purpose, Vec<u8>, Signature) {
        let payload = proposal_payload(self.height, self.round, self.valid_round, &self.block);
        (Purpose::Proposal, payload, self.signature)
    }
}
