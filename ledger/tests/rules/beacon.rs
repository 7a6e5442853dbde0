//! Nobody chooses the beacon: it follows from the beacon before and from whose block it is, and from nothing that a
//! proposer can vary.

use crate::market::{BLOCK_MS, HEAVY, Market, PEOPLE, address, genesis, params, vrf};
use holdfast_ledger::{
    BlockError, Built, FullBlock, GenesisError, Header, Proposer, State, TxBody, build_block, check_block, next_beacon,
};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Amount, BlockHash, Bounded, TimeMs, VrfPublicKey, sha256};
use std::collections::BTreeSet;

/// A block by `proposer`, with all that a proposer can vary.
fn built(market: &Market, proposer: &str, parent: BlockHash, after_ms: u64, transfers: u64) -> Built {
    let vrf = vrf(proposer);
    let by = Proposer { address: address(proposer), vrf: &vrf };
    let txs = (0..transfers).map(|place| market.transfer(PEOPLE[place as usize], "alice", 1)).collect();
    let time = TimeMs::new(market.time + after_ms);
    build_block(&market.state, parent, market.admit_all(txs).into_iter(), by, time, BLOCK_BYTES_MAX)
}

fn verdict(market: &Market, full: FullBlock) -> Result<(), BlockError> {
    check_block(&market.state, market.parent, full, TimeMs::new(market.time + BLOCK_MS)).map(|_| ())
}

#[test]
fn time_transactions_and_parent_do_not_enter_the_beacon() {
    let market = Market::stored();
    let first = built(&market, HEAVY[0], market.parent, 1, 0);
    let (beacon, hash) = (first.checked.header().beacon, first.checked.hash());
    for after_ms in [1, 2, BLOCK_MS] {
        for transfers in [0, 1, 3] {
            for parent in [market.parent, BlockHash::new([9; 32])] {
                let other = built(&market, HEAVY[0], parent, after_ms, transfers);
                assert_eq!(other.checked.header().beacon, beacon);
                // The block's hash does vary, even where everything is the same but the proof's own randomness.
                assert_ne!(other.checked.hash(), hash);
            }
        }
    }
}

#[test]
fn a_height_has_one_beacon_per_proposer() {
    let market = Market::stored();
    let beacons: BTreeSet<[u8; 32]> = HEAVY
        .iter()
        .flat_map(|name| (0..8).map(|_| built(&market, name, market.parent, BLOCK_MS, 0).checked.header().beacon))
        .collect();
    assert_eq!(beacons.len(), HEAVY.len());
}

#[test]
fn a_beacon_that_does_not_follow_from_the_proof_is_refused() {
    let market = Market::stored();
    let good = built(&market, HEAVY[0], market.parent, BLOCK_MS, 1).checked.full().clone();
    assert_eq!(verdict(&market, good.clone()), Ok(()));
    let chain = market.state.chain();
    let (own, other) = (vrf(HEAVY[0]), vrf(HEAVY[1]));
    let stale = sha256(b"some earlier beacon");
    let lies: [fn(&mut Header, &[u8; 32]); 3] = [
        |header, output| header.beacon = next_beacon(&header.beacon, output),
        |header, _| header.beacon = sha256(&header.beacon),
        |header, _| header.beacon = [0; 32],
    ];
    for lie in lies {
        let mut full = good.clone();
        let (output, _) = own.evaluate(&chain.chain, &chain.beacon);
        lie(&mut full.block.header, &output);
        assert_eq!(verdict(&market, full), Err(BlockError::Beacon));
    }
    // Proofs that hold, but of another key or for another beacon, each with the beacon that would follow.
    for (output, proof) in [other.evaluate(&chain.chain, &chain.beacon), own.evaluate(&chain.chain, &stale)] {
        let mut full = good.clone();
        full.block.header.vrf = proof;
        full.block.header.beacon = next_beacon(&chain.beacon, &output);
        assert_eq!(verdict(&market, full), Err(BlockError::Vrf { proposer: address(HEAVY[0]) }));
    }
}

#[test]
fn another_proof_of_the_same_output_changes_the_hash_and_not_the_beacon() {
    let market = Market::stored();
    let good = built(&market, HEAVY[0], market.parent, BLOCK_MS, 1).checked.full().clone();
    let mut again = good.clone();
    let chain = market.state.chain();
    again.block.header.vrf = vrf(HEAVY[0]).evaluate(&chain.chain, &chain.beacon).1;
    assert_eq!(verdict(&market, again.clone()), Ok(()));
    assert_eq!(again.block.header.beacon, good.block.header.beacon);
    assert_ne!(again.block.header.hash(), good.block.header.hash());
}

/// A beacon key that everybody knows the secret of, or that is no key, gets into no set.
#[test]
fn nobody_validates_without_a_true_beacon_key() {
    for bytes in [[0; 32], [0xff; 32]] {
        let mut genesis = genesis(params());
        let mut validators = genesis.validators.to_vec();
        validators[0].vrf = VrfPublicKey::new(bytes);
        genesis.validators = Bounded::new(validators).unwrap();
        assert_eq!(
            State::genesis(&genesis).unwrap_err(),
            GenesisError::BeaconKey { validator: genesis.validators[0].address }
        );
        let market = Market::open();
        let bond = TxBody::Bond { amount: Amount::hold(5), vrf: VrfPublicKey::new(bytes) };
        assert_eq!(market.refusal(&market.tx("bob", bond)).code(), "stake_beacon_key");
    }
}
