//! Batches that really exist, in memory: tagged once, given out again and again.

use crate::market::address;
use holdfast_ledger::State;
use holdfast_por::{BatchMeta, BatchSource, GROUP_BYTES, Layers, Tagged, Tagger};
use holdfast_primitives::HolderNo;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, LazyLock};

/// Different batches per size.
const BATCHES: u8 = 6;

/// Everybody's disk.
#[derive(Default)]
pub struct Vault {
    given: usize,
    /// Batches that a holder lost: its name and the batch's root.
    lost: BTreeSet<(&'static str, [u8; 32])>,
}

/// One holder's batches as they lie in its lists now.
pub struct Shelf<'a> {
    state: &'a State,
    holder: HolderNo,
    name: &'static str,
    vault: &'a Vault,
}

struct Batch {
    fill: u8,
    tagged: Tagged,
}

static BATCHES_BY_LOG2: LazyLock<HashMap<u8, Vec<Arc<Batch>>>> = LazyLock::new(|| {
    let batch = |batch_log2: u8, fill: u8| {
        let bytes = vec![fill; 1 << batch_log2];
        let tagged = Tagger::read(batch_log2, &mut bytes.as_slice()).unwrap();
        Arc::new(Batch { fill, tagged })
    };
    [20u8, 21].into_iter().map(|log2| (log2, (0..BATCHES).map(|fill| batch(log2, fill)).collect())).collect()
});

impl Vault {
    /// Some batch of this size.
    pub fn next(&mut self, batch_log2: u8) -> BatchMeta {
        let batches = &BATCHES_BY_LOG2[&batch_log2];
        self.given += 1;
        batches[self.given % batches.len()].tagged.meta
    }

    /// A holder's disk loses every copy of the batch at a slot of its list.
    pub fn lose(&mut self, state: &State, holder: &'static str, batch_log2: u8, slot: u32) {
        let (number, _) = state.holder_by_address(&address(holder)).unwrap();
        self.lost.insert((holder, state.slot(number, batch_log2, slot).unwrap().meta.root));
    }

    /// The holder finds everything again.
    pub fn restore(&mut self, holder: &'static str) {
        self.lost.retain(|(name, _)| *name != holder);
    }

    /// Whether the holder still has the batch with this root.
    pub fn has(&self, holder: &'static str, root: [u8; 32]) -> bool {
        !self.lost.contains(&(holder, root))
    }

    pub fn shelf<'a>(&'a self, state: &'a State, name: &'static str) -> Shelf<'a> {
        let (holder, _) = state.holder_by_address(&address(name)).unwrap();
        Shelf { state, holder, name, vault: self }
    }
}

impl Shelf<'_> {
    fn batch(&self, batch_log2: u8, slot: u64) -> io::Result<Arc<Batch>> {
        let slot = self.state.slot(self.holder, batch_log2, u32::try_from(slot).unwrap()).unwrap();
        if !self.vault.has(self.name, slot.meta.root) {
            return Err(io::Error::other("the disk lost this batch"));
        }
        let batches = &BATCHES_BY_LOG2[&batch_log2];
        Ok(Arc::clone(batches.iter().find(|batch| batch.tagged.meta == slot.meta).unwrap()))
    }
}

impl BatchSource for Shelf<'_> {
    fn read_group(&mut self, batch_log2: u8, slot: u64, _group: u32, out: &mut [u8]) -> io::Result<()> {
        assert_eq!(out.len(), GROUP_BYTES);
        out.fill(self.batch(batch_log2, slot)?.fill);
        Ok(())
    }

    fn read_path(&mut self, batch_log2: u8, slot: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()> {
        let layers: &Layers = &self.batch(batch_log2, slot)?.tagged.layers;
        out.copy_from_slice(&layers.path(group));
        Ok(())
    }
}
