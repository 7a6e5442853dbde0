//! Short names that people choose and machines compare: regions, operators, topics.

use crate::bounded::Bounded;
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io;
use std::str::FromStr;
use thiserror::Error;

/// 1 to 32 characters, each `a` to `z`, `0` to `9` or `-`. Borsh as a string: `u32 length | bytes`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// Why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagError {
    /// Nothing, or too much.
    #[error("{text:?} has {found} characters: 1 to {limit} are allowed")]
    Length {
        /// What was given, cut to 80 characters.
        text: String,
        /// Its length in bytes.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// A character that is not allowed.
    #[error("{text:?} has a character other than a to z, 0 to 9 and -")]
    Character {
        /// What was given.
        text: String,
    },
}

impl Tag {
    /// Bytes of the longest tag.
    pub const BYTES_MAX: usize = 32;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.is_empty() || text.len() > Self::BYTES_MAX {
            let cut = text.chars().take(80).collect();
            return Err(TagError::Length { text: cut, found: text.len(), limit: Self::BYTES_MAX });
        }
        if !text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(TagError::Character { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

impl BorshSerialize for Tag {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        BorshSerialize::serialize(&self.0, writer)
    }
}

impl BorshDeserialize for Tag {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let invalid = |error: &dyn fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let bytes = Bounded::<u8, { Self::BYTES_MAX }>::deserialize_reader(reader)?.into_inner();
        let text = String::from_utf8(bytes).map_err(|error| invalid(&error))?;
        text.parse().map_err(|error: TagError| invalid(&error))
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
