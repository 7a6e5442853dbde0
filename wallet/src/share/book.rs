//! What an owner handed out, kept beside its wallet (`NAME.grants`, mode 0600): enough to list and to take back, nothing by
//! which anybody could read.

use crate::keystore::{KeystoreError, replace_private};
use holdfast_primitives::{GrantId, TimeMs};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::grant::Grant;

const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a grant is still listed after its end.
const KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// The list of one wallet.
#[derive(Clone, Debug)]
pub struct GrantBook {
    path: PathBuf,
}

/// What is kept of one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantNote {
    /// Its name.
    pub id: GrantId,
    /// What it is for, by its whole name in the catalog, or a batch.
    pub name: String,
    /// The address of whom it was made for; `None` for whoever has it.
    pub to: Option<String>,
    /// When it ends.
    pub until: TimeMs,
    /// When it was made.
    pub made: TimeMs,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    grants: Vec<GrantNote>,
}

impl GrantNote {
    /// What is kept of `grant`.
    pub fn of(grant: &Grant, name: &str, to: Option<String>, made: TimeMs) -> Self {
        Self { id: grant.id, name: name.to_owned(), to, until: grant.expires, made }
    }
}

impl GrantBook {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Everything that was handed out, the oldest first.
    pub fn list(&self) -> Result<Vec<GrantNote>, KeystoreError> {
        let bytes = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.failed(source)),
        };
        if bytes > FILE_BYTES_MAX {
            return Err(self.corrupt(format!("{bytes} bytes, at most {FILE_BYTES_MAX} are expected")));
        }
        let text = fs::read(&self.path).map_err(|source| self.failed(source))?;
        let file: File = serde_json::from_slice(&text).map_err(|error| self.corrupt(error.to_string()))?;
        if file.version != VERSION {
            return Err(self.corrupt(format!("version {}, this program knows version {VERSION}", file.version)));
        }
        Ok(file.grants)
    }

    /// Notes one more, and forgets those that ended long ago. Call it before the grant is given away.
    pub fn add(&self, note: GrantNote) -> Result<(), KeystoreError> {
        let mut grants = self.list()?;
        let now = note.made;
        grants.retain(|known| known.until.saturating_add(KEPT_MS) > now);
        grants.push(note);
        let text =
            serde_json::to_vec_pretty(&File { version: VERSION, grants }).expect("a list of grants is plain JSON");
        replace_private(&self.path, &text).map_err(|source| self.failed(source))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, source: io::Error) -> KeystoreError {
        KeystoreError::Io { path: self.path.clone(), source }
    }

    fn corrupt(&self, reason: String) -> KeystoreError {
        KeystoreError::Corrupt { path: self.path.clone(), reason }
    }
}
