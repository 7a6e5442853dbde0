//! Reading stored batches: ranges for owners, groups and paths for proofs. Whatever the disk does, the answer is bytes or
//! an error that names the damage.

use crate::files::FileError;
use crate::vault::layout::BatchPaths;
use crate::vault::{Damage, Damaged, Entry, Shared, Vault, VaultError};
use holdfast_por::{BatchMeta, BatchSource, GROUP_BYTES, Layers};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

impl Vault {
    /// Bytes `offset..offset + len` of a stored batch, as they are on disk now.
    ///
    /// # Errors
    /// Past the batch's end (checked before memory is reserved), not stored, or [`VaultError::Damaged`].
    pub fn read(&self, root: &[u8; 32], offset: u64, len: usize) -> Result<Vec<u8>, VaultError> {
        let entry = self.shared.stored(root)?;
        entry.check_range(offset, len as u64)?;
        let mut bytes = vec![0; len];
        self.read_batch(&entry, offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `out` with group `group` (64 KiB) of a stored batch, as [`holdfast_por::range_proof`] asks for it.
    pub fn read_group(&self, root: &[u8; 32], group: u32, out: &mut [u8]) -> Result<(), VaultError> {
        let entry = self.shared.stored(root)?;
        let offset = u64::from(group) * GROUP_BYTES as u64;
        entry.check_range(offset, out.len() as u64)?;
        self.read_batch(&entry, offset, out)
    }

    /// The kept layers of a stored batch's tree, every hash of them checked up to the root.
    pub fn layers(&self, root: &[u8; 32]) -> Result<Layers, VaultError> {
        let entry = self.shared.stored(root)?;
        read_layers(&entry.meta, &self.shared.paths(root).tree).map_err(|damaged| self.shared.declare(damaged))
    }

    /// A reader for [`holdfast_por::prove_part`]: `root_of(batch_log2, slot)` says which batch stands in which slot of
    /// the holder's frozen lists.
    pub fn source<F: Fn(u8, u64) -> Option<[u8; 32]>>(&self, root_of: F) -> VaultSource<F> {
        VaultSource { shared: Arc::clone(&self.shared), root_of, last: None }
    }

    fn read_batch(&self, entry: &Entry, offset: u64, out: &mut [u8]) -> Result<(), VaultError> {
        let root = entry.meta.root;
        let path = self.shared.paths(&root).batch;
        let read =
            File::open(&path).and_then(|file| file.read_exact_at(out, offset)).map_err(FileError::at("read", &path));
        read.map_err(|error| self.shared.declare(Damaged::from_file(root, error, entry.meta.batch_bytes())))
    }
}

impl Entry {
    fn check_range(&self, offset: u64, len: u64) -> Result<(), VaultError> {
        let batch_bytes = self.meta.batch_bytes();
        if offset.checked_add(len).is_none_or(|end| end > batch_bytes) {
            return Err(VaultError::OutOfBatch { offset, len, batch_bytes });
        }
        Ok(())
    }
}

/// Reads the layers file of a batch and checks it against the root.
pub(super) fn read_layers(meta: &BatchMeta, path: &Path) -> Result<Layers, Damaged> {
    let root = meta.root;
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Damaged { root, damage: Damage::LayersMissing });
        }
        Err(error) => {
            let source = FileError::at("read", path)(error);
            return Err(Damaged { root, damage: Damage::Unreadable { source } });
        }
    };
    Layers::from_bytes(meta, &bytes).map_err(|reason| Damaged { root, damage: Damage::LayersSpoiled { reason } })
}

/// A holder's batches as the prover reads them. Keeps the files of the batch it read last open.
#[derive(Debug)]
pub struct VaultSource<F> {
    shared: Arc<Shared>,
    root_of: F,
    last: Option<OpenBatch>,
}

#[derive(Debug)]
struct OpenBatch {
    batch_log2: u8,
    slot: u64,
    data: File,
    tree: File,
}

impl<F: Fn(u8, u64) -> Option<[u8; 32]>> VaultSource<F> {
    fn open(&mut self, batch_log2: u8, slot: u64) -> io::Result<&OpenBatch> {
        let last = self.last.take().filter(|last| (last.batch_log2, last.slot) == (batch_log2, slot));
        let batch = match last {
            Some(batch) => batch,
            None => self.open_files(batch_log2, slot)?,
        };
        Ok(self.last.insert(batch))
    }

    fn open_files(&self, batch_log2: u8, slot: u64) -> io::Result<OpenBatch> {
        let root = (self.root_of)(batch_log2, slot).ok_or(io::ErrorKind::NotFound)?;
        let entry = self.shared.stored(&root).map_err(io::Error::other)?;
        if entry.meta.batch_log2 != batch_log2 {
            return Err(io::Error::other("the batch in this slot has another size"));
        }
        let BatchPaths { batch, tree, .. } = self.shared.paths(&root);
        Ok(OpenBatch { batch_log2, slot, data: File::open(batch)?, tree: File::open(tree)? })
    }
}

impl<F: Fn(u8, u64) -> Option<[u8; 32]>> BatchSource for VaultSource<F> {
    fn read_group(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [u8]) -> io::Result<()> {
        self.open(batch_log2, slot)?.data.read_exact_at(out, u64::from(group) * GROUP_BYTES as u64)
    }

    fn read_path(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()> {
        let offsets = Layers::path_offsets(batch_log2, group).map_err(io::Error::other)?;
        if offsets.len() != out.len() {
            return Err(io::Error::other("no such group"));
        }
        let batch = self.open(batch_log2, slot)?;
        out.iter_mut().zip(offsets).try_for_each(|(hash, offset)| batch.tree.read_exact_at(hash, offset))
    }
}
