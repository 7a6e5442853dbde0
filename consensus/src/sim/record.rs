//! Everything that was ever signed and sent, to see whether an honest node contradicts itself.

use super::Breach;
use crate::engine::part::Opening;
use crate::engine::signing::{proposal_bytes, vote_bytes};
use crate::engine::types::{Holdfast, round_number};
use arc_malachitebft_core_consensus::SignedConsensusMsg;
use arc_malachitebft_core_types::VoteType;
use holdfast_primitives::{Address, Height};
use std::collections::BTreeMap;

/// What a validator may say only once in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statement {
    /// A proposal.
    Proposal,
    /// The opening of a streamed block.
    Stream,
    /// A prevote.
    Prevote,
    /// A precommit.
    Precommit,
}

/// What every honest node said, by who, height, round and kind. Outlives crashes: nobody else's memory does.
#[derive(Default)]
pub(super) struct Record(BTreeMap<(Address, Height, u32, Statement), Vec<u8>>);

impl Record {
    /// Notes a vote or proposal that leaves an honest node.
    pub(super) fn consensus(&mut self, message: &SignedConsensusMsg<Holdfast>) -> Result<(), Breach> {
        match message {
            SignedConsensusMsg::Vote(signed) => {
                let vote = &signed.message;
                let kind = match vote.kind {
                    VoteType::Prevote => Statement::Prevote,
                    VoteType::Precommit => Statement::Precommit,
                };
                self.note(vote.validator.0, vote.height.0, round_number(vote.round), kind, vote_bytes(vote))
            }
            SignedConsensusMsg::Proposal(signed) => {
                let proposal = &signed.message;
                let (round, said) = (round_number(proposal.round), proposal_bytes(proposal));
                self.note(proposal.proposer.0, proposal.height.0, round, Statement::Proposal, said)
            }
        }
    }

    /// Notes the opening of a stream that an honest node made itself.
    pub(super) fn opening(&mut self, opening: &Opening) -> Result<(), Breach> {
        let Opening { proposer, height, round, hash, .. } = opening;
        self.note(*proposer, *height, *round, Statement::Stream, hash.as_bytes().to_vec())
    }

    fn note(
        &mut self,
        validator: Address,
        height: Height,
        round: u32,
        kind: Statement,
        said: Vec<u8>,
    ) -> Result<(), Breach> {
        let before = self.0.entry((validator, height, round, kind)).or_insert_with(|| said.clone());
        if *before == said { Ok(()) } else { Err(Breach::SignedTwice { validator, height, round, kind }) }
    }
}
