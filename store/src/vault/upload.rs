//! A batch on its way in: proven leaves only, counted only once they are durable.

use crate::files::{self, FileError};
use crate::vault::layout::{BatchPaths, HEAD_SEAL, Head, HeadState, Stamp};
use crate::vault::{BatchTag, Entry, Have, Place, Shared, VaultError};
use holdfast_por::{BatchMeta, GROUP_BYTES, GROUP_LEAVES, RangeProof, TagError, Tagged, Tagger, verify_range};
use holdfast_primitives::limits::LEAF_BYTES;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Leaves that were shown to belong to a batch: made only by checking them.
#[derive(Clone, Copy, Debug)]
pub struct ProvenLeaves<'a> {
    root: [u8; 32],
    first: u32,
    bytes: &'a [u8],
}

/// A batch that is being uploaded. Clones share it, and any number of threads may put leaves at once.
#[derive(Clone, Debug)]
pub struct Upload {
    pub(super) shared: Arc<Shared>,
    pub(super) incoming: Arc<Incoming>,
    pub(super) tag: BatchTag,
}

/// The open files of one upload.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) meta: BatchMeta,
    paths: BatchPaths,
    part: File,
    have_file: File,
    have: Mutex<Have>,
    /// Writers of leaves share it; whoever finishes or removes the upload takes it alone.
    gate: RwLock<Gate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
}

impl<'a> ProvenLeaves<'a> {
    /// Checks that `bytes` are the leaves from `first` on of the batch that `meta` stands for.
    pub fn check(meta: &BatchMeta, first: u32, bytes: &'a [u8], proof: &RangeProof) -> Result<Self, VaultError> {
        verify_range(meta, first, bytes, proof)?;
        Ok(Self { root: meta.root, first, bytes })
    }

    /// Takes leaves that the caller has verified against the batch's root: the transfer server does so before it hands
    /// them on, and hashing them twice would double a holder's work.
    pub const fn verified(meta: &BatchMeta, first: u32, bytes: &'a [u8]) -> Self {
        Self { root: meta.root, first, bytes }
    }

    /// The groups that they fill, if they are whole groups.
    fn groups(&self) -> Result<Range<u32>, VaultError> {
        let count = self.bytes.len() / LEAF_BYTES;
        let whole = (self.first as usize).is_multiple_of(GROUP_LEAVES) && self.bytes.len().is_multiple_of(GROUP_BYTES);
        if !whole {
            return Err(VaultError::NotWholeGroups { first: self.first, count: count as u64 });
        }
        let start = self.first / GROUP_LEAVES as u32;
        Ok(start..start + (count / GROUP_LEAVES) as u32)
    }
}

impl Upload {
    /// The batch.
    pub fn meta(&self) -> &BatchMeta {
        &self.incoming.meta
    }

    /// Which groups have arrived and are durable. Tell the sender on every connect: it resumes from there.
    pub fn have(&self) -> Have {
        self.incoming.have().clone()
    }

    /// Writes whole groups of proven leaves. On return they are durable and counted; leaves that are counted already
    /// cost nothing.
    pub fn put(&self, leaves: ProvenLeaves<'_>) -> Result<(), VaultError> {
        let expected = self.incoming.meta.root;
        if leaves.root != expected {
            return Err(VaultError::OtherBatch { found: leaves.root, expected });
        }
        let groups = leaves.groups()?;
        let _open = self.incoming.open_gate()?;
        if self.incoming.have().has_all(groups.clone()) {
            return Ok(());
        }
        let path = &self.incoming.paths.part;
        let offset = u64::from(leaves.first) * LEAF_BYTES as u64;
        self.incoming.part.write_all_at(leaves.bytes, offset).map_err(FileError::at("write", path))?;
        self.incoming.part.sync_data().map_err(FileError::at("sync", path))?;
        self.incoming.count(groups)
    }

    /// Reads everything back, compares it with the root, and stores the batch. On return the batch, its layers and
    /// their names are durable: now a receipt may be signed. Finishing twice is an error, [`VaultError::UploadClosed`].
    ///
    /// # Errors
    /// [`VaultError::UploadSpoiled`] when the disk gave back other bytes; every group then counts as missing again.
    pub fn finish(&self) -> Result<(), VaultError> {
        // No lock is held while the batch is hashed: once every group is counted, nobody writes to it any more.
        self.incoming.close_gate().and_then(|_drained| self.incoming.check_complete())?;
        let tagged = hash_file(&self.incoming.paths.part, &self.incoming.meta)?;

        let _admission = self.shared.admit();
        let mut gate = self.incoming.close_gate()?;
        self.incoming.check_complete()?;
        let root = self.incoming.meta.root;
        let Some(tagged) = tagged.filter(|tagged| tagged.meta == self.incoming.meta) else {
            self.incoming.forget_all()?;
            return Err(VaultError::UploadSpoiled { root });
        };
        // Another handle may have extended the expiry since this one was handed out.
        let tag = self.shared.entry(&root).map_or(self.tag, |entry| entry.tag);
        self.incoming.store(&tagged, tag)?;
        *gate = Gate::Closed;
        let entry = Entry { meta: self.incoming.meta, tag, place: Place::Stored };
        self.shared.index_mut().batches.insert(root, entry);
        Ok(())
    }
}

impl Incoming {
    /// Makes the files of a new upload, the head first.
    pub(super) fn create(meta: BatchMeta, tag: BatchTag, paths: BatchPaths) -> Result<Self, VaultError> {
        if let Some(folder) = paths.head.parent() {
            files::make_dir(folder)?;
        }
        HEAD_SEAL.write(&paths.head, &Head { state: HeadState::Uploading, meta, tag })?;
        Self::fresh(meta, paths)
    }

    /// Opens the files of an upload that was begun earlier. What does not fit together starts over.
    pub(super) fn open(meta: BatchMeta, paths: BatchPaths) -> Result<Self, VaultError> {
        let length = std::fs::metadata(&paths.part).map(|metadata| metadata.len()).ok();
        let have = std::fs::read(&paths.have).ok().and_then(|bits| Have::from_bytes(&meta, &bits));
        let (Some(have), true) = (have, length == Some(meta.batch_bytes())) else {
            return Self::fresh(meta, paths);
        };
        let part = open_to_write(&paths.part)?;
        let have_file = open_to_write(&paths.have)?;
        Ok(Self { meta, paths, part, have_file, have: Mutex::new(have), gate: RwLock::new(Gate::Open) })
    }

    fn fresh(meta: BatchMeta, paths: BatchPaths) -> Result<Self, VaultError> {
        let have = Have::none(&meta);
        // The bitmap is emptied before the data, so that it never claims what is not there.
        files::replace(&paths.have, have.as_bytes())?;
        let part = files::preallocate(&paths.part, meta.batch_bytes())?;
        files::sync_parent(&paths.part)?;
        let have_file = open_to_write(&paths.have)?;
        Ok(Self { meta, paths, part, have_file, have: Mutex::new(have), gate: RwLock::new(Gate::Open) })
    }

    /// Refuses all further leaves.
    pub(super) fn close(&self) {
        *self.gate.write().unwrap_or_else(PoisonError::into_inner) = Gate::Closed;
    }

    fn have(&self) -> MutexGuard<'_, Have> {
        self.have.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_gate(&self) -> Result<RwLockReadGuard<'_, Gate>, VaultError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        if *gate == Gate::Closed { Err(self.closed()) } else { Ok(gate) }
    }

    fn close_gate(&self) -> Result<RwLockWriteGuard<'_, Gate>, VaultError> {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if *gate == Gate::Closed { Err(self.closed()) } else { Ok(gate) }
    }

    fn closed(&self) -> VaultError {
        VaultError::UploadClosed { root: self.meta.root }
    }

    fn check_complete(&self) -> Result<(), VaultError> {
        let have = self.have();
        match have.missing() {
            0 => Ok(()),
            missing => Err(VaultError::Incomplete { root: self.meta.root, missing, groups: have.groups() }),
        }
    }

    /// Counts groups that are durable.
    fn count(&self, groups: Range<u32>) -> Result<(), VaultError> {
        let mut have = self.have();
        let mut counted = have.clone();
        let changed = counted.set(groups);
        let bytes = &counted.as_bytes()[changed.clone()];
        self.have_file.write_all_at(bytes, changed.start as u64).map_err(FileError::at("write", &self.paths.have))?;
        self.have_file.sync_data().map_err(FileError::at("sync", &self.paths.have))?;
        *have = counted;
        Ok(())
    }

    fn forget_all(&self) -> Result<(), VaultError> {
        let mut have = self.have();
        let none = Have::none(&self.meta);
        self.have_file.write_all_at(none.as_bytes(), 0).map_err(FileError::at("write", &self.paths.have))?;
        self.have_file.sync_data().map_err(FileError::at("sync", &self.paths.have))?;
        *have = none;
        Ok(())
    }

    /// From uploaded to stored. The head is the step that counts: from then on an open completes the renaming.
    fn store(&self, tagged: &Tagged, tag: BatchTag) -> Result<(), VaultError> {
        let paths = &self.paths;
        files::replace(&paths.tree, &tagged.layers.to_bytes())?;
        self.part.sync_all().map_err(FileError::at("sync", &paths.part))?;
        let state = HeadState::Stored { data: stamp(&paths.part)?, tree: stamp(&paths.tree)? };
        HEAD_SEAL.write(&paths.head, &Head { state, meta: self.meta, tag })?;
        files::rename(&paths.part, &paths.batch)?;
        files::remove_if_there(&paths.have)?;
        Ok(())
    }
}

/// Hashes a whole batch file; `None` when its length is not the batch's.
pub(super) fn hash_file(path: &Path, meta: &BatchMeta) -> Result<Option<Tagged>, VaultError> {
    let mut file = File::open(path).map_err(FileError::at("open", path))?;
    let length = file.metadata().map_err(FileError::at("inspect", path))?.len();
    if length != meta.batch_bytes() {
        return Ok(None);
    }
    match Tagger::read(meta.batch_log2, &mut file) {
        Ok(tagged) => Ok(Some(tagged)),
        Err(TagError::Meta(error)) => Err(error.into()),
        Err(TagError::Read { source }) => Err(FileError::at("read", path)(source).into()),
        // The file grew while it was read.
        Err(TagError::TooLong { .. }) => Ok(None),
    }
}

/// The modification time of a file.
pub(super) fn stamp(path: &Path) -> Result<Stamp, FileError> {
    Ok(Stamp::of(&std::fs::metadata(path).map_err(FileError::at("inspect", path))?))
}

fn open_to_write(path: &Path) -> Result<File, FileError> {
    File::options().read(true).write(true).open(path).map_err(FileError::at("open", path))
}
