//! The engine's verifier with a memory: every node checks every signature, so one machine that plays all of them would
//! check each of them many times.

use crate::engine::signing::{ChainVerifier, proposal_bytes, vote_bytes};
use crate::engine::types::{Holdfast, Proposal, Vote};
use arc_malachitebft_core_types::{ValidatorProof, VoteExtensionScope};
use arc_malachitebft_signing::{Error, VerificationResult, Verifier};
use async_trait::async_trait;
use holdfast_primitives::{Address, Signature, sha256_parts};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Signatures that hold.
pub(super) type Known = Arc<Mutex<HashSet<[u8; 32]>>>;

/// Verifies like the engine does, remembering what holds. Only what holds is remembered, with everything it depends on.
pub(super) struct SimVerifier {
    pub inner: ChainVerifier,
    pub known: Known,
    /// Believes everything: how a broken node looks, for tests of the tests.
    pub gullible: bool,
}

impl SimVerifier {
    fn remembered(&self, key: [u8; 32]) -> bool {
        self.gullible || self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&key)
    }

    fn remember(&self, key: [u8; 32], verdict: Result<VerificationResult, Error>) -> Result<VerificationResult, Error> {
        if matches!(verdict, Ok(VerificationResult::Valid)) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        verdict
    }
}

#[async_trait]
impl Verifier<Holdfast> for SimVerifier {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature,
        key: &Address,
    ) -> Result<VerificationResult, Error> {
        let memory = sha256_parts(&[b"vote", &vote_bytes(vote), signature.as_bytes(), key.as_bytes()]);
        if self.remembered(memory) {
            return Ok(VerificationResult::Valid);
        }
        self.remember(memory, self.inner.verify_signed_vote(vote, signature, key).await)
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature,
        key: &Address,
    ) -> Result<VerificationResult, Error> {
        let memory = sha256_parts(&[b"proposal", &proposal_bytes(proposal), signature.as_bytes(), key.as_bytes()]);
        if self.remembered(memory) {
            return Ok(VerificationResult::Valid);
        }
        self.remember(memory, self.inner.verify_signed_proposal(proposal, signature, key).await)
    }

    async fn verify_signed_vote_extension(
        &self,
        scope: &VoteExtensionScope<Holdfast>,
        extension: &(),
        signature: &Signature,
        key: &Address,
    ) -> Result<VerificationResult, Error> {
        self.inner.verify_signed_vote_extension(scope, extension, signature, key).await
    }

    async fn verify_validator_proof(&self, proof: &ValidatorProof<Holdfast>) -> Result<VerificationResult, Error> {
        self.inner.verify_validator_proof(proof).await
    }
}
