//! Chunks: runs of records in the order of their keys, each with the hashes that lead to its root.

use super::manifest::CheckedManifest;
use crate::diff::{Diff, RECORD_BYTES_MAX, Table, TableChanges};
use crate::merkle_range::{RUN_HASHES_MAX, root_of_run};
use crate::merkle_vec::{Changes as _, Hash};
use crate::{Holder, LoadError, StateSource};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_por::ClassList;
use holdfast_primitives::limits::SNAPSHOT_CHUNK_BYTES_MAX;
use holdfast_primitives::{Bounded, HolderNo, decode_exact, merkle};
use thiserror::Error;

/// Runs of one chunk, at most: lists of few batches are many to a chunk.
pub(crate) const RUNS_MAX: usize = 4_096;
/// Records of one run, at most.
pub(crate) const RUN_RECORDS_MAX: usize = SNAPSHOT_CHUNK_BYTES_MAX / 4;
/// Records after which a table is asked for in several spans, so that several peers can serve it at once.
const SPAN_RECORDS: u32 = 1 << 16;

/// Which records are wanted: those of a table from a place on, as many as fit a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkAsk {
    /// The table's place in [`Table::ALL`].
    table: u8,
    /// For the lists: of which holder, and of which size, log2 of bytes. Otherwise zero.
    holder: u32,
    batch_log2: u8,
    /// The first record.
    first: u32,
    /// Where to end at the latest: before this record of a table that is one vector, or before this holder's lists.
    until: u32,
}

/// Neighbouring records of one vector.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// The records, borsh.
    pub records: Bounded<Bounded<u8, RECORD_BYTES_MAX>, RUN_RECORDS_MAX>,
    /// The hashes beside them, left to right.
    pub beside: Bounded<Hash, RUN_HASHES_MAX>,
}

/// Records from where they were asked for on: one run of a table, or one run per list. Comes from strangers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Chunk {
    /// The runs.
    pub runs: Bounded<Run, RUNS_MAX>,
}

/// Records that are part of the state, and what to ask for next.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The records, as a database writes them.
    pub diff: Diff,
    /// The rest of what was asked for; `None` when that is all.
    pub next: Option<ChunkAsk>,
}

/// Why a chunk is a lie.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Nothing is in it.
    #[error("a chunk of table {} has no records", table.name())]
    Empty {
        /// The table.
        table: Table,
    },
    /// It goes on after the end of what was asked for.
    #[error("a chunk of table {} goes on beyond what was asked for", table.name())]
    TooLong {
        /// The table.
        table: Table,
    },
    /// Its records and hashes do not lead to the root.
    #[error("records {first} to {end} of table {} (holder {holder}, size {batch_log2}) are not the state's", table.name())]
    NotTheState {
        /// The table.
        table: Table,
        /// The holder, for a list.
        holder: u32,
        /// The list's size, log2 of bytes.
        batch_log2: u8,
        /// The first record.
        first: u32,
        /// The one after the last.
        end: u64,
    },
}

/// The lists that each holder has, from the holders' records: what the chunks of the lists are checked against.
#[derive(Clone, Debug, Default)]
pub struct ListIndex(Vec<Vec<ClassList>>);

impl ListIndex {
    /// Reads the records of all holders from where verified chunks were written to.
    ///
    /// # Errors
    /// When the source fails or holds what is no holder.
    pub fn read(source: &impl StateSource) -> Result<Self, LoadError> {
        let mut index = Vec::new();
        source.scan(Table::Holders, &mut |key, value| {
            let holder: Holder = decode_exact(value, RECORD_BYTES_MAX).map_err(|source| LoadError::Record {
                table: Table::Holders,
                key: key.to_vec(),
                source,
            })?;
            index.push(holder.lists.iter().filter(|list| list.batches > 0).copied().collect());
            Ok(())
        })?;
        Ok(Self(index))
    }

    fn list(&self, holder: u32, batch_log2: u8) -> Option<&ClassList> {
        self.0.get(holder as usize)?.iter().find(|list| list.batch_log2 == batch_log2)
    }

    /// The first list of `holder` above `above`, or the first of the next holder that has any.
    fn next(&self, holder: u32, above: u8) -> Option<(u32, u8)> {
        let own = self.0.get(holder as usize)?.iter().find(|list| list.batch_log2 > above);
        if let Some(list) = own {
            return Some((holder, list.batch_log2));
        }
        let later = (holder as usize + 1..self.0.len()).find_map(|later| Some((later, self.0[later].first()?)));
        later.map(|(later, list)| (later as u32, list.batch_log2))
    }
}

impl ChunkAsk {
    /// The table; `None` when it names none.
    pub fn table(&self) -> Option<Table> {
        Table::ALL.get(usize::from(self.table)).copied()
    }

    /// The list that it begins in.
    pub(crate) const fn list(&self) -> (HolderNo, u8) {
        (HolderNo::new(self.holder), self.batch_log2)
    }

    /// The first record, and where to end at the latest.
    pub(crate) const fn bounds(&self) -> (u32, u32) {
        (self.first, self.until)
    }

    fn of(table: Table, holder: u32, batch_log2: u8, first: u32, until: u32) -> Self {
        let place = Table::ALL.iter().position(|listed| *listed == table).expect("every table is among all");
        Self { table: place as u8, holder, batch_log2, first, until }
    }
}

impl CheckedManifest {
    /// Everything to ask for but the lists.
    pub fn vector_asks(&self) -> Vec<ChunkAsk> {
        let spans = |table| {
            let (len, _) = self.vector(table);
            let len = u32::try_from(len).expect("a checked table has fewer than 2^32 records");
            let starts = (0..len).step_by(SPAN_RECORDS as usize);
            starts.map(move |first| ChunkAsk::of(table, 0, 0, first, first.saturating_add(SPAN_RECORDS).min(len)))
        };
        Table::vectors().flat_map(spans).collect()
    }

    /// Everything to ask for of the lists, once the holders' records are there.
    pub fn list_asks(&self, lists: &ListIndex) -> Vec<ChunkAsk> {
        let (mut asks, mut from, mut gathered) = (Vec::new(), 0u32, 0u64);
        let holders = lists.0.len() as u32;
        for holder in 0..holders {
            gathered += lists.0[holder as usize].iter().map(|list| list.batches).sum::<u64>();
            if gathered >= u64::from(SPAN_RECORDS) || (holder + 1 == holders && gathered > 0) {
                asks.extend(first_list(lists, from, holder + 1));
                (from, gathered) = (holder + 1, 0);
            }
        }
        asks
    }

    /// Whether a chunk is what was asked for and part of this state. Total: any chunk gets an answer.
    ///
    /// # Errors
    /// What shows that its sender lies.
    pub fn verify_chunk(&self, lists: &ListIndex, ask: &ChunkAsk, chunk: Chunk) -> Result<Verified, ChunkError> {
        let Some(table) = ask.table().filter(|table| *table != Table::Chain) else {
            return Ok(Verified { diff: Diff::default(), next: None });
        };
        let (mut diff, mut next) = (Diff::default(), Some(*ask));
        for run in chunk.runs.into_inner() {
            let at = next.ok_or(ChunkError::TooLong { table })?;
            let (len, root) = self.vector_at(lists, table, &at)?;
            let end = u64::from(at.first) + run.records.len() as u64;
            if run.records.is_empty() {
                return Err(ChunkError::Empty { table });
            }
            if end > if table == Table::Slots { len } else { u64::from(at.until) } {
                return Err(ChunkError::TooLong { table });
            }
            let leaves: Vec<Hash> = run.records.iter().map(|record| merkle::leaf(record)).collect();
            if root_of_run(len, at.first.into(), &leaves, &run.beside) != Some(root) {
                let ChunkAsk { holder, batch_log2, first, .. } = at;
                return Err(ChunkError::NotTheState { table, holder, batch_log2, first, end });
            }
            diff.append(changes(table, &at, &run));
            next = after(lists, table, at, end, len);
        }
        if diff.is_empty() {
            return Err(ChunkError::Empty { table });
        }
        Ok(Verified { diff, next })
    }

    fn vector_at(&self, lists: &ListIndex, table: Table, at: &ChunkAsk) -> Result<(u64, Hash), ChunkError> {
        if table != Table::Slots {
            return Ok(self.vector(table));
        }
        let list = lists.list(at.holder, at.batch_log2).ok_or(ChunkError::TooLong { table })?;
        Ok((list.batches, list.list_root))
    }
}

/// The ask for all lists of the holders from `from` to before `until`; `None` when they have none.
fn first_list(lists: &ListIndex, from: u32, until: u32) -> Option<ChunkAsk> {
    let (holder, batch_log2) = lists.next(from, 0).filter(|(holder, _)| *holder < until)?;
    Some(ChunkAsk::of(Table::Slots, holder, batch_log2, 0, until))
}

fn changes(table: Table, at: &ChunkAsk, run: &Run) -> TableChanges {
    let mut changes = match table {
        Table::Slots => TableChanges::of_slots(HolderNo::new(at.holder), at.batch_log2),
        table => TableChanges::of(table),
    };
    for (index, record) in (at.first as usize..).zip(run.records.iter()) {
        changes.put(index, record);
    }
    changes
}

/// What is left of `at` once the records before `end` of a vector of `len` are there.
fn after(lists: &ListIndex, table: Table, at: ChunkAsk, end: u64, len: u64) -> Option<ChunkAsk> {
    let first = u32::try_from(end).ok()?;
    if table != Table::Slots {
        return (first < at.until).then_some(ChunkAsk { first, ..at });
    }
    if end < len {
        return Some(ChunkAsk { first, ..at });
    }
    let (holder, batch_log2) = lists.next(at.holder, at.batch_log2).filter(|(holder, _)| *holder < at.until)?;
    Some(ChunkAsk { holder, batch_log2, first: 0, ..at })
}
