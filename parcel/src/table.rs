//! The catalog's chunk table: chunks by number, by id, and how many places in files use each.

use crate::chunk::ChunkRecord;
use crate::keys::ChunkId;
use crate::layout::Locator;
use std::collections::HashMap;

/// Numbers stay valid until a chunk is forgotten; [`ChunkTable::dense_numbers`] closes the gaps when it is encoded.
#[derive(Default)]
pub(crate) struct ChunkTable {
    slots: Vec<Option<Slot>>,
    by_id: HashMap<ChunkId, u32>,
}

struct Slot {
    record: ChunkRecord,
    uses: u32,
}

impl ChunkTable {
    /// A table of these chunks, numbered in order, none used yet; `None` when an id occurs twice.
    pub fn from_records(records: Vec<ChunkRecord>) -> Option<Self> {
        let mut table = Self::default();
        for record in records {
            let fresh = !table.by_id.contains_key(&record.id);
            table.add(record);
            if !fresh {
                return None;
            }
        }
        Some(table)
    }

    /// Adds a chunk that no file uses yet; its number.
    pub fn add(&mut self, record: ChunkRecord) -> u32 {
        let number =
            u32::try_from(self.slots.len()).expect("the catalog holds at most 2^24 chunks and is renumbered on load");
        self.by_id.insert(record.id, number);
        self.slots.push(Some(Slot { record, uses: 0 }));
        number
    }

    /// Adds a chunk, or puts its new record in the place of the one it has; its number.
    pub fn put(&mut self, record: ChunkRecord) -> u32 {
        let Some(number) = self.number_of(&record.id) else { return self.add(record) };
        if let Some(Some(slot)) = self.slots.get_mut(number as usize) {
            slot.record = record;
        }
        number
    }

    pub fn number_of(&self, id: &ChunkId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub fn get(&self, number: u32) -> Option<&ChunkRecord> {
        self.slot(number).map(|slot| &slot.record)
    }

    /// Counts one more use; `false` when there is no such chunk.
    pub fn retain(&mut self, number: u32) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(number as usize) else { return false };
        slot.uses = slot.uses.saturating_add(1);
        true
    }

    /// Counts one use less; the last one takes the chunk's key with it.
    pub fn release(&mut self, number: u32) {
        let Some(place) = self.slots.get_mut(number as usize) else { return };
        let Some(slot) = place else { return };
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses == 0 {
            self.by_id.remove(&slot.record.id);
            *place = None;
        }
    }

    /// Forgets what no file uses: chunks of files that could not be stored to the end.
    pub fn forget_unused(&mut self) {
        for place in &mut self.slots {
            if let Some(slot) = place.take_if(|slot| slot.uses == 0) {
                self.by_id.remove(&slot.record.id);
            }
        }
    }

    /// Notes that a chunk was packed anew elsewhere; `false` when there is no such chunk.
    pub fn relocate(&mut self, id: &ChunkId, at: Locator) -> bool {
        let number = self.number_of(id);
        let slot = number.and_then(|number| self.slots.get_mut(number as usize)).and_then(Option::as_mut);
        slot.map(|slot| slot.record.at = at).is_some()
    }

    /// The chunks that are left, in order of their numbers.
    pub fn records(&self) -> impl Iterator<Item = &ChunkRecord> {
        self.slots.iter().flatten().map(|slot| &slot.record)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Old number -> number without gaps, for every chunk that is left (other entries mean nothing).
    pub fn dense_numbers(&self) -> Vec<u32> {
        let occupied = self.slots.iter().map(|place| u32::from(place.is_some()));
        occupied.scan(0, |next, one| Some(std::mem::replace(next, *next + one))).collect()
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)?.as_ref()
    }
}
