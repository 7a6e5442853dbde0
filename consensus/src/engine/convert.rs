//! Between the engine's certificates and evidence and ours.

use super::types::{
    BlockValue, EngineAddress, EngineHeight, Holdfast, Proposal, Vote, engine_round, round_number, round_option,
};
use crate::app::{HeightConfig, Timeouts, Undecided};
use crate::engine::types::EngineValidatorSet;
use crate::evidence::Evidence;
use arc_malachitebft_core_consensus::{MisbehaviorEvidence, ProposedValue};
use arc_malachitebft_core_types::{
    CommitCertificate, ExtendedCommitCertificate, ExtendedCommitSignature, HeightParams, LinearTimeouts, NilOrVal,
    Round, SignedMessage, Validity, VoteType,
};
use holdfast_primitives::{
    Bounded, BoundedError, Certificate, CommitSignature, Misbehaviour, SignedProposal, SignedVote,
};

/// How the engine is told to decide a height.
pub(crate) fn height_params(config: &HeightConfig, validators: &EngineValidatorSet) -> HeightParams<Holdfast> {
    HeightParams::new(validators.clone(), timeouts(&config.timeouts), config.target)
}

fn timeouts(timeouts: &Timeouts) -> LinearTimeouts {
    let Timeouts { propose, prevote, precommit, delta, longest } = *timeouts;
    let rebroadcast = propose + prevote + precommit;
    LinearTimeouts {
        propose,
        propose_delta: delta,
        prevote,
        prevote_delta: delta,
        precommit,
        precommit_delta: delta,
        rebroadcast,
        max_timeout: longest,
    }
}

/// A kept block as the engine knows it.
pub(crate) fn proposed_value(kept: &Undecided) -> ProposedValue<Holdfast> {
    ProposedValue {
        height: EngineHeight(kept.height),
        round: Round::new(kept.round),
        valid_round: engine_round(kept.valid_round),
        proposer: EngineAddress(kept.proposer),
        value: BlockValue(kept.hash),
        validity: Validity::from_bool(kept.valid),
    }
}

/// Our certificate of what the engine decided.
pub(crate) fn certificate(decided: &CommitCertificate<Holdfast>) -> Result<Certificate, BoundedError> {
    let signatures = decided.commit_signatures.iter();
    let signatures =
        signatures.map(|commit| CommitSignature { validator: commit.address.0, signature: commit.signature });
    Ok(Certificate {
        height: decided.height.0,
        round: round_number(decided.round),
        block: decided.value_id,
        signatures: Bounded::new(signatures.collect())?,
    })
}

/// As [`certificate`], from the form that travels to nodes that catch up.
pub(crate) fn from_extended(decided: &ExtendedCommitCertificate<Holdfast>) -> Result<Certificate, BoundedError> {
    certificate(&decided.trim_vote_extensions())
}

/// Our certificate in the form that travels to nodes that catch up.
pub(crate) fn to_engine(certificate: &Certificate) -> ExtendedCommitCertificate<Holdfast> {
    let signatures = certificate.signatures.iter();
    let signatures =
        signatures.map(|commit| ExtendedCommitSignature::new(EngineAddress(commit.validator), commit.signature, None));
    ExtendedCommitCertificate {
        height: EngineHeight(certificate.height),
        round: Round::new(certificate.round),
        value_id: certificate.block,
        commit_signatures: signatures.collect(),
    }
}

/// Our evidence of what the engine saw.
pub(crate) fn evidence(seen: MisbehaviorEvidence<Holdfast>) -> Evidence {
    let votes = seen.votes.into_iter().flat_map(|(address, pairs)| {
        pairs.into_iter().map(move |(first, second)| Misbehaviour::DoubleVote {
            validator: address.0,
            first: signed_vote(&first),
            second: signed_vote(&second),
        })
    });
    let proposals = seen.proposals.iter().flat_map(|(address, pairs)| {
        pairs.iter().map(|(first, second)| Misbehaviour::DoubleProposal {
            validator: address.0,
            first: signed_proposal(first),
            second: signed_proposal(second),
        })
    });
    Evidence { items: votes.chain(proposals).collect() }
}

fn signed_vote(signed: &SignedMessage<Holdfast, Vote>) -> SignedVote {
    SignedVote {
        precommit: signed.message.kind == VoteType::Precommit,
        height: signed.message.height.0,
        round: round_number(signed.message.round),
        block: match signed.message.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(hash) => Some(hash),
        },
        signature: signed.signature,
    }
}

fn signed_proposal(signed: &SignedMessage<Holdfast, Proposal>) -> SignedProposal {
    SignedProposal {
        height: signed.message.height.0,
        round: round_number(signed.message.round),
        valid_round: round_option(signed.message.valid_round),
        block: signed.message.value.0,
        signature: signed.signature,
    }
}
