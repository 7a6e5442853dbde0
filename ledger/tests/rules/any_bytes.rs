//! Nothing that others send makes the rule book panic: bent transactions, signed all the same, get an answer.

use crate::market::{BLOCK_MS, HEAVY, Market, PRICE, key, vrf};
use crate::signing::Deal;
use crate::stake::{accusation, double_vote};
use holdfast_ledger::{Profile, Tx, TxBody, TxEnvelope};
use holdfast_primitives::limits::TX_BYTES_MAX;
use holdfast_primitives::{Amount, Bounded, ContractNo, RoundNo, decode_exact};
use proptest::prelude::*;

/// One transaction of every kind, each by someone who may send it now.
fn one_of_each(market: &mut Market) -> Vec<(&'static str, TxEnvelope)> {
    let update = TxBody::HolderUpdate {
        quota_bytes: 1 << 30,
        price: PRICE,
        accepting: true,
        profile: Profile::default(),
        deposit_add: Amount::grains(5),
        deposit_take: Amount::grains(3),
    };
    let release = TxBody::Release { ordinals: Bounded::new(vec![0, 1]).unwrap(), catalog_head: Some(Bounded::empty()) };
    let declare = TxBody::DeclareFaulty { batches: Bounded::new(vec![(20, 0)]).unwrap() };
    let extend = TxBody::Extend {
        contracts: Bounded::new(vec![ContractNo::new(0), ContractNo::new(2)]).unwrap(),
        end_round: RoundNo::new(12),
    };
    vec![
        ("bob", market.transfer("bob", "alice", 7)),
        ("trudy", market.join("trudy")),
        ("carol", market.tx("carol", update)),
        ("alice", market.register("alice", 20, 1, &[Deal::with("carol"), Deal::with("frank")])),
        ("alice", market.tx("alice", release)),
        ("dave", market.tx("dave", declare)),
        ("alice", market.tx("alice", extend)),
        ("bob", market.tx("bob", TxBody::Bond { amount: Amount::hold(2), vrf: vrf("bob").public() })),
        ("alice", accusation(market, "alice", double_vote(market, "walter", market.state.chain().height))),
        ("erin", market.proof("erin").pop().unwrap_or_else(|| market.transfer("erin", "bob", 1))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bent_transaction_gets_an_answer(
        which in 0usize..10,
        proving: bool,
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut market = Market::stored();
        if proving {
            market.freeze_and_seed();
        }
        let (sender, envelope) = one_of_each(&mut market).swap_remove(which);
        let mut bytes = envelope.signed.tx.payload();
        for (at, byte) in bends {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(tx) = decode_exact::<Tx>(&bytes, TX_BYTES_MAX) else { return Ok(()) };
        let signed = tx.sign(&key(sender), &market.state.chain().chain);
        let bent = TxEnvelope { signed, openings: envelope.openings };
        if let Ok(admitted) = market.admit(&bent) {
            let (_, skipped) = market.block_at(market.time + BLOCK_MS, HEAVY[2], vec![admitted]);
            prop_assert_eq!(skipped, vec![], "what is admitted at the tip goes into the next block");
        }
    }
}
