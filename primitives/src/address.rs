//! Addresses: an account is its ed25519 public key; people see it in bech32m with the network's prefix (BIP 350).

use crate::id::{IdError, id_type};
use bech32::{Bech32m, Hrp};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

id_type!(
    /// An ed25519 public key: names an account, and the node that acts for it.
    Address, 32
);

/// Which network an address belongs to, as people see it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, borsh::BorshSerialize, borsh::BorshDeserialize,
)]
#[serde(rename_all = "lowercase")]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum NetworkPrefix {
    /// `hf1...`
    Mainnet = 0,
    /// `thf1...`
    Testnet = 1,
    /// `dhf1...`
    Devnet = 2,
}

/// Why a text is not an address of the expected network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not bech32m, or its checksum is wrong.
    #[error("{text:?} is not an address: {reason}")]
    Malformed {
        /// What was given, cut to 100 characters.
        text: String,
        /// The decoder's reason.
        reason: String,
    },
    /// An address of another network.
    #[error("{text} is an address of network {found:?}, expected {expected:?}")]
    WrongNetwork {
        /// What was given.
        text: String,
        /// Its prefix.
        found: String,
        /// The network's prefix.
        expected: String,
    },
}

impl NetworkPrefix {
    /// The human-readable part of addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "hf",
            Self::Testnet => "thf",
            Self::Devnet => "dhf",
        }
    }
}

impl fmt::Display for NetworkPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Devnet => "devnet",
        })
    }
}

impl Address {
    /// The address as people see it, for example `dhf1...`.
    pub fn to_text(&self, prefix: NetworkPrefix) -> String {
        let hrp = Hrp::parse(prefix.as_str()).expect("network prefixes are valid human-readable parts");
        bech32::encode::<Bech32m>(hrp, self.as_bytes()).expect("32 bytes fit a bech32m string")
    }

    /// Reads an address of the network `prefix`.
    pub fn from_text(text: &str, prefix: NetworkPrefix) -> Result<Self, AddressError> {
        let shown = || text.chars().take(100).collect::<String>();
        let malformed = |reason: String| AddressError::Malformed { text: shown(), reason };
        let parsed =
            bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text).map_err(|e| malformed(e.to_string()))?;
        if !parsed.hrp().as_str().eq_ignore_ascii_case(prefix.as_str()) {
            let (found, expected) = (parsed.hrp().to_lowercase(), prefix.as_str().to_owned());
            return Err(AddressError::WrongNetwork { text: shown(), found, expected });
        }
        let found = parsed.byte_iter().len();
        if found != Self::BYTES {
            let reason = IdError::WrongLength { kind: "address", found, expected: Self::BYTES };
            return Err(malformed(reason.to_string()));
        }
        let mut bytes = [0; Self::BYTES];
        bytes.iter_mut().zip(parsed.byte_iter()).for_each(|(place, byte)| *place = byte);
        Ok(Self::new(bytes))
    }
}
