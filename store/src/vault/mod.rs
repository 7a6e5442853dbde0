//! The batch vault: a holder's batches as plain files, whole or provably not.
//!
//! ```text
//! reserve -> Upload -> put (proven leaves, synced, then counted) -> finish (rehashed, synced) -> stored
//! stored  -> read, read_group, layers, source (for proofs) -> check, scrub -> remove
//! ```
//! The file of a batch is the batch and nothing else; `layout` draws every file. There is no index to lose: it is built
//! from the files on open. The vault knows nothing of the ledger: which batches must be here is the holder's to know.

mod care;
mod error;
mod have;
pub(crate) mod layout;
mod open;
mod read;
mod upload;

pub use error::{Damage, Damaged, VaultError};
pub use have::Have;
pub use read::VaultSource;
pub use upload::{ProvenLeaves, Upload};

use crate::files;
use crate::lock::DirectoryLock;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::BatchMeta;
use holdfast_primitives::{Address, Height, RequestId};
use layout::{BatchPaths, HEAD_SEAL, Head, HeadState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use upload::Incoming;

/// Whose a batch is, under which placement request it came, and until when it waits for its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BatchTag {
    /// The owner.
    pub owner: Address,
    /// The owner's request.
    pub request: RequestId,
    /// The last height at which it may be registered; after that an unregistered batch may be removed.
    pub expires: Height,
}

/// One batch as the vault lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By this anyone verifies the batch.
    pub meta: BatchMeta,
    /// Whose it is.
    pub tag: BatchTag,
    /// Whether all of it is here; else it is being uploaded.
    pub stored: bool,
}

/// A directory of batches. Cheap to clone; every clone is the same vault. All calls block on the disk.
#[derive(Clone, Debug)]
pub struct Vault {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    directory: PathBuf,
    quota_bytes: u64,
    reserve_free_bytes: u64,
    /// Taken by whoever makes, finishes or removes a batch: one at a time.
    admission: Mutex<()>,
    /// Held for moments only, never while the disk is waited for.
    index: RwLock<Index>,
    _lock: DirectoryLock,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    batches: BTreeMap<[u8; 32], Entry>,
    /// Batch files whose head is lost, with their length.
    headless: BTreeMap<[u8; 32], u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    meta: BatchMeta,
    tag: BatchTag,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// The handle lives only while someone uploads.
    Uploading(Weak<Incoming>),
    Stored,
}

impl Vault {
    /// Sets space aside for a batch and hands out its upload; an upload that was begun before under the same owner and
    /// request goes on where it stopped.
    ///
    /// # Errors
    /// Refuses, before anything is accepted, when the quota or the disk has no room for the whole batch, when the batch
    /// is stored already, or when it is being uploaded under another request.
    pub fn reserve(&self, meta: BatchMeta, tag: BatchTag) -> Result<Upload, VaultError> {
        meta.check()?;
        let _admission = self.shared.admit();
        match self.shared.entry(&meta.root) {
            Some(Entry { place: Place::Stored, .. }) => Err(VaultError::AlreadyStored { root: meta.root }),
            Some(entry) => self.resume(entry, tag),
            None => self.begin(meta, tag),
        }
    }

    /// Whether the whole batch was stored here and not removed. Says nothing of damage since.
    pub fn contains(&self, root: &[u8; 32]) -> bool {
        self.shared.stored(root).is_ok()
    }

    /// All batches in order of their roots, stored or being uploaded.
    pub fn list(&self) -> Vec<Listed> {
        let index = self.shared.index();
        index.batches.values().map(Entry::listed).collect()
    }

    /// The batch as it is listed, if it is here.
    pub fn get(&self, root: &[u8; 32]) -> Option<Listed> {
        self.shared.entry(root).map(|entry| entry.listed())
    }

    /// Bytes of all batches that are stored or promised space. The layers, 1/1024 of that, are not counted.
    pub fn used_bytes(&self) -> u64 {
        let index = self.shared.index();
        let batches: u64 = index.batches.values().map(|entry| entry.meta.batch_bytes()).sum();
        batches + index.headless.values().sum::<u64>()
    }

    /// Bytes that the disk could still give to batches: free, less what must stay free. None when the disk does not say.
    pub fn disk_room_bytes(&self) -> u64 {
        let free = files::free_bytes(&self.shared.directory).unwrap_or(0);
        free.saturating_sub(self.shared.reserve_free_bytes)
    }

    /// The quota that it was opened with.
    pub fn quota_bytes(&self) -> u64 {
        self.shared.quota_bytes
    }

    /// Deletes a batch, or drops an upload. Deleting what is not here is no error.
    pub fn remove(&self, root: &[u8; 32]) -> Result<(), VaultError> {
        let _admission = self.shared.admit();
        let paths = self.shared.paths(root);
        if let Some(entry) = self.shared.entry(root) {
            if let Some(incoming) = entry.incoming() {
                incoming.close();
            }
            let removing = Head { state: HeadState::Removing, meta: entry.meta, tag: entry.tag };
            match HEAD_SEAL.write(&paths.head, &removing) {
                // Removing is what makes room again. Cut short, it leaves a batch without its file, for its holder to
                // find and remove once more.
                Err(error) if error.is_disk_full() => tracing::warn!(%error, "a removal is not marked as such"),
                written => written?,
            }
        }
        delete_files(&paths)?;
        let mut index = self.shared.index_mut();
        index.batches.remove(root);
        index.headless.remove(root);
        Ok(())
    }

    fn resume(&self, entry: Entry, tag: BatchTag) -> Result<Upload, VaultError> {
        let Entry { meta, tag: known, ref place } = entry;
        if (known.owner, known.request) != (tag.owner, tag.request) {
            return Err(VaultError::ReservedByAnother { root: meta.root, owner: known.owner });
        }
        let alive = matches!(place, Place::Uploading(_)).then(|| entry.incoming()).flatten();
        let incoming = match alive {
            Some(incoming) => incoming,
            None => Arc::new(self.name_full_disk(&meta, Incoming::open(meta, self.shared.paths(&meta.root)))?),
        };
        if known != tag {
            let paths = self.shared.paths(&meta.root);
            let written = HEAD_SEAL.write(&paths.head, &Head { state: HeadState::Uploading, meta, tag });
            self.name_full_disk(&meta, written.map_err(VaultError::from))?;
        }
        Ok(self.hand_out(incoming, tag))
    }

    fn begin(&self, meta: BatchMeta, tag: BatchTag) -> Result<Upload, VaultError> {
        if self.shared.index().headless.contains_key(&meta.root) {
            return Err(Damaged { root: meta.root, damage: Damage::HeadLost }.into());
        }
        self.check_room(&meta)?;
        let paths = self.shared.paths(&meta.root);
        let begun = Incoming::create(meta, tag, paths.clone()).inspect_err(|_| {
            // Best effort: what stays behind is deleted on the next open.
            let _ = delete_files(&paths);
        });
        let incoming = self.name_full_disk(&meta, begun)?;
        Ok(self.hand_out(Arc::new(incoming), tag))
    }

    fn hand_out(&self, incoming: Arc<Incoming>, tag: BatchTag) -> Upload {
        let meta = incoming.meta;
        let entry = Entry { meta, tag, place: Place::Uploading(Arc::downgrade(&incoming)) };
        self.shared.index_mut().batches.insert(meta.root, entry);
        Upload { shared: Arc::clone(&self.shared), incoming, tag }
    }

    fn check_room(&self, meta: &BatchMeta) -> Result<(), VaultError> {
        let (wanted, used, quota) = (meta.batch_bytes(), self.used_bytes(), self.shared.quota_bytes);
        if used.saturating_add(wanted) > quota {
            return Err(VaultError::QuotaExceeded { wanted, used, quota });
        }
        let free = files::free_bytes(&self.shared.directory)?;
        if free < wanted.saturating_add(self.shared.reserve_free_bytes) {
            return Err(self.disk_full(meta));
        }
        Ok(())
    }

    /// The disk may fill up between the look at its free space and the setting aside.
    fn name_full_disk<T>(&self, meta: &BatchMeta, answer: Result<T, VaultError>) -> Result<T, VaultError> {
        answer.map_err(|error| match error {
            VaultError::File(error) if error.is_disk_full() => self.disk_full(meta),
            error => error,
        })
    }

    fn disk_full(&self, meta: &BatchMeta) -> VaultError {
        let free = files::free_bytes(&self.shared.directory).unwrap_or(0);
        VaultError::DiskFull { wanted: meta.batch_bytes(), free, reserve: self.shared.reserve_free_bytes }
    }
}

impl Shared {
    fn admit(&self) -> MutexGuard<'_, ()> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, root: &[u8; 32]) -> Option<Entry> {
        self.index().batches.get(root).cloned()
    }

    /// The entry of a batch that is stored.
    fn stored(&self, root: &[u8; 32]) -> Result<Entry, VaultError> {
        let entry = self.entry(root).filter(|entry| matches!(entry.place, Place::Stored));
        entry.ok_or(VaultError::NotStored { root: *root })
    }

    fn paths(&self, root: &[u8; 32]) -> BatchPaths {
        BatchPaths::new(&self.directory, root)
    }

    /// A batch that was removed while it was read is not damaged.
    fn declare(&self, damaged: Damaged) -> VaultError {
        self.stored(&damaged.root).map_or_else(|gone| gone, |_| damaged.into())
    }
}

impl Entry {
    fn listed(&self) -> Listed {
        Listed { meta: self.meta, tag: self.tag, stored: matches!(self.place, Place::Stored) }
    }

    fn incoming(&self) -> Option<Arc<Incoming>> {
        match &self.place {
            Place::Uploading(incoming) => incoming.upgrade(),
            Place::Stored => None,
        }
    }
}

/// Deletes a batch's files, the head last: until it is gone, an interrupted removal is completed on open.
fn delete_files(paths: &BatchPaths) -> Result<(), VaultError> {
    for path in [&paths.batch, &paths.part, &paths.have, &paths.tree] {
        files::remove_if_there(path)?;
    }
    if parent_is_there(&paths.head) {
        files::sync_parent(&paths.head)?;
        files::remove_if_there(&paths.head)?;
        files::sync_parent(&paths.head)?;
    }
    Ok(())
}

fn parent_is_there(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}
