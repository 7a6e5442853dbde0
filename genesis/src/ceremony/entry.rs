//! What one operator says about its validator, signed for one draft.

use super::place::{ConsensusAddr, PlaceError, check_sockets};
use borsh::BorshSerialize;
use core::net::SocketAddr;
use holdfast_ledger::Params;
use holdfast_primitives::{
    Address, AddressError, Amount, AmountError, ChainId, Digest, NetworkPrefix, Purpose, SecretKey, Signature,
    VrfProof, VrfPublicKey, VrfSecretKey,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of a validator's name.
const NAME_CHARS_MAX: usize = 32;

/// A validator's entry as people read it and hand it round: the contents of one small file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The id of the draft that it is for.
    pub draft: Digest,
    /// A name for people: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Its account, in the prefix of the draft's network.
    pub address: String,
    /// The public half of its beacon key.
    pub beacon_key: VrfPublicKey,
    /// What it bonds, with unit.
    pub bond: String,
    /// The sockets at which its gossip is dialled.
    pub node: Vec<SocketAddr>,
    /// Where its consensus is dialled.
    pub consensus: ConsensusAddr,
    /// Shows that it holds the beacon key: the VRF of its address under this draft, pre-output and proof in hex.
    pub beacon_proof: String,
    /// By its account, over all of the above.
    pub signature: Signature,
}

/// The keys that an operator signs an entry with.
#[derive(Clone, Copy, Debug)]
pub struct EntryKeys<'a> {
    /// Account, transport and votes.
    pub identity: &'a SecretKey,
    /// The beacon.
    pub beacon: &'a VrfSecretKey,
}

/// An entry that holds: signed by its account for this draft, and true to the network's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// A name for people.
    pub name: String,
    /// Its account.
    pub address: Address,
    /// Its beacon key.
    pub vrf: VrfPublicKey,
    /// What it bonds.
    pub bond: Amount,
    /// Where its gossip is dialled.
    pub node: Vec<SocketAddr>,
    /// Where its consensus is dialled.
    pub consensus: ConsensusAddr,
}

/// Why an entry is refused: one variant per rule, in the order in which they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Not TOML, an unknown key, or a missing one; the message names the line.
    #[error("it is no entry of a validator: {reason}")]
    Toml {
        /// What is wrong where.
        reason: String,
    },
    /// It was signed for something else.
    #[error("it is for draft {}, this is draft {}", found.short(), expected.short())]
    OtherDraft {
        /// The draft at hand.
        expected: Digest,
        /// The draft that the entry names.
        found: Digest,
    },
    /// The name is empty, too long, or has other characters.
    #[error("the name {name:?} is not 1 to {NAME_CHARS_MAX} of a-z, 0-9 and -")]
    Name {
        /// What was given, cut to 100 characters.
        name: String,
    },
    /// The address cannot be read.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// The bond cannot be read.
    #[error("bond: {0}")]
    Amount(#[from] AmountError),
    /// The bond is less than the network asks for.
    #[error("a bond of {found} is less than the {least} that this network asks for")]
    BondTooSmall {
        /// What was offered.
        found: Amount,
        /// The least.
        least: Amount,
    },
    /// Others could not reach it.
    #[error("{0}")]
    Place(#[from] PlaceError),
    /// The proof of the beacon key cannot be read, or does not hold.
    #[error("it does not show that it holds the beacon key: one of the two was changed after signing")]
    BeaconProof,
    /// The signature does not hold.
    #[error("its signature does not hold: something in it was changed after signing")]
    Signature,
    /// The account is a validator of the draft already, with another entry.
    #[error("{address} is in the draft already, as {name}, with another entry")]
    KnownAddress {
        /// The account, as people see it.
        address: String,
        /// Under which name.
        name: String,
    },
    /// Another validator has the name.
    #[error("another validator is named {name}")]
    KnownName {
        /// The name.
        name: String,
    },
    /// Another validator has the beacon key.
    #[error("{name} has the same beacon key")]
    KnownBeaconKey {
        /// The other's name.
        name: String,
    },
    /// Another validator is reached at the same place.
    #[error("{name} is reached at {place}, too")]
    KnownPlace {
        /// The other's name.
        name: String,
        /// The place.
        place: String,
    },
    /// No seat for another validator.
    #[error("the draft has {most} validators already, and the network seats for no more")]
    TooMany {
        /// How many the network has seats for.
        most: usize,
    },
}

/// What is signed.
#[derive(BorshSerialize)]
struct Statement<'a> {
    name: &'a str,
    address: &'a Address,
    vrf: &'a VrfPublicKey,
    bond: Amount,
    node: &'a [SocketAddr],
    consensus: String,
    beacon_proof: &'a VrfProof,
}

impl Entry {
    /// Signs what `stake` says for a draft. Address and beacon key of `stake` must be those of `keys`.
    pub fn sign(stake: &Stake, draft: &Digest, network: NetworkPrefix, keys: EntryKeys<'_>) -> Self {
        let (_, proof) = keys.beacon.evaluate(&stand_in(draft), stake.address.as_bytes());
        Self {
            draft: *draft,
            name: stake.name.clone(),
            address: stake.address.to_text(network),
            beacon_key: stake.vrf,
            bond: stake.bond.to_string(),
            node: stake.node.clone(),
            consensus: stake.consensus.clone(),
            beacon_proof: proof_text(&proof),
            signature: keys.identity.sign(Purpose::GenesisEntry, &stand_in(draft), &stake.statement(&proof)),
        }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`EntryError::Toml`]; whether the entry holds is for [`Entry::check`] to say.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        toml::from_str(text).map_err(|error| EntryError::Toml { reason: error.to_string().trim_end().to_owned() })
    }

    /// Writes the file's text, with a word on what it is.
    pub fn to_text(&self) -> String {
        let toml = toml::to_string(self).expect("an entry has only texts and lists of texts");
        format!(
            "# The validator {}, for the founder of the network. Changed by one letter, it is worth nothing.\n\n{toml}",
            self.name
        )
    }

    /// What the entry says, once it is sure that its account says so for this draft.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, draft: &Digest, params: &Params) -> Result<Stake, EntryError> {
        if self.draft != *draft {
            return Err(EntryError::OtherDraft { expected: *draft, found: self.draft });
        }
        check_name(&self.name)?;
        let address = Address::from_text(&self.address, params.prefix)?;
        let stake = Stake {
            name: self.name.clone(),
            address,
            vrf: self.beacon_key,
            bond: self.bond.parse()?,
            node: self.node.clone(),
            consensus: self.consensus.clone(),
        };
        stake.check(params)?;
        let proof = parse_proof(&self.beacon_proof).ok_or(EntryError::BeaconProof)?;
        let chain = stand_in(draft);
        self.signature
            .verify(&address, Purpose::GenesisEntry, &chain, &stake.statement(&proof))
            .map_err(|_| EntryError::Signature)?;
        stake.vrf.verify(&chain, address.as_bytes(), &proof).map_err(|_| EntryError::BeaconProof)?;
        Ok(stake)
    }
}

impl Stake {
    /// What can be said before anything is signed.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, params: &Params) -> Result<(), EntryError> {
        check_name(&self.name)?;
        if self.bond < params.validator_bond_min {
            return Err(EntryError::BondTooSmall { found: self.bond, least: params.validator_bond_min });
        }
        check_sockets(&self.node, params.prefix)?;
        Ok(self.consensus.check(params.prefix)?)
    }

    /// Whether the other one could be mistaken for this one, or reached in its place.
    pub(super) fn check_beside(&self, other: &Self, network: NetworkPrefix) -> Result<(), EntryError> {
        let name = || other.name.clone();
        if self.address == other.address {
            return Err(EntryError::KnownAddress { address: self.address.to_text(network), name: name() });
        }
        if self.name == other.name {
            return Err(EntryError::KnownName { name: name() });
        }
        if self.vrf == other.vrf {
            return Err(EntryError::KnownBeaconKey { name: name() });
        }
        if let Some(place) = self.node.iter().find(|socket| other.node.contains(socket)) {
            return Err(EntryError::KnownPlace { name: name(), place: place.to_string() });
        }
        if self.consensus == other.consensus {
            return Err(EntryError::KnownPlace { name: name(), place: self.consensus.to_string() });
        }
        Ok(())
    }

    fn statement(&self, beacon_proof: &VrfProof) -> Vec<u8> {
        let statement = Statement {
            name: &self.name,
            address: &self.address,
            vrf: &self.vrf,
            bond: self.bond,
            node: &self.node,
            consensus: self.consensus.to_string(),
            beacon_proof,
        };
        borsh::to_vec(&statement).expect("a statement encodes into memory")
    }
}

fn check_name(name: &str) -> Result<(), EntryError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(EntryError::Name { name: name.chars().take(100).collect() })
}

/// There is no chain yet to sign for; its draft stands in.
const fn stand_in(draft: &Digest) -> ChainId {
    ChainId::new(*draft.as_bytes())
}

fn proof_text(proof: &VrfProof) -> String {
    hex::encode(proof.pre_output) + &hex::encode(proof.proof)
}

fn parse_proof(text: &str) -> Option<VrfProof> {
    let mut bytes = [0; 96];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    let (pre_output, proof) = bytes.split_at(32);
    Some(VrfProof { pre_output: pre_output.try_into().ok()?, proof: proof.try_into().ok()? })
}
