//! A genesis in the making: everything but its validators is fixed, and these are added one signed entry at a time.

use super::entry::{Entry, EntryError, Stake};
use super::peers::Peers;
use crate::file::{AccountEntry, FileError, GenesisFile, Rules, ValidatorEntry, assemble, to_genesis};
use holdfast_ledger::{Genesis, GenesisError, GenesisValidator, Params, State};
use holdfast_primitives::limits::VALIDATORS_MAX;
use holdfast_primitives::{
    Address, Amount, Bounded, Digest, NetworkPrefix, SecretKey, TimeMs, VrfSecretKey, sha256_parts,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A draft as people read it and hand it round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// A name for people.
    pub name: String,
    /// Which prefix addresses carry.
    pub network: NetworkPrefix,
    /// Grows into the first beacon.
    pub seed: Digest,
    /// The rules.
    pub rules: Rules,
    /// Who starts with how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountEntry>,
    /// The validators whose entries were collected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validators: Vec<Entry>,
}

/// What became of an entry that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collected {
    /// It is in the draft now.
    Added,
    /// It was there already.
    Known,
}

/// Why a draft is not one, or starts no chain.
#[derive(Debug, Error)]
pub enum DraftError {
    /// Not TOML, an unknown key, or a missing one; the message names the line.
    #[error("it is no draft of a genesis: {0}")]
    Toml(#[from] toml::de::Error),
    /// Something in it cannot be read, or breaks a rule of the ledger.
    #[error(transparent)]
    Content(#[from] FileError),
    /// An entry in it does not hold.
    #[error("validator {number} of the draft ({name}): {source}")]
    Entry {
        /// Its place, from 1 on.
        number: usize,
        /// The name that it gives.
        name: String,
        /// Why.
        source: EntryError,
    },
}

impl Draft {
    /// A draft of these rules and funds, without validators.
    ///
    /// # Errors
    /// When even the best validators could not make a chain of it.
    pub fn new(name: &str, params: &Params, accounts: &[(Address, Amount)], seed: Digest) -> Result<Self, DraftError> {
        let account = |(address, balance): &(Address, Amount)| AccountEntry {
            address: address.to_text(params.prefix),
            balance: balance.to_string(),
        };
        let draft = Self {
            name: name.to_owned(),
            network: params.prefix,
            seed,
            rules: Rules::from_params(params),
            accounts: accounts.iter().map(account).collect(),
            validators: Vec::new(),
        };
        draft.stakes()?;
        Ok(draft)
    }

    /// Reads a file's text and checks everything in it: rules, funds, and the entries collected so far.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, DraftError> {
        let draft: Self = toml::from_str(text)?;
        draft.stakes()?;
        Ok(draft)
    }

    /// Writes the file's text, with a word on what it is.
    pub fn to_text(&self) -> String {
        let toml = toml::to_string(self).expect("a draft has only texts, numbers and lists of them");
        format!(
            "# A genesis in the making. Whoever wants to validate reads the rules and runs `holdfast genesis add-validator`;\n\
             # changing a rule or a fund makes all entries void.\n\n{toml}"
        )
    }

    /// What entries are signed for: `SHA256("holdfast/genesis-draft/v1\0" | genesis)`, borsh, of a genesis at time 0 without
    /// validators. How the file is written does not matter.
    ///
    /// # Errors
    /// When an amount or an address cannot be read.
    pub fn id(&self) -> Result<Digest, FileError> {
        Ok(id_of(&self.bare()?))
    }

    /// The rules of the network.
    ///
    /// # Errors
    /// When an amount or a list among them cannot be read.
    pub fn params(&self) -> Result<Params, FileError> {
        Ok(self.bare()?.params)
    }

    /// The validators collected so far, every one checked.
    ///
    /// # Errors
    /// The first rule that the draft or one of its entries breaks.
    pub fn stakes(&self) -> Result<Vec<Stake>, DraftError> {
        let bare = self.bare()?;
        check_rules(&bare).map_err(FileError::from)?;
        let (id, mut stakes) = (id_of(&bare), Vec::new());
        for (index, entry) in self.validators.iter().enumerate() {
            let stake = admit(entry, &id, &bare.params, &stakes);
            let named = |source| DraftError::Entry { number: index + 1, name: entry.name.clone(), source };
            stakes.push(stake.map_err(named)?);
        }
        if !stakes.is_empty() {
            // Sums that do not fit are found now, not at the end.
            to_genesis(&self.file(&stakes, TimeMs::new(0)))?;
        }
        Ok(stakes)
    }

    /// Takes entries into the draft; says of each what became of it. Those that do not hold change nothing.
    ///
    /// # Errors
    /// When the draft itself breaks a rule, or would with these validators.
    pub fn collect(&mut self, entries: &[Entry]) -> Result<Vec<Result<Collected, EntryError>>, DraftError> {
        let (mut stakes, bare) = (self.stakes()?, self.bare()?);
        let id = id_of(&bare);
        let mut grown = self.clone();
        let outcomes = entries.iter().map(|entry| {
            if grown.validators.contains(entry) {
                return Ok(Collected::Known);
            }
            stakes.push(admit(entry, &id, &bare.params, &stakes)?);
            grown.validators.push(entry.clone());
            Ok(Collected::Added)
        });
        let outcomes = outcomes.collect();
        grown.stakes()?;
        *self = grown;
        Ok(outcomes)
    }

    /// The genesis of a chain that starts at `time` with the validators collected, and how they find each other.
    ///
    /// # Errors
    /// The first rule of the ledger that is broken; that there are no validators is one.
    pub fn finalize(&self, time: TimeMs) -> Result<(Genesis, Peers), DraftError> {
        let stakes = self.stakes()?;
        let genesis = to_genesis(&self.file(&stakes, time))?;
        let peers = Peers::of(genesis.chain_id(), &stakes);
        Ok((genesis, peers))
    }

    fn bare(&self) -> Result<Genesis, FileError> {
        assemble(&self.file(&[], TimeMs::new(0)))
    }

    fn file(&self, stakes: &[Stake], time: TimeMs) -> GenesisFile {
        let validator = |stake: &Stake| ValidatorEntry {
            address: stake.address.to_text(self.network),
            vrf: stake.vrf,
            bond: stake.bond.to_string(),
        };
        GenesisFile {
            name: self.name.clone(),
            network: self.network,
            time_ms: time.get(),
            seed: self.seed.to_string(),
            rules: self.rules.clone(),
            validators: stakes.iter().map(validator).collect(),
            accounts: self.accounts.clone(),
        }
    }
}

/// Whether rules and funds could make a chain: a validator with the smallest bond stands in for those to come.
fn check_rules(bare: &Genesis) -> Result<(), GenesisError> {
    let stand_in = GenesisValidator {
        address: SecretKey::from_seed([0; 32]).address(),
        vrf: VrfSecretKey::from_seed([0; 32]).public(),
        bond: bare.params.validator_bond_min,
    };
    let validators = Bounded::new(vec![stand_in]).expect("one validator is within the limit");
    State::genesis(&Genesis { validators, ..bare.clone() }).map(drop)
}

fn id_of(bare: &Genesis) -> Digest {
    let bytes = borsh::to_vec(bare).expect("a genesis encodes into memory");
    Digest::new(sha256_parts(&[b"holdfast/genesis-draft/v1\0", &bytes]))
}

/// An entry that holds by itself and beside those that are there.
fn admit(entry: &Entry, draft: &Digest, params: &Params, there: &[Stake]) -> Result<Stake, EntryError> {
    let stake = entry.check(draft, params)?;
    let most = usize::from(params.validators_max).min(VALIDATORS_MAX);
    if there.len() >= most {
        return Err(EntryError::TooMany { most });
    }
    there.iter().try_for_each(|other| stake.check_beside(other, params.prefix))?;
    Ok(stake)
}
