//! Batches of 1 MiB, and what a disk or a careless hand does to their files.

use holdfast_por::{BatchMeta, GROUP_BYTES, GROUP_LEAVES, Layers, Tagged, Tagger};
use holdfast_store::{BatchTag, ProvenLeaves, Upload, Vault, VaultError};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub const MIB: u64 = 1 << 20;
/// Groups of 64 KiB in a batch.
pub const GROUPS: u32 = 16;

/// A batch as its owner has it.
pub struct Batch {
    pub bytes: Vec<u8>,
    pub meta: BatchMeta,
    pub layers: Layers,
}

impl Batch {
    /// The batch that grows from a number.
    pub fn new(number: u64) -> Self {
        let mut bytes: Vec<u8> = (0..MIB).map(|at| (at.wrapping_mul(2 * number + 1) >> 3) as u8).collect();
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let Tagged { meta, layers } = Tagger::read(20, &mut bytes.as_slice()).unwrap();
        Self { bytes, meta, layers }
    }

    pub fn root(&self) -> [u8; 32] {
        self.meta.root
    }

    /// The root as sweeps and proofs name it.
    pub fn name(&self) -> String {
        holdfast_primitives::Digest::new(self.root()).to_string()
    }

    /// Sends some groups to an upload.
    pub fn send(&self, upload: &Upload, groups: Range<u32>) -> Result<(), VaultError> {
        let bytes = &self.bytes[groups.start as usize * GROUP_BYTES..groups.end as usize * GROUP_BYTES];
        upload.put(ProvenLeaves::verified(&self.meta, groups.start * GROUP_LEAVES as u32, bytes))
    }

    /// The whole way in.
    pub fn store(&self, vault: &Vault, tag: BatchTag) {
        let upload = vault.reserve(self.meta, tag).unwrap();
        self.send(&upload, 0..GROUPS).unwrap();
        upload.finish().unwrap();
    }

    /// One of its files in the vault at `folder`.
    pub fn file(&self, folder: &Path, extension: &str) -> PathBuf {
        let name = self.name();
        folder.join("batches").join(&name[..2]).join(format!("{name}.{extension}"))
    }
}

/// Flips a bit, and the file's date tells of it.
pub fn edit(path: &Path, offset: u64) {
    flip(path, offset);
    // A clock of coarse ticks may give two writes one time; whoever edits a stored batch comes later.
    let later = SystemTime::now() + Duration::from_secs(1);
    File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
}

/// Flips a bit as a rotting disk does: nothing else changes.
pub fn rot(path: &Path, offset: u64) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    flip(path, offset);
    File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}
