//! The rules of a registration, apart from where in it they are broken.

use holdfast_primitives::{Address, Amount, Digest, Height};
use thiserror::Error;

/// A rule that one segment of a registration breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SegmentRule {
    /// A batch size that the network does not allow.
    #[error("the network has no batches of 2^{batch_log2} bytes")]
    Class {
        /// Size, log2 of bytes.
        batch_log2: u8,
    },
    /// More batches than a segment may have, or no data.
    #[error("{data} data and {parity} parity batches are not a segment")]
    Shape {
        /// Data batches.
        data: u8,
        /// Parity batches.
        parity: u8,
    },
    /// An erasure code that is not known.
    #[error("erasure code {codec} is not known")]
    Codec {
        /// The code.
        codec: u8,
    },
    /// Not as many batches as data and parity say.
    #[error("{found} batches, data and parity say {expected}")]
    Batches {
        /// Listed.
        found: usize,
        /// Data and parity.
        expected: usize,
    },
    /// A batch with a placement that is not there.
    #[error("batch {index} lies with placement {placement}, which is not there")]
    PlacementUnknown {
        /// The batch.
        index: usize,
        /// The placement.
        placement: u16,
    },
    /// Two batches with one holder.
    #[error("two batches lie with placement {placement}")]
    PlacementTwice {
        /// The placement.
        placement: u16,
    },
}

/// A rule that one placement of a registration breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementRule {
    /// Another placement names the same holder.
    #[error("another placement names {holder} too")]
    HolderTwice {
        /// The holder.
        holder: Address,
    },
    /// No batch lies with it.
    #[error("no batch lies with it")]
    Unused,
    /// A quote for somebody else.
    #[error("the quote is for {owner}")]
    QuoteOwner {
        /// For whom.
        owner: Address,
    },
    /// A quote for nothing.
    #[error("the quoted price is zero")]
    QuotePriceZero,
    /// More batches than quoted.
    #[error("{batches} batches, the quote is for at most {batches_max}")]
    QuoteBatches {
        /// Found.
        batches: u32,
        /// Quoted.
        batches_max: u32,
    },
    /// No term, or a longer one than quoted or allowed.
    #[error("a term of {rounds} rounds, 1 to {rounds_max} are offered")]
    Rounds {
        /// Asked for.
        rounds: u32,
        /// The smaller of the quoted and the network's longest term.
        rounds_max: u32,
    },
    /// A heavy node twice on the path.
    #[error("{node} is twice on the path")]
    FootprintRepeats {
        /// The heavy node.
        node: Address,
    },
    /// No heavy node carried the request.
    #[error("the footprint is empty")]
    FootprintEmpty,
    /// Another path than the one that the holder's quote came by.
    #[error("the path has the digest {found}, the quote is for one with {quoted}")]
    OtherPath {
        /// Found.
        found: Digest,
        /// Quoted.
        quoted: Digest,
    },
    /// Price, batches and rounds do not fit 64 bits together.
    #[error("the prepayment does not fit 64 bits of grain")]
    EscrowOverflow,
    /// A quote for another batch size.
    #[error("the quote is for batches of 2^{quoted} bytes, one has 2^{found}")]
    QuoteClass {
        /// Quoted, log2 of bytes.
        quoted: u8,
        /// Found, log2 of bytes.
        found: u8,
    },
    /// A quote used too late.
    #[error("the quote expired at height {expires}, the block has height {height}")]
    QuoteExpired {
        /// The last height it was good for.
        expires: Height,
        /// The block's height.
        height: Height,
    },
    /// A receipt used too late.
    #[error("the receipt expired at height {expires}, the block has height {height}")]
    ReceiptExpired {
        /// The last height it was good for.
        expires: Height,
        /// The block's height.
        height: Height,
    },
    /// The quote's signer never joined.
    #[error("{holder} is not a holder")]
    HolderUnknown {
        /// The address.
        holder: Address,
    },
    /// The holder takes nothing new.
    #[error("{holder} does not accept new batches")]
    HolderClosed {
        /// The holder.
        holder: Address,
    },
    /// A hop that no heavy node of this chain made.
    #[error("{node} is not a heavy node of this chain")]
    HopUnknown {
        /// The address.
        node: Address,
    },
    /// More bytes than the holder has left.
    #[error("{bytes} bytes, {holder} has {free} left")]
    QuotaExceeded {
        /// The holder.
        holder: Address,
        /// Asked for.
        bytes: u64,
        /// Left of its quota.
        free: u64,
    },
    /// The holder's deposit does not secure the batches.
    #[error("collateral of {needed}, {holder} has {free} of its deposit free")]
    CollateralMissing {
        /// The holder.
        holder: Address,
        /// Needed.
        needed: Amount,
        /// Deposit less bond and what is locked.
        free: Amount,
    },
}

impl SegmentRule {
    /// A short word for machines; never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Class { .. } => "segment_class",
            Self::Shape { .. } => "segment_shape",
            Self::Codec { .. } => "segment_codec",
            Self::Batches { .. } => "segment_batches",
            Self::PlacementUnknown { .. } => "segment_placement_unknown",
            Self::PlacementTwice { .. } => "segment_placement_twice",
        }
    }
}

impl PlacementRule {
    /// A short word for machines; never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HolderTwice { .. } => "placement_holder_twice",
            Self::Unused => "placement_unused",
            Self::QuoteOwner { .. } => "quote_owner",
            Self::QuotePriceZero => "quote_price_zero",
            Self::QuoteBatches { .. } => "quote_batches",
            Self::Rounds { .. } => "placement_rounds",
            Self::FootprintRepeats { .. } => "footprint_repeats",
            Self::FootprintEmpty => "footprint_empty",
            Self::OtherPath { .. } => "other_path",
            Self::EscrowOverflow => "escrow_overflow",
            Self::QuoteClass { .. } => "quote_class",
            Self::QuoteExpired { .. } => "quote_expired",
            Self::ReceiptExpired { .. } => "receipt_expired",
            Self::HolderUnknown { .. } => "holder_unknown",
            Self::HolderClosed { .. } => "holder_closed",
            Self::HopUnknown { .. } => "hop_unknown",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::CollateralMissing { .. } => "collateral_missing",
        }
    }
}
