//! A holder's disk in memory: batches and their layer files, which can be damaged or lost.

use holdfast_por::{BatchMeta, BatchSource, GROUP_BYTES, Layers, Tagged, Tagger};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io;

/// The smallest batch, which most tests use.
pub const MIB: u8 = 20;

/// `bytes` of noise that grow from `seed`.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut data);
    data
}

/// Tags all of `data` at once.
pub fn tag(batch_log2: u8, data: &[u8]) -> Tagged {
    let mut tagger = Tagger::new(batch_log2).unwrap();
    tagger.update(data).unwrap();
    tagger.finish()
}

/// A batch as it lies on disk.
#[derive(Clone)]
pub struct StoredBatch {
    pub meta: BatchMeta,
    pub data: Vec<u8>,
    pub layers_file: Vec<u8>,
}

/// All batches of one holder, by list and slot.
#[derive(Clone, Default)]
pub struct Disk {
    pub batches: BTreeMap<(u8, u64), StoredBatch>,
}

impl Disk {
    /// Stores `count` batches of noise in the list of size `batch_log2`.
    pub fn with_noise(mut self, batch_log2: u8, count: u64) -> Self {
        for slot in 0..count {
            let data = noise(u64::from(batch_log2) << 32 | slot, 1 << batch_log2);
            let Tagged { meta, layers } = tag(batch_log2, &data);
            self.batches.insert((batch_log2, slot), StoredBatch { meta, data, layers_file: layers.to_bytes() });
        }
        self
    }

    /// What the ledger knows of it.
    pub fn metas(&self) -> BTreeMap<(u8, u64), BatchMeta> {
        self.batches.iter().map(|(place, batch)| (*place, batch.meta)).collect()
    }

    /// The batch in a slot.
    pub fn batch(&mut self, batch_log2: u8, slot: u64) -> &mut StoredBatch {
        self.batches.get_mut(&(batch_log2, slot)).unwrap()
    }

    fn find(&self, batch_log2: u8, slot: u64) -> io::Result<&StoredBatch> {
        self.batches.get(&(batch_log2, slot)).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl BatchSource for Disk {
    fn read_group(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [u8]) -> io::Result<()> {
        let start = group as usize * GROUP_BYTES;
        out.copy_from_slice(&self.find(batch_log2, slot)?.data[start..start + GROUP_BYTES]);
        Ok(())
    }

    fn read_path(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()> {
        let file = &self.find(batch_log2, slot)?.layers_file;
        let offsets = Layers::path_offsets(batch_log2, group).map_err(io::Error::other)?;
        assert_eq!(offsets.len(), out.len(), "the engine asks for the whole path");
        for (room, offset) in out.iter_mut().zip(offsets) {
            room.copy_from_slice(&file[offset as usize..][..32]);
        }
        Ok(())
    }
}
