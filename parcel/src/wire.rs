//! The catalog as bytes (borsh, before it is cut, compressed and sealed like any content):
//!
//! ```text
//! version u8 = 1 | generation u64 | written u64 (ms)
//! | chunks   u32 n, n x ChunkRecord             numbered 0..n in this order
//! | files    u32 n, n x (path | size u64 | modified u64 | mode u32 | content_hash [32] | chunk numbers u32 n, n x u32)
//! | segments u32 n, n x (ordinal u32 | layout 4 B | used u64 | roots digest 0 or 1 [32])
//! ```

use crate::catalog::{Catalog, CatalogError, SegmentInfo};
use crate::chunk::ChunkRecord;
use crate::file::{FileRecord, content_hash};
use crate::limits::{
    CATALOG_BYTES_MAX, CATALOG_CHUNKS_MAX, CATALOG_FILES_MAX, CATALOG_SEGMENTS_MAX, CHUNK_RECORD_BYTES_MAX,
};
use crate::path::FilePath;
use crate::table::ChunkTable;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, TimeMs, decode_exact};
use std::collections::BTreeMap;

const VERSION: u8 = 1;

/// What stands after the version byte.
#[derive(BorshDeserialize)]
struct CatalogBody {
    generation: u64,
    written: TimeMs,
    chunks: Bounded<ChunkRecord, CATALOG_CHUNKS_MAX>,
    files: Bounded<(FilePath, FileRecord), CATALOG_FILES_MAX>,
    segments: Bounded<SegmentInfo, CATALOG_SEGMENTS_MAX>,
}

impl Catalog {
    /// The catalog as bytes. Chunks that no file uses are left out.
    pub fn encode(&mut self) -> Result<Vec<u8>, CatalogError> {
        self.table.forget_unused();
        let numbers = self.table.dense_numbers();
        let mut bytes = Vec::with_capacity(self.table.len() * CHUNK_RECORD_BYTES_MAX * 2);
        self.write_body(&numbers, &mut bytes).expect("writing to a vector does not fail");
        match bytes.len() {
            found if found > CATALOG_BYTES_MAX => {
                Err(CatalogError::Full { what: "encoded bytes", found, limit: CATALOG_BYTES_MAX })
            }
            _ => Ok(bytes),
        }
    }

    /// Reads a catalog, and checks that every file agrees with its chunks.
    pub fn decode(bytes: &[u8]) -> Result<Self, CatalogError> {
        let Some((version, body)) = bytes.split_first() else {
            return Err(CatalogError::Malformed { reason: "no bytes at all".to_owned() });
        };
        if *version != VERSION {
            return Err(CatalogError::UnknownVersion { version: *version });
        }
        let malformed = |reason: String| CatalogError::Malformed { reason };
        let body: CatalogBody = decode_exact(body, CATALOG_BYTES_MAX).map_err(|error| malformed(error.to_string()))?;
        let table = ChunkTable::from_records(body.chunks.into_inner());
        let mut catalog = Self {
            generation: body.generation,
            written: body.written,
            table: table.ok_or_else(|| malformed("a chunk occurs twice".to_owned()))?,
            segments: body.segments.into_inner().into_iter().map(|segment| (segment.ordinal, segment)).collect(),
            files: BTreeMap::new(),
            home: BTreeMap::new(),
        };
        body.files.into_inner().into_iter().try_for_each(|(path, file)| catalog.take_file(path, file))?;
        Ok(catalog)
    }

    fn write_body(&self, numbers: &[u32], bytes: &mut Vec<u8>) -> std::io::Result<()> {
        VERSION.serialize(bytes)?;
        self.generation.serialize(bytes)?;
        self.written.serialize(bytes)?;
        write_count(self.table.len(), bytes)?;
        self.table.records().try_for_each(|record| record.serialize(bytes))?;
        write_count(self.files.len(), bytes)?;
        for (path, file) in &self.files {
            path.serialize(bytes)?;
            file.meta.serialize(bytes)?;
            file.content_hash.serialize(bytes)?;
            write_count(file.chunks.len(), bytes)?;
            file.chunks.iter().try_for_each(|number| numbers[*number as usize].serialize(bytes))?;
        }
        write_count(self.segments.len(), bytes)?;
        self.segments.values().try_for_each(|segment| segment.serialize(bytes))
    }

    fn take_file(&mut self, path: FilePath, file: FileRecord) -> Result<(), CatalogError> {
        let records: Option<Vec<&ChunkRecord>> = file.chunks.iter().map(|number| self.table.get(*number)).collect();
        let agrees = records.is_some_and(|records| {
            let size: u64 = records.iter().map(|record| u64::from(record.raw_len)).sum();
            size == file.meta.size && file.content_hash == content_hash(size, records.iter().map(|record| &record.id))
        });
        if !agrees || self.files.contains_key(&path) {
            return Err(CatalogError::Inconsistent { path });
        }
        file.chunks.iter().for_each(|number| {
            self.table.retain(*number);
        });
        self.files.insert(path, file);
        Ok(())
    }
}

fn write_count(count: usize, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    u32::try_from(count).expect("every list of the catalog is limited below 2^32").serialize(bytes)
}
