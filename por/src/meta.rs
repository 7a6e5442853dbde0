//! The constant-size record by which anyone verifies a batch.

use crate::scheme::scheme;
use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

/// All that the network keeps of a batch: 36 bytes of borsh, whatever the batch's size.
///
/// Decoding takes any 36 bytes; [`BatchMeta::check`] says whether they mean something. Every method is total before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct BatchMeta {
    /// How the batch is proven: 1 is `merkle-sha256-v1`.
    pub scheme: u8,
    /// log2 of the batch's bytes.
    pub batch_log2: u8,
    /// log2 of a leaf's bytes.
    pub leaf_log2: u8,
    /// Code within the batch: 0 is none.
    pub inner_code: u8,
    /// The tree's root.
    pub root: [u8; 32],
}

/// Why 36 bytes are no batch's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetaError {
    /// Nobody knows this scheme.
    #[error("proof scheme {found} is unknown")]
    UnknownScheme {
        /// The scheme byte.
        found: u8,
    },
    /// Smaller or larger than any batch.
    #[error("a batch of 2^{found} bytes: the protocol allows 2^{min} to 2^{max}")]
    BatchSize {
        /// log2 of the bytes.
        found: u8,
        /// log2 of the smallest batch.
        min: u8,
        /// log2 of the largest batch.
        max: u8,
    },
    /// Not the scheme's leaf.
    #[error("a leaf of 2^{found} bytes: the scheme has 2^{expected}")]
    LeafSize {
        /// log2 of the bytes.
        found: u8,
        /// log2 of the scheme's leaf.
        expected: u8,
    },
    /// Not a code that the scheme has.
    #[error("inner code {found} is unknown")]
    InnerCode {
        /// The code byte.
        found: u8,
    },
}

impl BatchMeta {
    /// Length of its borsh encoding.
    pub const BYTES: usize = 36;

    /// Whether its scheme is known and allows these sizes.
    pub fn check(&self) -> Result<(), MetaError> {
        scheme(self.scheme).ok_or(MetaError::UnknownScheme { found: self.scheme })?.check(self)
    }

    /// Levels of the tree above the leaves.
    pub const fn depth(&self) -> u8 {
        self.batch_log2.saturating_sub(self.leaf_log2)
    }

    /// Bytes of the batch; saturates on sizes that [`BatchMeta::check`] refuses.
    pub const fn batch_bytes(&self) -> u64 {
        power_of_two(self.batch_log2)
    }

    /// Leaves of the batch; saturates on sizes that [`BatchMeta::check`] refuses.
    pub const fn leaves(&self) -> u64 {
        power_of_two(self.depth())
    }

    /// Bytes of a leaf; saturates on sizes that [`BatchMeta::check`] refuses.
    pub const fn leaf_bytes(&self) -> u64 {
        power_of_two(self.leaf_log2)
    }
}

const fn power_of_two(log2: u8) -> u64 {
    if log2 < 64 { 1 << log2 } else { u64::MAX }
}
