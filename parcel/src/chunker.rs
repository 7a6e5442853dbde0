//! Cuts a stream into content-defined chunks (FastCDC 2020, Xia et al., IEEE TPDS 31-9), so that an insertion moves
//! only the cut points around it and the rest of a changed file is recognised.
//!
//! The chunks of a group are slices of one buffer, to be sealed where they lie: from the reader to the segment no byte
//! is copied.

use crate::limits::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, READ_AHEAD_BYTES};
use fastcdc::v2020::{Normalization, cut, select_masks};
use std::io::{self, Read};

/// The cutter and its read-ahead buffer; serves one stream after another.
pub struct Chunker {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    mask_small: u64,
    mask_large: u64,
}

impl Chunker {
    /// A cutter with a buffer of [`READ_AHEAD_BYTES`], ready for its first stream.
    pub fn new() -> Self {
        let (mask_small, mask_large) = select_masks(CHUNK_BYTES_AVERAGE, Normalization::Level1);
        Self { buffer: vec![0; READ_AHEAD_BYTES], start: 0, end: 0, at_end: false, mask_small, mask_large }
    }

    /// Forgets the stream before and what was read of it.
    pub fn restart(&mut self) {
        (self.start, self.end, self.at_end) = (0, 0, false);
    }

    /// The next chunks of `reader`, as many as the buffer holds; none at the end of the stream.
    ///
    /// Where a stream is cut depends on its bytes alone, not on how the reader portions them. The caller may overwrite
    /// the chunks.
    pub fn next_group<R: Read>(&mut self, reader: &mut R) -> io::Result<Vec<&mut [u8]>> {
        self.refill(reader)?;
        let mut lengths = Vec::new();
        let mut at = self.start;
        // A cut within a shorter rest could move once more bytes are known; at the end of the stream nothing follows.
        while self.end - at >= CHUNK_BYTES_MAX || (self.at_end && at < self.end) {
            let length = self.cut(&self.buffer[at..self.end]);
            lengths.push(length);
            at += length;
        }
        let group = std::mem::replace(&mut self.start, at);
        let mut rest = &mut self.buffer[group..at];
        Ok(lengths
            .into_iter()
            .map(|length| rest.split_off_mut(..length).expect("lengths add up to the rest"))
            .collect())
    }

    fn refill<R: Read>(&mut self, reader: &mut R) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while !self.at_end && self.end < self.buffer.len() {
            match reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn cut(&self, bytes: &[u8]) -> usize {
        let (small, large) = (self.mask_small, self.mask_large);
        // The library tests two bytes a step, the first of them with masks shifted left by one.
        let (small_shifted, large_shifted) = (small << 1, large << 1);
        let (min, average, max) = (CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX);
        cut(bytes, min, average, max, small, large, small_shifted, large_shifted).1
    }
}

impl Default for Chunker {
    fn default() -> Self {
        Self::new()
    }
}
