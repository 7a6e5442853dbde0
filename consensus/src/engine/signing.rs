//! Signing and verifying for the engine: ed25519 under the one signature rule (DESIGN section 6), every statement with
//! its purpose and the chain id in front, so that the precommits of a height are a [`Certificate`] as they stand.
//!
//! [`Certificate`]: holdfast_primitives::Certificate

use super::types::{Holdfast, Proposal, Vote, round_number, round_option};
use arc_malachitebft_core_types::{
    NilOrVal, SignedMessage, SigningScheme, ValidatorProof, VoteExtensionScope, VoteType,
};
use arc_malachitebft_signing::{Error, Signer, VerificationResult, Verifier};
use async_trait::async_trait;
use holdfast_primitives::{Address, ChainId, KeyError, Purpose, SecretKey, Signature, proposal_payload, vote_payload};

/// Ed25519, verified by ZIP-215.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ed25519;

/// Bytes of the wrong length for a key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes, expected {expected}")]
pub(crate) struct WrongLength {
    found: usize,
    expected: usize,
}

impl SigningScheme for Ed25519 {
    type DecodingError = WrongLength;
    type Signature = Signature;
    type PublicKey = Address;
    type PrivateKey = SecretKey;

    fn decode_signature(bytes: &[u8]) -> Result<Signature, WrongLength> {
        fixed(bytes).map(Signature::new)
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<Address, WrongLength> {
        fixed(bytes).map(Address::new)
    }

    fn encode_public_key(public_key: &Address) -> Vec<u8> {
        public_key.as_bytes().to_vec()
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WrongLength> {
    bytes.try_into().map_err(|_| WrongLength { found: bytes.len(), expected: N })
}

/// Verifies statements made on one chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainVerifier {
    pub chain: ChainId,
}

/// Signs statements on one chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainSigner {
    pub chain: ChainId,
    pub key: SecretKey,
}

pub(crate) fn vote_bytes(vote: &Vote) -> Vec<u8> {
    let block = match &vote.value {
        NilOrVal::Nil => None,
        NilOrVal::Val(hash) => Some(hash),
    };
    vote_payload(vote.kind == VoteType::Precommit, vote.height.0, round_number(vote.round), block)
}

pub(crate) fn proposal_bytes(proposal: &Proposal) -> Vec<u8> {
    let round = round_number(proposal.round);
    proposal_payload(proposal.height.0, round, round_option(proposal.valid_round), &proposal.value.0)
}

fn outcome(checked: Result<(), KeyError>) -> Result<VerificationResult, Error> {
    Ok(VerificationResult::from_bool(checked.is_ok()))
}

#[async_trait]
impl Verifier<Holdfast> for ChainVerifier {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature,
        key: &Address,
    ) -> Result<VerificationResult, Error> {
        outcome(signature.verify(key, Purpose::Vote, &self.chain, &vote_bytes(vote)))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature,
        key: &Address,
    ) -> Result<VerificationResult, Error> {
        outcome(signature.verify(key, Purpose::Proposal, &self.chain, &proposal_bytes(proposal)))
    }

    /// Extensions are not used: none is acceptable.
    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Holdfast>,
        (): &(),
        _: &Signature,
        _: &Address,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    /// Unlike the engine's own advice this binds the proof to the chain: a peer of another chain is no validator here.
    async fn verify_validator_proof(&self, proof: &ValidatorProof<Holdfast>) -> Result<VerificationResult, Error> {
        let Ok(key) = proof.decoded_public_key() else { return Ok(VerificationResult::Invalid) };
        outcome(proof.signature.verify(&key, Purpose::ValidatorProof, &self.chain, &proof.preimage()))
    }
}

#[async_trait]
impl Signer<Holdfast> for ChainSigner {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Holdfast, Vote>, Error> {
        let signature = self.key.sign(Purpose::Vote, &self.chain, &vote_bytes(&vote));
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<Holdfast, Proposal>, Error> {
        let signature = self.key.sign(Purpose::Proposal, &self.chain, &proposal_bytes(&proposal));
        Ok(SignedMessage::new(proposal, signature))
    }

    /// Extensions are not used: asking for one is a fault of the engine's configuration.
    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<Holdfast>,
        (): (),
    ) -> Result<SignedMessage<Holdfast, ()>, Error> {
        Err(Error::new())
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Holdfast>, Error> {
        let preimage = ValidatorProof::<Holdfast>::signing_bytes(&public_key, &peer_id);
        let signature = self.key.sign(Purpose::ValidatorProof, &self.chain, &preimage);
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }
}
