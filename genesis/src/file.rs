//! The genesis file: TOML that a founder reads, edits, signs off and hands round. Unknown keys are errors.

use holdfast_ledger::{GENESIS_ACCOUNTS_MAX, Genesis, GenesisError, GenesisValidator, Params, State};
use holdfast_por::ChallengeParams;
use holdfast_primitives::limits::{BATCH_CLASSES_MAX, GRID_MAX, VALIDATORS_MAX};
use holdfast_primitives::{
    Address, AddressError, Amount, AmountError, Bounded, BoundedError, IdError, NetworkPrefix, TimeMs, VrfPublicKey,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A genesis as people read it. Amounts are texts with a unit, times milliseconds, addresses in the network's prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisFile {
    /// A name for people.
    pub name: String,
    /// Which prefix addresses carry.
    pub network: NetworkPrefix,
    /// When the chain starts, milliseconds since 1970.
    pub time_ms: u64,
    /// 32 bytes in hex that grow into the first beacon.
    pub seed: String,
    /// The rules.
    pub rules: Rules,
    /// The first validators.
    pub validators: Vec<ValidatorEntry>,
    /// Who starts with how much.
    pub accounts: Vec<AccountEntry>,
}

/// The rules; each field is explained at the ledger's `Params`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub protocol_version: u32,
    pub round_ms: u64,
    pub proof_window_ms: u64,
    pub seed_delay_blocks: u64,
    pub challenges_min: u32,
    pub challenges_small: u32,
    pub challenges_target_rounds: u32,
    pub proof_part_openings: u32,
    pub proof_retention_rounds: u64,
    pub batch_log2: Vec<u8>,
    pub code_data: u8,
    pub code_parity: u8,
    pub contract_rounds_max: u32,
    pub relay_fee_bps: u16,
    pub fee_per_byte: String,
    pub proof_fee: String,
    pub holder_bond: String,
    pub collateral_rounds: u32,
    pub opening_fine_multiple: u32,
    pub missed_round_fine_percent: u8,
    pub declare_fine_percent: u8,
    pub validator_bond_min: String,
    pub validators_max: u16,
    pub unbond_rounds: u32,
    pub missed_turns_max: u32,
    pub jail_rounds: u32,
    pub slash_bps: u16,
    pub block_interval_ms: u64,
    pub heartbeat_ms: u64,
    pub clock_drift_ms: u64,
    pub block_bytes_max: u32,
    /// Whose keys may hold, store and read; left out, everybody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grid: Vec<String>,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorEntry {
    /// Its address.
    pub address: String,
    /// Its beacon key in hex.
    pub vrf: VrfPublicKey,
    /// Its bond, with unit. One HOLD is one unit of weight.
    pub bond: String,
}

/// One funded account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// Its address.
    pub address: String,
    /// Its balance, with unit.
    pub balance: String,
}

/// Why a file is not a genesis.
#[derive(Debug, Error)]
pub enum FileError {
    /// Not TOML, an unknown key, or a missing one; the message names the line.
    #[error("genesis file: {0}")]
    Toml(#[from] toml::de::Error),
    /// It cannot be written as TOML.
    #[error("genesis file: {0}")]
    Write(#[from] toml::ser::Error),
    /// An amount cannot be read.
    #[error("genesis file: {key}: {source}")]
    Amount {
        /// The key.
        key: &'static str,
        /// Why.
        source: AmountError,
    },
    /// An address cannot be read.
    #[error("genesis file: {0}")]
    Address(#[from] AddressError),
    /// The seed cannot be read.
    #[error("genesis file: seed: {0}")]
    Seed(#[from] IdError),
    /// A list is too long.
    #[error("genesis file: {key}: {source}")]
    TooMany {
        /// The key.
        key: &'static str,
        /// Why.
        source: BoundedError,
    },
    /// Readable, but against a rule of the ledger.
    #[error("genesis file: {0}")]
    Rule(#[from] GenesisError),
}

impl GenesisFile {
    /// Reads a file's text. The rules of the ledger are checked by [`to_genesis`].
    pub fn parse(text: &str) -> Result<Self, FileError> {
        Ok(toml::from_str(text)?)
    }

    /// Writes the file's text.
    pub fn to_text(&self) -> Result<String, FileError> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// Shows a genesis as people read it.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        let prefix = genesis.params.prefix;
        let validators = genesis.validators.iter().map(|validator| ValidatorEntry {
            address: validator.address.to_text(prefix),
            vrf: validator.vrf,
            bond: validator.bond.to_string(),
        });
        let accounts = genesis
            .accounts
            .iter()
            .map(|(address, balance)| AccountEntry { address: address.to_text(prefix), balance: balance.to_string() });
        Self {
            name: String::from_utf8_lossy(&genesis.name).into_owned(),
            network: prefix,
            time_ms: genesis.time.get(),
            seed: holdfast_primitives::Digest::new(genesis.seed).to_string(),
            rules: Rules::from_params(&genesis.params),
            validators: validators.collect(),
            accounts: accounts.collect(),
        }
    }
}

/// The genesis that a file describes, checked against every rule of the ledger. Accounts may stand in any order.
pub fn to_genesis(file: &GenesisFile) -> Result<Genesis, FileError> {
    let genesis = assemble(file)?;
    State::genesis(&genesis)?;
    Ok(genesis)
}

/// The genesis that a file describes, whether or not it keeps to the rules of the ledger.
pub(crate) fn assemble(file: &GenesisFile) -> Result<Genesis, FileError> {
    let mut accounts = Vec::with_capacity(file.accounts.len());
    for entry in &file.accounts {
        accounts.push((Address::from_text(&entry.address, file.network)?, amount("accounts.balance", &entry.balance)?));
    }
    accounts.sort_by_key(|(address, _)| *address);
    let mut validators = Vec::with_capacity(file.validators.len());
    for entry in &file.validators {
        let address = Address::from_text(&entry.address, file.network)?;
        let bond = amount("validators.bond", &entry.bond)?;
        validators.push(GenesisValidator { address, vrf: entry.vrf, bond });
    }
    validators.sort_by_key(|validator| validator.address);
    Ok(Genesis {
        name: bounded("name", file.name.clone().into_bytes())?,
        time: TimeMs::new(file.time_ms),
        params: file.rules.to_params(file.network)?,
        accounts: bounded::<_, GENESIS_ACCOUNTS_MAX>("accounts", accounts)?,
        validators: bounded::<_, VALIDATORS_MAX>("validators", validators)?,
        seed: *file.seed.parse::<holdfast_primitives::Digest>()?.as_bytes(),
    })
}

impl Rules {
    pub(crate) fn from_params(params: &Params) -> Self {
        Self {
            protocol_version: params.protocol_version,
            round_ms: params.round_ms,
            proof_window_ms: params.proof_window_ms,
            seed_delay_blocks: params.seed_delay_blocks,
            challenges_min: params.challenge.k_min,
            challenges_small: params.challenge.k_small,
            challenges_target_rounds: params.challenge.target_rounds,
            proof_part_openings: params.proof_part_openings,
            proof_retention_rounds: params.proof_retention_rounds,
            batch_log2: params.batch_classes.to_vec(),
            code_data: params.code_data,
            code_parity: params.code_parity,
            contract_rounds_max: params.contract_rounds_max,
            relay_fee_bps: params.relay_fee_bps,
            fee_per_byte: params.fee_per_byte.to_string(),
            proof_fee: params.proof_fee.to_string(),
            holder_bond: params.holder_bond.to_string(),
            collateral_rounds: params.collateral_rounds,
            opening_fine_multiple: params.opening_fine_multiple,
            missed_round_fine_percent: params.missed_round_fine_percent,
            declare_fine_percent: params.declare_fine_percent,
            validator_bond_min: params.validator_bond_min.to_string(),
            validators_max: params.validators_max,
            unbond_rounds: params.unbond_rounds,
            missed_turns_max: params.missed_turns_max,
            jail_rounds: params.jail_rounds,
            slash_bps: params.slash_bps,
            block_interval_ms: params.block_interval_ms,
            heartbeat_ms: params.heartbeat_ms,
            clock_drift_ms: params.clock_drift_ms,
            block_bytes_max: params.block_bytes_max,
            grid: params.grid.iter().map(|key| key.to_text(params.prefix)).collect(),
        }
    }

    fn to_params(&self, prefix: NetworkPrefix) -> Result<Params, FileError> {
        Ok(Params {
            protocol_version: self.protocol_version,
            prefix,
            round_ms: self.round_ms,
            proof_window_ms: self.proof_window_ms,
            seed_delay_blocks: self.seed_delay_blocks,
            challenge: ChallengeParams {
                k_min: self.challenges_min,
                k_small: self.challenges_small,
                target_rounds: self.challenges_target_rounds,
            },
            proof_part_openings: self.proof_part_openings,
            proof_retention_rounds: self.proof_retention_rounds,
            batch_classes: bounded::<_, BATCH_CLASSES_MAX>("rules.batch_log2", self.batch_log2.clone())?,
            code_data: self.code_data,
            code_parity: self.code_parity,
            contract_rounds_max: self.contract_rounds_max,
            relay_fee_bps: self.relay_fee_bps,
            fee_per_byte: amount("rules.fee_per_byte", &self.fee_per_byte)?,
            proof_fee: amount("rules.proof_fee", &self.proof_fee)?,
            holder_bond: amount("rules.holder_bond", &self.holder_bond)?,
            collateral_rounds: self.collateral_rounds,
            opening_fine_multiple: self.opening_fine_multiple,
            missed_round_fine_percent: self.missed_round_fine_percent,
            declare_fine_percent: self.declare_fine_percent,
            validator_bond_min: amount("rules.validator_bond_min", &self.validator_bond_min)?,
            validators_max: self.validators_max,
            unbond_rounds: self.unbond_rounds,
            missed_turns_max: self.missed_turns_max,
            jail_rounds: self.jail_rounds,
            slash_bps: self.slash_bps,
            block_interval_ms: self.block_interval_ms,
            heartbeat_ms: self.heartbeat_ms,
            clock_drift_ms: self.clock_drift_ms,
            block_bytes_max: self.block_bytes_max,
            grid: grid(&self.grid, prefix)?,
        })
    }
}

fn grid(keys: &[String], prefix: NetworkPrefix) -> Result<Bounded<Address, GRID_MAX>, FileError> {
    let mut grid = keys.iter().map(|key| Address::from_text(key, prefix)).collect::<Result<Vec<_>, _>>()?;
    grid.sort_unstable();
    bounded("rules.grid", grid)
}

fn amount(key: &'static str, text: &str) -> Result<Amount, FileError> {
    text.parse().map_err(|source| FileError::Amount { key, source })
}

fn bounded<T, const MAX: usize>(key: &'static str, items: Vec<T>) -> Result<Bounded<T, MAX>, FileError> {
    Bounded::new(items).map_err(|source| FileError::TooMany { key, source })
}
