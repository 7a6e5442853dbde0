//! Who finds whom where: what `--peer` and `--consensus-peer` would say, as a file that all validators share.

use super::entry::Stake;
use super::place::ConsensusAddr;
use holdfast_primitives::ChainId;
use holdfast_primitives::limits::VALIDATORS_MAX;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The heavy nodes of a network and how to dial them. Nothing in it is secret, and nothing in it is trusted: whoever answers
/// there still has to show its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The chain that they follow.
    pub chain: ChainId,
    /// The nodes.
    pub peers: Vec<Peer>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// A name for people.
    pub name: String,
    /// Its identity and where its gossip is dialled: `<64 hex digits>@192.0.2.7:7451`.
    pub node: String,
    /// Where its consensus is dialled.
    pub consensus: ConsensusAddr,
}

/// Why a file is no list of peers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeersError {
    /// Not TOML, an unknown key, or a missing one; the message names the line.
    #[error("{reason}")]
    Toml {
        /// What is wrong where.
        reason: String,
    },
    /// The peers follow another chain.
    #[error("these are the peers of chain {found}, the genesis is of chain {expected}")]
    OtherChain {
        /// The chain of the genesis.
        expected: ChainId,
        /// The chain that the file names.
        found: ChainId,
    },
    /// More peers than validators can be.
    #[error("{found} peers, at most {VALIDATORS_MAX} are possible")]
    TooMany {
        /// Found.
        found: usize,
    },
}

impl Peers {
    pub(super) fn of(chain: ChainId, stakes: &[Stake]) -> Self {
        Self { chain, peers: stakes.iter().map(Peer::of).collect() }
    }

    /// Reads a file's text; it must be for this chain.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str, chain: &ChainId) -> Result<Self, PeersError> {
        let peers: Self = toml::from_str(text)
            .map_err(|error| PeersError::Toml { reason: error.to_string().trim_end().to_owned() })?;
        if peers.chain != *chain {
            return Err(PeersError::OtherChain { expected: *chain, found: peers.chain });
        }
        if peers.peers.len() > VALIDATORS_MAX {
            return Err(PeersError::TooMany { found: peers.peers.len() });
        }
        Ok(peers)
    }

    /// Writes the file's text, with a word on what it is.
    pub fn to_text(&self) -> String {
        let toml = toml::to_string(self).expect("peers have only texts");
        format!(
            "# The validators and how to dial them, for `holdfast heavy --peers`. Change addresses here when one moves.\n\n{toml}"
        )
    }
}

impl Peer {
    fn of(stake: &Stake) -> Self {
        let sockets: Vec<String> = stake.node.iter().map(ToString::to_string).collect();
        Self {
            name: stake.name.clone(),
            node: format!("{}@{}", stake.address, sockets.join(",")),
            consensus: stake.consensus.clone(),
        }
    }
}
