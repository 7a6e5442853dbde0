//! Ten thousand random transactions, valid and not, over dozens of rounds. After every block the money is recounted, both
//! nodes agree byte for byte, and a block with any one bit turned is refused; every settlement is worked out a second
//! time by the oracle; now and then the state is read anew from the disk.

use crate::market::{BLOCK_MS, HEAVY, Market, PEOPLE, address, params, vrf};
use crate::oracle::{books, forecast};
use crate::signing::Deal;
use crate::stake::{accusation, double_vote};
use holdfast_ledger::{
    AdmittedTx, Applied, Event, FullBlock, Params, Pending, Phase, Profile, Revoked, Standing, TxBody, TxEnvelope,
    Upgrade, admit, check_block,
};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{Address, Amount, Bounded, ContractNo, GrantId, Height, RoundNo, TimeMs, decode_exact};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};

/// Transactions of each seed; there are four.
const STEPS: usize = 2_600;
/// Kinds of [`Event`]; a storm meets them all.
const EVENT_KINDS: usize = 27;

#[test]
fn storm_one() {
    Storm::new(1).blow(STEPS);
}

#[test]
fn storm_two() {
    Storm::new(2).blow(STEPS);
}

#[test]
fn storm_three() {
    Storm::new(3).blow(STEPS);
}

#[test]
fn storm_four() {
    Storm::new(4).blow(STEPS);
}

struct Storm {
    market: Market,
    rng: ChaCha8Rng,
    waiting: HashMap<Address, Pending>,
    pool: Vec<AdmittedTx>,
    proofs: Vec<TxEnvelope>,
    blocks: usize,
    settled: usize,
    /// How often each verdict was met: `ok` or a rule's code.
    verdicts: BTreeMap<&'static str, usize>,
    /// How often each kind of event happened.
    happened: BTreeMap<String, usize>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        Self {
            market: Market::stored_with(Params { missed_turns_max: 6, ..params() }),
            rng: ChaCha8Rng::seed_from_u64(seed),
            waiting: HashMap::new(),
            pool: Vec::new(),
            proofs: Vec::new(),
            blocks: 0,
            settled: 0,
            verdicts: BTreeMap::new(),
            happened: BTreeMap::new(),
        }
    }

    fn blow(mut self, steps: usize) {
        for _ in 0..steps {
            let envelope = self.next_tx();
            self.submit(envelope);
            if self.rng.random_bool(0.15) {
                self.make_block();
            }
        }
        self.make_block();
        assert_eq!(self.market.reloaded().root(), self.market.state.root());
        assert!(self.settled >= 8, "{} rounds", self.settled);
        assert!(self.verdicts["ok"] > steps / 4, "{:?}", self.verdicts);
        assert!(self.verdicts.len() > 20, "{:?}", self.verdicts);
        assert_eq!(self.happened.len(), EVENT_KINDS, "{:?}", self.happened);
    }

    fn submit(&mut self, envelope: TxEnvelope) {
        let sender = envelope.signed.tx.sender;
        let state = &self.market.state;
        let pending = self.waiting.entry(sender).or_insert_with(|| Pending::none(state, &sender));
        let verdict = admit(state, envelope, pending).map(|tx| {
            *pending = tx.after(pending);
            self.pool.push(tx);
        });
        let code = verdict.as_ref().map_or_else(|error| error.code(), |()| "ok");
        *self.verdicts.entry(code).or_default() += 1;
    }

    // ---- transactions

    fn next_tx(&mut self) -> TxEnvelope {
        let who = self.anybody();
        match self.rng.random_range(0..100) {
            0..25 => self.transfer(who),
            25..30 => self.join(who),
            30..40 => self.update(who),
            40..60 => self.register(who),
            60..68 => self.release(who),
            68..73 => self.declare(who),
            73..78 => self.extend(who),
            78..86 => self.stake(who),
            _ => self.proof_part(who),
        }
    }

    fn anybody(&mut self) -> &'static str {
        PEOPLE.choose(&mut self.rng).unwrap()
    }

    /// Mostly the sender's next sequence number, and a good signature.
    fn finish(&mut self, who: &str, body: TxBody) -> TxEnvelope {
        let mut tx = self.market.bare(who, body);
        if let Some(pending) = self.waiting.get(&tx.sender) {
            tx.sequence = pending.next_sequence;
        }
        match self.rng.random_range(0..40) {
            0 => tx.sequence += 1,
            1 => tx.fee = Amount::grains(tx.fee.get() - 1),
            2 => tx.expires = self.market.state.chain().height,
            _ => {}
        }
        let signer = if self.rng.random_ratio(1, 40) { "trudy" } else { who };
        TxEnvelope::bare(self.market.sign(signer, tx))
    }

    fn transfer(&mut self, who: &'static str) -> TxEnvelope {
        let strangers = ["zoe", "yan", "xenia"];
        let to = if self.rng.random_bool(0.3) { strangers.choose(&mut self.rng).unwrap() } else { self.anybody() };
        let amounts = [0, 1, 1_000_000, self.market.balance(who).get() / 2, u64::MAX];
        let amount = Amount::grains(*amounts.choose(&mut self.rng).unwrap());
        self.finish(who, TxBody::Transfer { to: address(to), amount, memo: Bounded::empty() })
    }

    fn join(&mut self, who: &str) -> TxEnvelope {
        let deposit = Amount::grains(self.rng.random_range(500_000_000..3_000_000_000));
        self.finish(
            who,
            TxBody::HolderJoin {
                quota_bytes: 40 << 20,
                price: Amount::grains(5),
                profile: Profile::default(),
                deposit,
            },
        )
    }

    fn update(&mut self, who: &str) -> TxEnvelope {
        let grains =
            |rng: &mut ChaCha8Rng| Amount::grains(rng.random_range(0..2_000_000) * u64::from(rng.random_bool(0.5)));
        let (deposit_add, deposit_take) = (grains(&mut self.rng), grains(&mut self.rng));
        let quota_bytes = self.rng.random_range(0u64..64) << 20;
        let accepting = self.rng.random_bool(0.9);
        self.finish(
            who,
            TxBody::HolderUpdate {
                quota_bytes,
                price: Amount::grains(9),
                accepting,
                profile: Profile::default(),
                deposit_add,
                deposit_take,
            },
        )
    }

    fn register(&mut self, who: &'static str) -> TxEnvelope {
        let count = self.rng.random_range(1..=4);
        let holders: Vec<&'static str> = PEOPLE.sample(&mut self.rng, count).copied().collect();
        let deals: Vec<Deal> = holders.into_iter().map(|holder| self.deal(holder)).collect();
        let batch_log2 = if self.rng.random_bool(0.7) { 20 } else { 21 };
        let segments = self.rng.random_range(1..=3);
        let register = self.market.registration(who, batch_log2, segments, &deals);
        self.finish(who, TxBody::Register(register))
    }

    fn deal(&mut self, holder: &'static str) -> Deal {
        let hops = self.rng.random_range(1..=4);
        let path: Vec<&'static str> = HEAVY.sample(&mut self.rng, hops).copied().collect();
        let expires =
            if self.rng.random_ratio(1, 30) { self.market.state.chain().height } else { Height::new(u64::MAX) };
        let price = Amount::grains(self.rng.random_range(1..40_000));
        Deal { holder, price, rounds: self.rng.random_range(1..=4), path, expires }
    }

    fn release(&mut self, who: &str) -> TxEnvelope {
        let segments = self.market.state.account_by_address(&address(who)).map_or(0, |(_, account)| account.segments);
        let count = self.rng.random_range(1..=3);
        let ordinals = (0..count).map(|_| self.rng.random_range(0..=segments)).collect();
        self.finish(who, TxBody::Release { ordinals: Bounded::new(ordinals).unwrap(), catalog_head: None })
    }

    /// Mostly contracts of the sender's, mostly to a round that will do.
    fn extend(&mut self, who: &str) -> TxEnvelope {
        let state = &self.market.state;
        let owner = state.account_by_address(&address(who)).map(|(number, _)| number);
        let own: Vec<_> = state.iter_contracts().filter(|(_, contract)| Some(contract.owner) == owner).collect();
        let last = own.iter().rfind(|(_, contract)| contract.batches > 0);
        let (number, end) =
            last.map_or((ContractNo::new(0), RoundNo::new(1)), |(number, contract)| (*number, contract.end_round));
        let mut contracts = vec![number];
        if self.rng.random_ratio(1, 8) {
            contracts.push(ContractNo::new(self.rng.random_range(0..40)));
        }
        let rounds = if self.rng.random_ratio(1, 8) { 5_000 } else { self.rng.random_range(0..5) };
        let end_round = end.saturating_add(rounds);
        self.finish(who, TxBody::Extend { contracts: Bounded::new(contracts).unwrap(), end_round })
    }

    fn declare(&mut self, who: &str) -> TxEnvelope {
        let batch_log2 = if self.rng.random_bool(0.7) { 20 } else { 21 };
        let batches = Bounded::new(vec![(batch_log2, self.rng.random_range(0..4))]).unwrap();
        self.finish(who, TxBody::DeclareFaulty { batches })
    }

    /// A good part, a part again, a part with a broken opening, or a part that is not asked for.
    fn proof_part(&mut self, who: &'static str) -> TxEnvelope {
        self.lose_or_find();
        let mut parts = self.market.proof(who);
        let Some(part) = parts.pop_if(|_| self.rng.random_bool(0.5)).or_else(|| parts.choose(&mut self.rng).cloned())
        else {
            return match self.proofs.choose(&mut self.rng) {
                Some(old) => old.clone(),
                None => self.market.transfer(who, "alice", 1),
            };
        };
        let part = if self.rng.random_ratio(1, 8) { self.broken(who, part) } else { part };
        self.proofs.push(part.clone());
        part
    }

    fn broken(&mut self, who: &str, part: TxEnvelope) -> TxEnvelope {
        let TxBody::Prove { part: header, .. } = part.signed.tx.body else { panic!("not a proof") };
        let mut openings = part.openings.into_inner();
        let at = self.rng.random_range(0..openings.len());
        openings[at] ^= 1;
        self.market.prove_tx(who, header, openings)
    }

    fn lose_or_find(&mut self) {
        let holder = self.anybody();
        if self.rng.random_ratio(1, 60) {
            self.market.vault.restore(holder);
        }
        let joined = self.market.state.holder_by_address(&address(holder)).map(|(number, _)| number);
        let Some(number) = joined.filter(|_| self.rng.random_ratio(1, 100)) else { return };
        let slots = self.market.state.slots(number, 20).count();
        if slots > 0 {
            let slot = self.rng.random_range(0..slots as u32);
            let state = self.market.state.clone();
            self.market.vault.lose(&state, holder, 20, slot);
        }
    }

    // ---- stake

    fn stake(&mut self, who: &'static str) -> TxEnvelope {
        let seats: Vec<Address> =
            self.market.state.chain().validators.iter().map(|validator| validator.address).collect();
        let members: Vec<_> = PEOPLE.into_iter().chain(HEAVY).filter(|name| seats.contains(&address(name))).collect();
        let member = members.choose(&mut self.rng).copied().unwrap();
        let amount = Amount::grains(self.rng.random_range(0..3 * Amount::hold(1).get()));
        match self.rng.random_range(0..24) {
            0..4 => self.finish(who, TxBody::Bond { amount, vrf: vrf(who).public() }),
            4..8 => {
                // The four whom footprints need stay; who joined them later comes and goes.
                let bonded = self.market.state.validator_by_address(&address(who)).map(|(_, record)| record.bonded);
                let amount = bonded.filter(|_| self.rng.random_bool(0.7)).unwrap_or(amount);
                self.finish(who, TxBody::Unbond { amount })
            }
            8..12 => {
                let is_jailed = |name: &&str| {
                    let found = self.market.state.validator_by_address(&address(name));
                    found.is_some_and(|(_, record)| matches!(record.standing, Standing::Jailed { .. }))
                };
                let jailed: Vec<_> = PEOPLE.into_iter().chain(HEAVY).filter(is_jailed).collect();
                let someone = jailed.choose(&mut self.rng).copied().unwrap_or(who);
                self.finish(someone, TxBody::Unjail)
            }
            12 => {
                let (grant, life) = (GrantId::new([self.rng.random_range(0..8); 16]), self.rng.random_range(0..60_000));
                let until = TimeMs::new(self.market.time + life);
                self.finish(who, TxBody::Revoke { revoked: Revoked { grant, until } })
            }
            13..15 => {
                let to = HEAVY.choose(&mut self.rng).unwrap();
                self.market.transfer("alice", to, 1_000_000)
            }
            15 => {
                let height = self.market.state.chain().height;
                accusation(&self.market, "trudy", double_vote(&self.market, who, height))
            }
            _ => {
                let plan = (self.market.next_height().get() + 30) / 80 * 80 + 40;
                let version = self.market.state.chain().protocol + 1;
                let upgrade = Upgrade { version, height: Height::new(plan) };
                self.finish(member, TxBody::Ready { upgrade })
            }
        }
    }

    // ---- blocks

    fn make_block(&mut self) {
        let running = self.market.state.chain().running.clone();
        let mut time = self.market.time + self.rng.random_range(1..2 * BLOCK_MS);
        let pause = running.due.get().saturating_sub(self.market.time);
        if (running.phase == Phase::Open && self.rng.random_bool(0.3)) || (pause < 10_000 && self.rng.random_bool(0.2))
        {
            time = time.max(running.due.get());
        }
        let settles = matches!(running.phase, Phase::Proving { .. }) && time >= running.due.get();
        let txs = if settles { Vec::new() } else { std::mem::take(&mut self.pool) };
        let seats = &self.market.state.chain().validators;
        let members: Vec<_> =
            PEOPLE.into_iter().chain(HEAVY).filter(|name| seats.get(&address(name)).is_some()).collect();
        let proposer = members.choose(&mut self.rng).unwrap();
        let expected = settles.then(|| forecast(&self.market.state));
        let (applied, _) = self.market.build(time, proposer, txs);
        self.tamper(&applied);
        let events = self.market.commit(applied).unwrap();
        if let Some(expected) = expected {
            assert_eq!(books(&self.market.state), expected, "settlement {}", self.settled);
            self.settled += 1;
        }
        self.recount(&events);
        self.readmit();
    }

    /// Turns one bit of the block; whatever still decodes is refused.
    fn tamper(&mut self, applied: &Applied) {
        let mut bytes = borsh::to_vec(&applied.full).unwrap();
        let at = self.rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << self.rng.random_range(0..8);
        if let Ok(full) = decode_exact::<FullBlock>(&bytes, BLOCK_BYTES_MAX) {
            let late = TimeMs::new(u64::MAX / 2);
            assert!(
                check_block(&self.market.state, self.market.parent, full, late).is_err(),
                "byte {at} does not matter"
            );
        }
    }

    fn recount(&mut self, events: &[Event]) {
        self.blocks += 1;
        for event in events {
            let kind = format!("{event:?}").split([' ', '(']).next().unwrap().to_owned();
            *self.happened.entry(kind).or_default() += 1;
        }
        let lists = books(&self.market.state);
        for (number, contract) in self.market.state.iter_contracts() {
            let rounds = contract.end_round.since(contract.first_round.max(self.market.state.chain().running.round));
            let owed = u128::from(contract.batches) * u128::from(contract.price.get()) * u128::from(rounds);
            assert!(lists.escrows[&number] >= owed, "contract {number} cannot pay its rounds: {events:?}");
        }
        if self.blocks.is_multiple_of(60) {
            assert_eq!(self.market.reloaded().root(), self.market.state.root());
        }
    }

    /// A new tip: what still waits is admitted anew, as a mempool does.
    fn readmit(&mut self) {
        self.waiting.clear();
        for tx in std::mem::take(&mut self.pool) {
            self.submit(tx.into_sound().into_envelope());
        }
    }
}
