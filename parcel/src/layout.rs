//! How a segment is laid out: `k` data and `m` parity batches of `2^batch_log2` bytes, and where a chunk lies in it.
//!
//! ```text
//! data space of a segment   0 ........ B ........ 2B ....... kB      B = 2^batch_log2
//!                           [ batch 0 ][ batch 1 ] ... [ batch k-1 ]
//! chunks                    [a][ b ][   c   ][d]......0000           c straddles batches; none straddles segments
//! parity batches k..k+m     column by column over the k data batches
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::{BATCH_LOG2_MAX, BATCH_LOG2_MIN, LEAF_BYTES, SEGMENT_BATCHES_MAX, SEGMENT_DATA_MAX};
use std::io;
use thiserror::Error;

/// Codec 1: the classic systematic Vandermonde code over GF(2^8), polynomial 29.
pub const CODEC_VANDERMONDE: u8 = 1;

/// The shape of a segment; only valid shapes exist. Borsh, 4 bytes: `data u8 | parity u8 | codec u8 | batch_log2 u8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize)]
pub struct Layout {
    data: u8,
    parity: u8,
    codec: u8,
    batch_log2: u8,
}

/// Where a sealed chunk lies. Borsh, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Locator {
    /// The owner's own count of the segment: its first is 0.
    pub segment: u32,
    /// First byte in the segment's data space.
    pub offset: u64,
    /// Bytes of the sealed chunk.
    pub stored_len: u32,
}

/// A range of one batch's bytes, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchSpan {
    /// The owner's own count of the segment.
    pub segment: u32,
    /// The batch's place in its segment: data first, then parity.
    pub batch: u8,
    /// First byte.
    pub from: u32,
    /// First byte after.
    pub to: u32,
}

/// Why numbers are not a layout, or a locator does not lie in one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// No data batches, or too many.
    #[error("{data} data batches in a segment, allowed are 1 to {SEGMENT_DATA_MAX}")]
    DataBatches {
        /// Asked for.
        data: u8,
    },
    /// No parity batches, or too many batches in all.
    #[error(
        "{data} data and {parity} parity batches in a segment: at least 1 parity, at most {SEGMENT_BATCHES_MAX} in all"
    )]
    ParityBatches {
        /// Data batches asked for.
        data: u8,
        /// Parity batches asked for.
        parity: u8,
    },
    /// A batch size no network allows.
    #[error("batches of 2^{batch_log2} bytes, allowed are 2^{BATCH_LOG2_MIN} to 2^{BATCH_LOG2_MAX}")]
    BatchSize {
        /// log2 of the size asked for.
        batch_log2: u8,
    },
    /// A code this version does not know.
    #[error("erasure code {codec} is unknown to this version")]
    UnknownCodec {
        /// The code's id.
        codec: u8,
    },
    /// A chunk that would reach past its segment's data.
    #[error("bytes {offset} to {end} lie outside a segment of {data_bytes} data bytes")]
    OutsideSegment {
        /// First byte of the chunk.
        offset: u64,
        /// First byte after it.
        end: u64,
        /// Bytes of the segment's data space.
        data_bytes: u64,
    },
}

impl Layout {
    /// `data` + `parity` batches of `2^batch_log2` bytes, in the code every network knows (codec 1).
    pub fn new(data: u8, parity: u8, batch_log2: u8) -> Result<Self, LayoutError> {
        Self::from_record(data, parity, CODEC_VANDERMONDE, batch_log2)
    }

    /// The layout a record speaks of.
    pub fn from_record(data: u8, parity: u8, codec: u8, batch_log2: u8) -> Result<Self, LayoutError> {
        if data == 0 || data > SEGMENT_DATA_MAX {
            return Err(LayoutError::DataBatches { data });
        }
        if parity == 0 || usize::from(data) + usize::from(parity) > SEGMENT_BATCHES_MAX {
            return Err(LayoutError::ParityBatches { data, parity });
        }
        if !(BATCH_LOG2_MIN..=BATCH_LOG2_MAX).contains(&batch_log2) {
            return Err(LayoutError::BatchSize { batch_log2 });
        }
        if codec != CODEC_VANDERMONDE {
            return Err(LayoutError::UnknownCodec { codec });
        }
        Ok(Self { data, parity, codec, batch_log2 })
    }

    /// Data batches `k`.
    pub const fn data(&self) -> usize {
        self.data as usize
    }

    /// Parity batches `m`.
    pub const fn parity(&self) -> usize {
        self.parity as usize
    }

    /// Batches in all, `k + m`.
    pub const fn batches(&self) -> usize {
        self.data() + self.parity()
    }

    /// The erasure code's id.
    pub const fn codec(&self) -> u8 {
        self.codec
    }

    /// log2 of a batch's bytes.
    pub const fn batch_log2(&self) -> u8 {
        self.batch_log2
    }

    /// Bytes of one batch.
    pub const fn batch_bytes(&self) -> u64 {
        1 << self.batch_log2
    }

    /// Bytes of the segment's data space, `k * 2^batch_log2`.
    pub const fn data_bytes(&self) -> u64 {
        self.data as u64 * self.batch_bytes()
    }
}

impl BorshDeserialize for Layout {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let [data, parity, codec, batch_log2] = <[u8; 4]>::deserialize_reader(reader)?;
        Self::from_record(data, parity, codec, batch_log2)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Locator {
    /// First byte after the chunk; saturates, so that no locator wraps around.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.stored_len as u64)
    }

    /// The ranges of data batches that hold the chunk, in order.
    pub fn spans(&self, layout: &Layout) -> Result<Vec<BatchSpan>, LayoutError> {
        let (end, data_bytes) = (self.end(), layout.data_bytes());
        if end > data_bytes {
            return Err(LayoutError::OutsideSegment { offset: self.offset, end, data_bytes });
        }
        let mut spans = Vec::with_capacity(2);
        let mut at = self.offset;
        while at < end {
            let batch = at >> layout.batch_log2;
            let start = batch << layout.batch_log2;
            let stop = end.min(start + layout.batch_bytes());
            spans.push(BatchSpan {
                segment: self.segment,
                batch: u8::try_from(batch).expect("the chunk ends within at most 64 data batches"),
                from: u32::try_from(at - start).expect("a batch has at most 2^28 bytes"),
                to: u32::try_from(stop - start).expect("a batch has at most 2^28 bytes"),
            });
            at = stop;
        }
        Ok(spans)
    }
}

impl BatchSpan {
    /// Bytes in the range.
    pub const fn len(&self) -> usize {
        self.to.saturating_sub(self.from) as usize
    }

    /// Whether the range holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.to <= self.from
    }

    /// The range widened to whole leaves, which is what a holder serves and a root verifies.
    pub const fn leaf_aligned(&self) -> Self {
        let leaf = LEAF_BYTES as u32;
        Self { from: self.from / leaf * leaf, to: self.to.div_ceil(leaf) * leaf, ..*self }
    }

    /// The same range of another batch of the segment.
    pub const fn in_batch(&self, batch: u8) -> Self {
        Self { batch, ..*self }
    }
}
