//! Batches to store, made of noise from a seed.

use holdfast_por::{BatchMeta, GROUP_BYTES, GROUP_LEAVES, Layers, RangeProof, Tagged, Tagger, range_proof};
use holdfast_primitives::{Address, Height, RequestId};
use holdfast_store::{BatchTag, ProvenLeaves, Upload, Vault, VaultError};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of the batches used here.
pub const MIB: u64 = 1 << 20;
/// Groups of a batch of 1 MiB.
pub const GROUPS: u32 = 16;

/// A batch of 1 MiB as its owner has it.
pub struct Sample {
    pub bytes: Vec<u8>,
    pub meta: BatchMeta,
    pub layers: Layers,
}

impl Sample {
    pub fn new(seed: u64) -> Self {
        let mut bytes = vec![0; MIB as usize];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        let Tagged { meta, layers } = Tagger::read(20, &mut bytes.as_slice()).unwrap();
        Self { bytes, meta, layers }
    }

    pub fn root(&self) -> [u8; 32] {
        self.meta.root
    }

    pub fn group(&self, group: u32) -> &[u8] {
        &self.bytes[group as usize * GROUP_BYTES..][..GROUP_BYTES]
    }

    /// The proof for a run of leaves, as a sender makes it.
    pub fn proof(&self, first: u32, count: u32) -> RangeProof {
        let read = |group, out: &mut [u8]| {
            out.copy_from_slice(self.group(group));
            Ok(())
        };
        range_proof(&self.meta, &self.layers, first, count, read).unwrap()
    }

    /// Sends some groups to an upload.
    pub fn send(&self, upload: &Upload, groups: Range<u32>) -> Result<(), VaultError> {
        let leaves = GROUP_LEAVES as u32;
        let (first, count) = (groups.start * leaves, (groups.end - groups.start) * leaves);
        let bytes = &self.bytes[groups.start as usize * GROUP_BYTES..groups.end as usize * GROUP_BYTES];
        upload.put(ProvenLeaves::check(&self.meta, first, bytes, &self.proof(first, count))?)
    }

    /// The whole way in.
    pub fn store(&self, vault: &Vault) {
        let upload = vault.reserve(self.meta, tag("alice")).unwrap();
        self.send(&upload, 0..GROUPS).unwrap();
        upload.finish().unwrap();
    }

    /// One of the batch's files in the vault at `directory`.
    pub fn file(&self, directory: &Path, extension: &str) -> PathBuf {
        let name = hex::encode(self.root());
        directory.join("batches").join(&name[..2]).join(format!("{name}.{extension}"))
    }
}

/// An owner's tag; each owner has one request.
pub fn tag(owner: &str) -> BatchTag {
    let mut name = [0; 32];
    name[..owner.len()].copy_from_slice(owner.as_bytes());
    BatchTag {
        owner: Address::new(name),
        request: RequestId::new(*name.first_chunk().unwrap()),
        expires: Height::new(1_000),
    }
}

/// A vault of 8 MiB.
pub fn vault(directory: &Path) -> Vault {
    Vault::open(directory, 8 * MIB, 0).unwrap()
}
