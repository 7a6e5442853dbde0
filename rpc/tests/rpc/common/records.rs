//! The records: one owner, two holders, one segment of one data and one parity batch, one settled round, one running.

use borsh::BorshSerialize;
use holdfast_ledger::{
    Account, ChainRecord, Contract, Frozen, Genesis, GenesisValidator, Holder, LoadError, Member, MerkleVec, Params,
    Phase, Profile, ProofProgress, Revoked, RoundRecord, RunningRound, Segment, Slot, Standing, State, StateSource,
    Table, Unbonding, Upgrade, ValidatorRecord,
};
use holdfast_por::{BatchMeta, ChallengeParams, ClassList, set_root};
use holdfast_primitives::{
    AccountNo, Address, Amount, Bounded, ContractNo, Digest, GrantId, Height, HolderNo, NetworkPrefix, RoundNo,
    SecretKey, SegmentNo, TimeMs, Validator, ValidatorNo, ValidatorSet, VrfSecretKey,
};

pub const BATCH_LOG2: u8 = 20;
/// 2026-11-21T12:00:00Z.
pub const START: u64 = 1_795_262_400_000;

pub fn owner() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

pub fn holder(number: u32) -> SecretKey {
    SecretKey::from_seed([2 + number as u8; 32])
}

pub fn validator() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

/// Nobody has ever sent this one money.
pub fn stranger() -> Address {
    SecretKey::from_seed([200; 32]).address()
}

pub fn validators() -> ValidatorSet {
    let GenesisValidator { address, vrf, .. } = the_validator();
    ValidatorSet::new(vec![Validator { address, vrf, power: 1 }]).unwrap()
}

fn the_validator() -> GenesisValidator {
    GenesisValidator {
        address: validator().address(),
        vrf: VrfSecretKey::from_seed([9; 32]).public(),
        bond: Amount::hold(1),
    }
}

pub fn genesis() -> Genesis {
    let mut accounts = vec![
        (owner().address(), Amount::hold(1_000)),
        (holder(0).address(), Amount::hold(100)),
        (holder(1).address(), Amount::hold(100)),
    ];
    accounts.sort();
    Genesis {
        name: Bounded::new(b"testing".to_vec()).unwrap(),
        time: TimeMs::new(START),
        params: params(),
        accounts: Bounded::new(accounts).unwrap(),
        validators: Bounded::new(vec![the_validator()]).unwrap(),
        seed: [5; 32],
    }
}

fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 60_000,
        proof_window_ms: 30_000,
        seed_delay_blocks: 1,
        challenge: ChallengeParams { k_min: 8, k_small: 4, target_rounds: 120 },
        proof_part_openings: 4,
        proof_retention_rounds: 10,
        batch_classes: Bounded::new(vec![20, 24]).unwrap(),
        code_data: 1,
        code_parity: 1,
        contract_rounds_max: 1_000,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(10),
        proof_fee: Amount::grains(3),
        holder_bond: Amount::hold(10),
        collateral_rounds: 5,
        opening_fine_multiple: 10,
        missed_round_fine_percent: 50,
        declare_fine_percent: 5,
        validator_bond_min: Amount::hold(1),
        validators_max: 100,
        unbond_rounds: 3,
        missed_turns_max: 1_000_000,
        jail_rounds: 2,
        slash_bps: 500,
        block_interval_ms: 100,
        heartbeat_ms: 1_000,
        clock_drift_ms: 500,
        block_bytes_max: 4 * 1024 * 1024,
        grid: Bounded::empty(),
    }
}

/// The entry that holder `number` keeps: its batch of the one segment.
pub fn slot(number: u32) -> Slot {
    Slot {
        meta: BatchMeta {
            scheme: 1,
            batch_log2: BATCH_LOG2,
            leaf_log2: 10,
            inner_code: 0,
            root: [0x40 + number as u8; 32],
        },
        contract: ContractNo::new(number),
        segment: SegmentNo::new(0),
        index: number as u8,
        faulty_since: (number == 1).then_some(RoundNo::new(0)),
    }
}

pub fn list(number: u32) -> ClassList {
    ClassList { batch_log2: BATCH_LOG2, batches: 1, list_root: MerkleVec::load([slot(number)]).root() }
}

pub fn frozen(number: u32, round: u64) -> Frozen {
    Frozen {
        round: RoundNo::new(round),
        set_root: set_root(&[list(number)]),
        classes: Bounded::new(vec![list(number)]).unwrap(),
        challenges: 4,
        revenue: Amount::grains(1_000),
    }
}

fn accounts() -> Vec<Account> {
    let account = |key: &SecretKey, balance: Amount, holder: Option<u32>| Account {
        address: key.address(),
        balance,
        sequence: 0,
        holder: holder.map(HolderNo::new),
        validator: (key.address() == validator().address()).then_some(ValidatorNo::new(0)),
        segments: 0,
        catalog_head: Bounded::empty(),
        revoked: Bounded::empty(),
    };
    let mut of_owner = account(&owner(), Amount::grains(999_000_000_001), None);
    of_owner.sequence = 3;
    let revoked = Revoked { grant: GrantId::new([6; 16]), until: TimeMs::new(1_800_000_000_000) };
    of_owner.revoked = Bounded::new(vec![revoked]).unwrap();
    of_owner.segments = 1;
    of_owner.catalog_head = Bounded::new(vec![0xca, 0x7a]).unwrap();
    vec![
        of_owner,
        account(&holder(0), Amount::hold(80), Some(0)),
        account(&holder(1), Amount::hold(80), Some(1)),
        account(&validator(), Amount::grains(77), None),
    ]
}

/// The first holder takes anything anywhere; the second says what its disk is for.
fn profile(number: u32) -> Profile {
    if number == 0 {
        return Profile::default();
    }
    let tag = |text: &str| text.parse().unwrap();
    let topics = Bounded::new(vec![tag("films"), tag("photos")]).unwrap();
    Profile { rounds_max: 50, region: Some(tag("eu-west")), operator: Some(tag("acme")), topics }
}

fn holder_record(number: u32) -> Holder {
    Holder {
        account: AccountNo::new(1 + number),
        quota_bytes: 1 << 30,
        used_bytes: 1 << 20,
        price: Amount::grains(1_000 + u64::from(number)),
        accepting: true,
        profile: profile(number),
        deposit: Amount::hold(20),
        locked: Amount::grains(5_000),
        lists: Bounded::new(vec![list(number)]).unwrap(),
        frozen: Some(frozen(number, 1)),
        faulty: number,
        rounds_proved: 1,
        rounds_missed: 0,
        earned: Amount::grains(985),
        fined: Amount::grains(2 * u64::from(number)),
    }
}

fn contract(number: u32) -> Contract {
    Contract {
        owner: AccountNo::new(0),
        holder: HolderNo::new(number),
        batch_log2: BATCH_LOG2,
        batches: 1,
        faulty: number,
        price: Amount::grains(1_000),
        collateral: Amount::grains(5_000),
        escrow: Amount::grains(99_000),
        first_round: RoundNo::new(0),
        end_round: RoundNo::new(100),
        end_round_max: RoundNo::new(200),
        footprint: Bounded::new(vec![AccountNo::new(3)]).unwrap(),
    }
}

fn segment() -> Segment {
    let member = |number| Member { holder: HolderNo::new(number), slot: 0 };
    Segment {
        owner: AccountNo::new(0),
        ordinal: 0,
        batch_log2: BATCH_LOG2,
        data: 1,
        parity: 1,
        codec: 1,
        members: Bounded::new(vec![member(0), member(1)]).unwrap(),
    }
}

/// The one settled round, under these roots.
pub fn settled(frozen_root: Digest, results_root: Digest) -> RoundRecord {
    RoundRecord {
        round: RoundNo::new(0),
        freeze_height: Height::new(2),
        freeze_time: TimeMs::new(START + 200),
        seed_height: Height::new(3),
        seed: [0x5e; 32],
        settle_height: Height::new(5),
        frozen_root,
        results_root,
        holders: 2,
        missed: 1,
        batches: 2,
        newly_faulty: 1,
        paid: Amount::grains(1_000),
        relay_fees: Amount::grains(15),
        proof_fees: Amount::grains(12),
        fines: Amount::grains(2),
    }
}

fn chain(height: Height, frozen_root: Digest) -> ChainRecord {
    ChainRecord {
        chain: genesis().chain_id(),
        height,
        time: TimeMs::new(START + 100 * height.get()),
        beacon: [0xbe; 32],
        validators: validators(),
        protocol: 1,
        upgrade: None,
        heavy_nodes: Bounded::new(vec![AccountNo::new(3)]).unwrap(),
        running: RunningRound {
            round: RoundNo::new(1),
            phase: Phase::Proving { seed_height: Height::new(7), seed: [0x5f; 32] },
            freeze_height: Height::new(6),
            freeze_time: TimeMs::new(START + 600),
            freeze_due: TimeMs::new(START + 600),
            due: TimeMs::new(START + 30_600),
            frozen_root,
            verified_by: Bounded::empty(),
        },
        reserve: Amount::grains(2),
        supply: Amount::hold(1_200),
    }
}

/// The state after the block at `height`.
pub fn state(height: Height, settled: &RoundRecord, frozen_root: Digest) -> State {
    State::load(&genesis(), &ByHand { chain: chain(height, frozen_root), settled: settled.clone() }).unwrap()
}

/// Who is told every key and value.
type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>;

/// Records as a database would bring them.
struct ByHand {
    chain: ChainRecord,
    settled: RoundRecord,
}

impl StateSource for ByHand {
    fn scan(&self, table: Table, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        match table {
            Table::Chain => all(std::slice::from_ref(&self.chain), each),
            Table::Accounts => all(&accounts(), each),
            Table::Holders => all(&[holder_record(0), holder_record(1)], each),
            Table::Contracts => all(&[contract(0), contract(1)], each),
            Table::Segments => all(&[segment()], each),
            Table::Rounds => each(&0u64.to_be_bytes(), &borsh::to_vec(&self.settled).unwrap()),
            Table::Progress => all(&[ProofProgress::default(), ProofProgress::default()], each),
            Table::Deferred => Ok(()),
            Table::Validators => all(&[validator_record()], each),
            Table::Slots => (0..2u32).try_for_each(|number| {
                let key = [&number.to_be_bytes()[..], &[BATCH_LOG2], &0u32.to_be_bytes()].concat();
                each(&key, &borsh::to_vec(&slot(number)).unwrap())
            }),
        }
    }
}

fn validator_record() -> ValidatorRecord {
    ValidatorRecord {
        account: AccountNo::new(3),
        vrf: the_validator().vrf,
        bonded: Amount::hold(1),
        unbonding: Bounded::new(vec![Unbonding { amount: Amount::hold(2), until: RoundNo::new(9) }]).unwrap(),
        since: RoundNo::new(0),
        standing: Standing::Good,
        missed_in_row: 1,
        missed: 3,
        proposed: 7,
        slashed: Amount::ZERO,
        ready: Some(Upgrade { version: 2, height: Height::new(100) }),
    }
}

fn all<T: BorshSerialize>(records: &[T], each: Each<'_>) -> Result<(), LoadError> {
    (0u32..).zip(records).try_for_each(|(number, record)| each(&number.to_be_bytes(), &borsh::to_vec(record).unwrap()))
}
