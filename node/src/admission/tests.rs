//! The door under many at once: everyone gets its own answer, and order is kept.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::{Door, Group, LINE_TXS_MAX, VERIFIED_TOGETHER_MAX, VERIFIED_TOGETHER_MIN};
use crate::core::NodeCore;
use crate::mempool::{MempoolLimits, SubmitError};
use holdfast_genesis::preset;
use holdfast_ledger::{Genesis, GenesisValidator, Tx, TxBody, TxEnvelope, TxError};
use holdfast_primitives::{
    Address, Amount, Bounded, Height, NetworkPrefix, SecretKey, Signature, TimeMs, VrfSecretKey, sha256,
};
use holdfast_store::ChainDb;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

struct Stage {
    _folder: tempfile::TempDir,
    core: Arc<NodeCore>,
    genesis: Genesis,
}

fn key(person: u8) -> SecretKey {
    SecretKey::from_seed(sha256(&[person]))
}

impl Stage {
    /// A node of its own at the genesis of a chain with so many people.
    fn new(people: u8) -> Self {
        let mut accounts: Vec<(Address, Amount)> =
            (0..people).map(|person| (key(person).address(), Amount::hold(10))).collect();
        accounts.sort_unstable();
        let vrf = VrfSecretKey::from_seed([1; 32]).public();
        let genesis = Genesis {
            name: Bounded::new(b"door".to_vec()).unwrap(),
            time: TimeMs::new(1_700_000_000_000),
            params: preset(NetworkPrefix::Devnet),
            accounts: Bounded::new(accounts).unwrap(),
            validators: Bounded::new(vec![GenesisValidator {
                address: key(200).address(),
                vrf,
                bond: Amount::hold(1_000),
            }])
            .unwrap(),
            seed: [7; 32],
        };
        let folder = tempfile::tempdir().unwrap();
        let db = ChainDb::open(folder.path(), &genesis).unwrap();
        let core = Arc::new(
            NodeCore::open(genesis.clone(), db, MempoolLimits::default(), crate::clock::NodeClock::default()).unwrap(),
        );
        Self { _folder: folder, core, genesis }
    }

    fn payment(&self, person: u8, sequence: u64) -> TxEnvelope {
        let body = TxBody::Transfer { to: key(0).address(), amount: Amount::grains(1), memo: Bounded::empty() };
        let (sender, fee, expires) = (key(person).address(), Amount::grains(100_000), Height::new(u64::MAX));
        TxEnvelope::bare(Tx { sender, sequence, fee, expires, body }.sign(&key(person), &self.genesis.chain_id()))
    }

    fn forged(&self, person: u8, sequence: u64) -> TxEnvelope {
        let mut envelope = self.payment(person, sequence);
        envelope.signed.signature = Signature::new([9; 64]);
        envelope
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everyone_at_the_door_gets_its_own_answer_and_order_is_kept() {
    let stage = Stage::new(60);
    let mut asking = Vec::new();
    for person in 0..60 {
        // Forgers stand among the honest; each hands in five that follow on each other.
        let forges = person % 7 == 3;
        let one = |sequence| if forges { stage.forged(person, sequence) } else { stage.payment(person, sequence) };
        let own: Vec<TxEnvelope> = (0..5).map(one).collect();
        let core = Arc::clone(&stage.core);
        asking.push((forges, own.clone(), tokio::spawn(async move { core.submit_all(own).await })));
    }
    for (forges, own, answers) in asking {
        let answers = answers.await.unwrap();
        assert_eq!(answers.len(), own.len());
        for (tx, answer) in own.iter().zip(answers) {
            match answer {
                Ok(id) => assert!(!forges && id == tx.signed.id()),
                Err(SubmitError::Unsound(TxError::BadSignature { signer, .. })) => {
                    assert!(forges && signer == tx.signed.tx.sender);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    let honest = (0..60).filter(|person| person % 7 != 3).count();
    assert_eq!(stage.core.mempool_size().0, honest * 5);
    let again = stage.payment(0, 2);
    let known = SubmitError::Known { tx: again.signed.id() };
    assert_eq!(stage.core.submit(again).await, Err(known));
}

#[tokio::test]
async fn a_forger_shrinks_what_is_verified_together_and_honest_ones_let_it_grow() {
    let stage = Stage::new(8);
    let together = || stage.core.door.together.load(Ordering::Relaxed);
    assert_eq!(together(), VERIFIED_TOGETHER_MAX);
    stage.core.submit(stage.forged(1, 0)).await.unwrap_err();
    assert_eq!(together(), VERIFIED_TOGETHER_MIN);
    let mut expected = VERIFIED_TOGETHER_MIN;
    for sequence in 0..7 {
        stage.core.submit(stage.payment(1, sequence)).await.unwrap();
        expected = (2 * expected).min(VERIFIED_TOGETHER_MAX);
        assert_eq!(together(), expected);
    }
}

#[test]
fn a_full_line_refuses_and_says_how_full_it_is() {
    let door = Door::default();
    let stage = Stage::new(1);
    let group = |count: usize| Group {
        envelopes: vec![stage.payment(0, 0); count],
        bytes: count * 200,
        answer: oneshot::channel().0,
    };
    assert_eq!(door.enter(group(LINE_TXS_MAX)), Ok(true), "the first must serve");
    let (count, bytes) = (LINE_TXS_MAX, LINE_TXS_MAX * 200);
    assert_eq!(door.enter(group(1)), Err(SubmitError::PoolFull { count, bytes }));
    assert_eq!(door.take().map(|groups| groups.len()), Some(1));
    assert_eq!(door.enter(group(1)), Ok(false), "somebody serves already");
    assert_eq!(door.take().map(|groups| groups.len()), Some(1));
    assert!(door.take().is_none());
    assert_eq!(door.enter(group(1)), Ok(true), "the service had ended");
}
