//! A packed segment and its `k + m` batches as streams, one stripe of columns at a time.
//!
//! A segment of large batches does not fit in memory. So its data lies in a space that the caller supplies (memory for
//! small classes, a file for large ones), and the batches are made of it stripe by stripe: [`STRIPE_BYTES`] of every
//! data batch are read, the same width of every parity batch is computed, all are handed on.

use crate::code::{CodeError, ErasureCode};
use crate::layout::Layout;
use crate::limits::{CODED_BYTES, STRIPE_BYTES};
use rayon::prelude::*;
use std::io::{self, Write};

/// Room for one segment's data. Only bytes that were written are read.
pub trait SegmentSpace {
    /// Writes at a byte offset.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer` from a byte offset.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// All that was written, if it lies in memory: spares a copy of every byte.
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}

/// Room in memory: for batches up to a few MiB.
#[derive(Default)]
pub struct MemorySpace(Vec<u8>);

/// A segment whose data is packed; what is left of its data space is zero.
pub struct PackedSegment<S> {
    pub(crate) ordinal: u32,
    pub(crate) layout: Layout,
    pub(crate) used_bytes: u64,
    pub(crate) space: S,
}

/// The batches of a segment, column by column.
pub struct Stripes<'a, S> {
    segment: &'a PackedSegment<S>,
    code: ErasureCode,
    next_offset: u64,
    /// One per data batch; left empty while the space lends its own bytes.
    buffers: Vec<Vec<u8>>,
    parity: Vec<Vec<u8>>,
}

/// The same byte range of every batch of a segment.
pub struct Stripe<'a> {
    /// First byte of the range in each batch.
    pub offset: u64,
    /// The range of the `k` data batches.
    pub data: Vec<&'a [u8]>,
    /// The range of the `m` parity batches.
    pub parity: &'a [Vec<u8>],
}

impl MemorySpace {
    /// Empty room; it grows to what is written.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Empty room that holds `bytes` before it must grow.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
}

impl From<MemorySpace> for Vec<u8> {
    fn from(space: MemorySpace) -> Self {
        space.0
    }
}

impl SegmentSpace for MemorySpace {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (start, end) = place(offset, bytes.len())?;
        if start == self.0.len() {
            // A segment is packed front to back, so this is the way that is always taken.
            self.0.extend_from_slice(bytes);
            return Ok(());
        }
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (start, end) = place(offset, buffer.len())?;
        let bytes = self.0.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn as_slice(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

fn place(offset: u64, length: usize) -> io::Result<(usize, usize)> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok((start, start.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?))
}

impl<S: SegmentSpace> PackedSegment<S> {
    /// The owner's own count of it.
    pub const fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// Its shape.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes packed into its data space; the rest is zero.
    pub const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Its data: of data batch `i` whatever was packed lies from `i` times a batch's size on, up to the bytes used.
    pub fn into_space(self) -> S {
        self.space
    }

    /// Its batches, column by column.
    pub fn stripes(&self) -> Stripes<'_, S> {
        Stripes {
            segment: self,
            code: ErasureCode::new(self.layout),
            next_offset: 0,
            buffers: vec![Vec::new(); self.layout.data()],
            parity: vec![vec![0; STRIPE_BYTES]; self.layout.parity()],
        }
    }

    /// Streams batch `i` into `writers[i]`, all in lockstep; the writers work in parallel (tagging is what costs).
    ///
    /// # Panics
    /// When there are not as many writers as batches.
    pub fn write_batches<W: Write + Send>(&self, writers: &mut [W]) -> io::Result<()> {
        assert_eq!(writers.len(), self.layout.batches(), "one writer per batch");
        let mut stripes = self.stripes();
        while let Some(stripe) = stripes.next_stripe()? {
            let columns = stripe.data.par_iter().copied().chain(stripe.parity.par_iter().map(Vec::as_slice));
            columns.zip(writers.par_iter_mut()).try_for_each(|(column, writer)| writer.write_all(column))?;
        }
        Ok(())
    }

    /// Fills `buffer` with the bytes of batch `batch` from `offset` on: for sending a part again.
    ///
    /// A range of a parity batch costs `k` reads and the computation of all parity columns over it.
    ///
    /// # Panics
    /// When the range does not lie in a batch of the segment.
    pub fn read_batch(&self, batch: u8, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let batch = usize::from(batch);
        assert!(batch < self.layout.batches(), "batch {batch} of {}", self.layout.batches());
        assert!(offset + buffer.len() as u64 <= self.layout.batch_bytes(), "the range ends within the batch");
        if batch < self.layout.data() {
            return self.read_column(batch, offset, buffer);
        }
        let mut data = vec![vec![0; buffer.len()]; self.layout.data()];
        data.iter_mut().enumerate().try_for_each(|(index, column)| self.read_column(index, offset, column))?;
        let mut parity = vec![vec![0; buffer.len()]; self.layout.parity()];
        encode(&ErasureCode::new(self.layout), &data, &mut parity);
        buffer.copy_from_slice(&parity[batch - self.layout.data()]);
        Ok(())
    }

    /// Reads what was packed of a data column; the rest is zero without asking the space.
    fn read_column(&self, batch: usize, offset: u64, column: &mut [u8]) -> io::Result<()> {
        let start = self.start_of(batch, offset);
        let packed = self.used_bytes.saturating_sub(start).min(column.len() as u64) as usize;
        let (front, back) = column.split_at_mut(packed);
        back.fill(0);
        if front.is_empty() { Ok(()) } else { self.space.read_at(start, front) }
    }

    /// A data column without a copy, if the space lies in memory and the column is packed in full.
    fn lend_column(&self, batch: usize, offset: u64) -> Option<&[u8]> {
        let start = usize::try_from(self.start_of(batch, offset)).ok()?;
        self.space.as_slice()?.get(start..start + STRIPE_BYTES)
    }

    /// First byte in the data space of what lies at `offset` of a data batch.
    const fn start_of(&self, batch: usize, offset: u64) -> u64 {
        batch as u64 * self.layout.batch_bytes() + offset
    }
}

impl<S: SegmentSpace> Stripes<'_, S> {
    /// The next stripe; `None` at the batches' end.
    pub fn next_stripe(&mut self) -> io::Result<Option<Stripe<'_>>> {
        let offset = self.next_offset;
        if offset >= self.segment.layout.batch_bytes() {
            return Ok(None);
        }
        self.next_offset += STRIPE_BYTES as u64;
        let segment = self.segment;
        let mut data = Vec::with_capacity(self.buffers.len());
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            data.push(match segment.lend_column(index, offset) {
                Some(column) => column,
                None => {
                    buffer.resize(STRIPE_BYTES, 0);
                    segment.read_column(index, offset, buffer)?;
                    &*buffer
                }
            });
        }
        if offset < segment.used_bytes {
            encode(&self.code, &data, &mut self.parity);
        } else {
            // Nothing was packed here, and the parity of zeros is zero.
            self.parity.iter_mut().for_each(|column| column.fill(0));
        }
        Ok(Some(Stripe { offset, data, parity: &self.parity }))
    }
}

/// Codes piece by piece, in parallel: a byte of parity depends only on the bytes at its own place.
fn encode<D: AsRef<[u8]> + Sync>(code: &ErasureCode, data: &[D], parity: &mut [Vec<u8>]) {
    let pieces = parity.first().map_or(0, |column| column.len().div_ceil(CODED_BYTES));
    let mut by_piece: Vec<Vec<&mut [u8]>> = (0..pieces).map(|_| Vec::with_capacity(parity.len())).collect();
    for column in parity {
        by_piece.iter_mut().zip(column.chunks_mut(CODED_BYTES)).for_each(|(piece, part)| piece.push(part));
    }
    by_piece.into_par_iter().enumerate().for_each(|(index, mut parity)| {
        let (start, length) = (index * CODED_BYTES, parity[0].len());
        let data: Vec<&[u8]> = data.iter().map(|column| &column.as_ref()[start..start + length]).collect();
        let coded: Result<(), CodeError> = code.encode_stripe(&data, &mut parity);
        coded.expect("the columns were made for this layout, all of one length");
    });
}
