//! A part of a chunk, read without the rest of it.
//!
//! The tag of a chunk can only be checked over the whole. A slice is authentic for another reason: its leaves were
//! verified against the root of a batch, and the owner's catalog vouches for that root ([`crate::roots_digest`]).
//! Without such a root a reader must take whole chunks. To decrypt from the middle it suffices that GCM is counter
//! mode underneath (NIST SP 800-38D, 7.1): the first counter block of the text is nonce | 2.

use crate::chunk::{ChunkError, ChunkRecord, Frame, decode_chunk};
use crate::file::Piece;
use crate::layout::Locator;
use aes::Aes256;
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use std::ops::Range;

/// Bytes `wanted` of a chunk's plaintext, and where the least that yields them lies.
#[derive(Clone, Debug)]
pub struct ChunkSlice<'a> {
    record: &'a ChunkRecord,
    parts: Vec<Part>,
    /// Place of the slice's first byte in the stored chunk.
    start: u32,
    at: Locator,
}

/// How a piece of a file is read.
#[derive(Clone, Debug)]
pub enum PieceRead<'a> {
    /// Its whole chunk.
    Whole(Piece<'a>),
    /// No more of its chunk than it needs.
    Slice(ChunkSlice<'a>),
}

/// What a slice takes from one frame.
#[derive(Clone, Debug)]
struct Part {
    frame: Frame,
    /// Bytes of the stored chunk to be fetched.
    stored: Range<u32>,
    /// Which of the frame's plaintext bytes are wanted.
    wanted: Range<usize>,
}

impl<'a> Piece<'a> {
    /// The least that must be read for this piece: a slice only where `vouched`, that is where the owner's catalog vouches
    /// for the roots by which the fetched leaves will be verified.
    pub fn read(&self, vouched: bool) -> Result<PieceRead<'a>, ChunkError> {
        let whole = self.from == 0 && self.to == self.record.raw_len;
        if whole || !vouched {
            return Ok(PieceRead::Whole(*self));
        }
        Ok(PieceRead::Slice(ChunkSlice::new(self.record, self.from..self.to)?))
    }
}

impl PieceRead<'_> {
    /// Where the bytes to be fetched lie.
    pub const fn at(&self) -> &Locator {
        match self {
            Self::Whole(piece) => &piece.record.at,
            Self::Slice(slice) => slice.at(),
        }
    }

    /// The piece's bytes, from the stored bytes that lie there.
    pub fn decode(&self, stored: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
        let piece = match self {
            Self::Slice(slice) => return slice.decode(stored),
            Self::Whole(piece) => piece,
        };
        let mut plaintext = decode_chunk(piece.record, stored)?;
        plaintext.truncate(piece.to as usize);
        plaintext.drain(..piece.from as usize);
        Ok(plaintext)
    }
}

impl<'a> ChunkSlice<'a> {
    /// The slice `wanted` of a chunk's plaintext; it is cut to the chunk.
    pub fn new(record: &'a ChunkRecord, wanted: Range<u32>) -> Result<Self, ChunkError> {
        let frames = record.frames().ok_or_else(|| record.bad_compression())?;
        let parts: Vec<Part> = frames.into_iter().filter_map(|frame| Part::of(frame, &wanted)).collect();
        let start = parts.first().map_or(0, |part| part.stored.start);
        let end = parts.last().map_or(start, |part| part.stored.end);
        let offset = record.at.offset.saturating_add(start.into());
        let at = Locator { segment: record.at.segment, offset, stored_len: end - start };
        Ok(Self { record, parts, start, at })
    }

    /// Where the bytes to be fetched lie.
    pub const fn at(&self) -> &Locator {
        &self.at
    }

    /// The wanted plaintext, from the bytes that lie there. They must have been verified against a root that the owner
    /// vouches for: nothing else protects them from being altered.
    pub fn decode(&self, mut stored: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
        if stored.len() != self.at.stored_len as usize {
            let (found, expected) = (stored.len(), self.at.stored_len);
            return Err(ChunkError::WrongLength { id: self.record.id, found, expected });
        }
        self.decrypt(&mut stored);
        let (mut plaintext, mut frame) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let place = |at: u32| (at - self.start) as usize;
            let bytes = &stored[place(part.stored.start)..place(part.stored.end)];
            if part.frame.compressed {
                frame.clear();
                part.frame.open(bytes, &mut frame).ok_or_else(|| self.record.bad_compression())?;
                plaintext.extend_from_slice(&frame[part.wanted.clone()]);
            } else {
                plaintext.extend_from_slice(bytes);
            }
        }
        Ok(plaintext)
    }

    fn decrypt(&self, bytes: &mut [u8]) {
        let mut first_counter = [0; 16];
        first_counter[15] = 2;
        let mut keystream = Ctr32BE::<Aes256>::new(self.record.key.as_bytes().into(), &first_counter.into());
        keystream.seek(self.start);
        keystream.apply_keystream(bytes);
    }
}

impl Part {
    /// What `wanted` takes from `frame`: of plaintext the bytes themselves, of a compressed frame all of it.
    fn of(frame: Frame, wanted: &Range<u32>) -> Option<Self> {
        let (from, to) = (frame.raw.start.max(wanted.start), frame.raw.end.min(wanted.end));
        if from >= to {
            return None;
        }
        let within = from - frame.raw.start..to - frame.raw.start;
        let stored = if frame.compressed {
            frame.stored.clone()
        } else {
            frame.stored.start + within.start..frame.stored.start + within.end
        };
        Some(Self { frame, stored, wanted: within.start as usize..within.end as usize })
    }
}
