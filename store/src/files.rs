//! Files that survive kill -9 and loss of power: what a name promises is on the disk before the name is.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An operation of the operating system that failed, and where.
#[derive(Debug, Error)]
#[error("cannot {action} {path}: {source}")]
pub struct FileError {
    /// What was tried, as in "read".
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: names what was tried on which path.
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether the file, or a directory above it, is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether the file ended before the bytes that were asked for.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.source.kind() == io::ErrorKind::UnexpectedEof
    }

    /// Whether the disk had no room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Replaces the file at `path` by `bytes`, all or nothing, durable on return.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".tmp");
    let fresh = PathBuf::from(fresh);
    write_synced(&fresh, bytes).and_then(|()| rename(&fresh, path)).inspect_err(|_| {
        // Half a file helps nobody, least of all on a full disk.
        let _ = fs::remove_file(&fresh);
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = File::create(path).map_err(FileError::at("create", path))?;
    file.write_all(bytes).map_err(FileError::at("write", path))?;
    file.sync_all().map_err(FileError::at("sync", path))
}

/// Renames within one directory, durable on return.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::at("rename", from))?;
    sync_parent(to)
}

/// Deletes a file if it is there. Not durable until the directory is synced.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::at("delete", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a directory and those above it, durable on return.
pub(crate) fn make_dir(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(FileError::at("create", path))?;
    sync_parent(path)
}

/// Syncs the directory that holds `path`: the names in it are durable on return.
pub(crate) fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent).map_err(FileError::at("open", parent))?;
    directory.sync_all().map_err(FileError::at("sync", parent))
}

/// Makes a file of `bytes` bytes whose blocks the disk has set aside, so that a later write finds room.
pub(crate) fn preallocate(path: &Path, bytes: u64) -> Result<File, FileError> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(FileError::at("create", path))?;
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill_with_zeros(&file, path, bytes)?,
        Err(error) => return Err(FileError::at("set space aside for", path)(error.into())),
    }
    file.sync_all().map_err(FileError::at("sync", path))?;
    Ok(file)
}

/// What `preallocate` does on a file system that cannot set blocks aside.
fn fill_with_zeros(file: &File, path: &Path, bytes: u64) -> Result<(), FileError> {
    let zeros = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < bytes {
        let count = zeros.len().min(usize::try_from(bytes - offset).unwrap_or(usize::MAX));
        file.write_all_at(&zeros[..count], offset).map_err(FileError::at("write", path))?;
        offset += count as u64;
    }
    Ok(())
}

/// Bytes that the file system of `path` would still give to an ordinary user.
pub(crate) fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let stat =
        rustix::fs::statvfs(path).map_err(|error| FileError::at("measure the free space of", path)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// Few file systems cannot set blocks aside, so this way is walked here by hand.
    #[test]
    fn filling_with_zeros_gives_the_length_and_overwrites_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for bytes in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
            let path = directory.path().join("file");
            fill_with_zeros(&File::create(&path).unwrap(), &path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), vec![0; bytes as usize]);
        }
    }

    #[test]
    fn a_replaced_file_is_the_old_one_or_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for content in [&b"old"[..], b"new and longer", b""] {
            replace(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing half-written stays behind");
        assert!(replace(&directory.path().join("no/such/folder"), b"x").unwrap_err().is_not_found());
    }
}
