//! A block applied again long after: with its openings, or with no more than its certified outcomes.

use crate::market::Market;
use holdfast_ledger::{Applied, BlockError, Event, FullBlock, KeptProof, ReplayError, Replayed, State, replay_block};
use holdfast_primitives::{BlockHash, StateRoot};

/// A block with three parts of Dave's proof, who has lost a batch; and the state before it.
struct Scene {
    before: State,
    parent: BlockHash,
    applied: Applied,
}

fn scene() -> Scene {
    let mut market = Market::stored();
    let state = market.state.clone();
    market.vault.lose(&state, "dave", 20, 0);
    market.freeze_and_seed();
    let proof = market.proof("dave");
    let admitted = market.admit_all(proof);
    let (applied, skipped) = market.build(market.time + 1_000, "walter", admitted);
    assert!(skipped.is_empty() && applied.full.openings.len() > 1);
    Scene { before: market.state, parent: market.parent, applied }
}

impl Scene {
    fn outcomes(&self) -> Vec<KeptProof> {
        let outcome = |event: &Event| match event {
            Event::ProofVerified { failed, .. } => Some(KeptProof::Outcome { failed: failed.clone() }),
            _ => None,
        };
        self.applied.events.iter().filter_map(outcome).collect()
    }

    fn openings(&self) -> Vec<KeptProof> {
        self.applied.full.openings.iter().map(|bytes| KeptProof::Openings { bytes: bytes.clone() }).collect()
    }

    fn replay(&self, proofs: Vec<KeptProof>) -> Result<Replayed, ReplayError> {
        replay_block(&self.before, self.parent, &self.applied.full.block, proofs)
    }

    /// The replay in which this is stated of the part that something failed in.
    fn stating(&self, state: impl Fn(&mut Vec<u32>)) -> Result<Replayed, ReplayError> {
        let mut proofs = self.outcomes();
        let has_failures = |proof: &&mut KeptProof| matches!(proof, KeptProof::Outcome { failed } if failed.len() > 1);
        let Some(KeptProof::Outcome { failed }) = proofs.iter_mut().find(has_failures) else {
            panic!("nothing failed twice")
        };
        state(failed);
        self.replay(proofs)
    }
}

#[test]
fn openings_and_outcomes_lead_to_the_same_state() {
    let scene = scene();
    let mut mixed = scene.outcomes();
    mixed[0] = scene.openings().remove(0);
    for proofs in [scene.openings(), scene.outcomes(), mixed] {
        let replayed = scene.replay(proofs).unwrap();
        assert_eq!((replayed.hash, replayed.state.root()), (scene.applied.hash, scene.applied.state.root()));
        assert_eq!(replayed.events, scene.applied.events);
    }
}

#[test]
fn an_outcome_is_believed_only_as_the_header_commits_to_it() {
    let scene = scene();
    let whitewashed = scene.stating(Vec::clear).unwrap_err();
    assert!(matches!(whitewashed, ReplayError::Block(BlockError::ResultRoot { .. })), "{whitewashed}");
    let impossible: [fn(&mut Vec<u32>); 3] =
        [|failed| failed.push(u32::MAX), |failed| failed.reverse(), |failed| failed.insert(0, failed[0])];
    for (number, state) in impossible.into_iter().enumerate() {
        let error = scene.stating(state).unwrap_err();
        assert!(matches!(error, ReplayError::Outcome { .. }), "outcome {number}: {error}");
    }
}

#[test]
fn a_replay_takes_no_block_that_a_validator_would_refuse() {
    let scene = scene();
    let mut short = scene.openings();
    short.pop();
    assert!(matches!(scene.replay(short), Err(ReplayError::Proofs { .. })));
    let mut swapped = scene.openings();
    swapped.swap(0, 1);
    assert!(matches!(scene.replay(swapped), Err(ReplayError::Block(BlockError::Tx { .. }))));
    let mut lying = scene.applied.full.clone();
    lying.block.header.state_root = StateRoot::new([1; 32]);
    let FullBlock { block, .. } = lying;
    let error = replay_block(&scene.before, scene.parent, &block, scene.openings()).unwrap_err();
    assert!(matches!(error, ReplayError::Block(BlockError::StateRoot { .. })), "{error}");
    let error = replay_block(&scene.before, BlockHash::ZERO, &scene.applied.full.block, scene.openings()).unwrap_err();
    assert!(matches!(error, ReplayError::Block(BlockError::Parent { .. })), "{error}");
}
