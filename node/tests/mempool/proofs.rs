//! Proofs in the pool: they cost nothing, so no fee may keep them out, and nobody may fill the pool with them.

use crate::chain::{Chain, FEE_PER_BYTE, PEOPLE, address};
use holdfast_ledger::{TxBody, TxEnvelope, TxError};
use holdfast_node::{DropReason, Mempool, MempoolLimits, SubmitError, Waiting};
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, MEMO_BYTES_MAX};
use holdfast_primitives::{Amount, Bounded, TxId};

fn limits(per_sender: usize, count: usize) -> MempoolLimits {
    MempoolLimits { per_sender, count, ..MempoolLimits::default() }
}

fn submit(pool: &mut Mempool, chain: &Chain, envelope: &TxEnvelope) -> Result<TxId, SubmitError> {
    pool.insert(&chain.state, chain.sound(envelope.clone())?)
}

#[test]
fn a_full_pool_makes_room_for_proofs_and_tells_whom_it_displaced() {
    let chain = Chain::proving(&["carol"]);
    let mut pool = Mempool::new(limits(10, 4));
    let poor: Vec<TxId> = [("alice", 0), ("bob", 0), ("alice", 1), ("erin", 0)]
        .into_iter()
        .zip([4, 3, 2, 9])
        .map(|((name, ahead), times)| {
            let payment = chain.payment(name, chain.sequence(name) + ahead, times);
            submit(&mut pool, &chain, &payment).unwrap()
        })
        .collect();
    let proof: Vec<TxId> =
        chain.proof("carol", 1).iter().map(|part| submit(&mut pool, &chain, part).unwrap()).collect();
    assert_eq!((proof.len(), pool.len()), (3, 4));
    // The worst payers that nothing follows: Alice's second, then Bob's, then Alice's first.
    for (gone, name) in [(2, "alice"), (1, "bob"), (0, "alice")] {
        let status = pool.status(&poor[gone]);
        assert!(matches!(&status, Some(Waiting::Dropped(DropReason::Displaced { .. }))), "{name}: {status:?}");
    }
    assert_eq!(pool.status(&poor[3]), Some(Waiting::Pending));
    let order: Vec<TxId> = pool.candidates(BLOCK_BYTES_MAX).iter().map(|tx| tx.sound().id()).collect();
    assert_eq!(order.last(), Some(&poor[3]), "proofs go first");
    assert!(proof.iter().all(|part| order.contains(part)));
}

/// Mallory's trick, played by Carol: other openings each time, so other transactions, and all of them free.
#[test]
fn a_holder_cannot_fill_the_pool_with_proofs_of_one_part() {
    let mut chain = Chain::proving(&["carol", "dave"]);
    let mut pool = Mempool::new(limits(10, 1_000));
    for part in chain.proof("carol", 0) {
        submit(&mut pool, &chain, &part).unwrap();
    }
    let bytes = pool.bytes();
    for filling in 1..20 {
        for (part, first_j) in chain.proof("carol", filling).iter().zip([0, 4, 8]) {
            let refused = submit(&mut pool, &chain, part).unwrap_err();
            assert_eq!(refused, SubmitError::Rule(TxError::ProofPartTwice { first_j }));
        }
    }
    assert_eq!((pool.len(), pool.bytes()), (3, bytes));
    for part in chain.proof("dave", 0) {
        submit(&mut pool, &chain, &part).expect("another holder's part is another part");
    }
    let (included, skipped) = chain.block(pool.candidates(BLOCK_BYTES_MAX), BLOCK_BYTES_MAX);
    assert_eq!((included.len(), skipped), (6, vec![]));
    pool.committed(&chain.state, included.clone(), &[]);
    assert_eq!((pool.len(), pool.bytes()), (0, 0));
    let late = submit(&mut pool, &chain, &chain.proof("carol", 9)[1]).unwrap_err();
    assert_eq!(late, SubmitError::Rule(TxError::ProofPartTwice { first_j: 4 }), "now the ledger says so");
}

#[test]
fn a_holder_with_a_full_share_still_hands_in_its_proof() {
    let chain = Chain::proving(&["carol"]);
    let mut pool = Mempool::new(limits(2, 1_000));
    let first = chain.sequence("carol");
    for ahead in 0..2 {
        submit(&mut pool, &chain, &chain.payment("carol", first + ahead, 5)).unwrap();
    }
    let third = submit(&mut pool, &chain, &chain.payment("carol", first + 2, 5)).unwrap_err();
    assert_eq!(third, SubmitError::SenderFull { sender: address("carol"), waiting: 2, limit: 2 });
    for part in chain.proof("carol", 0) {
        submit(&mut pool, &chain, &part).unwrap();
    }
    assert_eq!(pool.next_sequence(&chain.state, &address("carol")), first + 2, "proofs carry no sequence number");
}

#[test]
fn proofs_displace_no_proofs() {
    let chain = Chain::proving(&["carol", "dave"]);
    let mut pool = Mempool::new(limits(10, 3));
    for part in chain.proof("carol", 0) {
        submit(&mut pool, &chain, &part).unwrap();
    }
    let refused = submit(&mut pool, &chain, &chain.proof("dave", 0)[0]).unwrap_err();
    assert_eq!(refused, SubmitError::PoolFull { count: 3, bytes: pool.bytes() });
    let refused = submit(&mut pool, &chain, &chain.payment("bob", 0, 1_000)).unwrap_err();
    assert_eq!(refused, SubmitError::PoolFull { count: 3, bytes: pool.bytes() });
}

#[test]
fn what_a_settled_round_no_longer_wants_is_dropped_and_its_sender_told() {
    let mut chain = Chain::proving(&["carol"]);
    let mut pool = Mempool::new(limits(10, 10));
    let late = submit(&mut pool, &chain, &chain.proof("carol", 0)[0]).unwrap();
    chain.settle();
    pool.committed(&chain.state, [], &[]);
    let status = pool.status(&late);
    assert!(matches!(&status, Some(Waiting::Dropped(DropReason::Rule(TxError::NotProving { .. })))), "{status:?}");
    assert!(pool.is_empty());
}

/// A newcomer that needs more room than worse payers can give displaces nobody.
#[test]
fn a_refusal_displaces_nobody() {
    let chain = Chain::new(Amount::hold(1_000));
    let waiting: Vec<TxEnvelope> =
        PEOPLE.iter().zip([5, 6, 7, 8]).map(|(name, times)| chain.payment(name, 0, times)).collect();
    let bytes: usize = waiting.iter().map(|envelope| envelope.signed.to_bytes().len()).sum();
    let mut pool = Mempool::new(MempoolLimits { bytes: bytes + 10, ..MempoolLimits::default() });
    let ids: Vec<TxId> = waiting.iter().map(|envelope| submit(&mut pool, &chain, envelope).unwrap()).collect();
    let before: Vec<TxId> = pool.candidates(BLOCK_BYTES_MAX).iter().map(|tx| tx.sound().id()).collect();
    // Better than the worst of them, and too long for its room.
    let long = {
        let memo = Bounded::new(vec![7; MEMO_BYTES_MAX]).unwrap();
        let body = TxBody::Transfer { to: address("bob"), amount: Amount::grains(1), memo };
        let bytes = chain.sign("erin", 0, 0, u64::MAX, body.clone()).signed.to_bytes().len() as u64;
        assert!(bytes as usize > waiting[0].signed.to_bytes().len() + 10);
        chain.sign("erin", 0, bytes * FEE_PER_BYTE * 11 / 2, u64::MAX, body)
    };
    let refused = submit(&mut pool, &chain, &long).unwrap_err();
    assert_eq!(refused, SubmitError::PoolFull { count: 4, bytes });
    let after: Vec<TxId> = pool.candidates(BLOCK_BYTES_MAX).iter().map(|tx| tx.sound().id()).collect();
    assert_eq!(before, after);
    assert!(ids.iter().all(|id| pool.status(id) == Some(Waiting::Pending)));
    assert_eq!(pool.bytes(), bytes);
}
