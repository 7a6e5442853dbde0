//! The rules of a genesis, one by one, and the first state.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_ledger::{Genesis, GenesisError, GenesisValidator, Params, Phase, RecordKey, State};
use holdfast_por::{ChallengeError, ChallengeParams};
use holdfast_primitives::{
    AccountNo, Address, Amount, Bounded, Height, NetworkPrefix, RoundNo, TimeMs, VrfPublicKey, VrfSecretKey,
    sha256_parts,
};

const fn address(byte: u8) -> Address {
    Address::new([byte; 32])
}

fn validator(byte: u8, bond: u64) -> GenesisValidator {
    GenesisValidator {
        address: address(byte),
        vrf: VrfSecretKey::from_seed([byte; 32]).public(),
        bond: Amount::hold(bond),
    }
}

fn params() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Devnet,
        round_ms: 20_000,
        proof_window_ms: 12_000,
        seed_delay_blocks: 2,
        challenge: ChallengeParams { k_min: 459, k_small: 66, target_rounds: 120 },
        proof_part_openings: 512,
        proof_retention_rounds: 100,
        batch_classes: Bounded::new(vec![20, 24, 28]).unwrap(),
        code_data: 4,
        code_parity: 2,
        contract_rounds_max: 1_000,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(10),
        proof_fee: Amount::grains(100),
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
        clock_drift_ms: 2_000,
        block_bytes_max: 4 * 1024 * 1024,
        grid: Bounded::empty(),
    }
}

/// Accounts 1, 3 and 5 have money; validators are 5 and 2, named in that order.
fn genesis() -> Genesis {
    let accounts = [(1, 500), (3, 300), (5, 200)].map(|(byte, hold)| (address(byte), Amount::hold(hold)));
    Genesis {
        name: Bounded::new(b"testnet of one morning".to_vec()).unwrap(),
        time: TimeMs::new(1_700_000_000_000),
        params: params(),
        accounts: Bounded::new(accounts.to_vec()).unwrap(),
        validators: Bounded::new(vec![validator(5, 10), validator(2, 20)]).unwrap(),
        seed: [9; 32],
    }
}

#[test]
fn the_first_state_is_the_genesis() {
    let genesis = genesis();
    let state = State::genesis(&genesis).unwrap();
    let chain = state.chain();

    assert_eq!(chain.chain, genesis.chain_id());
    assert_eq!((chain.height, chain.time), (Height::GENESIS, genesis.time));
    assert_eq!(chain.beacon, sha256_parts(&[b"holdfast/first-beacon/v1\0", chain.chain.as_bytes(), &[9; 32]]));
    assert_eq!((chain.supply, chain.reserve), (Amount::hold(1_030), Amount::ZERO), "bonds come on top");
    assert_eq!(chain.running.round, RoundNo::new(0));
    assert_eq!(chain.running.phase, Phase::Open);
    assert_eq!(chain.running.due, TimeMs::new(1_700_000_020_000));

    let balances: Vec<_> =
        state.iter_accounts().map(|(number, account)| (number.get(), account.address, account.balance)).collect();
    let expected = [(0, 1, 500), (1, 3, 300), (2, 5, 200), (3, 2, 0)];
    assert_eq!(balances, expected.map(|(number, byte, hold)| (number, address(byte), Amount::hold(hold))));
    assert_eq!(&*chain.heavy_nodes, [AccountNo::new(2), AccountNo::new(3)], "validators 5 and 2, by account number");
    assert_eq!(chain.validators.get(&address(2)).unwrap().power, 20);
    assert_eq!(state.account_by_address(&address(5)).unwrap().0, AccountNo::new(2));
    assert_eq!(state.account_by_address(&address(4)), None);
    assert_eq!(
        (state.accounts(), state.holders(), state.contracts(), state.segments(), state.rounds()),
        (4, 0, 0, 0, 0)
    );
}

/// Formats are frozen: whoever changes a record, a parameter or the tree changes these, and so starts another chain.
#[test]
fn chain_id_and_state_root_of_one_genesis_never_change() {
    let state = State::genesis(&genesis()).unwrap();
    assert_eq!(
        [state.chain().chain.to_string(), state.root().to_string()],
        [
            "504245483c52a9c076d911fdff3d541b9aad69e3c730dc88e9953eeb4c863646",
            "52dab27f724669fed2b0e777605b3b01feb83de6f51c5ba1730436d3b105777a"
        ]
    );
}

#[test]
fn every_part_of_a_genesis_enters_its_first_root() {
    let root = |change: &dyn Fn(&mut Genesis)| {
        let mut changed = genesis();
        change(&mut changed);
        State::genesis(&changed).unwrap().root()
    };
    let roots = [
        root(&|_| {}),
        root(&|genesis| genesis.name = Bounded::new(b"another".to_vec()).unwrap()),
        root(&|genesis| genesis.time = TimeMs::new(1)),
        root(&|genesis| genesis.params.proof_fee = Amount::grains(101)),
        root(&|genesis| genesis.accounts[0].1 = Amount::hold(501)),
        root(&|genesis| genesis.validators[0].bond = Amount::hold(11)),
        root(&|genesis| genesis.seed[31] ^= 1),
    ];
    for (index, one) in roots.iter().enumerate() {
        assert!(roots[..index].iter().all(|other| other != one), "change {index} leaves the root alone");
    }
}

#[test]
fn the_first_records_prove_themselves_to_a_light_client() {
    let state = State::genesis(&genesis()).unwrap();
    for key in [RecordKey::Chain, RecordKey::Account(AccountNo::new(0)), RecordKey::Account(AccountNo::new(3))] {
        state.prove(&key).unwrap().verify(&state.root()).unwrap();
    }
    assert_eq!(state.prove(&RecordKey::Account(AccountNo::new(4))), None);
}

/// One row per variant, in the order in which the rules are checked; each breaks one rule of a valid genesis.
type Row = (fn(&mut Genesis), GenesisError);

const TIMES: &[Row] = &[
    (|genesis| genesis.name = Bounded::empty(), GenesisError::Name),
    (|genesis| genesis.name = Bounded::new(vec![0xff]).unwrap(), GenesisError::Name),
    (|genesis| genesis.params.round_ms = 0, GenesisError::Zero { what: "round_ms" }),
    (|genesis| genesis.params.proof_window_ms = 0, GenesisError::Zero { what: "proof_window_ms" }),
    (|genesis| genesis.params.seed_delay_blocks = 0, GenesisError::Zero { what: "seed_delay_blocks" }),
    (|genesis| genesis.params.proof_retention_rounds = 0, GenesisError::Zero { what: "proof_retention_rounds" }),
    (|genesis| genesis.params.contract_rounds_max = 0, GenesisError::Zero { what: "contract_rounds_max" }),
    (|genesis| genesis.params.block_interval_ms = 0, GenesisError::Zero { what: "block_interval_ms" }),
    (|genesis| genesis.params.heartbeat_ms = 0, GenesisError::Zero { what: "heartbeat_ms" }),
    (|genesis| genesis.params.clock_drift_ms = 0, GenesisError::Zero { what: "clock_drift_ms" }),
    (|genesis| genesis.params.validators_max = 0, GenesisError::Zero { what: "validators_max" }),
    (|genesis| genesis.params.unbond_rounds = 0, GenesisError::Zero { what: "unbond_rounds" }),
    (|genesis| genesis.params.missed_turns_max = 0, GenesisError::Zero { what: "missed_turns_max" }),
    (|genesis| genesis.params.jail_rounds = 0, GenesisError::Zero { what: "jail_rounds" }),
    (
        |genesis| genesis.params.proof_window_ms = 20_000,
        GenesisError::WindowTooLong { proof_window_ms: 20_000, round_ms: 20_000 },
    ),
    (
        |genesis| genesis.params.seed_delay_blocks = 12,
        GenesisError::SeedTooLate { seed_delay_blocks: 12, block_interval_ms: 1_000, proof_window_ms: 12_000 },
    ),
    (
        |genesis| genesis.params.heartbeat_ms = 999,
        GenesisError::HeartbeatTooFast { heartbeat_ms: 999, block_interval_ms: 1_000 },
    ),
    (
        |genesis| genesis.time = TimeMs::new(u64::MAX - 19_999),
        GenesisError::TimeOverflow { time: u64::MAX - 19_999, round_ms: 20_000 },
    ),
];

const SIZES: &[Row] = &[
    (
        |genesis| genesis.params.challenge.k_small = 0,
        GenesisError::Challenge(ChallengeError::Counts { k_small: 0, k_min: 459 }),
    ),
    (|genesis| genesis.params.challenge.target_rounds = 0, GenesisError::Challenge(ChallengeError::NoTargetRounds)),
    (|genesis| genesis.params.batch_classes = Bounded::empty(), GenesisError::NoClasses),
    (|genesis| genesis.params.batch_classes[0] = 19, GenesisError::ClassOutOfRange { batch_log2: 19 }),
    (|genesis| genesis.params.batch_classes[2] = 29, GenesisError::ClassOutOfRange { batch_log2: 29 }),
    (|genesis| genesis.params.batch_classes[1] = 20, GenesisError::ClassOrder { previous: 20, found: 20 }),
    (|genesis| genesis.params.code_data = 0, GenesisError::Code { data: 0, parity: 2 }),
    (|genesis| genesis.params.code_data = 65, GenesisError::Code { data: 65, parity: 2 }),
    (|genesis| genesis.params.code_parity = 125, GenesisError::Code { data: 4, parity: 125 }),
];

const PRICES: &[Row] = &[
    (|genesis| genesis.params.relay_fee_bps = 99, GenesisError::RelayFee { found: 99 }),
    (|genesis| genesis.params.relay_fee_bps = 201, GenesisError::RelayFee { found: 201 }),
    (|genesis| genesis.params.opening_fine_multiple = 9, GenesisError::OpeningFine { found: 9 }),
    (
        |genesis| genesis.params.missed_round_fine_percent = 101,
        GenesisError::Percent { what: "missed_round_fine_percent", found: 101 },
    ),
    (
        |genesis| genesis.params.declare_fine_percent = 255,
        GenesisError::Percent { what: "declare_fine_percent", found: 255 },
    ),
    (
        |genesis| genesis.params.grid = Bounded::new(vec![address(2), address(1)]).unwrap(),
        GenesisError::GridOrder { at: address(1) },
    ),
    (
        |genesis| genesis.params.grid = Bounded::new(vec![address(1), address(1)]).unwrap(),
        GenesisError::GridOrder { at: address(1) },
    ),
    (|genesis| genesis.params.slash_bps = 10_001, GenesisError::Slash { found: 10_001 }),
];

const BLOCKS: &[Row] = &[
    (|genesis| genesis.params.proof_part_openings = 0, GenesisError::ProofPart { found: 0 }),
    (|genesis| genesis.params.proof_part_openings = 513, GenesisError::ProofPart { found: 513 }),
    (|genesis| genesis.params.block_bytes_max += 1, GenesisError::BlockTooLarge { found: 4 * 1024 * 1024 + 1 }),
    (
        |genesis| genesis.params.block_bytes_max = 800_000,
        GenesisError::BlockTooSmall { found: 800_000, needed: 512 * (1_024 + 32 * 18) + 64 * 1_024 },
    ),
];

#[test]
fn every_rule_of_a_genesis_refuses_its_breaker() {
    for (row, (break_it, expected)) in [TIMES, SIZES, PRICES, BLOCKS].concat().iter().enumerate() {
        let mut broken = genesis();
        break_it(&mut broken);
        assert_eq!(State::genesis(&broken).unwrap_err(), *expected, "row {row}");
    }
}

#[test]
fn accounts_and_validators_are_checked_too() {
    let refused = |break_it: &dyn Fn(&mut Genesis)| {
        let mut broken = genesis();
        break_it(&mut broken);
        State::genesis(&broken).unwrap_err()
    };
    let order = |previous, found| GenesisError::AccountOrder { previous: address(previous), found: address(found) };
    assert_eq!(refused(&|genesis| genesis.accounts.swap(0, 1)), order(3, 1));
    assert_eq!(refused(&|genesis| genesis.accounts[1].0 = address(1)), order(1, 1));
    assert_eq!(refused(&|genesis| genesis.accounts[0].1 = Amount::grains(u64::MAX)), GenesisError::SupplyOverflow);
    assert_eq!(refused(&|genesis| genesis.validators = Bounded::empty()), GenesisError::NoValidators);
    assert_eq!(
        refused(&|genesis| genesis.validators[1].bond = Amount::ZERO),
        GenesisError::BondTooSmall { validator: address(2), bond: Amount::ZERO, least: Amount::hold(1) }
    );
    assert_eq!(
        refused(&|genesis| genesis.validators[1] = validator(5, 1)),
        GenesisError::DuplicateValidator { validator: address(5) }
    );
    assert_eq!(refused(&|genesis| genesis.validators[1].bond = Amount::grains(u64::MAX)), GenesisError::SupplyOverflow);
    assert_eq!(
        refused(&|genesis| genesis.params.validators_max = 1),
        GenesisError::TooManyValidators { found: 2, limit: 1 }
    );
    assert_eq!(
        refused(&|genesis| genesis.params.validator_bond_min = Amount::grains(999_999_999)),
        GenesisError::BondWeighsNothing { found: Amount::grains(999_999_999) }
    );
    for keyless in [[0; 32], [0xff; 32]] {
        assert_eq!(
            refused(&|genesis| genesis.validators[0].vrf = VrfPublicKey::new(keyless)),
            GenesisError::BeaconKey { validator: address(5) }
        );
    }
}

/// The first broken rule is the one that is named, whatever else is wrong.
#[test]
fn rules_are_checked_in_order() {
    let mut broken = genesis();
    for (break_it, expected) in [TIMES[2].clone(), SIZES[2].clone(), PRICES[0].clone(), BLOCKS[0].clone()].iter().rev()
    {
        break_it(&mut broken);
        assert_eq!(State::genesis(&broken).unwrap_err(), *expected);
    }
}

#[test]
fn the_smallest_and_the_largest_allowed_values_pass() {
    let mut edge = genesis();
    edge.params.relay_fee_bps = 100;
    edge.params.missed_round_fine_percent = 100;
    edge.params.code_data = 64;
    edge.params.code_parity = 64;
    edge.params.block_bytes_max = 512 * (1_024 + 32 * 18) + 64 * 1_024;
    edge.params.heartbeat_ms = 1_000;
    edge.params.proof_window_ms = 19_999;
    edge.params.seed_delay_blocks = 19;
    edge.time = TimeMs::new(u64::MAX - 20_000);
    edge.accounts = Bounded::empty();
    assert_eq!(State::genesis(&edge).unwrap().chain().supply, Amount::hold(30));
}
