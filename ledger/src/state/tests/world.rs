//! A small ledger that random writes are played on, and a database beside it that only ever sees diffs.

use crate::{
    Contract, Deferred, Diff, EachRecord, Frozen, Genesis, GenesisValidator, Holder, LoadError, Member, Params,
    PartOutcome, RoundRecord, Segment, Slot, State, StateSource, Table,
};
use holdfast_por::{BatchMeta, ChallengeParams, ClassList};
use holdfast_primitives::{
    AccountNo, Address, Amount, Bounded, ContractNo, Digest, Height, HolderNo, NetworkPrefix, RoundNo, SegmentNo,
    TimeMs, VrfSecretKey, sha256,
};
use std::collections::BTreeMap;

pub(super) const CLASSES: [u8; 2] = [20, 24];

/// What a database holds after writing every diff.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Database(pub(super) BTreeMap<(Table, Vec<u8>), Vec<u8>>);

/// A state and the database that follows it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) database: Database,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Account(u64),
    Join,
    Open(u64),
    Touch(u64),
    TouchAll(u64),
    Register(u64, u8),
    Remove(u64),
    Break(u64),
    Progress(u64),
    ClearProgress,
    Defer(u64),
    TakeDeferred,
    Round,
    Freeze(u64),
    Advance,
}

impl Database {
    pub(super) fn write(&mut self, diff: &Diff) {
        let mut bytes = 0;
        for (table, key, value) in diff.iter() {
            bytes += key.len() + value.map_or(0, <[u8]>::len);
            match value {
                Some(value) => drop(self.0.insert((table, key.to_vec()), value.to_vec())),
                None => assert!(self.0.remove(&(table, key.to_vec())).is_some(), "{table:?} {key:?} was never written"),
            }
        }
        assert_eq!((diff.iter().count(), bytes), (diff.len(), diff.bytes()));
    }
}

impl StateSource for Database {
    fn scan(&self, table: Table, each: EachRecord<'_>) -> Result<(), LoadError> {
        self.0.iter().filter(|((of, _), _)| *of == table).try_for_each(|((_, key), value)| each(key, value))
    }
}

impl World {
    pub(super) fn new() -> Self {
        let state = State::genesis(&genesis()).unwrap();
        let mut database = Database::default();
        database.write(&state.snapshot());
        Self { state, database }
    }

    pub(super) fn seal(&mut self) {
        let diff = self.state.seal();
        self.database.write(&diff);
    }

    pub(super) fn play(&mut self, write: &Write) {
        let state = &mut self.state;
        match *write {
            Write::Account(name) => match state.account_by_address(&address(name)).map(|(number, _)| number) {
                Some(number) => state.account_mut(number).sequence += 1,
                None => drop(state.create_account(address(name))),
            },
            Write::Join => drop(state.create_holder(holder(AccountNo::new(0)))),
            Write::Open(price) => drop(state.create_contract(contract(price))),
            Write::Touch(pick) if state.contracts() > 0 => {
                state.contract_mut(ContractNo::new(pick as u32 % state.contracts() as u32)).batches += 1;
            }
            Write::TouchAll(step) => state.contracts_for_each_mut(|number, contract| {
                let hit = u64::from(number.get()) % step == 0;
                contract.faulty += u32::from(hit);
                hit
            }),
            Write::Register(pick, batches) if state.holders() > 0 => register(state, pick, batches),
            Write::Remove(pick) => remove(state, pick),
            Write::Break(pick) => break_one(state, pick),
            Write::Progress(pick) if state.holders() > 0 => {
                let number = HolderNo::new(pick as u32 % state.holders() as u32);
                state.progress_mut(number).parts.push((pick % 2 == 0).then(|| part(pick)));
            }
            Write::ClearProgress => state.clear_progress(),
            Write::Defer(pick) => state.defer(Deferred::Release { segment: SegmentNo::new(pick as u32) }),
            Write::TakeDeferred => {
                let waiting: Vec<_> = state.deferred().cloned().collect();
                assert_eq!(state.take_deferred(), waiting);
            }
            Write::Round => state.push_round(round(state.rounds() as u64)),
            Write::Freeze(pick) => (0..state.holders() as u32).map(HolderNo::new).step_by(2).for_each(|number| {
                let holder = state.holder_mut(number);
                holder.frozen = Some(frozen(pick, holder));
            }),
            Write::Advance => state.chain_mut().height = state.chain().height.next(),
            Write::Touch(_) | Write::Register(..) | Write::Progress(_) => {}
        }
    }

    /// Every batch of every list, as `(holder, size, slot)`.
    pub(super) fn places(&self) -> Vec<(HolderNo, u8, u32)> {
        places(&self.state)
    }
}

fn places(state: &State) -> Vec<(HolderNo, u8, u32)> {
    let lists = state.iter_holders().flat_map(|(holder, _)| CLASSES.map(|size| (holder, size)));
    lists
        .flat_map(|(holder, size)| (0..state.slots(holder, size).count() as u32).map(move |slot| (holder, size, slot)))
        .collect()
}

fn register(state: &mut State, pick: u64, batches: u8) {
    let (batch_log2, number) = (CLASSES[(pick % 2) as usize], SegmentNo::new(state.segments() as u32));
    let owner = AccountNo::new(0);
    let ordinal = state.account(owner).unwrap().segments;
    let members: Vec<Member> = (0..batches)
        .map(|index| {
            let holder = HolderNo::new((pick as u32 + u32::from(index)) % state.holders() as u32);
            let meta =
                BatchMeta { scheme: 1, batch_log2, leaf_log2: 10, inner_code: 0, root: sha256(&pick.to_le_bytes()) };
            let slot = Slot { meta, contract: ContractNo::new(0), segment: number, index, faulty_since: None };
            Member { holder, slot: state.push_slot(holder, batch_log2, slot) }
        })
        .collect();
    let members = Bounded::new(members).unwrap();
    state.create_segment(Segment { owner, ordinal, batch_log2, data: batches, parity: 0, codec: 1, members });
    state.account_mut(owner).segments += 1;
}

fn remove(state: &mut State, pick: u64) {
    let places = places(state);
    let Some(&(holder, size, slot)) = places.get(pick as usize % places.len().max(1)) else { return };
    let expected = state.slot(holder, size, slot).unwrap().clone();
    let last = state.slots(holder, size).last().unwrap().clone();
    let (removed, moved) = state.swap_remove_slot(holder, size, slot);
    assert_eq!(removed, expected);
    assert_eq!(moved, (last != expected).then_some(last));
    state.segment_mut(removed.segment).members[usize::from(removed.index)].slot = u32::MAX;
}

fn break_one(state: &mut State, pick: u64) {
    let places = places(state);
    if let Some(&(holder, size, slot)) = places.get(pick as usize % places.len().max(1)) {
        state.slot_mut(holder, size, slot).faulty_since = Some(RoundNo::new(pick));
    }
}

pub(super) fn address(name: u64) -> Address {
    Address::new(sha256(&name.to_le_bytes()))
}

fn holder(account: AccountNo) -> Holder {
    Holder {
        account,
        quota_bytes: 1 << 40,
        used_bytes: 0,
        price: Amount::grains(1),
        accepting: true,
        profile: Default::default(),
        deposit: Amount::ZERO,
        locked: Amount::ZERO,
        lists: Bounded::empty(),
        frozen: None,
        faulty: 0,
        rounds_proved: 0,
        rounds_missed: 0,
        earned: Amount::ZERO,
        fined: Amount::ZERO,
    }
}

fn frozen(round: u64, holder: &Holder) -> Frozen {
    let classes: Vec<ClassList> = holder.lists.to_vec();
    let set_root = holdfast_por::set_root(&classes);
    let classes = Bounded::new(classes).unwrap();
    Frozen { round: RoundNo::new(round), set_root, classes, challenges: 66, revenue: Amount::grains(round) }
}

fn contract(price: u64) -> Contract {
    Contract {
        owner: AccountNo::new(0),
        holder: HolderNo::new(0),
        batch_log2: 20,
        batches: 1,
        faulty: 0,
        price: Amount::grains(price),
        collateral: Amount::ZERO,
        escrow: Amount::ZERO,
        first_round: RoundNo::new(0),
        end_round: RoundNo::new(9),
        end_round_max: RoundNo::new(90),
        footprint: Bounded::new(vec![AccountNo::new(0)]).unwrap(),
    }
}

fn part(pick: u64) -> PartOutcome {
    PartOutcome { openings_digest: Digest::new(sha256(&pick.to_le_bytes())), failed: vec![pick as u32] }
}

fn round(number: u64) -> RoundRecord {
    RoundRecord {
        round: RoundNo::new(number),
        freeze_height: Height::new(number),
        freeze_time: TimeMs::new(number),
        seed_height: Height::new(number),
        seed: [1; 32],
        settle_height: Height::new(number),
        frozen_root: Digest::ZERO,
        results_root: Digest::ZERO,
        holders: 1,
        missed: 0,
        batches: 2,
        newly_faulty: 0,
        paid: Amount::ZERO,
        relay_fees: Amount::ZERO,
        proof_fees: Amount::ZERO,
        fines: Amount::ZERO,
    }
}

pub(super) fn genesis() -> Genesis {
    let validator =
        GenesisValidator { address: address(1), vrf: VrfSecretKey::from_seed([1; 32]).public(), bond: Amount::hold(1) };
    Genesis {
        name: Bounded::new(b"world".to_vec()).unwrap(),
        time: TimeMs::new(1_000),
        params: Params {
            protocol_version: 1,
            prefix: NetworkPrefix::Devnet,
            round_ms: 20_000,
            proof_window_ms: 10_000,
            seed_delay_blocks: 1,
            challenge: ChallengeParams { k_min: 459, k_small: 66, target_rounds: 120 },
            proof_part_openings: 64,
            proof_retention_rounds: 10,
            batch_classes: Bounded::new(CLASSES.to_vec()).unwrap(),
            code_data: 4,
            code_parity: 2,
            contract_rounds_max: 100,
            relay_fee_bps: 150,
            fee_per_byte: Amount::grains(1),
            proof_fee: Amount::grains(1),
            holder_bond: Amount::hold(1),
            collateral_rounds: 10,
            opening_fine_multiple: 10,
            missed_round_fine_percent: 50,
            declare_fine_percent: 10,
            validator_bond_min: Amount::hold(1),
            validators_max: 100,
            unbond_rounds: 3,
            missed_turns_max: 1_000_000,
            jail_rounds: 2,
            slash_bps: 500,
            block_interval_ms: 1_000,
            heartbeat_ms: 10_000,
            clock_drift_ms: 1_000,
            block_bytes_max: 1 << 20,
            grid: Bounded::empty(),
        },
        accounts: Bounded::new(vec![(address(1), Amount::hold(100))]).unwrap(),
        validators: Bounded::new(vec![validator]).unwrap(),
        seed: [7; 32],
    }
}
