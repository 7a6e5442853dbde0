//! A text that knows its limit.

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, BoundedError};
use std::{fmt, io};

/// UTF-8 of at most `MAX` bytes. Borsh as a string: `u32 length | bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Takes a text within the limit.
    pub fn new(text: &str) -> Result<Self, BoundedError> {
        if text.len() > MAX {
            return Err(BoundedError::TooMany { found: text.len(), limit: MAX });
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes as much of a text as fits, cut between characters: for messages to people.
    pub fn cut(text: &str) -> Self {
        let end = (0..=text.len().min(MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        Self(text[..end].to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> BorshSerialize for Text<MAX> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

impl<const MAX: usize> BorshDeserialize for Text<MAX> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bytes = Bounded::<u8, MAX>::deserialize_reader(reader)?.into_inner();
        String::from_utf8(bytes).map(Self).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
