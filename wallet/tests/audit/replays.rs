//! The whole chain, applied again from what a node tells.

use crate::archive::{STORY, Served, served, served_pruned};
use crate::villains::{Villain, audit, struck};
use holdfast_ledger::{Event, RoundRecord, TxBody};
use holdfast_primitives::{ChainId, Height, RoundNo};
use holdfast_wallet::{ChainVerdict, WalletError, replay_chain};
use std::sync::Mutex;

async fn replay(served: &Served, to: Option<Height>) -> Result<ChainVerdict, WalletError> {
    replay_chain(&served.node, Some(STORY.genesis.chain_id()), to, &|_, _| {}).await
}

fn records() -> Vec<&'static RoundRecord> {
    let record = |event: &'static Event| if let Event::RoundSettled(record) = event { Some(record) } else { None };
    STORY.events.iter().flatten().filter_map(record).collect()
}

fn proofs() -> impl Iterator<Item = (Height, RoundNo, u32)> {
    let blocks = STORY.blocks.iter().map(|full| &full.block);
    blocks.flat_map(|block| {
        block.txs.iter().filter_map(|signed| match &signed.tx.body {
            TxBody::Prove { part, .. } => Some((block.header.height, part.round, part.count)),
            _ => None,
        })
    })
}

#[tokio::test]
async fn an_honest_chain_comes_to_the_same_state() {
    let served = served(Villain::Nobody).await;
    let heard = Mutex::new(Vec::new());
    let tell = |done: Height, of: Height| heard.lock().unwrap().push((done.get(), of.get()));
    let verdict = replay_chain(&served.node, None, None, &tell).await.unwrap();
    let height = STORY.tip.chain().height;
    assert_eq!((verdict.height, verdict.state_root), (height, STORY.tip.root()));
    assert_eq!(verdict.block, STORY.blocks.last().unwrap().block.header.hash());
    assert_eq!(verdict.rounds, records().len() as u64);
    let paid: u64 = records().iter().map(|record| record.paid.get()).sum();
    let fines: u64 = records().iter().map(|record| record.fines.get()).sum();
    assert_eq!((verdict.paid.get(), verdict.fines.get()), (paid, fines));
    assert!(paid > 0 && fines > 0, "the story has payments and fines");
    assert_eq!(verdict.openings, proofs().map(|(_, _, count)| u64::from(count)).sum::<u64>());
    assert_eq!(verdict.digests_only, None);
    assert_eq!(verdict.supply, STORY.tip.chain().supply);
    let expected: Vec<_> = (1..=height.get()).map(|done| (done, height.get())).collect();
    assert_eq!(heard.into_inner().unwrap(), expected);
}

#[tokio::test]
async fn a_replay_stops_where_it_is_told() {
    let served = served(Villain::Nobody).await;
    let half = Height::new(STORY.blocks.len() as u64 / 2);
    let verdict = replay(&served, Some(half)).await.unwrap();
    assert_eq!(verdict.state_root, STORY.header(half).unwrap().state_root);
    let beyond = STORY.tip.chain().height.next();
    assert!(matches!(replay(&served, Some(beyond)).await, Err(WalletError::NoSuchBlock { .. })));
}

#[tokio::test]
async fn of_pruned_proofs_the_certified_outcomes_are_taken_and_told() {
    let whole = replay(&served(Villain::Nobody).await, None).await.unwrap();
    let settled = struck();
    let served = served_pruned(Villain::Nobody, settled).await;
    let verdict = replay(&served, None).await.unwrap();
    let span = verdict.digests_only.expect("openings are missing");
    assert_eq!((span.first, span.last), (RoundNo::new(0), RoundNo::new(1)));
    assert_eq!(span.parts, proofs().filter(|(height, ..)| *height < settled).count() as u64);
    let expected = ChainVerdict { openings: verdict.openings, digests_only: verdict.digests_only, ..whole };
    assert_eq!(verdict, expected, "everything else is computed all the same");
    assert_ne!(verdict.openings, 0, "round 2 is whole");
    let error = audit(served.node, 0).await.unwrap_err();
    assert!(matches!(error, WalletError::ProofsPruned { round } if round == RoundNo::new(0)), "{error}");
}

#[tokio::test]
async fn a_liar_is_caught_at_the_first_block_that_does_not_agree() {
    let all = Height::new(u64::MAX);
    let failed = STORY.height_of(|event| matches!(event, Event::ProofVerified { failed, .. } if !failed.is_empty()));
    let proved = STORY.height_of(|event| matches!(event, Event::ProofVerified { .. }));
    let tip = STORY.tip.chain().height;
    let lies = [
        (Villain::Notary, Height::GENESIS, Height::new(1), "is not a validator"),
        (Villain::Counterfeiter, Height::GENESIS, tip, "its certificate is for another block"),
        (Villain::Censor, Height::GENESIS, tip, "transaction root"),
        (Villain::Smudger, Height::GENESIS, proved, "openings"),
        (Villain::Whitewasher, all, failed, "result root"),
        (Villain::Cartel, Height::GENESIS, struck(), "state root"),
    ];
    for (villain, openings_below, height, expected) in lies {
        let served = served_pruned(villain, openings_below).await;
        let error = replay(&served, None).await.expect_err("the villain gets away with it");
        let WalletError::Refuted { witness, cause } = &error else { panic!("{villain:?}: {error}") };
        let cause = cause.to_string();
        assert!(witness.contains(&served.url), "{villain:?}: {witness}");
        assert!(cause.starts_with(&format!("block {height} ")) && cause.contains(expected), "{villain:?}: {cause}");
    }
}

/// A round's audit believes what the validators certify; only applying the blocks again shows that they did not compute it.
#[tokio::test]
async fn what_the_validators_do_wrong_together_shows_in_a_replay_only() {
    let served = served(Villain::Cartel).await;
    audit(served.node.clone(), 1).await.unwrap();
    replay(&served, None).await.unwrap_err();
}

#[tokio::test]
async fn a_chain_of_another_genesis_is_refused() {
    let served = served(Villain::Nobody).await;
    let refused = replay_chain(&served.node, Some(ChainId::new([9; 32])), None, &|_, _| {}).await;
    assert!(matches!(refused, Err(WalletError::OtherChain { .. })));
}
