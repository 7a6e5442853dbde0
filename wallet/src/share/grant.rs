//! A grant as a file:
//!
//! ```text
//! magic "HFGRANT\0" | version u8 = 1 | body (borsh) | SHA-256 over all before 32
//! body = chain [32] | owner [32] | grant id [16] | expires u64 (ms) | reader | name | shared | capabilities u32 n, n x signed
//! reader = 0, seed [32] of a key pair made for it     whoever has the file may read
//!        | 1, address [32]                            only that key may read at holders
//! shared = 0, excerpt of the catalog                  a file: chunks with their keys, shapes of segments
//!        | 1, ordinal u32, index u8, meta 36          one batch as it lies at its holder
//! ```
//! It holds keys: it is written with mode 0600, and must be passed on privately.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_network::wire::{CAPABILITY_BATCHES_MAX, Capability, Scope, Signed};
use holdfast_parcel::limits::EXCERPT_BYTES_MAX;
use holdfast_parcel::{Excerpt, ExcerptError, FilePath};
use holdfast_por::{BatchMeta, MetaError};
use holdfast_primitives::{Address, Bounded, ChainId, GrantId, SecretKey, TimeMs, sha256};
use std::fmt;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const MAGIC: &[u8; 8] = b"HFGRANT\0";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 32;
/// Permissions in one grant, at most.
pub(crate) const GRANT_CAPABILITIES_MAX: usize = 2_048;
/// Bytes of a capability with a signature, at most.
const CAPABILITY_BYTES_MAX: usize = 16 + 32 + 32 + 33 + 1 + 4 + 32 * CAPABILITY_BATCHES_MAX + 8 + 64;
/// Bytes of everything in a grant but the excerpt and the capabilities, at most.
const REST_BYTES_MAX: usize = 8 * 1024;

/// A permission to read, with what it takes to find and open what may be read.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// The chain.
    pub chain: ChainId,
    /// Whose data it is.
    pub owner: Address,
    /// Its name, by which the owner can take it back.
    pub id: GrantId,
    /// When it ends.
    pub expires: TimeMs,
    /// Who may read.
    pub reader: GrantReader,
    /// What it is called: the last part of the file's name.
    pub name: FilePath,
    /// What may be read.
    pub shared: Shared,
    /// The owner's signed permissions, of at most 1,024 batches each.
    pub capabilities: Bounded<Signed<Capability>, GRANT_CAPABILITIES_MAX>,
}

/// Who may read by a grant.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum GrantReader {
    /// Whoever has it.
    Bearer(BearerSecret),
    /// One account.
    Named(Address),
}

/// The secret of a key pair made for one grant. Never printed; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, BorshSerialize, BorshDeserialize)]
pub struct BearerSecret([u8; 32]);

/// What a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Shared {
    /// A file.
    File(Excerpt),
    /// A batch as its holder has it: encrypted.
    Batch(SharedBatch),
}

/// One batch of the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SharedBatch {
    /// The owner's own count of its segment.
    pub ordinal: u32,
    /// Its place in the segment.
    pub index: u8,
    /// What verifies it.
    pub meta: BatchMeta,
}

/// Why bytes are not a grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrantError {
    /// Another kind of file.
    #[error("this is no grant")]
    NotAGrant,
    /// Written by a later version.
    #[error("a grant of version {version}, this program knows version {VERSION}")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// Longer than any grant.
    #[error("{found} bytes, a grant has at most {}", Grant::BYTES_MAX)]
    TooLong {
        /// Bytes found.
        found: u64,
    },
    /// The checksum does not fit.
    #[error("the grant was damaged on its way, or cut short")]
    Damaged,
    /// Not the encoding of a grant.
    #[error("malformed grant: {reason}")]
    Malformed {
        /// The decoder's reason.
        reason: String,
    },
    /// The file that it describes is none.
    #[error("the grant's file: {0}")]
    Excerpt(#[from] ExcerptError),
    /// The batch that it describes is none.
    #[error("the grant's batch: {0}")]
    Meta(#[from] MetaError),
    /// A name with folders in it.
    #[error("the grant's name {name:?} is not that of one file")]
    Name {
        /// The name.
        name: String,
    },
    /// A permission that is for something else than the grant says.
    #[error("permission {index} of the grant is for another owner, reader, time or purpose")]
    Foreign {
        /// Which one.
        index: usize,
    },
    /// A permission that the owner did not sign.
    #[error("permission {index} of the grant is not signed by its owner")]
    NotSigned {
        /// Which one.
        index: usize,
    },
}

impl Grant {
    /// Bytes of a grant, at most.
    pub const BYTES_MAX: usize =
        EXCERPT_BYTES_MAX + GRANT_CAPABILITIES_MAX * CAPABILITY_BYTES_MAX + REST_BYTES_MAX + CHECKSUM_BYTES;

    /// The grant as a file.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new([MAGIC.as_slice(), &[VERSION]].concat());
        self.serialize(&mut *bytes).expect("writing to a vector does not fail");
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads a grant and checks that it holds together: the owner signed every permission, all for this reader and time.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GrantError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(GrantError::TooLong { found: bytes.len() as u64 });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(GrantError::NotAGrant)?;
        let version = *rest.first().ok_or(GrantError::Damaged)?;
        if version != VERSION {
            return Err(GrantError::UnknownVersion { version });
        }
        let (said, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(GrantError::Damaged)?;
        if sha256(said) != *checksum {
            return Err(GrantError::Damaged);
        }
        let body = said.get(MAGIC.len() + 1..).ok_or(GrantError::Damaged)?;
        let grant: Self =
            borsh::from_slice(body).map_err(|error| GrantError::Malformed { reason: error.to_string() })?;
        grant.check()?;
        Ok(grant)
    }

    /// Who reads at holders.
    pub fn reader(&self) -> Address {
        match &self.reader {
            GrantReader::Bearer(secret) => secret.key().address(),
            GrantReader::Named(address) => *address,
        }
    }

    /// Bytes that may be read by it.
    pub const fn size(&self) -> u64 {
        match &self.shared {
            Shared::File(file) => file.size,
            Shared::Batch(batch) => 1 << batch.meta.batch_log2,
        }
    }

    /// How many batches its permissions cover.
    pub fn batches(&self) -> usize {
        let covered = |signed: &Signed<Capability>| match &signed.statement.scope {
            Scope::All => 0,
            Scope::Batches(roots) => roots.len(),
        };
        self.capabilities.iter().map(covered).sum()
    }

    fn check(&self) -> Result<(), GrantError> {
        if self.name.ancestors().next().is_some() {
            return Err(GrantError::Name { name: self.name.to_string() });
        }
        match &self.shared {
            Shared::File(file) => file.check()?,
            Shared::Batch(batch) => batch.meta.check()?,
        }
        let reader = self.reader();
        for (index, signed) in self.capabilities.iter().enumerate() {
            let said = &signed.statement;
            let fits = (said.grant, said.owner, said.reader, said.expires)
                == (self.id, self.owner, reader, self.expires)
                && said.holder.is_none()
                && matches!(said.scope, Scope::Batches(_));
            if !fits {
                return Err(GrantError::Foreign { index });
            }
            signed.verify(&self.chain).map_err(|_| GrantError::NotSigned { index })?;
        }
        Ok(())
    }
}

impl BearerSecret {
    /// A fresh one from the system's randomness.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system provides randomness");
        Self(seed)
    }

    /// The key pair.
    pub fn key(&self) -> SecretKey {
        SecretKey::from_seed(self.0)
    }
}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret(hidden)")
    }
}
