//! What validators sign: precommits make certificates that anyone can check, and contradictions make evidence.

use super::{CHAIN, key, validators};
use crate::engine::convert;
use crate::engine::signing::{ChainSigner, ChainVerifier};
use crate::engine::types::{BlockValue, EngineAddress, EngineHeight, Holdfast};
use crate::{EvidenceError, Misbehaviour};
use arc_malachitebft_core_consensus::MisbehaviorEvidence;
use arc_malachitebft_core_types::{
    CommitCertificate, Context, NilOrVal, Round, SignedProposal, SignedVote, ValidatorProof,
};
use arc_malachitebft_signing::{Signer, Verifier};
use holdfast_primitives::{BlockHash, CertificateError, ChainId, Height};

const HEIGHT: EngineHeight = EngineHeight(Height::new(5));
const ROUND: Round = Round::Some(2);
const BLOCK: BlockHash = BlockHash::new([9; 32]);

fn signer(seed: u8) -> ChainSigner {
    ChainSigner { chain: CHAIN, key: key(seed) }
}

fn address(seed: u8) -> EngineAddress {
    EngineAddress(key(seed).address())
}

async fn precommit(seed: u8, block: BlockHash) -> SignedVote<Holdfast> {
    signer(seed).sign_vote(Holdfast.new_precommit(HEIGHT, ROUND, NilOrVal::Val(block), address(seed))).await.unwrap()
}

async fn proposal(seed: u8, block: BlockHash, valid_round: Round) -> SignedProposal<Holdfast> {
    let proposal = Holdfast.new_proposal(HEIGHT, ROUND, BlockValue(block), valid_round, address(seed));
    signer(seed).sign_proposal(proposal).await.unwrap()
}

#[tokio::test]
async fn precommits_are_a_certificate_by_our_own_rule() {
    let set = validators(&[1, 1, 1, 1]);
    let votes = [precommit(1, BLOCK).await, precommit(2, BLOCK).await, precommit(3, BLOCK).await];
    let quorum = CommitCertificate::<Holdfast>::new(HEIGHT, ROUND, BLOCK, votes.to_vec());
    let ours = convert::certificate(&quorum).unwrap();
    ours.verify(&CHAIN, &set).unwrap();
    assert_eq!(ours.verify(&ChainId::new([8; 32]), &set), Err(CertificateError::BadSignature));
    assert_eq!(convert::from_extended(&convert::to_engine(&ours)).unwrap(), ours);

    let minority = CommitCertificate::<Holdfast>::new(HEIGHT, ROUND, BLOCK, votes[..2].to_vec());
    let ours = convert::certificate(&minority).unwrap();
    assert_eq!(ours.verify(&CHAIN, &set), Err(CertificateError::NoQuorum { found: 2, total: 4 }));
}

#[tokio::test]
async fn a_vote_counts_for_its_signer_on_its_chain_only() {
    let vote = precommit(1, BLOCK).await;
    let here = ChainVerifier { chain: CHAIN };
    let elsewhere = ChainVerifier { chain: ChainId::new([8; 32]) };
    let holds = async |verifier: ChainVerifier, seed| {
        verifier.verify_signed_vote(&vote.message, &vote.signature, &key(seed).address()).await.unwrap().is_valid()
    };
    assert!(holds(here, 1).await);
    assert!(!holds(here, 2).await);
    assert!(!holds(elsewhere, 1).await);
}

#[tokio::test]
async fn a_peer_speaks_for_a_validator_on_its_chain_only() {
    let public = key(1).address().as_bytes().to_vec();
    let proof = signer(1).sign_validator_proof(public.clone(), b"peer".to_vec()).await.unwrap();
    let stolen = ValidatorProof::new(public, b"thief".to_vec(), proof.signature);
    let here = ChainVerifier { chain: CHAIN };
    let elsewhere = ChainVerifier { chain: ChainId::new([8; 32]) };
    assert!(here.verify_validator_proof(&proof).await.unwrap().is_valid());
    assert!(!here.verify_validator_proof(&stolen).await.unwrap().is_valid());
    assert!(!elsewhere.verify_validator_proof(&proof).await.unwrap().is_valid());
}

#[tokio::test]
async fn an_equivocator_is_convicted_by_its_own_signatures() {
    let other = BlockHash::new([10; 32]);
    let mut seen = MisbehaviorEvidence::<Holdfast> { proposals: Default::default(), votes: Default::default() };
    seen.votes.add(precommit(3, BLOCK).await, precommit(3, other).await);
    seen.proposals.add(proposal(3, BLOCK, Round::Nil).await, proposal(3, BLOCK, Round::Some(1)).await);
    let evidence = convert::evidence(seen);
    assert_eq!(evidence.items.len(), 2);
    for item in &evidence.items {
        assert_eq!(item.validator(), &key(3).address());
        item.verify(&CHAIN).unwrap();
        assert!(matches!(item.verify(&ChainId::new([8; 32])), Err(EvidenceError::Signature(_))));
    }

    let Misbehaviour::DoubleVote { validator, first, .. } = evidence.items[0].clone() else { panic!("a vote first") };
    let framed = Misbehaviour::DoubleVote { validator, first, second: first };
    assert_eq!(framed.verify(&CHAIN), Err(EvidenceError::NoContradiction { validator }));
}
