//! What is to be stored: files and folders on this machine, under the names they get in the catalog.

use crate::error::WalletError;
use holdfast_parcel::{FileMeta, FilePath};
use holdfast_primitives::TimeMs;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// One file to be stored.
#[derive(Clone, Debug)]
pub struct LocalFile {
    /// Where it is.
    pub source: PathBuf,
    /// What it will be called.
    pub name: FilePath,
    /// What the file system said of it.
    pub meta: FileMeta,
}

/// Files found, and what was passed over.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// To be stored, in the order of their names.
    pub files: Vec<LocalFile>,
    /// Links, sockets and the like, which are not followed.
    pub skipped: Vec<PathBuf>,
}

impl Collected {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.meta.size).sum()
    }
}

/// Collects `paths`; a folder stands for all files below it. `rename` replaces the name of a single path.
pub fn collect(paths: &[PathBuf], rename: Option<&str>) -> Result<Collected, WalletError> {
    let mut collected = Collected::default();
    for path in paths {
        let name = match rename {
            Some(name) => name.to_owned(),
            None => base_name(path)?,
        };
        visit(path, &name, &mut collected)?;
    }
    collected.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(collected)
}

/// What the file system says of a file now.
pub fn file_meta(path: &Path) -> Result<FileMeta, WalletError> {
    let meta = fs::metadata(path).map_err(|source| io_error(path, source))?;
    let since = u64::try_from(meta.mtime()).unwrap_or(0).saturating_mul(1_000);
    let modified = TimeMs::new(since + u64::try_from(meta.mtime_nsec() / 1_000_000).unwrap_or(0));
    Ok(FileMeta { size: meta.len(), modified, mode: meta.permissions().mode() & 0o7777 })
}

fn visit(path: &Path, name: &str, collected: &mut Collected) -> Result<(), WalletError> {
    let kind = fs::symlink_metadata(path).map_err(|source| io_error(path, source))?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path).map_err(|source| io_error(path, source))? {
            let entry = entry.map_err(|source| io_error(path, source))?;
            let below = text_of(&entry.path(), &entry.file_name())?;
            visit(&entry.path(), &format!("{name}/{below}"), collected)?;
        }
    } else if kind.is_file() {
        let named = FilePath::new(name).map_err(|source| WalletError::Name { name: name.to_owned(), source })?;
        collected.files.push(LocalFile { source: path.to_owned(), name: named, meta: file_meta(path)? });
    } else {
        collected.skipped.push(path.to_owned());
    }
    Ok(())
}

/// The last component of a path, resolved when the path has none (`.`, `..`, `/`).
fn base_name(path: &Path) -> Result<String, WalletError> {
    let resolved;
    let path = match path.file_name() {
        Some(_) => path,
        None => {
            resolved = path.canonicalize().map_err(|source| io_error(path, source))?;
            &resolved
        }
    };
    text_of(path, path.file_name().unwrap_or_default())
}

fn text_of(path: &Path, name: &std::ffi::OsStr) -> Result<String, WalletError> {
    let not_text = || io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8");
    name.to_str().map(str::to_owned).ok_or_else(|| io_error(path, not_text()))
}

fn io_error(path: &Path, source: io::Error) -> WalletError {
    WalletError::File { path: path.to_owned(), source }
}
