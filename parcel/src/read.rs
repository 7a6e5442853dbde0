//! Reading back: which batch ranges hold some chunks, and the chunks out of whatever ranges came.

use crate::code::{CodeError, ErasureCode};
use crate::layout::{BatchSpan, Layout, LayoutError, Locator};
use std::collections::BTreeMap;
use thiserror::Error;

/// Ranges of batches as they arrive, verified by the caller against the batches' roots.
///
/// Holds what it is given: a caller with a bound on memory works a few chunks at a time.
#[derive(Default)]
pub struct Fetched {
    /// (segment, batch) -> first byte -> bytes.
    ranges: BTreeMap<(u32, u8), BTreeMap<u32, Vec<u8>>>,
}

/// Why chunks cannot be located or rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A chunk lies in a segment of unknown shape.
    #[error("the shape of segment {segment} is unknown")]
    UnknownSegment {
        /// The owner's own count.
        segment: u32,
    },
    /// A chunk does not lie within its segment.
    #[error("segment {segment}: {source}")]
    BadLocator {
        /// The owner's own count.
        segment: u32,
        /// What is wrong.
        source: LayoutError,
    },
    /// A range that did not arrive yet.
    #[error("bytes {}..{} of batch {} of segment {} are missing", .span.from, .span.to, .span.batch, .span.segment)]
    Missing {
        /// The range.
        span: BatchSpan,
    },
    /// A range that cannot be rebuilt from what arrived.
    #[error("bytes {}..{} of batch {} of segment {}: {source}", .span.from, .span.to, .span.batch, .span.segment)]
    CannotRebuild {
        /// The range.
        span: BatchSpan,
        /// Why.
        source: CodeError,
    },
}

/// The ranges of data batches that hold these chunks: sorted, none overlapping or touching another.
pub fn plan_read<'a>(
    chunks: impl IntoIterator<Item = &'a Locator>,
    layout_of: impl Fn(u32) -> Option<Layout>,
) -> Result<Vec<BatchSpan>, ReadError> {
    let mut spans = Vec::new();
    for at in chunks {
        spans.extend(spans_of(at, &layout_of(at.segment).ok_or(ReadError::UnknownSegment { segment: at.segment })?)?);
    }
    spans.sort_unstable();
    let mut merged: Vec<BatchSpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if (last.segment, last.batch) == (span.segment, span.batch) && span.from <= last.to => {
                last.to = last.to.max(span.to);
            }
            _ => merged.push(span),
        }
    }
    Ok(merged)
}

impl Fetched {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes of batch `batch` of segment `segment` from byte `from` on.
    pub fn insert(&mut self, segment: u32, batch: u8, from: u32, bytes: Vec<u8>) {
        let ranges = self.ranges.entry((segment, batch)).or_default();
        if ranges.get(&from).is_none_or(|known| known.len() < bytes.len()) {
            ranges.insert(from, bytes);
        }
    }

    /// The bytes of a range, if all of them are there.
    pub fn read(&self, span: &BatchSpan) -> Option<Vec<u8>> {
        let ranges = self.ranges.get(&(span.segment, span.batch))?;
        let mut bytes = Vec::with_capacity(span.len().min(1 << 20));
        let mut at = span.from;
        while at < span.to {
            let covering = |(from, range): (&u32, &'_ Vec<u8>)| (at - from) < range.len() as u32;
            let (from, range) = ranges.range(..=at).rev().find(|entry| covering(*entry))?;
            let stop = (span.to - from).min(range.len() as u32);
            bytes.extend_from_slice(&range[(at - from) as usize..stop as usize]);
            at = from + stop;
        }
        Some(bytes)
    }

    /// The stored bytes of a chunk.
    pub fn chunk(&self, at: &Locator, layout: &Layout) -> Result<Vec<u8>, ReadError> {
        let mut stored = Vec::new();
        for span in spans_of(at, layout)? {
            let mut part = self.read(&span).ok_or(ReadError::Missing { span })?;
            if stored.is_empty() { stored = part } else { stored.append(&mut part) }
        }
        Ok(stored)
    }

    /// Rebuilds a range of a lost batch from the same range of any `k` others that are here.
    pub fn rebuild(&mut self, code: &ErasureCode, span: &BatchSpan) -> Result<(), ReadError> {
        let batches = code.layout().batches() as u8;
        let columns: Vec<Option<Vec<u8>>> = (0..batches).map(|batch| self.read(&span.in_batch(batch))).collect();
        let rebuilt = if usize::from(span.batch) < code.layout().data() {
            code.reconstruct(columns)
        } else {
            code.reconstruct_all(columns)
        };
        let mut rebuilt = rebuilt.map_err(|source| ReadError::CannotRebuild { span: *span, source })?;
        if usize::from(span.batch) < rebuilt.len() {
            self.insert(span.segment, span.batch, span.from, rebuilt.swap_remove(usize::from(span.batch)));
        }
        Ok(())
    }
}

fn spans_of(at: &Locator, layout: &Layout) -> Result<Vec<BatchSpan>, ReadError> {
    at.spans(layout).map_err(|source| ReadError::BadLocator { segment: at.segment, source })
}
