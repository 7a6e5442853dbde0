//! Handing a state out: lengths and tops for the manifest, chunks of records for whoever joins.

use super::State;
use crate::diff::{RECORD_BYTES_MAX, Table};
use crate::join::{Chunk, ChunkAsk, Run, TableTop};
use crate::merkle_range::hashes_beside;
use crate::merkle_vec::{Hash, MerkleVec, height};
use borsh::BorshSerialize;
use holdfast_primitives::Bounded;
use holdfast_primitives::limits::SNAPSHOT_CHUNK_BYTES_MAX;
use std::ops::Range;

/// Bytes of a run beside its records: two lengths and the most hashes.
const RUN_BYTES: usize = 8 + 32 * crate::merkle_range::RUN_HASHES_MAX;
/// Bytes of a record beside its borsh: its length.
const FRAME_BYTES: usize = 4;

const _: () =
    assert!(RECORD_BYTES_MAX + FRAME_BYTES + RUN_BYTES + 4 <= SNAPSHOT_CHUNK_BYTES_MAX, "any record fits a chunk");

/// A Merkle vector of whatever records.
trait Records {
    fn len(&self) -> usize;
    fn top(&self) -> Hash;
    /// As many records from `range` as fit `room` bytes; `None` when none do.
    fn run(&self, range: Range<usize>, room: usize) -> Option<Run>;
}

impl<T: Clone + BorshSerialize + Send + Sync> Records for MerkleVec<T> {
    fn len(&self) -> usize {
        self.sealed_len()
    }

    fn top(&self) -> Hash {
        self.subtree(height(self.sealed_len() as u64), 0, self.sealed_len())
    }

    fn run(&self, range: Range<usize>, room: usize) -> Option<Run> {
        let (mut records, mut bytes) = (Vec::new(), RUN_BYTES);
        for index in range.clone() {
            let record = borsh::to_vec(self.get(index)?).expect("a record encodes into memory");
            bytes += record.len() + FRAME_BYTES;
            if bytes > room {
                break;
            }
            records.push(Bounded::new(record).ok()?);
        }
        let beside = Bounded::new(hashes_beside(self, range.start..range.start + records.len())?).ok()?;
        Some(Run { records: Bounded::new(records).ok()?, beside })
    }
}

impl State {
    /// Length and top of a table that is one vector, as of the last seal.
    ///
    /// # Panics
    /// When the table is the chain record or the lists.
    pub(crate) fn table_top(&self, table: Table) -> TableTop {
        let records = self.records(table).expect("asked for a table that is one vector");
        let len = u32::try_from(records.len()).expect("a table has fewer than 2^32 records");
        TableTop { len, top: records.top() }
    }

    /// The records that somebody who joins asks for, as many as fit; `None` when there are none such. The state must be
    /// sealed.
    pub fn chunk(&self, ask: &ChunkAsk) -> Option<Chunk> {
        self.chunk_within(ask, SNAPSHOT_CHUNK_BYTES_MAX)
    }

    /// The same in a chunk of at most `bytes_max`.
    pub(super) fn chunk_within(&self, ask: &ChunkAsk, bytes_max: usize) -> Option<Chunk> {
        let room = bytes_max.checked_sub(FRAME_BYTES)?;
        let (first, until) = ask.bounds();
        let runs = match ask.table()? {
            Table::Chain => return None,
            Table::Slots => self.list_runs(ask, room),
            table => {
                let records = self.records(table)?;
                let end = records.len().min(until as usize);
                vec![records.run(first as usize..end, room)?]
            }
        };
        if runs.is_empty() { None } else { Some(Chunk { runs: Bounded::new(runs).ok()? }) }
    }

    fn list_runs(&self, ask: &ChunkAsk, mut room: usize) -> Vec<Run> {
        let ((from, batch_log2), (first, until)) = (ask.list(), ask.bounds());
        let mut runs = Vec::new();
        for holder in from.index()..self.lists.len().min(until as usize) {
            let Some(lists) = self.lists.get(holder) else { return runs };
            let (is_first, from_size) = (holder == from.index(), batch_log2);
            for (size, list) in
                lists.0.iter().filter(|(size, list)| !list.is_empty() && (!is_first || *size >= from_size))
            {
                let start = if is_first && *size == batch_log2 { first as usize } else { 0 };
                let Some(run) = list.run(start..list.len(), room) else { return runs };
                let is_whole = start + run.records.len() == list.len();
                // What the run takes with the hashes that it really has.
                room -= 8
                    + 32 * run.beside.len()
                    + run.records.iter().map(|record| record.len() + FRAME_BYTES).sum::<usize>();
                runs.push(run);
                if !is_whole || room < RUN_BYTES || runs.len() == crate::join::RUNS_MAX {
                    return runs;
                }
            }
        }
        runs
    }

    fn records(&self, table: Table) -> Option<&dyn Records> {
        Some(match table {
            Table::Chain | Table::Slots => return None,
            Table::Accounts => &self.accounts,
            Table::Holders => &self.holders,
            Table::Contracts => &self.contracts,
            Table::Segments => &self.segments,
            Table::Rounds => &self.rounds,
            Table::Progress => &self.progress,
            Table::Deferred => &self.deferred,
            Table::Validators => &self.validators,
        })
    }
}
