//! Opening a vault: lock it, know its format, build the index from its files, complete what a crash interrupted.

use crate::files::{self, FileError};
use crate::lock::DirectoryLock;
use crate::sealed::SealedError;
use crate::vault::layout::{BatchPaths, Head, HeadState, VAULT_SEAL, batches_dir, root_of_name};
use crate::vault::{Entry, Index, Place, Shared, Vault, VaultError, delete_files};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, Weak};

impl Vault {
    /// Opens the vault in `directory`, or makes one there. It will keep batches of at most `quota_bytes` in all and take
    /// none that would leave less than `reserve_free_bytes` free on the disk.
    ///
    /// # Errors
    /// When another process works in it, when a newer release wrote it, or when the disk cannot be read. Damaged batches
    /// are no error here: [`Vault::check`] lists them.
    pub fn open(directory: &Path, quota_bytes: u64, reserve_free_bytes: u64) -> Result<Self, VaultError> {
        let lock = DirectoryLock::acquire(directory)?;
        know_format(directory)?;
        files::make_dir(&batches_dir(directory))?;
        let index = build_index(directory)?;
        tracing::info!(directory = %directory.display(), batches = index.batches.len(), "vault is open");
        Ok(Self {
            shared: Arc::new(Shared {
                directory: directory.to_owned(),
                quota_bytes,
                reserve_free_bytes,
                admission: Mutex::new(()),
                index: RwLock::new(index),
                _lock: lock,
            }),
        })
    }
}

/// Marks a new vault; refuses one of a newer release.
fn know_format(directory: &Path) -> Result<(), VaultError> {
    let path = directory.join("VAULT");
    match VAULT_SEAL.read::<()>(&path) {
        Ok(()) => Ok(()),
        Err(SealedError::File(error)) if error.is_not_found() => Ok(VAULT_SEAL.write(&path, &())?),
        Err(error) => Err(error.into()),
    }
}

fn build_index(directory: &Path) -> Result<Index, VaultError> {
    let mut index = Index::default();
    for root in roots(&batches_dir(directory))? {
        let paths = BatchPaths::new(directory, &root);
        match Head::read(&paths.head) {
            // A head under another batch's name is as good as none.
            Ok(Some(head)) if head.meta.root == root => {
                if let Some(entry) = complete(head, &paths)? {
                    index.batches.insert(root, entry);
                }
            }
            Err(error @ VaultError::Sealed(SealedError::Newer { .. })) => return Err(error),
            lost => match length(&paths.batch) {
                Some(bytes) => {
                    index.headless.insert(root, bytes);
                }
                None if lost.is_ok() => delete_files(&paths)?,
                // The disk would not say: what may be an upload is left alone.
                None => {}
            },
        }
    }
    Ok(index)
}

/// Brings a batch's files to where its head says they are.
fn complete(head: Head, paths: &BatchPaths) -> Result<Option<Entry>, VaultError> {
    let Head { state, meta, tag } = head;
    let place = match state {
        HeadState::Removing => {
            delete_files(paths)?;
            return Ok(None);
        }
        HeadState::Uploading => Place::Uploading(Weak::new()),
        HeadState::Stored { .. } => {
            if length(&paths.batch).is_none() && length(&paths.part).is_some() {
                files::rename(&paths.part, &paths.batch)?;
            }
            files::remove_if_there(&paths.have)?;
            Place::Stored
        }
    };
    Ok(Some(Entry { meta, tag, place }))
}

/// Every batch that has a file in the folders `<xx>`. Half-written replacements are deleted on the way; files of other
/// names are nobody's business here.
fn roots(batches: &Path) -> Result<BTreeSet<[u8; 32]>, VaultError> {
    let mut roots = BTreeSet::new();
    for folder in entries(batches)? {
        if !folder.is_dir() {
            continue;
        }
        for path in entries(&folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            match name.strip_suffix(".tmp") {
                Some(replaced) if root_of_name(replaced).is_some() => files::remove_if_there(&path)?,
                _ => roots.extend(root_of_name(&name)),
            }
        }
    }
    Ok(roots)
}

fn entries(directory: &Path) -> Result<Vec<std::path::PathBuf>, FileError> {
    let read = fs::read_dir(directory).map_err(FileError::at("list", directory))?;
    read.map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(FileError::at("list", directory))
}

fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}
