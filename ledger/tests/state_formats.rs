//! Sizes of records that the design promises, as borsh writes them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use borsh::BorshSerialize;
use holdfast_ledger::statement::FootprintHop;
use holdfast_ledger::{Account, Contract, Member, Payment, RoundResult, Slot};
use holdfast_por::BatchMeta;
use holdfast_primitives::{
    AccountNo, Address, Amount, Bounded, ContractNo, Digest, HolderNo, Purpose, RoundNo, SecretKey, SegmentNo,
};

fn bytes(record: &impl BorshSerialize) -> usize {
    borsh::to_vec(record).unwrap().len()
}

#[test]
fn rows_that_come_by_the_million_keep_their_size() {
    let meta = BatchMeta { scheme: 1, batch_log2: 28, leaf_log2: 10, inner_code: 0, root: [1; 32] };
    let sound = Slot { meta, contract: ContractNo::new(1), segment: SegmentNo::new(2), index: 3, faulty_since: None };
    let faulty = Slot { faulty_since: Some(RoundNo::new(4)), ..sound.clone() };
    assert_eq!((bytes(&sound), bytes(&faulty)), (46, 54), "with its prefix even a faulty slot is one block of SHA-256");
    assert_eq!(bytes(&Member { holder: HolderNo::new(1), slot: 2 }), 8);
}

#[test]
fn a_round_result_is_72_bytes_a_payment_24_and_a_hop_96() {
    let result = RoundResult { holder: Address::ZERO, proof_digest: Digest::ZERO, missing: 1, challenges: 2 };
    assert_eq!(bytes(&result), 72);
    let payment =
        Payment { contract: ContractNo::new(1), batches: 2, paid: Amount::grains(3), relay_fee: Amount::grains(4) };
    assert_eq!(bytes(&payment), 24);
    let key = SecretKey::from_seed([1; 32]);
    let signature = key.sign(Purpose::FootprintHop, &holdfast_primitives::ChainId::ZERO, &[]);
    assert_eq!(bytes(&FootprintHop { node: key.address(), signature }), 96);
}

#[test]
fn accounts_and_contracts_stay_small() {
    let account = Account {
        validator: None,
        address: Address::ZERO,
        balance: Amount::ZERO,
        sequence: 0,
        holder: None,
        segments: 0,
        catalog_head: Bounded::empty(),
        revoked: Bounded::empty(),
    };
    assert_eq!(bytes(&account), 62);
    let contract = Contract {
        owner: AccountNo::new(1),
        holder: HolderNo::new(2),
        batch_log2: 28,
        batches: 3,
        faulty: 0,
        price: Amount::ZERO,
        collateral: Amount::ZERO,
        escrow: Amount::ZERO,
        first_round: RoundNo::new(1),
        end_round: RoundNo::new(2),
        end_round_max: RoundNo::new(3),
        footprint: Bounded::new(vec![AccountNo::new(3); 4]).unwrap(),
    };
    assert_eq!(bytes(&contract), 85);
}
