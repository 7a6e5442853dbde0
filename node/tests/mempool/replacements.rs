//! A sender replaces what it has waiting by what pays more; nobody is dropped without being told, and nothing goes to and
//! fro between two pools.

use crate::chain::{Chain, FEE_PER_BYTE, address};
use holdfast_ledger::{TxBody, TxEnvelope, TxError};
use holdfast_node::{DropReason, Mempool, MempoolLimits, REPLACEMENT_PERCENT, SubmitError, Waiting};
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, MEMO_BYTES_MAX};
use holdfast_primitives::{Amount, Bounded, TxId};

fn submit(pool: &mut Mempool, chain: &Chain, envelope: &TxEnvelope) -> Result<TxId, SubmitError> {
    pool.insert(&chain.state, chain.sound(envelope.clone())?)
}

/// A payment of `amount` for `fee`.
fn payment(chain: &Chain, name: &str, sequence: u64, amount: u64, fee: u64) -> TxEnvelope {
    let body = TxBody::Transfer { to: address("bob"), amount: Amount::grains(amount), memo: Bounded::empty() };
    chain.sign(name, sequence, fee, u64::MAX, body)
}

fn order(pool: &Mempool) -> Vec<TxId> {
    pool.candidates(BLOCK_BYTES_MAX).iter().map(|tx| tx.sound().id()).collect()
}

fn replaced(pool: &Mempool, tx: TxId) -> Option<TxId> {
    match pool.status(&tx)? {
        Waiting::Dropped(reason) => {
            assert_eq!(reason.code(), "tx_replaced");
            reason.replaced_by()
        }
        Waiting::Pending => None,
    }
}

#[test]
fn a_tenth_more_replaces_and_a_grain_less_does_not() {
    let chain = Chain::new(Amount::hold(1));
    let mut pool = Mempool::new(MempoolLimits::default());
    let first = submit(&mut pool, &chain, &payment(&chain, "alice", 0, 1, 1_005)).unwrap();
    let needed = Amount::grains((1_005 * REPLACEMENT_PERCENT).div_ceil(100));
    let short = payment(&chain, "alice", 0, 2, needed.get() - 1);
    let refused = submit(&mut pool, &chain, &short).unwrap_err();
    let fee = Amount::grains(needed.get() - 1);
    assert_eq!(refused, SubmitError::Underpriced { tx: first, fee, needed });
    assert_eq!(pool.status(&short.signed.id()), None, "what was never admitted was never dropped");
    let second = submit(&mut pool, &chain, &payment(&chain, "alice", 0, 2, needed.get())).unwrap();
    assert_eq!(replaced(&pool, first), Some(second));
    assert_eq!(order(&pool), [second]);
    assert_eq!(pool.next_sequence(&chain.state, &address("alice")), 1);
}

/// More in all, but spread over more bytes.
#[test]
fn a_longer_one_must_pay_more_for_each_byte_too() {
    let chain = Chain::new(Amount::hold(1));
    let mut pool = Mempool::new(MempoolLimits::default());
    let short = payment(&chain, "alice", 0, 1, 1_000);
    let first = submit(&mut pool, &chain, &short).unwrap();
    let memo = Bounded::new(vec![1; MEMO_BYTES_MAX]).unwrap();
    let body = TxBody::Transfer { to: address("bob"), amount: Amount::grains(1), memo };
    let before = short.signed.to_bytes().len() as u64;
    let needed = (1_000 * REPLACEMENT_PERCENT * (before + MEMO_BYTES_MAX as u64)).div_ceil(100 * before);
    let long = |fee| chain.sign("alice", 0, fee, u64::MAX, body.clone());
    let refused = submit(&mut pool, &chain, &long(needed - 1)).unwrap_err();
    assert!(matches!(refused, SubmitError::Underpriced { tx, .. } if tx == first), "{refused}");
    submit(&mut pool, &chain, &long(needed)).unwrap();
}

#[test]
fn what_waits_behind_stays_as_long_as_the_balance_covers_it() {
    let chain = Chain::new(Amount::grains(10_000));
    let mut pool = Mempool::new(MempoolLimits::default());
    let ids: Vec<TxId> = (0..4)
        .map(|sequence| submit(&mut pool, &chain, &payment(&chain, "alice", sequence, 1_000, 1_000)).unwrap())
        .collect();
    // 2,000 each. With the second at 4,500 the third still fits, the fourth does not.
    let second = submit(&mut pool, &chain, &payment(&chain, "alice", 1, 3_000, 1_500)).unwrap();
    assert_eq!(replaced(&pool, ids[1]), Some(second));
    assert_eq!(order(&pool), [ids[0], second, ids[2]]);
    let unpaid = pool.status(&ids[3]);
    assert!(
        matches!(&unpaid, Some(Waiting::Dropped(DropReason::Rule(TxError::BalanceTooLow { .. })))),
        "its sender is told why: {unpaid:?}"
    );
    let refused = submit(&mut pool, &chain, &payment(&chain, "alice", 1, 7_000, 2_000)).unwrap_err();
    assert!(matches!(refused, SubmitError::Rule(TxError::BalanceTooLow { .. })), "{refused}");
    assert_eq!(order(&pool), [ids[0], second, ids[2]], "a refused replacement changes nothing");
    assert_eq!(pool.next_sequence(&chain.state, &address("alice")), 3);
}

#[test]
fn replaced_blocks_are_valid_blocks() {
    let mut chain = Chain::new(Amount::grains(20_000));
    let mut pool = Mempool::new(MempoolLimits::default());
    for sequence in 0..3 {
        submit(&mut pool, &chain, &payment(&chain, "alice", sequence, 100, 1_000)).unwrap();
    }
    submit(&mut pool, &chain, &payment(&chain, "alice", 0, 200, 1_100)).unwrap();
    submit(&mut pool, &chain, &payment(&chain, "alice", 2, 300, 1_200)).unwrap();
    let expected = order(&pool);
    let (included, skipped) = chain.block(pool.candidates(BLOCK_BYTES_MAX), BLOCK_BYTES_MAX);
    assert_eq!((&included, skipped), (&expected, vec![]));
    pool.committed(&chain.state, included, &[]);
    assert!(pool.is_empty());
    assert_eq!(chain.balance("alice"), 20_000 - (200 + 100 + 300) - (1_100 + 1_000 + 1_200));
}

/// Two nodes heard of another one first, and pass on whatever is new to them until nothing is.
#[test]
fn of_two_pools_that_pass_on_what_is_new_both_end_with_the_better_and_rest() {
    let chain = Chain::new(Amount::hold(1));
    let mut pools = [Mempool::new(MempoolLimits::default()), Mempool::new(MempoolLimits::default())];
    for (fees, [one, other]) in [([1_000, 1_500], [0, 1]), ([1_000, 1_050], [1, 2]), ([1_000, 1_000], [2, 3])] {
        let sequence = one;
        let txs = [payment(&chain, "alice", sequence, 1, fees[0]), payment(&chain, "alice", sequence, 2, fees[1])];
        assert_eq!(other, sequence + 1);
        let mut travelling: Vec<(usize, TxEnvelope)> = Vec::new();
        for (place, tx) in txs.iter().enumerate() {
            submit(&mut pools[place], &chain, tx).unwrap();
            travelling.push((1 - place, tx.clone()));
        }
        let mut hops = 0;
        while let Some((place, tx)) = travelling.pop() {
            hops += 1;
            assert!(hops < 10, "it goes to and fro");
            if submit(&mut pools[place], &chain, &tx).is_ok() {
                travelling.push((1 - place, tx));
            }
        }
        let waits = |pool: &Mempool, tx: &TxEnvelope| pool.status(&tx.signed.id()) == Some(Waiting::Pending);
        if fees[1] * 100 >= fees[0] * REPLACEMENT_PERCENT {
            assert!(pools.iter().all(|pool| waits(pool, &txs[1])), "{fees:?}");
        } else {
            assert!(waits(&pools[0], &txs[0]) && waits(&pools[1], &txs[1]), "{fees:?}: each keeps its own");
        }
    }
}

#[test]
fn one_sender_takes_no_more_bytes_than_its_share_and_a_replacement_counts_once() {
    let chain = Chain::new(Amount::hold(1));
    let short = payment(&chain, "alice", 0, 1, 1_000);
    let each = short.signed.to_bytes().len();
    let limits = MempoolLimits { bytes_per_sender: 2 * each, ..MempoolLimits::default() };
    let mut pool = Mempool::new(limits);
    submit(&mut pool, &chain, &short).unwrap();
    submit(&mut pool, &chain, &payment(&chain, "alice", 1, 1, 1_000)).unwrap();
    let refused = submit(&mut pool, &chain, &payment(&chain, "alice", 2, 1, 1_000)).unwrap_err();
    let (sender, waiting, bytes, limit) = (address("alice"), 2 * each, each, 2 * each);
    assert_eq!(refused, SubmitError::SenderBytes { sender, waiting, bytes, limit });
    submit(&mut pool, &chain, &payment(&chain, "alice", 0, 1, 1_100)).expect("it takes the place of another");
    submit(&mut pool, &chain, &payment(&chain, "erin", 0, 1, 1_000)).expect("another sender has its own share");
    assert_eq!(pool.bytes(), 3 * each);
}

/// Each of three payments of Alice waits here; elsewhere others with the same numbers became final, or time went by.
#[test]
fn what_can_never_be_final_any_more_is_told_with_the_block_that_settles_it() {
    let mut chain = Chain::new(Amount::hold(1));
    let mut pool = Mempool::new(MempoolLimits::default());
    let waits = submit(&mut pool, &chain, &payment(&chain, "alice", 0, 1, 1_000)).unwrap();
    let expires = chain.state.chain().height.get() + 1;
    let body = TxBody::Transfer { to: address("bob"), amount: Amount::grains(1), memo: Bounded::empty() };
    let late = submit(&mut pool, &chain, &chain.sign("carol", 0, 1_000 * FEE_PER_BYTE, expires, body)).unwrap();
    let mut elsewhere = Mempool::new(MempoolLimits::default());
    let other = payment(&chain, "alice", 0, 5, 1_000);
    submit(&mut elsewhere, &chain, &other).unwrap();
    let drops = pool.drops();
    let (included, _) = chain.block(elsewhere.candidates(BLOCK_BYTES_MAX), BLOCK_BYTES_MAX);
    pool.committed(&chain.state, included, &[]);
    let used = pool.status(&waits);
    assert!(matches!(&used, Some(Waiting::Dropped(DropReason::Rule(TxError::WrongSequence { .. })))), "{used:?}");
    let expired = pool.status(&late);
    assert!(matches!(&expired, Some(Waiting::Dropped(DropReason::Rule(TxError::Expired { .. })))), "{expired:?}");
    assert_eq!(pool.drops(), drops + 2, "whoever waits is woken");
}

/// Proofs carry no fee: one that waits is never replaced.
#[test]
fn a_proof_part_is_never_replaced() {
    let chain = Chain::proving(&["carol"]);
    let mut pool = Mempool::new(MempoolLimits::default());
    let first = submit(&mut pool, &chain, &chain.proof("carol", 1)[0]).unwrap();
    let refused = submit(&mut pool, &chain, &chain.proof("carol", 2)[0]).unwrap_err();
    assert_eq!(refused, SubmitError::Rule(TxError::ProofPartTwice { first_j: 0 }));
    assert_eq!(pool.status(&first), Some(Waiting::Pending));
}
