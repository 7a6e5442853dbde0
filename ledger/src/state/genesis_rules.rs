//! What a genesis must keep to.

use crate::{Genesis, GenesisValidator, Params};
use holdfast_por::ChallengeError;
use holdfast_primitives::limits::{
    BATCH_LOG2_MAX, BATCH_LOG2_MIN, BLOCK_BYTES_MAX, LEAF_BYTES, LEAF_LOG2, PROOF_PART_OPENINGS_MAX,
    SEGMENT_BATCHES_MAX, SEGMENT_DATA_MAX,
};
use holdfast_primitives::{Address, Amount, GRAIN_PER_HOLD, Validator, ValidatorSet};
use std::collections::BTreeSet;
use thiserror::Error;

/// Room a block must have beside one proof part: for its header, and for the transactions that carry the part.
const BLOCK_SLACK_BYTES: usize = 64 * 1024;
/// The bond that is one unit of weight.
const ONE_WEIGHT: Amount = Amount::grains(GRAIN_PER_HOLD);
/// Range of the relay fee, in 1/10,000.
const RELAY_FEE_BPS: std::ops::RangeInclusive<u16> = 100..=200;
/// Smallest fine for a missing opening, as a multiple of where dropping data would break even (DESIGN section 8).
const OPENING_FINE_MULTIPLE_MIN: u32 = 10;

/// Why a genesis starts no chain: one variant per rule, in the order in which they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// The name is not UTF-8, or empty.
    #[error("the network's name is empty or not UTF-8")]
    Name,
    /// A duration or a count of rounds or blocks is zero.
    #[error("{what} is zero")]
    Zero {
        /// Which parameter.
        what: &'static str,
    },
    /// A round would not be over before the next one starts.
    #[error("proof window of {proof_window_ms} ms is not less than a round of {round_ms} ms")]
    WindowTooLong {
        /// Milliseconds from a freeze to its deadline.
        proof_window_ms: u64,
        /// Milliseconds from one freeze to the next.
        round_ms: u64,
    },
    /// The seed would come after the deadline of the proofs that it asks for.
    #[error(
        "a seed {seed_delay_blocks} blocks of {block_interval_ms} ms later is too late for a proof window of \
         {proof_window_ms} ms"
    )]
    SeedTooLate {
        /// Blocks from the freeze to the seed.
        seed_delay_blocks: u64,
        /// Milliseconds from block to block.
        block_interval_ms: u64,
        /// Milliseconds from a freeze to its deadline.
        proof_window_ms: u64,
    },
    /// Blocks without work would come faster than blocks with work.
    #[error("heartbeat of {heartbeat_ms} ms is less than the block interval of {block_interval_ms} ms")]
    HeartbeatTooFast {
        /// Milliseconds after which a block is made without work.
        heartbeat_ms: u64,
        /// Milliseconds from block to block.
        block_interval_ms: u64,
    },
    /// The first freeze lies beyond the end of time.
    #[error("time {time} and a round of {round_ms} ms do not fit 64 bits")]
    TimeOverflow {
        /// When the chain starts.
        time: u64,
        /// Milliseconds from one freeze to the next.
        round_ms: u64,
    },
    /// The challenge parameters make no sense.
    #[error("challenge parameters: {0}")]
    Challenge(#[from] ChallengeError),
    /// No batch size is allowed.
    #[error("no batch size is allowed")]
    NoClasses,
    /// A batch size outside of what the protocol knows.
    #[error("batch size 2^{batch_log2} is not within 2^{BATCH_LOG2_MIN} and 2^{BATCH_LOG2_MAX}")]
    ClassOutOfRange {
        /// log2 of the size.
        batch_log2: u8,
    },
    /// Batch sizes are not strictly ascending.
    #[error("batch size 2^{found} comes after 2^{previous}")]
    ClassOrder {
        /// log2 of the size before.
        previous: u8,
        /// log2 of the size that should be larger.
        found: u8,
    },
    /// The default code has no data batches, or too many of either kind.
    #[error("code {data}+{parity}: data must be 1 to {SEGMENT_DATA_MAX}, the sum at most {SEGMENT_BATCHES_MAX}")]
    Code {
        /// Data batches.
        data: u8,
        /// Parity batches.
        parity: u8,
    },
    /// The relay fee is outside of its range.
    #[error("relay fee of {found} bps is not within 100 and 200")]
    RelayFee {
        /// In 1/10,000.
        found: u16,
    },
    /// A missing opening would cost too little.
    #[error("opening fine multiple {found} is below {OPENING_FINE_MULTIPLE_MIN}")]
    OpeningFine {
        /// The multiple.
        found: u32,
    },
    /// A percentage above 100.
    #[error("{what} is {found} percent")]
    Percent {
        /// Which parameter.
        what: &'static str,
        /// Percent.
        found: u8,
    },
    /// The admitted keys are not in order, or one stands there twice.
    #[error("the keys that the network admits are not strictly ascending at {at}")]
    GridOrder {
        /// The first that is not above the one before it.
        at: Address,
    },
    /// More than everything would be taken from who contradicts itself.
    #[error("a slash of {found} bps is more than everything")]
    Slash {
        /// In 1/10,000.
        found: u16,
    },
    /// No openings in a proof part, or too many.
    #[error("{found} openings in a proof part, must be 1 to {PROOF_PART_OPENINGS_MAX}")]
    ProofPart {
        /// Openings.
        found: u32,
    },
    /// Blocks larger than the protocol allows.
    #[error("blocks of {found} bytes, the limit is {BLOCK_BYTES_MAX}")]
    BlockTooLarge {
        /// Bytes.
        found: u32,
    },
    /// A proof part would not fit a block.
    #[error("a proof part needs blocks of {needed} bytes, they have {found}")]
    BlockTooSmall {
        /// Bytes of a block.
        found: u32,
        /// Bytes of a proof part of the largest batch size, and slack.
        needed: usize,
    },
    /// Accounts are not strictly ascending by address.
    #[error("account {found} comes after {previous}")]
    AccountOrder {
        /// The address before.
        previous: Address,
        /// The address that should be larger.
        found: Address,
    },
    /// All money together does not fit 64 bits.
    #[error("balances and bonds together do not fit 64 bits")]
    SupplyOverflow,
    /// Nobody decides blocks.
    #[error("there are no validators")]
    NoValidators,
    /// More validators than the network lets decide.
    #[error("{found} validators, the network has seats for {limit}")]
    TooManyValidators {
        /// How many.
        found: usize,
        /// `validators_max`.
        limit: u16,
    },
    /// The smallest bond would weigh nothing.
    #[error("a smallest bond of {found} is below 1 HOLD, which is one unit of weight")]
    BondWeighsNothing {
        /// `validator_bond_min`.
        found: Amount,
    },
    /// A validator with too small a bond.
    #[error("validator {validator} bonds {bond}, at least {least} is needed")]
    BondTooSmall {
        /// Its address.
        validator: Address,
        /// Its bond.
        bond: Amount,
        /// `validator_bond_min`.
        least: Amount,
    },
    /// A validator whose beacon key is no key.
    #[error("the beacon key of validator {validator} is not a point that proofs can be made for")]
    BeaconKey {
        /// Its address.
        validator: Address,
    },
    /// A validator named twice.
    #[error("validator {validator} is named twice")]
    DuplicateValidator {
        /// Its address.
        validator: Address,
    },
}

/// What of a genesis had to be computed to check it.
pub(super) struct Checked {
    pub(super) supply: Amount,
    pub(super) validators: ValidatorSet,
}

/// Walks the rules in the order of [`GenesisError`].
pub(super) fn check(genesis: &Genesis) -> Result<Checked, GenesisError> {
    if genesis.name.is_empty() || std::str::from_utf8(&genesis.name).is_err() {
        return Err(GenesisError::Name);
    }
    check_times(genesis)?;
    genesis.params.challenge.check()?;
    check_classes(&genesis.params)?;
    check_code_and_prices(&genesis.params)?;
    check_blocks(&genesis.params)?;
    check_accounts(genesis)?;
    let validators = check_validators(genesis)?;
    Ok(Checked { supply: supply(genesis)?, validators })
}

fn check_times(genesis: &Genesis) -> Result<(), GenesisError> {
    let Params { round_ms, proof_window_ms, seed_delay_blocks, block_interval_ms, heartbeat_ms, .. } = genesis.params;
    let counts = [
        ("round_ms", round_ms),
        ("proof_window_ms", proof_window_ms),
        ("seed_delay_blocks", seed_delay_blocks),
        ("proof_retention_rounds", genesis.params.proof_retention_rounds),
        ("contract_rounds_max", genesis.params.contract_rounds_max.into()),
        ("block_interval_ms", block_interval_ms),
        ("heartbeat_ms", heartbeat_ms),
        ("clock_drift_ms", genesis.params.clock_drift_ms),
        ("validators_max", genesis.params.validators_max.into()),
        ("unbond_rounds", genesis.params.unbond_rounds.into()),
        ("missed_turns_max", genesis.params.missed_turns_max.into()),
        ("jail_rounds", genesis.params.jail_rounds.into()),
    ];
    if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Err(GenesisError::Zero { what });
    }
    if proof_window_ms >= round_ms {
        return Err(GenesisError::WindowTooLong { proof_window_ms, round_ms });
    }
    if seed_delay_blocks.saturating_mul(block_interval_ms) >= proof_window_ms {
        return Err(GenesisError::SeedTooLate { seed_delay_blocks, block_interval_ms, proof_window_ms });
    }
    if heartbeat_ms < block_interval_ms {
        return Err(GenesisError::HeartbeatTooFast { heartbeat_ms, block_interval_ms });
    }
    let time = genesis.time.get();
    time.checked_add(round_ms).map(drop).ok_or(GenesisError::TimeOverflow { time, round_ms })
}

fn check_classes(params: &Params) -> Result<(), GenesisError> {
    let classes = &params.batch_classes;
    if classes.is_empty() {
        return Err(GenesisError::NoClasses);
    }
    if let Some(&batch_log2) = classes.iter().find(|size| !(BATCH_LOG2_MIN..=BATCH_LOG2_MAX).contains(*size)) {
        return Err(GenesisError::ClassOutOfRange { batch_log2 });
    }
    match classes.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(GenesisError::ClassOrder { previous: pair[0], found: pair[1] }),
        None => Ok(()),
    }
}

fn check_code_and_prices(params: &Params) -> Result<(), GenesisError> {
    let (data, parity) = (params.code_data, params.code_parity);
    let fits = usize::from(data) + usize::from(parity) <= SEGMENT_BATCHES_MAX;
    if data == 0 || data > SEGMENT_DATA_MAX || !fits {
        return Err(GenesisError::Code { data, parity });
    }
    if !RELAY_FEE_BPS.contains(&params.relay_fee_bps) {
        return Err(GenesisError::RelayFee { found: params.relay_fee_bps });
    }
    if params.opening_fine_multiple < OPENING_FINE_MULTIPLE_MIN {
        return Err(GenesisError::OpeningFine { found: params.opening_fine_multiple });
    }
    let percents = [
        ("missed_round_fine_percent", params.missed_round_fine_percent),
        ("declare_fine_percent", params.declare_fine_percent),
    ];
    if let Some(pair) = params.grid.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(GenesisError::GridOrder { at: pair[1] });
    }
    if params.slash_bps > 10_000 {
        return Err(GenesisError::Slash { found: params.slash_bps });
    }
    match percents.into_iter().find(|(_, percent)| *percent > 100) {
        Some((what, found)) => Err(GenesisError::Percent { what, found }),
        None => Ok(()),
    }
}

fn check_blocks(params: &Params) -> Result<(), GenesisError> {
    let openings = params.proof_part_openings;
    if openings == 0 || openings > PROOF_PART_OPENINGS_MAX {
        return Err(GenesisError::ProofPart { found: openings });
    }
    let found = params.block_bytes_max;
    if found as usize > BLOCK_BYTES_MAX {
        return Err(GenesisError::BlockTooLarge { found });
    }
    let deepest = params.batch_classes.last().map_or(0, |batch_log2| usize::from(batch_log2 - LEAF_LOG2));
    let needed = openings as usize * (LEAF_BYTES + 32 * deepest) + BLOCK_SLACK_BYTES;
    if (found as usize) < needed {
        return Err(GenesisError::BlockTooSmall { found, needed });
    }
    Ok(())
}

fn check_accounts(genesis: &Genesis) -> Result<(), GenesisError> {
    if let Some(pair) = genesis.accounts.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(GenesisError::AccountOrder { previous: pair[0].0, found: pair[1].0 });
    }
    Ok(())
}

fn supply(genesis: &Genesis) -> Result<Amount, GenesisError> {
    let balances = genesis.accounts.iter().map(|(_, balance)| *balance);
    let bonds = genesis.validators.iter().map(|validator| validator.bond);
    Amount::checked_sum(balances.chain(bonds)).map_err(|_| GenesisError::SupplyOverflow)
}

fn check_validators(genesis: &Genesis) -> Result<ValidatorSet, GenesisError> {
    let validators = &genesis.validators;
    if validators.is_empty() {
        return Err(GenesisError::NoValidators);
    }
    let (limit, least) = (genesis.params.validators_max, genesis.params.validator_bond_min);
    if validators.len() > usize::from(limit) {
        return Err(GenesisError::TooManyValidators { found: validators.len(), limit });
    }
    if least < ONE_WEIGHT {
        return Err(GenesisError::BondWeighsNothing { found: least });
    }
    if let Some(poor) = validators.iter().find(|validator| validator.bond < least) {
        return Err(GenesisError::BondTooSmall { validator: poor.address, bond: poor.bond, least });
    }
    if let Some(keyless) = validators.iter().find(|validator| !validator.vrf.is_valid()) {
        return Err(GenesisError::BeaconKey { validator: keyless.address });
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = validators.iter().find(|validator| !seen.insert(validator.address)) {
        return Err(GenesisError::DuplicateValidator { validator: twice.address });
    }
    let weigh = |validator: &GenesisValidator| Validator {
        address: validator.address,
        vrf: validator.vrf,
        power: validator.bond.get() / GRAIN_PER_HOLD,
    };
    // Powers are parts of 2^64 grains in units of 10^9, so only the list can be at fault, and that was checked.
    ValidatorSet::new(validators.iter().map(weigh).collect()).ok_or(GenesisError::NoValidators)
}
