//! A packed segment's batches on their way out: tagged as they are made, in memory when they are small, in files when not.

use bytes::Bytes;
use holdfast_network::transfer::{MemoryBatch, SourceError, UploadSource};
use holdfast_parcel::{Layout, MemorySpace, PackedSegment, SegmentSpace};
use holdfast_por::{BatchMeta, GROUP_BYTES, Layers, RangeProof, Tagger, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// Batches up to this size (log2 of bytes) are kept in memory.
const MEMORY_LOG2_MAX: u8 = 21;

/// Room for a segment's data: memory, or an unnamed temporary file.
pub enum Space {
    /// For small batches.
    Memory(MemorySpace),
    /// For large ones.
    File(File),
}

impl Space {
    /// Room for a segment of this shape; files lie in `folder` and vanish with the process.
    pub fn open(layout: &Layout, folder: &Path) -> io::Result<Self> {
        if layout.batch_log2() <= MEMORY_LOG2_MAX {
            return Ok(Self::Memory(MemorySpace::new()));
        }
        Ok(Self::File(tempfile::tempfile_in(folder)?))
    }
}

impl SegmentSpace for Space {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory) => memory.write_at(offset, bytes),
            Self::File(file) => file.write_all_at(bytes, offset),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory) => memory.read_at(offset, buffer),
            Self::File(file) => file.read_exact_at(buffer, offset),
        }
    }

    fn as_slice(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(memory) => memory.as_slice(),
            Self::File(_) => None,
        }
    }
}

/// Makes all batches of a segment, ready for upload, in their order.
pub fn make_batches(segment: &PackedSegment<Space>, folder: &Path) -> io::Result<Vec<Arc<dyn UploadSource>>> {
    let layout = segment.layout();
    let writers = (0..layout.batches()).map(|_| BatchWriter::new(layout, folder));
    let mut writers = writers.collect::<io::Result<Vec<_>>>()?;
    segment.write_batches(&mut writers)?;
    Ok(writers.into_iter().map(BatchWriter::finish).collect())
}

enum Kept {
    Memory(Vec<u8>),
    File(File),
}

struct BatchWriter {
    tagger: Tagger,
    bytes: Kept,
}

impl BatchWriter {
    fn new(layout: &Layout, folder: &Path) -> io::Result<Self> {
        let tagger = Tagger::new(layout.batch_log2()).map_err(io::Error::other)?;
        let bytes = if layout.batch_log2() <= MEMORY_LOG2_MAX {
            Kept::Memory(Vec::with_capacity(1 << layout.batch_log2()))
        } else {
            Kept::File(tempfile::tempfile_in(folder)?)
        };
        Ok(Self { tagger, bytes })
    }

    fn finish(self) -> Arc<dyn UploadSource> {
        let tagged = self.tagger.finish();
        match self.bytes {
            Kept::Memory(bytes) => Arc::new(MemoryBatch::new(tagged, Bytes::from(bytes))),
            Kept::File(file) => Arc::new(FileBatch { meta: tagged.meta, layers: tagged.layers, file }),
        }
    }
}

impl Write for BatchWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tagger.update(bytes).map_err(io::Error::other)?;
        match &mut self.bytes {
            Kept::Memory(memory) => memory.extend_from_slice(bytes),
            Kept::File(file) => file.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A batch in an unnamed temporary file.
struct FileBatch {
    meta: BatchMeta,
    layers: Layers,
    file: File,
}

impl UploadSource for FileBatch {
    fn meta(&self) -> BatchMeta {
        self.meta
    }

    fn range(&self, first_leaf: u32, count: u32) -> Result<(Bytes, RangeProof), SourceError> {
        let mut bytes = vec![0; count as usize * LEAF_BYTES];
        self.file.read_exact_at(&mut bytes, u64::from(first_leaf) * LEAF_BYTES as u64)?;
        let group = |group: u32, out: &mut [u8]| self.file.read_exact_at(out, u64::from(group) * GROUP_BYTES as u64);
        let proof = range_proof(&self.meta, &self.layers, first_leaf, count, group)?;
        Ok((bytes.into(), proof))
    }
}
