//! What a signature is for. A purpose and the chain id come before the signed bytes, so that a signature given for
//! one thing on one chain means nothing for another thing or on another chain.

use crate::id::ChainId;

/// Every statement that anybody on the network signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A transaction, by its sender.
    Transaction,
    /// A holder's offer to hold batches at a price.
    Quote,
    /// A holder's word that batches lie on its disk.
    Receipt,
    /// A heavy node's part in carrying a placement.
    FootprintHop,
    /// An owner's placement request.
    PlacementRequest,
    /// A heavy node's introduction of two light nodes.
    Ticket,
    /// An owner's permission to read.
    Capability,
    /// A validator's vote, and so a part of a certificate.
    Vote,
    /// A validator's proposal of a value.
    Proposal,
    /// The end of a streamed block proposal.
    ProposalFin,
    /// A consensus engine's proof that a network peer is a validator.
    ValidatorProof,
    /// An operator's entry for the draft of a genesis, whose digest stands in for the chain that is still to come.
    GenesisEntry,
    /// Where a heavy node is reached, in its own words.
    HeavyCard,
}

impl Purpose {
    /// The tag that stands first in the signed bytes. Tags never change and are prefix-free (each ends in a zero byte).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Transaction => "holdfast/transaction/v1\0",
            Self::Quote => "holdfast/quote/v1\0",
            Self::Receipt => "holdfast/receipt/v1\0",
            Self::FootprintHop => "holdfast/footprint-hop/v1\0",
            Self::PlacementRequest => "holdfast/placement-request/v1\0",
            Self::Ticket => "holdfast/ticket/v1\0",
            Self::Capability => "holdfast/capability/v1\0",
            Self::Vote => "holdfast/vote/v1\0",
            Self::Proposal => "holdfast/proposal/v1\0",
            Self::ProposalFin => "holdfast/proposal-fin/v1\0",
            Self::ValidatorProof => "holdfast/validator-proof/v1\0",
            Self::GenesisEntry => "holdfast/genesis-entry/v1\0",
            Self::HeavyCard => "holdfast/heavy-card/v1\0",
        }
    }
}

/// `tag | chain id | payload`: what is really signed.
pub fn signing_bytes(purpose: Purpose, chain: &ChainId, payload: &[u8]) -> Vec<u8> {
    let tag = purpose.tag().as_bytes();
    let mut bytes = Vec::with_capacity(tag.len() + ChainId::BYTES + payload.len());
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
