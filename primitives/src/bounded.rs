//! Lists that know their limit: a length is checked before memory is reserved for it.

use borsh::{BorshDeserialize, BorshSerialize};
use std::io;
use std::ops::{Deref, DerefMut};
use thiserror::Error;

/// A list of at most `MAX` items. Borsh as any list: `u32 length | items`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bounded<T, const MAX: usize>(Vec<T>);

/// A list or a message that exceeds its limit, or bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BoundedError {
    /// More items or bytes than allowed.
    #[error("{found} items, the limit is {limit}")]
    TooMany {
        /// Found.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// Not an encoding of the expected type, or bytes left over.
    #[error("malformed: {reason}")]
    Malformed {
        /// The decoder's reason.
        reason: String,
    },
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// Takes the list if it is within the limit.
    pub fn new(items: Vec<T>) -> Result<Self, BoundedError> {
        if items.len() > MAX {
            return Err(BoundedError::TooMany { found: items.len(), limit: MAX });
        }
        Ok(Self(items))
    }

    /// No items.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The list itself.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Items may change in place; their number may not.
impl<T, const MAX: usize> DerefMut for Bounded<T, MAX> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for Bounded<T, MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for Bounded<T, MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let length = u32::deserialize_reader(reader)? as usize;
        if length > MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{length} items, the limit is {MAX}")));
        }
        // borsh reads a list piece by piece, so a short input never reserves much more than it brings.
        let prefix = (length as u32).to_le_bytes();
        let items = Vec::<T>::deserialize_reader(&mut io::Read::chain(&prefix[..], reader))?;
        Ok(Self(items))
    }
}

/// Decodes one value from all of `bytes`; refuses more than `limit` bytes before looking at them, and bytes left over.
pub fn decode_exact<T: BorshDeserialize>(bytes: &[u8], limit: usize) -> Result<T, BoundedError> {
    if bytes.len() > limit {
        return Err(BoundedError::TooMany { found: bytes.len(), limit });
    }
    borsh::from_slice(bytes).map_err(|error| BoundedError::Malformed { reason: error.to_string() })
}
