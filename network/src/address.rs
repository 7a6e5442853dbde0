//! Where a node can be reached: its identity, its socket addresses, its home relay.

use crate::wire::Text;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Address, Bounded};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use thiserror::Error;

/// Socket addresses in one [`NodeAddr`], at most.
pub const DIRECT_ADDRS_MAX: usize = 16;
/// Bytes of a relay's address, at most.
pub const RELAY_URL_BYTES_MAX: usize = 256;

const RELAY_KEY: &str = "relay=";

/// Everything needed to dial a node.
///
/// As text: the identity in hex, `@`, then socket addresses and at most one `relay=<url>`, separated by commas, for
/// example `3b6a..29@192.0.2.7:4433,[2001:db8::7]:4433,relay=http://192.0.2.9:3340/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct NodeAddr {
    /// Who must answer there.
    pub id: Address,
    /// Socket addresses, most promising first.
    pub direct: Bounded<SocketAddr, DIRECT_ADDRS_MAX>,
    /// The relay at which the node can always be found.
    pub relay_url: Option<Text<RELAY_URL_BYTES_MAX>>,
}

/// Why a text is not a node's address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeAddrError {
    /// No `@` between identity and addresses.
    #[error("{text:?} is not a node's address: write it as <identity>@<ip:port>,relay=<url>")]
    NoIdentity {
        /// What was given, cut to 100 characters.
        text: String,
    },
    /// The part before the `@` is not 64 hex digits.
    #[error("{text:?} is not a node's identity (64 hex digits)")]
    BadIdentity {
        /// What was given, cut to 100 characters.
        text: String,
    },
    /// A part after the `@` is neither a socket address nor a relay.
    #[error("{part:?} is neither ip:port nor relay=<url>")]
    BadPart {
        /// The part, cut to 100 characters.
        part: String,
    },
    /// More socket addresses than allowed.
    #[error("{found} socket addresses, at most {DIRECT_ADDRS_MAX} are allowed")]
    TooMany {
        /// Found.
        found: usize,
    },
    /// A relay address with a comma or a space, longer than allowed, or given twice.
    #[error("relay {url:?} is not acceptable: one per node, at most {RELAY_URL_BYTES_MAX} bytes, no comma, no space")]
    BadRelay {
        /// The address, cut to 100 characters.
        url: String,
    },
}

impl NodeAddr {
    /// Puts an address together.
    pub fn new(id: Address, direct: Vec<SocketAddr>, relay_url: Option<&str>) -> Result<Self, NodeAddrError> {
        let found = direct.len();
        let direct = Bounded::new(direct).map_err(|_| NodeAddrError::TooMany { found })?;
        let relay_url = relay_url.map(parse_relay).transpose()?;
        Ok(Self { id, direct, relay_url })
    }

    /// An identity without any address: useful only where something else knows the way, as the in-memory transport.
    pub fn bare(id: Address) -> Self {
        Self { id, direct: Bounded::empty(), relay_url: None }
    }

    /// The relay's address as a text.
    pub fn relay(&self) -> Option<&str> {
        self.relay_url.as_ref().map(Text::as_str)
    }

    /// Whether there is any way to reach it.
    pub fn is_reachable(&self) -> bool {
        !self.direct.is_empty() || self.relay_url.is_some()
    }
}

fn parse_relay(url: &str) -> Result<Text<RELAY_URL_BYTES_MAX>, NodeAddrError> {
    let refused = || NodeAddrError::BadRelay { url: cut(url) };
    if url.is_empty() || url.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control()) {
        return Err(refused());
    }
    Text::new(url).map_err(|_| refused())
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

impl fmt::Display for NodeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.id)?;
        let relay = self.relay_url.iter().map(|url| format!("{RELAY_KEY}{url}"));
        let parts: Vec<String> = self.direct.iter().map(SocketAddr::to_string).chain(relay).collect();
        f.write_str(&parts.join(","))
    }
}

impl FromStr for NodeAddr {
    type Err = NodeAddrError;

    fn from_str(text: &str) -> Result<Self, NodeAddrError> {
        let (id, rest) = text.trim().split_once('@').ok_or_else(|| NodeAddrError::NoIdentity { text: cut(text) })?;
        let id = id.parse().map_err(|_| NodeAddrError::BadIdentity { text: cut(id) })?;
        let mut direct = Vec::new();
        let mut relay = None;
        for part in rest.split(',').filter(|part| !part.is_empty()) {
            if let Some(url) = part.strip_prefix(RELAY_KEY) {
                if relay.replace(url).is_some() {
                    return Err(NodeAddrError::BadRelay { url: cut(url) });
                }
            } else {
                direct.push(part.parse().map_err(|_| NodeAddrError::BadPart { part: cut(part) })?);
            }
        }
        Self::new(id, direct, relay)
    }
}

impl Serialize for NodeAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
