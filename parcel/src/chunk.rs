//! One chunk: plaintext -> compressed if that helps -> sealed; and back, with every check.
//!
//! ```text
//! stored = AES-256-GCM(key, nonce 0, associated data = chunk id, frames)                     body | tag 16
//! frames = per 64 KiB of plaintext its zstd frame, or the plaintext itself where that is no longer
//! ```
//! Frames stand alone, so that a slice of a chunk is read without the rest of it ([`crate::ChunkSlice`]).

use crate::keys::{ChunkId, ChunkKey};
use crate::layout::Locator;
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_FRAMES_MAX, FRAME_BYTES, SEAL_BYTES};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::Bounded;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use std::cell::RefCell;
use std::ops::Range;
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

const ZSTD_LEVEL: i32 = 3;
/// Bytes of a frame by which it is judged when the one before did not compress.
const SAMPLE_BYTES: usize = 8 * 1024;

/// What the catalog keeps of a chunk: enough to find, open and check it. Borsh, 88 bytes and 2 per frame.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkRecord {
    /// Its name within the owner.
    pub id: ChunkId,
    /// Opens it.
    pub key: ChunkKey,
    /// Bytes of plaintext.
    pub raw_len: u32,
    /// Bytes of each frame, 0 for one that is plaintext as it is; empty when they all are.
    pub frames: Bounded<u16, CHUNK_FRAMES_MAX>,
    /// Where it lies.
    pub at: Locator,
}

/// One frame: where it lies in the plaintext and in the stored chunk.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub raw: Range<u32>,
    pub stored: Range<u32>,
    pub compressed: bool,
}

/// A chunk ready to be packed.
pub struct SealedChunk<'a> {
    id: ChunkId,
    key: ChunkKey,
    raw_len: u32,
    frames: Vec<u16>,
    body: Body<'a>,
    tag: Tag,
}

/// The encrypted bytes: what did not compress was encrypted where the plaintext lay.
enum Body<'a> {
    Raw(&'a mut [u8]),
    Compressed(Vec<u8>),
}

/// Why stored bytes are not the chunk a record speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// More or fewer bytes than the record says.
    #[error("chunk {id}: {found} stored bytes, expected {expected}")]
    WrongLength {
        /// The chunk.
        id: ChunkId,
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: u32,
    },
    /// The record speaks of more plaintext than a chunk may have.
    #[error("chunk {id}: {raw_len} bytes of plaintext, the limit is {CHUNK_BYTES_MAX}")]
    TooLarge {
        /// The chunk.
        id: ChunkId,
        /// Bytes of plaintext by its record.
        raw_len: u32,
    },
    /// The cipher's tag does not fit: altered bytes, or the key of another chunk.
    #[error("chunk {id}: the stored bytes were altered or belong to another chunk")]
    Altered {
        /// The chunk.
        id: ChunkId,
    },
    /// The sealed bytes are not what they should unpack to.
    #[error("chunk {id}: does not decompress to {raw_len} bytes")]
    BadCompression {
        /// The chunk.
        id: ChunkId,
        /// Bytes of plaintext by its record.
        raw_len: u32,
    },
}

thread_local! {
    // A zstd context is a megabyte of tables: one per thread, not one per chunk. `None` when it cannot be had.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// Compresses (when that makes it smaller) and seals one plaintext under a fresh random key.
///
/// The plaintext is spent: when it does not compress, its bytes become the sealed ones without being copied.
///
/// # Panics
/// When `plaintext` exceeds [`CHUNK_BYTES_MAX`]: cutting it smaller is the caller's part.
pub fn seal_chunk(id: ChunkId, plaintext: &mut [u8]) -> SealedChunk<'_> {
    assert!(plaintext.len() <= CHUNK_BYTES_MAX, "a chunk of {} bytes exceeds the limit", plaintext.len());
    let (key, raw_len) = (ChunkKey::generate(), plaintext.len() as u32);
    let (frames, mut body) = match compress(plaintext) {
        Some((frames, bytes)) => (frames, Body::Compressed(bytes)),
        None => (Vec::new(), Body::Raw(plaintext)),
    };
    let tag = cipher(&key)
        .seal_in_place_separate_tag(zero_nonce(), Aad::from(id.as_bytes()), body.bytes_mut())
        .expect("a chunk is far below the cipher's limit of 64 GiB");
    SealedChunk { id, key, raw_len, frames, body, tag }
}

/// Opens and checks one chunk: its length, and the cipher's tag, by which the owner itself sealed this plaintext under
/// this id.
pub fn decode_chunk(record: &ChunkRecord, stored: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
    let id = record.id;
    if stored.len() != record.at.stored_len as usize {
        return Err(ChunkError::WrongLength { id, found: stored.len(), expected: record.at.stored_len });
    }
    if record.raw_len as usize > CHUNK_BYTES_MAX {
        return Err(ChunkError::TooLarge { id, raw_len: record.raw_len });
    }
    let body = open_chunk(record, stored)?;
    if record.frames.is_empty() && body.len() == record.raw_len as usize {
        return Ok(body);
    }
    decompress(record, &body)
}

impl SealedChunk<'_> {
    /// The bytes to be stored, in two parts to be laid end to end: body and tag.
    pub fn stored_parts(&self) -> [&[u8]; 2] {
        [self.body.bytes(), self.tag.as_ref()]
    }

    /// How many bytes are to be stored.
    pub fn stored_len(&self) -> usize {
        self.body.bytes().len() + SEAL_BYTES
    }

    /// The record of the chunk once it lies at byte `offset` of segment number `segment`.
    pub fn into_record(self, segment: u32, offset: u64) -> ChunkRecord {
        let at = Locator { segment, offset, stored_len: self.stored_len() as u32 };
        let frames = Bounded::new(self.frames).expect("a chunk has no more frames than its largest size");
        ChunkRecord { id: self.id, key: self.key, raw_len: self.raw_len, frames, at }
    }

    /// Bytes it holds beyond the plaintext's own.
    pub(crate) fn buffered_bytes(&self) -> usize {
        match &self.body {
            Body::Raw(_) => 0,
            Body::Compressed(frame) => frame.capacity(),
        }
    }
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Compressed(frame) => frame,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Compressed(frame) => frame,
        }
    }
}

impl ChunkRecord {
    /// The frames in order; `None` when the record contradicts itself.
    pub(crate) fn frames(&self) -> Option<Vec<Frame>> {
        let count = (self.raw_len as usize).div_ceil(FRAME_BYTES);
        if self.raw_len as usize > CHUNK_BYTES_MAX || !(self.frames.is_empty() || self.frames.len() == count) {
            return None;
        }
        let mut frames = Vec::with_capacity(count);
        let (mut raw, mut stored) = (0, 0);
        for index in 0..count {
            let raw_len = (self.raw_len - raw).min(FRAME_BYTES as u32);
            let compressed = self.frames.get(index).is_some_and(|length| *length > 0);
            let stored_len = if compressed { self.frames[index].into() } else { raw_len };
            frames.push(Frame { raw: raw..raw + raw_len, stored: stored..stored + stored_len, compressed });
            (raw, stored) = (raw + raw_len, stored + stored_len);
        }
        (stored + SEAL_BYTES as u32 == self.at.stored_len).then_some(frames)
    }

    pub(crate) const fn bad_compression(&self) -> ChunkError {
        ChunkError::BadCompression { id: self.id, raw_len: self.raw_len }
    }
}

/// The frames of a plaintext and their lengths, if any of them became smaller.
fn compress(plaintext: &[u8]) -> Option<(Vec<u16>, Vec<u8>)> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        let compressor = compressor.as_mut()?;
        let (mut lengths, mut body) = (Vec::new(), Vec::new());
        let mut smaller = [0; FRAME_BYTES];
        for (index, frame) in plaintext.chunks(FRAME_BYTES).enumerate() {
            let hopeful = lengths.last() != Some(&0) || shrink(compressor, sample(frame), &mut smaller) > 0;
            let length = if hopeful { shrink(compressor, frame, &mut smaller) } else { 0 };
            lengths.push(u16::try_from(length).expect("a frame that became smaller has less than 64 KiB"));
            if length > 0 && body.is_empty() {
                body.reserve(plaintext.len());
                body.extend_from_slice(&plaintext[..index * FRAME_BYTES]);
            }
            if length > 0 {
                body.extend_from_slice(&smaller[..length]);
            } else if !body.is_empty() {
                body.extend_from_slice(frame);
            }
        }
        (!body.is_empty()).then_some((lengths, body))
    })
}

/// Compresses a frame; how long it is then, or 0 when that is no shorter.
fn shrink(compressor: &mut Compressor<'_>, frame: &[u8], smaller: &mut [u8; FRAME_BYTES]) -> usize {
    // Room for one byte less than the frame has: what does not fit did not become smaller.
    compressor.compress_to_buffer(frame, &mut smaller[..frame.len() - 1]).unwrap_or(0)
}

/// What is tried first of a frame that follows one which did not compress: most likely it does not either.
fn sample(frame: &[u8]) -> &[u8] {
    let middle = frame.len() / 2;
    &frame[middle..frame.len().min(middle + SAMPLE_BYTES)]
}

fn decompress(record: &ChunkRecord, body: &[u8]) -> Result<Vec<u8>, ChunkError> {
    let frames = record.frames().ok_or_else(|| record.bad_compression())?;
    let mut plaintext = Vec::with_capacity(record.raw_len as usize);
    for frame in frames {
        let stored = &body[frame.stored.start as usize..frame.stored.end as usize];
        frame.open(stored, &mut plaintext).ok_or_else(|| record.bad_compression())?;
    }
    Ok(plaintext)
}

impl Frame {
    /// Appends the frame's plaintext; `None` when its bytes are not such a frame.
    pub(crate) fn open(&self, stored: &[u8], plaintext: &mut Vec<u8>) -> Option<()> {
        if !self.compressed {
            plaintext.extend_from_slice(stored);
            return Some(());
        }
        let from = plaintext.len();
        plaintext.resize(from + self.raw.len(), 0);
        DECOMPRESSOR.with_borrow_mut(|decompressor| {
            let length = decompressor.as_mut()?.decompress_to_buffer(stored, &mut plaintext[from..]).ok()?;
            (length == self.raw.len()).then_some(())
        })
    }
}

fn open_chunk(record: &ChunkRecord, mut stored: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
    let opened = cipher(&record.key).open_in_place(zero_nonce(), Aad::from(record.id.as_bytes()), &mut stored);
    let length = opened.map_err(|_| ChunkError::Altered { id: record.id })?.len();
    stored.truncate(length);
    Ok(stored)
}

/// Nonce zero is safe here, and only here: every key is drawn fresh for one chunk and encrypts exactly once, so no
/// (key, nonce) pair ever repeats. A chunk that is stored anew gets a new key.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn cipher(key: &ChunkKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("the key has the cipher's 32 bytes"))
}
