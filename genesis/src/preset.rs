//! The three networks' rules. A founder starts from one of these and edits the file.

use holdfast_ledger::Params;
use holdfast_por::ChallengeParams;
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, PROOF_PART_OPENINGS_MAX};
use holdfast_primitives::{Amount, Bounded, NetworkPrefix};

/// The words behind a devnet's funded accounts. Everyone knows them: never use them for anything else.
pub const DEV_MNEMONIC: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
     abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;

/// The rules of one kind of network.
pub fn preset(prefix: NetworkPrefix) -> Params {
    match prefix {
        NetworkPrefix::Mainnet => mainnet(),
        NetworkPrefix::Testnet => Params {
            prefix,
            round_ms: HOUR_MS,
            proof_window_ms: HOUR_MS / 2,
            batch_classes: classes(&[20, 24]),
            ..mainnet()
        },
        NetworkPrefix::Devnet => devnet(),
    }
}

fn mainnet() -> Params {
    Params {
        protocol_version: 1,
        prefix: NetworkPrefix::Mainnet,
        round_ms: 4 * HOUR_MS,
        proof_window_ms: 2 * HOUR_MS,
        seed_delay_blocks: 4,
        challenge: ChallengeParams { k_min: 459, k_small: 66, target_rounds: 120 },
        proof_part_openings: PROOF_PART_OPENINGS_MAX,
        proof_retention_rounds: 180,
        batch_classes: classes(&[20, 24, 28]),
        code_data: 10,
        code_parity: 20,
        contract_rounds_max: 6 * 365 * 5,
        relay_fee_bps: 150,
        fee_per_byte: Amount::grains(1_000),
        proof_fee: Amount::grains(1_000),
        holder_bond: Amount::hold(10),
        collateral_rounds: 180,
        opening_fine_multiple: 10,
        missed_round_fine_percent: 100,
        declare_fine_percent: 100,
        validator_bond_min: Amount::hold(10_000),
        validators_max: 100,
        unbond_rounds: 6 * 21,
        missed_turns_max: 50,
        jail_rounds: 6,
        slash_bps: 500,
        block_interval_ms: SECOND_MS,
        heartbeat_ms: 60 * SECOND_MS,
        clock_drift_ms: 15 * SECOND_MS,
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        grid: Bounded::empty(),
    }
}

fn devnet() -> Params {
    Params {
        prefix: NetworkPrefix::Devnet,
        round_ms: 10 * SECOND_MS,
        proof_window_ms: 5 * SECOND_MS,
        seed_delay_blocks: 2,
        batch_classes: classes(&[20]),
        code_data: 4,
        code_parity: 2,
        contract_rounds_max: 10_000_000,
        fee_per_byte: Amount::grains(10),
        proof_fee: Amount::grains(1),
        collateral_rounds: 10,
        validator_bond_min: Amount::hold(100),
        unbond_rounds: 3,
        missed_turns_max: 12,
        jail_rounds: 2,
        block_interval_ms: SECOND_MS / 4,
        heartbeat_ms: 30 * SECOND_MS,
        ..mainnet()
    }
}

fn classes(log2: &[u8]) -> Bounded<u8, { holdfast_primitives::limits::BATCH_CLASSES_MAX }> {
    Bounded::new(log2.to_vec()).expect("a preset has few batch sizes")
}
