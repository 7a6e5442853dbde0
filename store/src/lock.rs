//! One process per data directory: two would overwrite each other's truth.

use crate::files::{self, FileError};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a directory could not be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process (or another part of this one) works in it.
    #[error("{directory} is in use by process {pid}; stop that process, or give this one a directory of its own")]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The other process as it wrote itself down, or "unknown".
        pid: String,
    },
    /// The lock file cannot be made or read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Holds the lock of a directory until it is dropped. The system drops it too when the process dies, so a lock file
/// that is left behind means nothing.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Makes the directory if need be and locks its file `LOCK`.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, LockError> {
        files::make_dir(directory)?;
        let path = directory.join("LOCK");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(FileError::at("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { directory: directory.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(FileError::at("lock", &path)(error).into()),
        }
        match write_pid(&mut file).map_err(FileError::at("write", &path)) {
            // The lock is the system's; the number only helps people. A full disk is no reason not to serve what it holds.
            Err(error) if !error.is_disk_full() => Err(error.into()),
            _ => Ok(Self { file }),
        }
    }
}

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a process that is being started at this moment may hold a copy of it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Over the last one, in the block that the file has already.
fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.rewind()?;
    writeln!(file, "{:<15}", std::process::id())
}

fn read_pid(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}
