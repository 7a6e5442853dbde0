//! What a seal changed, as bytes for a database: `(table, key, value)`, without an allocation per change.

use crate::merkle_vec::Changes;
use holdfast_primitives::HolderNo;

/// Marks a record that is gone, in place of a value's length.
const GONE: u32 = u32::MAX;
/// Bytes before key and value: the value's length, `u32` little-endian.
const FRAME_BYTES: usize = 4;
/// Bytes of the longest key.
const KEY_BYTES_MAX: usize = 9;
/// Bytes of the largest record: the proof progress of a holder that fails every one of the most challenges.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// The tables that the state is kept in. Keys are dense numbers, big-endian, so that their order is the records' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `u32` zero -> [`ChainRecord`](crate::ChainRecord); one entry.
    Chain,
    /// Account number `u32` -> [`Account`](crate::Account).
    Accounts,
    /// Holder number `u32` -> [`Holder`](crate::Holder).
    Holders,
    /// Contract number `u32` -> [`Contract`](crate::Contract).
    Contracts,
    /// Segment number `u32` -> [`Segment`](crate::Segment).
    Segments,
    /// Holder number `u32`, batch size log2 `u8`, slot `u32` -> [`Slot`](crate::Slot).
    Slots,
    /// Round number `u64` -> [`RoundRecord`](crate::RoundRecord).
    Rounds,
    /// Holder number `u32` -> [`ProofProgress`](crate::ProofProgress).
    Progress,
    /// Position `u32` -> [`Deferred`](crate::Deferred).
    Deferred,
    /// Validator number `u32` -> [`ValidatorRecord`](crate::ValidatorRecord).
    Validators,
}

/// Every record that came, changed or went, grouped by table, keys ascending within a table.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    chunks: Vec<Chunk>,
}

/// A run of changes of one table, end to end: `value length u32 LE or GONE | key | value`.
#[derive(Clone, Debug)]
struct Chunk {
    table: Table,
    changes: usize,
    bytes: Vec<u8>,
}

/// Collects the changes of one Merkle vector, whose records' keys are `prefix | number`.
#[derive(Clone, Debug)]
pub(crate) struct TableChanges {
    form: KeyForm,
    chunks: Vec<Chunk>,
}

/// How a record's number becomes its key.
#[derive(Clone, Copy, Debug)]
struct KeyForm {
    table: Table,
    prefix: [u8; 5],
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Chain,
        Self::Accounts,
        Self::Holders,
        Self::Contracts,
        Self::Segments,
        Self::Slots,
        Self::Rounds,
        Self::Progress,
        Self::Deferred,
        Self::Validators,
    ];

    /// The table's name, as the database knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Accounts => "accounts",
            Self::Holders => "holders",
            Self::Contracts => "contracts",
            Self::Segments => "segments",
            Self::Slots => "slots",
            Self::Rounds => "rounds",
            Self::Progress => "progress",
            Self::Deferred => "deferred",
            Self::Validators => "validators",
        }
    }

    /// Bytes of each of its keys.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Slots => KEY_BYTES_MAX,
            Self::Rounds => 8,
            _ => 4,
        }
    }

    /// The tables that are one vector each: all but the chain record and the lists of the holders.
    pub fn vectors() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|table| !matches!(table, Self::Chain | Self::Slots))
    }

    /// Whether `key` is the key of record `number` of a table that is one vector.
    pub(crate) fn is_key_of(self, key: &[u8], number: usize) -> bool {
        let mut expected = Vec::with_capacity(KEY_BYTES_MAX);
        KeyForm { table: self, prefix: [0; 5] }.write(number, &mut expected);
        key == expected
    }
}

/// Holder, batch size log2 and slot of a key of [`Table::Slots`].
pub(crate) fn read_slot_key(key: &[u8]) -> Option<(HolderNo, u8, u32)> {
    let [a, b, c, d, batch_log2, slot @ ..] = key else { return None };
    let slot = u32::from_be_bytes(slot.try_into().ok()?);
    Some((HolderNo::new(u32::from_be_bytes([*a, *b, *c, *d])), *batch_log2, slot))
}

impl Diff {
    /// How many records changed.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.changes).sum()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes of all keys and values together.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len() - chunk.changes * FRAME_BYTES).sum()
    }

    /// The changes: table, key, and the new value, or `None` for a record that is gone.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.chunks.iter().flat_map(|chunk| {
            let mut rest = chunk.bytes.as_slice();
            std::iter::from_fn(move || {
                let (key, value) = next_change(&mut rest, chunk.table.key_bytes())?;
                Some((chunk.table, key, value))
            })
        })
    }

    pub(crate) fn append(&mut self, changes: TableChanges) {
        self.chunks.extend(changes.chunks);
    }
}

impl TableChanges {
    pub(crate) const fn of(table: Table) -> Self {
        Self { form: KeyForm { table, prefix: [0; 5] }, chunks: Vec::new() }
    }

    /// Of the list that `holder` keeps of batches of one size.
    pub(crate) const fn of_slots(holder: HolderNo, batch_log2: u8) -> Self {
        let [a, b, c, d] = holder.get().to_be_bytes();
        Self { form: KeyForm { table: Table::Slots, prefix: [a, b, c, d, batch_log2] }, chunks: Vec::new() }
    }

    fn record(&mut self, index: usize, value_len: u32, value: &[u8]) {
        if self.chunks.is_empty() {
            self.chunks.push(Chunk { table: self.form.table, changes: 0, bytes: Vec::new() });
        }
        let chunk = self.chunks.last_mut().expect("a chunk was pushed if there was none");
        chunk.changes += 1;
        chunk.bytes.extend_from_slice(&value_len.to_le_bytes());
        self.form.write(index, &mut chunk.bytes);
        chunk.bytes.extend_from_slice(value);
    }
}

impl Changes for TableChanges {
    fn part(&self) -> Self {
        Self { form: self.form, chunks: Vec::new() }
    }

    fn put(&mut self, index: usize, record: &[u8]) {
        let value_len = u32::try_from(record.len()).expect("a record is far smaller than 4 GiB");
        self.record(index, value_len, record);
    }

    fn remove(&mut self, index: usize) {
        self.record(index, GONE, &[]);
    }

    fn join(&mut self, later: Self) {
        self.chunks.extend(later.chunks);
    }
}

impl KeyForm {
    fn write(&self, index: usize, bytes: &mut Vec<u8>) {
        let number = (index as u64).to_be_bytes();
        match self.table {
            Table::Rounds => bytes.extend_from_slice(&number),
            Table::Slots => {
                bytes.extend_from_slice(&self.prefix);
                bytes.extend_from_slice(&number[4..]);
            }
            _ => bytes.extend_from_slice(&number[4..]),
        }
    }
}

fn next_change<'a>(rest: &mut &'a [u8], key_bytes: usize) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let (value_len, after) = rest.split_first_chunk::<FRAME_BYTES>()?;
    let (key, after) = after.split_at(key_bytes);
    let value_len = u32::from_le_bytes(*value_len);
    let (value, after) = after.split_at(if value_len == GONE { 0 } else { value_len as usize });
    *rest = after;
    Some((key, (value_len != GONE).then_some(value)))
}
