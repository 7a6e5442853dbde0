//! One command of a wallet at a time.
//!
//! A heavy node keeps one control stream per account, the newest, and the ledger takes an account's transactions in the order
//! of their sequence numbers. Two commands of one wallet at once would cut each other off or spend the same number. So each
//! waits for its turn: an exclusive lock on a file beside the keystore, which the system lets go when the process dies.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The right to act for a wallet, until it is dropped. Only [`crate::Keystore::take_turn`] gives it.
#[derive(Debug)]
pub struct Turn {
    file: File,
}

impl Turn {
    /// Locks the file at `path`, which is made if need be; calls `waiting` once if another command holds it, and waits
    /// for as long as that takes.
    pub(crate) fn take(path: &Path, waiting: impl FnOnce()) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { file }),
            Err(TryLockError::WouldBlock) => waiting(),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.lock()?;
        Ok(Self { file })
    }
}

impl Drop for Turn {
    /// Closing the file is not enough: a process that is being started at this moment may hold a copy of it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}
