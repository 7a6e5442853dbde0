//! Names of files in the catalog: relative, slash-separated, safe to restore below any directory.

use crate::limits::PATH_BYTES_MAX;
use borsh::{BorshDeserialize, BorshSerialize};
use std::borrow::Borrow;
use std::{fmt, io};
use thiserror::Error;

/// A checked path: UTF-8, `/` between components, none of them empty, `.` or `..`, no NUL, at most 4096 bytes.
/// Any other character is fine: spaces, quotes, newlines, emoji, a leading dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct FilePath(String);

/// Why a text is not a path of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing at all.
    #[error("a file needs a name")]
    Empty,
    /// Too long.
    #[error("a path of {bytes} bytes, the limit is {PATH_BYTES_MAX}")]
    TooLong {
        /// Bytes found.
        bytes: usize,
    },
    /// Starts at the root.
    #[error("{path:?} starts with a slash: paths in the catalog are relative")]
    Absolute {
        /// What was given.
        path: String,
    },
    /// A component that would lead elsewhere when restored, or nowhere.
    #[error("{path:?} has the component {component:?}, which names no file")]
    BadComponent {
        /// What was given.
        path: String,
        /// The component.
        component: String,
    },
    /// Holds a NUL, which no file system takes.
    #[error("{path:?} holds a NUL byte")]
    Nul {
        /// What was given.
        path: String,
    },
}

impl FilePath {
    /// Checks a path.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong { bytes: path.len() });
        }
        if path.starts_with('/') {
            return Err(PathError::Absolute { path });
        }
        if path.contains('\0') {
            return Err(PathError::Nul { path });
        }
        if let Some(component) = path.split('/').find(|component| matches!(*component, "" | "." | "..")) {
            return Err(PathError::BadComponent { component: component.to_owned(), path });
        }
        Ok(Self(path))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directories above it, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            rest = rest.rsplit_once('/')?.0;
            Some(rest)
        })
    }
}

impl BorshDeserialize for FilePath {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let invalid = |error: PathError| io::Error::new(io::ErrorKind::InvalidData, error);
        let length = u32::deserialize_reader(reader)? as usize;
        if length > PATH_BYTES_MAX {
            return Err(invalid(PathError::TooLong { bytes: length }));
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Self::new(text).map_err(invalid)
    }
}

impl Borrow<str> for FilePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    /// Quoted and escaped, as it should stand in a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::str::FromStr for FilePath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}
