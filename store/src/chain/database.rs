//! RocksDB behind typed tables: reads and writes go through the key and value types that `schema` declares.

use crate::chain::StoreError;
use crate::chain::key::Key;
use crate::chain::options::{self, ChainOptions};
use crate::chain::schema::{Rows, VALUE_BYTES_MAX, tables};
use borsh::BorshSerialize as _;
use holdfast_primitives::decode_exact;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, ReadOptions, WriteBatch};
use std::ops::Range;
use std::path::Path;

/// A row of a table.
pub(crate) type Row<T> = (<T as Rows>::Key, <T as Rows>::Value);
/// Takes rows as bytes, key and value.
pub(crate) type EachRow<'a, E> = dyn FnMut(&[u8], &[u8]) -> Result<(), E> + 'a;

/// The open database.
pub(crate) struct Database {
    db: DB,
}

/// Changes that will be written all or nothing.
pub(crate) struct Batch<'a> {
    db: &'a DB,
    changes: WriteBatch,
    value: Vec<u8>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.db.path()).finish()
    }
}

impl Database {
    /// Opens the database, or makes an empty one.
    pub(crate) fn open(path: &Path, options: &ChainOptions) -> Result<Self, StoreError> {
        let cache = options::cache(options);
        let families = tables().into_iter().map(|table| {
            let family = options.table(table.name, &cache);
            ColumnFamilyDescriptor::new(table.name, family)
        });
        let db = DB::open_cf_descriptors(&options.database(), path, families).map_err(StoreError::engine("open"))?;
        Ok(Self { db })
    }

    /// One row.
    pub(crate) fn get<T: Rows>(&self, key: &T::Key) -> Result<Option<T::Value>, StoreError> {
        let key = key.to_bytes();
        let found = self.db.get_pinned_cf(family(&self.db, T::NAME), &key).map_err(StoreError::engine("read"))?;
        found.map(|value| decode_value::<T>(&key, &value)).transpose()
    }

    /// Rows from `from` on and before `end`, in order, at most `limit`.
    pub(crate) fn range<T: Rows>(&self, range: Range<T::Key>, limit: usize) -> Result<Vec<Row<T>>, StoreError> {
        let mut iterator = self.iterate::<T>(range);
        let mut rows = Vec::new();
        while rows.len() < limit {
            let Some((key, value)) = iterator.item() else { break };
            rows.push((decode_key::<T>(key)?, decode_value::<T>(key, value)?));
            iterator.next();
        }
        finished(&iterator)?;
        Ok(rows)
    }

    /// The keys of a range, in order.
    pub(crate) fn keys<T: Rows>(&self, range: Range<T::Key>) -> Result<Vec<T::Key>, StoreError> {
        let mut iterator = self.iterate::<T>(range);
        let mut keys = Vec::new();
        while let Some(key) = iterator.key() {
            keys.push(decode_key::<T>(key)?);
            iterator.next();
        }
        finished(&iterator)?;
        Ok(keys)
    }

    /// Calls `each` with every row of a table as bytes, in order of keys, until it fails.
    pub(crate) fn scan<E>(
        &self,
        name: &'static str,
        each: &mut EachRow<'_, E>,
        unreadable: impl FnOnce(StoreError) -> E,
    ) -> Result<(), E> {
        let mut iterator = self.db.raw_iterator_cf_opt(family(&self.db, name), options::scan());
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            each(key, value)?;
            iterator.next();
        }
        finished(&iterator).map_err(unreadable)
    }

    /// Starts a set of changes.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { db: &self.db, changes: WriteBatch::default(), value: Vec::new() }
    }

    /// Gives the disk space of deleted rows back at once where whole files lie from `first` to `last`, both included;
    /// what lies in other files goes when they are next merged.
    pub(crate) fn drop_files<T: Rows>(&self, first: &T::Key, last: &T::Key) -> Result<(), StoreError> {
        let dropped = self.db.delete_file_in_range_cf(family(&self.db, T::NAME), first.to_bytes(), last.to_bytes());
        dropped.map_err(StoreError::engine("drop pruned files"))
    }
}

impl Database {
    fn iterate<T: Rows>(&self, range: Range<T::Key>) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.end.to_bytes());
        let mut iterator = self.db.raw_iterator_cf_opt(family(&self.db, T::NAME), options);
        iterator.seek(range.start.to_bytes());
        iterator
    }
}

impl Batch<'_> {
    /// Sets one row.
    pub(crate) fn put<T: Rows>(&mut self, key: &T::Key, value: &T::Value) {
        self.value.clear();
        value.serialize(&mut self.value).expect("a row encodes into memory");
        self.changes.put_cf(family(self.db, T::NAME), key.to_bytes(), &self.value);
    }

    /// Deletes one row.
    pub(crate) fn delete<T: Rows>(&mut self, key: &T::Key) {
        self.changes.delete_cf(family(self.db, T::NAME), key.to_bytes());
    }

    /// Deletes all rows of a range.
    pub(crate) fn delete_range<T: Rows>(&mut self, range: Range<T::Key>) {
        self.changes.delete_range_cf(family(self.db, T::NAME), range.start.to_bytes(), range.end.to_bytes());
    }

    /// Sets or deletes rows given as bytes, grouped by table.
    pub(crate) fn change_all<'b>(&mut self, changes: impl Iterator<Item = (&'static str, &'b [u8], Option<&'b [u8]>)>) {
        let mut current: Option<(&'static str, &ColumnFamily)> = None;
        for (name, key, value) in changes {
            let (_, handle) = match current {
                Some(found) if found.0 == name => found,
                _ => *current.insert((name, family(self.db, name))),
            };
            match value {
                Some(value) => self.changes.put_cf(handle, key, value),
                None => self.changes.delete_cf(handle, key),
            }
        }
    }

    /// Writes all changes at once: there after a crash of this process, and after one of the machine if a durable write
    /// followed.
    pub(crate) fn write_unsynced(self) -> Result<(), StoreError> {
        self.db.write(self.changes).map_err(StoreError::engine("write"))
    }

    /// Writes all changes at once; durable on return.
    pub(crate) fn write(self) -> Result<(), StoreError> {
        self.db.write_opt(self.changes, &options::synced()).map_err(StoreError::engine("write"))
    }
}

fn family<'a>(db: &'a DB, name: &'static str) -> &'a ColumnFamily {
    db.cf_handle(name).expect("every table of the schema was opened")
}

fn finished(iterator: &DBRawIterator<'_>) -> Result<(), StoreError> {
    iterator.status().map_err(StoreError::engine("read"))
}

fn decode_key<T: Rows>(key: &[u8]) -> Result<T::Key, StoreError> {
    let decoded = (key.len() == T::Key::BYTES).then(|| T::Key::read(key)).flatten();
    decoded.ok_or_else(|| StoreError::MalformedKey { table: T::NAME, key: key.to_vec() })
}

fn decode_value<T: Rows>(key: &[u8], value: &[u8]) -> Result<T::Value, StoreError> {
    let malformed = |reason| StoreError::Malformed { table: T::NAME, key: key.to_vec(), reason };
    decode_exact(value, VALUE_BYTES_MAX).map_err(malformed)
}
