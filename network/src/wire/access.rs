//! Who may write to a holder, and who may read: tickets and capabilities.

use super::signed::Statement;
use crate::address::NodeAddr;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Address, Bounded, GrantId, Purpose, RequestId, TimeMs};

/// Batches that one capability names, at most.
pub const CAPABILITY_BATCHES_MAX: usize = 1_024;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Direction {
    /// To the holder.
    Write = 0,
    /// From the holder.
    Read = 1,
}

/// A heavy node's introduction of two light nodes. It gives access to nothing by itself: writing also needs the
/// holder's quote, reading the owner's capability.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ticket {
    /// The heavy node that introduces.
    pub issuer: Address,
    /// Who will dial: the owner when writing, the reader when reading.
    pub client: Address,
    /// Who will be dialled.
    pub holder: Address,
    /// Where the holder is.
    pub holder_addr: NodeAddr,
    /// The placement it belongs to; zero for reading.
    pub request: RequestId,
    /// Which way bytes go.
    pub direction: Direction,
    /// Bytes of leaves that may pass, at most.
    pub bytes_max: u64,
    /// When it ends.
    pub expires: TimeMs,
}

/// An owner's permission to read its batches.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Capability {
    /// Its name, by which its owner can take it back.
    pub grant: GrantId,
    /// Whose batches.
    pub owner: Address,
    /// Who may read; the owner itself signs one for itself.
    pub reader: Address,
    /// At which holder; `None` for any.
    pub holder: Option<Address>,
    /// Which batches.
    pub scope: Scope,
    /// When it ends.
    pub expires: TimeMs,
}

/// The batches that a capability covers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Scope {
    /// All of the owner's.
    All,
    /// Those with these roots.
    Batches(Bounded<[u8; 32], CAPABILITY_BATCHES_MAX>),
}

impl Scope {
    /// Whether it covers the batch with this root.
    pub fn covers(&self, root: &[u8; 32]) -> bool {
        match self {
            Self::All => true,
            Self::Batches(roots) => roots.contains(root),
        }
    }
}

impl Statement for Ticket {
    const PURPOSE: Purpose = Purpose::Ticket;

    fn signer(&self) -> &Address {
        &self.issuer
    }
}

impl Statement for Capability {
    const PURPOSE: Purpose = Purpose::Capability;

    fn signer(&self) -> &Address {
        &self.owner
    }
}
