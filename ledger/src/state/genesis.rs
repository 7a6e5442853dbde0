//! The first state.

use super::genesis_rules::{Checked, GenesisError, check};
use super::{NumberIndex, State, StateRoots, seal};
use crate::merkle_vec::MerkleVec;
use crate::pages::Pages;
use crate::stake::newcomer;
use crate::{ChainRecord, Genesis, GenesisValidator, Params, Phase, RunningRound, ValidatorRecord};
use holdfast_primitives::{AccountNo, Amount, Bounded, Digest, Height, RoundNo, TimeMs, sha256_parts};
use std::sync::Arc;

impl State {
    /// The state before the first block, sealed.
    ///
    /// Funded accounts get the first numbers in the order of the genesis, validators without money the next ones in the
    /// order of their addresses. The validators are the first heavy nodes. The first beacon is
    /// `SHA256("holdfast/first-beacon/v1\0" | chain id | seed)`.
    ///
    /// # Errors
    /// The first rule that the genesis breaks.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let checked = check(genesis)?;
        let mut state = Self::without_records(&genesis.params, first_chain_record(genesis, checked));
        for (address, balance) in genesis.accounts.iter() {
            let number = state.create_account(*address);
            state.account_mut(number).balance = *balance;
        }
        state.bond_validators(genesis);
        state.seal();
        Ok(state)
    }

    /// A state that has nothing but its chain record, not sealed.
    pub(super) fn without_records(params: &Params, chain: ChainRecord) -> Self {
        Self {
            params: Arc::new(params.clone()),
            chain: Arc::new(chain),
            chain_changed: true,
            accounts: MerkleVec::new(),
            holders: MerkleVec::new(),
            contracts: MerkleVec::new(),
            segments: MerkleVec::new(),
            rounds: MerkleVec::new(),
            progress: MerkleVec::new(),
            deferred: MerkleVec::new(),
            validators: MerkleVec::new(),
            lists: Pages::new(),
            by_address: NumberIndex::new(),
            by_ordinal: NumberIndex::new(),
            roots: StateRoots { params: seal::params_digest(params), ..StateRoots::default() },
        }
    }

    /// Gives every validator an account, its bond and a place among the heavy nodes, in the order of their addresses.
    fn bond_validators(&mut self, genesis: &Genesis) {
        let mut validators: Vec<&GenesisValidator> = genesis.validators.iter().collect();
        validators.sort_by_key(|validator| validator.address);
        let mut numbers: Vec<AccountNo> = Vec::with_capacity(validators.len());
        for GenesisValidator { address, vrf, bond } in validators {
            let known = self.account_by_address(address).map(|(number, _)| number);
            let account = known.unwrap_or_else(|| self.create_account(*address));
            self.create_validator(ValidatorRecord { bonded: *bond, ..newcomer(account, *vrf, RoundNo::new(0)) });
            numbers.push(account);
        }
        numbers.sort_unstable();
        self.chain_mut().heavy_nodes = Bounded::new(numbers).expect("there are at most VALIDATORS_MAX validators");
    }
}

fn first_chain_record(genesis: &Genesis, checked: Checked) -> ChainRecord {
    let chain = genesis.chain_id();
    ChainRecord {
        chain,
        height: Height::GENESIS,
        time: genesis.time,
        beacon: sha256_parts(&[b"holdfast/first-beacon/v1\0", chain.as_bytes(), &genesis.seed]),
        validators: checked.validators,
        protocol: genesis.params.protocol_version,
        upgrade: None,
        heavy_nodes: Bounded::empty(),
        running: first_round(genesis),
        reserve: Amount::ZERO,
        supply: checked.supply,
    }
}

fn first_round(genesis: &Genesis) -> RunningRound {
    RunningRound {
        round: RoundNo::new(0),
        phase: Phase::Open,
        freeze_height: Height::GENESIS,
        freeze_time: TimeMs::new(0),
        due: genesis.time.saturating_add(genesis.params.round_ms),
        freeze_due: genesis.time.saturating_add(genesis.params.round_ms),
        frozen_root: Digest::ZERO,
        verified_by: Bounded::empty(),
    }
}
