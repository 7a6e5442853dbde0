//! A packed segment's batches on their way out: tagged as they are made, in memory when they are small, in files when not.
//!
//! A segment's data is there once: its data batches are read from where it was packed, only parity gets room of its own.

use bytes::Bytes;
use holdfast_network::transfer::{MemoryBatch, SourceError, UploadSource};
use holdfast_parcel::{Layout, MemorySpace, PackedSegment, SegmentSpace};
use holdfast_por::{BatchMeta, GROUP_BYTES, Layers, RangeProof, Tagged, Tagger, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
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

/// Makes all batches of a segment, ready for upload, in their order. Large parity is written to files in `folder`; the
/// segment's own room lives until the last of its data batches is dropped.
pub fn make_batches(segment: PackedSegment<Space>, folder: &Path) -> io::Result<Vec<Arc<dyn UploadSource>>> {
    let (layout, used) = (*segment.layout(), segment.used_bytes());
    let writers = (0..layout.batches()).map(|index| BatchWriter::new(&layout, index, folder));
    let mut writers = writers.collect::<io::Result<Vec<_>>>()?;
    segment.write_batches(&mut writers)?;
    let data = match segment.into_space() {
        Space::Memory(memory) => Packed::Memory(Bytes::from(Vec::from(memory))),
        Space::File(file) => Packed::File(Arc::new(file)),
    };
    let finish = |(index, writer): (usize, BatchWriter)| {
        let start = index as u64 * layout.batch_bytes();
        writer.finish(&data, start..used.min(start + layout.batch_bytes()))
    };
    Ok(writers.into_iter().enumerate().map(finish).collect())
}

/// A segment's data, shared by its data batches.
enum Packed {
    Memory(Bytes),
    File(Arc<File>),
}

/// Where a batch's bytes go while it is tagged.
enum Kept {
    /// They lie in the segment's own room already.
    Packed,
    Memory(Vec<u8>),
    File(File),
}

struct BatchWriter {
    tagger: Tagger,
    bytes: Kept,
}

impl BatchWriter {
    fn new(layout: &Layout, index: usize, folder: &Path) -> io::Result<Self> {
        let tagger = Tagger::new(layout.batch_log2()).map_err(io::Error::other)?;
        let bytes = if index < layout.data() {
            Kept::Packed
        } else if layout.batch_log2() <= MEMORY_LOG2_MAX {
            Kept::Memory(Vec::with_capacity(1 << layout.batch_log2()))
        } else {
            Kept::File(tempfile::tempfile_in(folder)?)
        };
        Ok(Self { tagger, bytes })
    }

    /// `packed` is where in the segment's data a data batch has its bytes; empty or reversed when nothing was packed there.
    fn finish(self, data: &Packed, packed: Range<u64>) -> Arc<dyn UploadSource> {
        let tagged = self.tagger.finish();
        match (self.bytes, data) {
            (Kept::Packed, Packed::Memory(bytes)) => {
                // What lies in memory is addressable.
                let end = (packed.end as usize).min(bytes.len());
                Arc::new(MemoryBatch::new(tagged, bytes.slice((packed.start as usize).min(end)..end)))
            }
            (Kept::Packed, Packed::File(file)) => Arc::new(FileBatch::new(tagged, Arc::clone(file), packed)),
            (Kept::Memory(bytes), _) => Arc::new(MemoryBatch::new(tagged, Bytes::from(bytes))),
            (Kept::File(file), _) => {
                let all = 0..tagged.meta.batch_bytes();
                Arc::new(FileBatch::new(tagged, Arc::new(file), all))
            }
        }
    }
}

impl Write for BatchWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tagger.update(bytes).map_err(io::Error::other)?;
        match &mut self.bytes {
            Kept::Packed => {}
            Kept::Memory(memory) => memory.extend_from_slice(bytes),
            Kept::File(file) => file.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A batch that lies in an unnamed temporary file, maybe among others.
struct FileBatch {
    meta: BatchMeta,
    layers: Layers,
    file: Arc<File>,
    /// Its bytes in the file; what is left of the batch is zero.
    bytes: Range<u64>,
}

impl FileBatch {
    fn new(tagged: Tagged, file: Arc<File>, bytes: Range<u64>) -> Self {
        Self { meta: tagged.meta, layers: tagged.layers, file, bytes }
    }

    /// Fills `buffer` from a byte of the batch on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = self.bytes.start + offset;
        let there = self.bytes.end.saturating_sub(start).min(buffer.len() as u64) as usize;
        let (front, back) = buffer.split_at_mut(there);
        back.fill(0);
        if front.is_empty() { Ok(()) } else { self.file.read_exact_at(front, start) }
    }
}

impl UploadSource for FileBatch {
    fn meta(&self) -> BatchMeta {
        self.meta
    }

    fn range(&self, first_leaf: u32, count: u32) -> Result<(Bytes, RangeProof), SourceError> {
        let mut bytes = vec![0; count as usize * LEAF_BYTES];
        self.read_at(u64::from(first_leaf) * LEAF_BYTES as u64, &mut bytes)?;
        let group = |group: u32, out: &mut [u8]| self.read_at(u64::from(group) * GROUP_BYTES as u64, out);
        let proof = range_proof(&self.meta, &self.layers, first_leaf, count, group)?;
        Ok((bytes.into(), proof))
    }
}
