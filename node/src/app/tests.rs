//! What consensus saw of misbehaviour reaches the ledger: evidence at a commit becomes an accusation, and the next block
//! takes the bond.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::NodeApp;
use crate::clock::NodeClock;
use crate::core::NodeCore;
use crate::gossip::GossipPool;
use crate::keys::NodeKeys;
use crate::mempool::MempoolLimits;
use holdfast_consensus::{BuildRequest, Evidence, LedgerApp as _};
use holdfast_genesis::preset;
use holdfast_ledger::{Genesis, GenesisValidator, PROTOCOL_VERSION_MAX, Standing};
use holdfast_network::gossip::Gossip;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Amount, BlockHash, Bounded, Certificate, Height, Misbehaviour, NetworkPrefix, Purpose, SecretKey, SignedVote,
    TimeMs, VrfSecretKey, vote_payload,
};
use holdfast_store::ChainDb;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// An honest validator (1) and one that will contradict itself (2).
fn genesis() -> Genesis {
    let validator = |seed| GenesisValidator {
        address: key(seed).address(),
        vrf: VrfSecretKey::from_seed([seed; 32]).public(),
        bond: Amount::hold(1_000),
    };
    Genesis {
        name: Bounded::new(b"accused".to_vec()).unwrap(),
        time: TimeMs::new(1_700_000_000_000),
        params: preset(NetworkPrefix::Devnet),
        accounts: Bounded::empty(),
        validators: Bounded::new(vec![validator(1), validator(2)]).unwrap(),
        seed: [7; 32],
    }
}

fn app(folder: &std::path::Path) -> (NodeApp, Arc<NodeCore>) {
    let db = ChainDb::open(folder, &genesis()).unwrap();
    let core = Arc::new(NodeCore::open(genesis(), db, MempoolLimits::default(), NodeClock::default()).unwrap());
    let keys = NodeKeys { identity: key(1), vrf: VrfSecretKey::from_seed([1; 32]) };
    let gossip = Gossip::new(Arc::new(GossipPool::new(Arc::clone(&core), [])));
    (NodeApp::new(Arc::clone(&core), Arc::new(keys), gossip, PROTOCOL_VERSION_MAX), core)
}

/// The next block by the honest one, decided; with what consensus saw meanwhile.
async fn decide(app: &NodeApp, items: Vec<Misbehaviour>) {
    let height = app.tip().0.next();
    let deadline = Instant::now() + Duration::from_secs(60);
    let request = BuildRequest { height, round: 0, proposer: key(1).address(), deadline, bytes_max: BLOCK_BYTES_MAX };
    let block = app.build(request).await.unwrap();
    let hash = app.identify(&block).unwrap().hash;
    // Whether it is a quorum consensus has checked before it asks for a commit.
    let certificate = Certificate { height, round: 0, block: hash, signatures: Bounded::empty() };
    app.commit(block, certificate, Evidence { items }).await.unwrap();
}

fn two_minds(height: Height) -> Misbehaviour {
    let (villain, chain) = (key(2), genesis().chain_id());
    let vote = |block: u8| {
        let block = Some(BlockHash::new([block; 32]));
        let signature = villain.sign(Purpose::Vote, &chain, &vote_payload(false, height, 0, block.as_ref()));
        SignedVote { precommit: false, height, round: 0, block, signature }
    };
    Misbehaviour::DoubleVote { validator: villain.address(), first: vote(1), second: vote(2) }
}

#[tokio::test]
async fn what_consensus_saw_of_a_contradiction_costs_the_bond_and_the_seat_with_the_next_block() {
    let folder = tempfile::tempdir().unwrap();
    let (app, core) = app(folder.path());
    decide(&app, Vec::new()).await;
    decide(&app, vec![two_minds(Height::new(1))]).await;
    assert_eq!(core.mempool_size().0, 1, "the accusation waits");
    decide(&app, Vec::new()).await;

    let state = core.tip().state;
    let (_, accused) = state.validator_by_address(&key(2).address()).unwrap();
    assert_eq!((accused.standing, accused.slashed), (Standing::Banned, Amount::hold(50)));
    assert!(state.chain().validators.get(&key(2).address()).is_none());
    assert_eq!(core.mempool_size().0, 0);

    // Seen again, by another engine or after a restart: once is enough, and consensus goes on.
    decide(&app, vec![two_minds(Height::new(2))]).await;
    assert_eq!(core.mempool_size().0, 0);
}
