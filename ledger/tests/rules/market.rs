//! A small market to test the rules in: four heavy nodes, named people, batches that really exist in memory.
//!
//! Every block that the market makes is built, encoded, decoded, checked again and compared, its changes are written to a
//! disk of maps, and the money is recounted by [`count_money`], which knows the records and none of the rules.

use crate::disk::{Disk, count_money};
use crate::signing::Deal;
use crate::vault::Vault;
use holdfast_ledger::{
    AdmittedTx, Applied, Event, FullBlock, Genesis, GenesisValidator, Holder, Params, Pending, Phase, Proposer, State,
    TxEnvelope, TxError, admit, build_block, check_block,
};
use holdfast_por::ChallengeParams;
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Bounded, Height, NetworkPrefix, SecretKey, TimeMs, TxId, VrfSecretKey, decode_exact,
    sha256,
};
use std::collections::HashMap;

/// Milliseconds between two blocks of a market.
pub const BLOCK_MS: u64 = 1_000;
/// When a market opens.
pub const START_MS: u64 = 1_700_000_000_000;
/// Price per batch per round that holders quote unless a test says otherwise.
pub const PRICE: Amount = Amount::grains(10_001);
/// What everybody starts with.
pub const STAKE: Amount = Amount::hold(1_000);

/// The heavy nodes; Walter builds blocks unless a test says otherwise.
pub const HEAVY: [&str; 4] = ["walter", "victor", "wendy", "vera"];
/// Everybody else who starts with money.
pub const PEOPLE: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "mallory", "trudy"];

/// The state, and all that a node has beside it.
pub struct Market {
    pub genesis: Genesis,
    pub state: State,
    pub parent: BlockHash,
    pub time: u64,
    pub vault: Vault,
    pub disk: Disk,
}

/// The key that grows from a name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(sha256(name.as_bytes()))
}

/// The address of a name.
pub fn address(name: &str) -> Address {
    key(name).address()
}

/// The beacon key of a heavy node.
pub fn vrf(name: &str) -> VrfSecretKey {
    VrfSecretKey::from_seed(sha256(format!("vrf of {name}").as_bytes()))
}

/// Small numbers, so that parts, rounds and terms come quickly.
pub fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 60_000,
        proof_window_ms: 20_000,
        seed_delay_blocks: 2,
        challenge: ChallengeParams { k_min: 20, k_small: 10, target_rounds: 4 },
        proof_part_openings: 8,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20, 21]).unwrap(),
        code_data: 2,
        code_parity: 1,
        contract_rounds_max: 100,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(3),
        proof_fee: Amount::grains(7),
        holder_bond: Amount::hold(1),
        collateral_rounds: 10,
        opening_fine_multiple: 10,
        missed_round_fine_percent: 20,
        declare_fine_percent: 10,
        validator_bond_min: Amount::hold(1),
        validators_max: 100,
        unbond_rounds: 3,
        missed_turns_max: 1_000_000,
        jail_rounds: 2,
        slash_bps: 500,
        block_interval_ms: BLOCK_MS,
        heartbeat_ms: 5_000,
        clock_drift_ms: 2_000,
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        grid: Bounded::empty(),
    }
}

pub fn genesis(params: Params) -> Genesis {
    let mut accounts: Vec<_> = PEOPLE.iter().map(|name| (address(name), STAKE)).collect();
    accounts.sort();
    let validator =
        |name: &&str| GenesisValidator { address: address(name), vrf: vrf(name).public(), bond: Amount::hold(1) };
    Genesis {
        name: Bounded::new(b"market".to_vec()).unwrap(),
        time: TimeMs::new(START_MS),
        params,
        accounts: Bounded::new(accounts).unwrap(),
        validators: Bounded::new(HEAVY.iter().map(validator).collect()).unwrap(),
        seed: [7; 32],
    }
}

impl Market {
    pub fn open() -> Self {
        Self::with(params())
    }

    pub fn with(params: Params) -> Self {
        Self::begun_with(genesis(params))
    }

    pub fn begun_with(genesis: Genesis) -> Self {
        let state = State::genesis(&genesis).unwrap();
        let disk = Disk::of_genesis(&state);
        Self { genesis, state, parent: BlockHash::ZERO, time: START_MS, vault: Vault::default(), disk }
    }

    /// The height of the next block.
    pub fn next_height(&self) -> Height {
        self.state.chain().height.next()
    }

    // ---- blocks

    /// What admission says about a transaction at the tip.
    pub fn admit(&self, envelope: &TxEnvelope) -> Result<AdmittedTx, TxError> {
        admit(&self.state, envelope.clone(), &Pending::none(&self.state, &envelope.signed.tx.sender))
    }

    /// The rule that refuses a transaction at the tip.
    pub fn refusal(&self, envelope: &TxEnvelope) -> TxError {
        self.admit(envelope).expect_err("the rule book takes what it should refuse")
    }

    /// Commits one block of transactions that all must be valid, one after the other; returns what happened.
    pub fn block(&mut self, txs: Vec<TxEnvelope>) -> Vec<Event> {
        let (events, skipped) = self.block_of(self.admit_all(txs));
        assert_eq!(skipped, []);
        events
    }

    /// Admits transactions as a mempool does: each after the waiting ones of its sender.
    pub fn admit_all(&self, txs: Vec<TxEnvelope>) -> Vec<AdmittedTx> {
        let mut waiting: HashMap<Address, Pending> = HashMap::new();
        let mut admitted = Vec::new();
        for envelope in txs {
            let sender = envelope.signed.tx.sender;
            let pending = waiting.entry(sender).or_insert_with(|| Pending::none(&self.state, &sender));
            let tx = admit(&self.state, envelope, pending).unwrap();
            *pending = tx.after(pending);
            admitted.push(tx);
        }
        admitted
    }

    /// Commits one block a block interval later, built by Walter; returns what happened and what was skipped.
    pub fn block_of(&mut self, txs: Vec<AdmittedTx>) -> (Vec<Event>, Vec<(TxId, TxError)>) {
        self.block_at(self.time + BLOCK_MS, HEAVY[0], txs)
    }

    /// Commits one block at `time` by `proposer`.
    pub fn block_at(&mut self, time: u64, proposer: &str, txs: Vec<AdmittedTx>) -> (Vec<Event>, Vec<(TxId, TxError)>) {
        let (applied, skipped) = self.build(time, proposer, txs);
        self.commit(applied).map(|events| (events, skipped)).expect("a committed block keeps the money")
    }

    /// Builds a block and lets a second node check its bytes; both must agree on everything.
    pub fn build(&self, time: u64, proposer: &str, txs: Vec<AdmittedTx>) -> (Applied, Vec<(TxId, TxError)>) {
        let vrf = vrf(proposer);
        let by = Proposer { address: address(proposer), vrf: &vrf };
        let built = build_block(&self.state, self.parent, txs.into_iter(), by, TimeMs::new(time), BLOCK_BYTES_MAX);
        let bytes = borsh::to_vec(built.checked.full()).unwrap();
        let arrived: FullBlock = decode_exact(&bytes, BLOCK_BYTES_MAX).unwrap();
        let checked = check_block(&self.state, self.parent, arrived, TimeMs::new(time)).unwrap();
        assert_eq!(built.checked.full(), checked.full());
        assert_eq!(built.checked.hash(), checked.hash());
        assert_eq!(built.checked.events(), checked.events());
        assert_eq!(built.checked.state().root(), checked.state().root());
        (checked.apply(), built.skipped)
    }

    /// Writes a block to the disk and moves the tip.
    pub fn commit(&mut self, applied: Applied) -> Result<Vec<Event>, String> {
        self.disk.write(&applied);
        self.time = applied.full.block.header.time.get();
        self.parent = applied.hash;
        self.state = applied.state;
        let (counted, supply) = (count_money(&self.state), u128::from(self.state.chain().supply.get()));
        if counted != supply {
            return Err(format!("{counted} grains counted, {supply} were made"));
        }
        Ok(applied.events)
    }

    /// A state read anew from the disk.
    pub fn reloaded(&self) -> State {
        State::load(&self.genesis, &self.disk).unwrap()
    }

    // ---- scenes

    /// Carol, Dave and Erin hold two segments (six batches) of Alice's; Frank holds nothing.
    pub fn stored() -> Self {
        Self::stored_with(params())
    }

    pub fn stored_with(params: Params) -> Self {
        let mut market = Self::with(params);
        let joins = ["carol", "dave", "erin", "frank"].map(|name| market.join(name));
        market.block(joins.to_vec());
        let register = market.register("alice", 20, 2, &["carol", "dave", "erin"].map(Deal::with));
        market.block(vec![register]);
        market
    }

    // ---- time

    /// Empty blocks until the next freeze, which has happened in the last of them; returns its events.
    pub fn freeze(&mut self) -> Vec<Event> {
        assert_eq!(self.state.chain().running.phase, Phase::Open, "a round is pending");
        let due = self.state.chain().running.due.get();
        self.block_at(due, HEAVY[0], Vec::new()).0
    }

    /// A freeze and the blocks up to the seed.
    pub fn freeze_and_seed(&mut self) {
        self.freeze();
        while self.state.chain().running.phase == Phase::AwaitingSeed {
            self.block(Vec::new());
        }
    }

    /// Empty blocks up to the deadline; returns the events of the settling block.
    pub fn settle(&mut self) -> Vec<Event> {
        let round = self.state.chain().running.round;
        loop {
            let events = self.block(Vec::new());
            if self.state.chain().running.round != round {
                return events;
            }
        }
    }

    /// One whole round in which these holders prove; returns the events of the settling block.
    pub fn round(&mut self, proving: &[&'static str]) -> Vec<Event> {
        self.freeze_and_seed();
        for holder in proving {
            let proof = self.proof(holder);
            self.block(proof);
        }
        self.settle()
    }

    // ---- reading

    pub fn balance(&self, name: &str) -> Amount {
        self.state.account_by_address(&address(name)).map_or(Amount::ZERO, |(_, account)| account.balance)
    }

    pub fn holder(&self, name: &str) -> &Holder {
        self.state.holder_by_address(&address(name)).unwrap().1
    }
}
