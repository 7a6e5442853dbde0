//! How RocksDB is tuned: one writer, sorted dense keys, bounded memory.

use crate::chain::schema::{BlockHeights, Openings, Rows as _, TxPlaces, UndecidedRows};
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, ReadOptions, WriteOptions,
};

/// What a node may choose about its chain database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainOptions {
    /// Bytes of decompressed blocks, indices and filters kept in memory.
    pub cache_bytes: usize,
    /// Bytes of fresh writes kept in memory before they are sorted into files.
    pub write_buffer_bytes: usize,
}

impl Default for ChainOptions {
    /// 64 MiB of each.
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, write_buffer_bytes: 64 << 20 }
    }
}

impl ChainOptions {
    /// For the database as a whole.
    pub(crate) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(self.write_buffer_bytes);
        // What a start replays at most, but for one block's changes.
        options.set_max_total_wal_size(self.write_buffer_bytes as u64);
        // All tables reach their files together, so that files alone are a consistent chain.
        options.set_atomic_flush(true);
        // A write that was cut short at the very end was never acknowledged; anything else that is wrong with the log
        // would lose acknowledged blocks in silence, so it is an error.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_track_and_verify_wals_in_manifest(true);
        // One writer with sorted keys: each insertion starts where the last one ended.
        options.set_allow_concurrent_memtable_write(false);
        options.set_max_background_jobs(2);
        options.set_max_open_files(256);
        options.set_bytes_per_sync(1 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_max_log_file_size(1 << 20);
        options.set_keep_log_file_num(2);
        options
    }

    /// For one table. `cache` is shared by all.
    pub(crate) fn table(&self, name: &str, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        blocks.set_block_size(16 << 10);
        blocks.set_format_version(6);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if found_by_hash(name) {
            blocks.set_bloom_filter(10.0, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size(self.write_buffer_bytes);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(compression(name));
        options
    }
}

/// A shared cache of this size.
pub(crate) fn cache(options: &ChainOptions) -> Cache {
    Cache::new_lru_cache(options.cache_bytes)
}

/// A write that is on the disk when it returns.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// A read of a whole table: ahead of itself, and past the cache.
pub(crate) fn scan() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_readahead_size(4 << 20);
    options.fill_cache(false);
    options
}

/// Keys without order: most lookups in most files would find nothing.
fn found_by_hash(name: &str) -> bool {
    name == TxPlaces::NAME || name == BlockHeights::NAME
}

fn compression(name: &str) -> DBCompressionType {
    // Openings are encrypted leaves and hashes; proposals live for a moment.
    if name == Openings::NAME || name == UndecidedRows::NAME { DBCompressionType::None } else { DBCompressionType::Lz4 }
}
