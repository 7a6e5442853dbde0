//! Small files that know what they are, which version they are, and whether they are whole.
//!
//! ```text
//! offset   bytes
//! 0        8      magic: names the kind of file, ASCII padded with zeros
//! 8        4      version, u32 LE, counted from 1
//! 12       4      n: length of the payload, u32 LE
//! 16       n      payload
//! 16 + n   32     SHA-256 of everything before
//! ```
//! They are replaced as a whole (write beside, sync, rename), so a crash leaves the old one or the new one.

use crate::files::{self, FileError};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{decode_exact, sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

const HEADER_BYTES: usize = 16;
const SEAL_BYTES: usize = 32;

/// Why a sealed file cannot be used.
#[derive(Debug, Error)]
pub enum SealedError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is torn, edited, or not the file that was expected.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        reason: &'static str,
    },
    /// It was written by a newer release.
    #[error("{path} has format {found}, this release reads up to {supported}: use a newer release")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        supported: u32,
    },
    /// It was written by an older release, and nothing turns it into what this one reads.
    #[error("{path} has format {found}, this release reads from {oldest} on: use the release that wrote it")]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The oldest version known here.
        oldest: u32,
    },
}

/// One kind of sealed file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    /// Names the kind.
    pub(crate) magic: [u8; 8],
    /// The version that is written, and the newest that is read.
    pub(crate) version: u32,
    /// The oldest that is read.
    pub(crate) oldest: u32,
    /// Bytes of a payload, at most.
    pub(crate) payload_max: usize,
}

impl Seal {
    /// The file's bytes.
    pub(crate) fn encode<T: BorshSerialize>(&self, payload: &T) -> Vec<u8> {
        let payload = borsh::to_vec(payload).expect("a payload encodes into memory");
        debug_assert!(payload.len() <= self.payload_max, "what is written can be read back");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len() + SEAL_BYTES);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let seal = sha256(&bytes);
        bytes.extend_from_slice(&seal);
        bytes
    }

    /// Writes or replaces the file, durable on return.
    pub(crate) fn write<T: BorshSerialize>(&self, path: &Path, payload: &T) -> Result<(), FileError> {
        files::replace(path, &self.encode(payload))
    }

    /// Reads the file and checks all of it.
    pub(crate) fn read<T: BorshDeserialize>(&self, path: &Path) -> Result<T, SealedError> {
        let file = File::open(path).map_err(FileError::at("open", path))?;
        let limit = HEADER_BYTES + self.payload_max + SEAL_BYTES;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(FileError::at("read", path))?;
        self.decode(path, &bytes)
    }

    fn decode<T: BorshDeserialize>(&self, path: &Path, bytes: &[u8]) -> Result<T, SealedError> {
        let damaged = |reason| SealedError::Damaged { path: path.to_owned(), reason };
        let (sealed, seal) = bytes.split_last_chunk::<SEAL_BYTES>().ok_or_else(|| damaged("cut short"))?;
        let (header, payload) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("cut short"))?;
        if header[..8] != self.magic {
            return Err(damaged("not a file of this kind"));
        }
        if sha256(sealed) != *seal {
            return Err(damaged("its checksum does not match"));
        }
        let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if found > self.version {
            return Err(SealedError::Newer { path: path.to_owned(), found, supported: self.version });
        }
        if found < self.oldest {
            return Err(SealedError::Older { path: path.to_owned(), found, oldest: self.oldest });
        }
        let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
        if length != payload.len() {
            return Err(damaged("its length does not match"));
        }
        decode_exact(payload, self.payload_max).map_err(|_| damaged("its content is malformed"))
    }
}
