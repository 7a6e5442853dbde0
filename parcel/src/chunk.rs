//! One chunk: plaintext -> compressed if that helps -> sealed; and back, with every check.
//!
//! ```text
//! stored = AES-256-GCM(key, nonce 0, associated data = chunk id, zstd(plaintext) or plaintext)     body | tag 16
//! ```

use crate::keys::{ChunkId, ChunkKey, OwnerKeys};
use crate::layout::Locator;
use crate::limits::{CHUNK_BYTES_MAX, SEAL_BYTES};
use borsh::{BorshDeserialize, BorshSerialize};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use std::cell::RefCell;
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

const ZSTD_LEVEL: i32 = 3;

/// What the catalog keeps of a chunk: enough to find, open and check it. Borsh, 85 bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkRecord {
    /// Its name within the owner.
    pub id: ChunkId,
    /// Opens it.
    pub key: ChunkKey,
    /// Bytes of plaintext.
    pub raw_len: u32,
    /// Whether the sealed bytes are a zstd frame.
    pub compressed: bool,
    /// Where it lies.
    pub at: Locator,
}

/// A chunk ready to be packed.
pub struct SealedChunk<'a> {
    id: ChunkId,
    key: ChunkKey,
    raw_len: u32,
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
    /// Another plaintext than the one that was named.
    #[error("chunk {id}: holds the content of chunk {found}")]
    WrongContent {
        /// The chunk.
        id: ChunkId,
        /// The id of what it holds.
        found: ChunkId,
    },
}

thread_local! {
    // A zstd context is a megabyte of tables: one per thread, not one per chunk. `None` when it cannot be had.
    static COMPRESSOR: RefCell<Option<Workbench>> = RefCell::new(Workbench::new());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

struct Workbench {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
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
    let mut body = match compress(plaintext) {
        Some(frame) => Body::Compressed(frame),
        None => Body::Raw(plaintext),
    };
    let tag = cipher(&key)
        .seal_in_place_separate_tag(zero_nonce(), Aad::from(id.as_bytes()), body.bytes_mut())
        .expect("a chunk is far below the cipher's limit of 64 GiB");
    SealedChunk { id, key, raw_len, body, tag }
}

/// Opens and checks one chunk: length, the cipher's tag, and that the plaintext has the record's id.
///
/// `owner` is `None` for a reader to whom the owner handed the record: it cannot compute keyed ids, and takes the
/// owner's word (the tag) for the content.
pub fn decode_chunk(record: &ChunkRecord, stored: Vec<u8>, owner: Option<&OwnerKeys>) -> Result<Vec<u8>, ChunkError> {
    let id = record.id;
    if stored.len() != record.at.stored_len as usize {
        return Err(ChunkError::WrongLength { id, found: stored.len(), expected: record.at.stored_len });
    }
    if record.raw_len as usize > CHUNK_BYTES_MAX {
        return Err(ChunkError::TooLarge { id, raw_len: record.raw_len });
    }
    let body = open_chunk(record, stored)?;
    let plaintext = if record.compressed { decompress(record, &body)? } else { body };
    if plaintext.len() != record.raw_len as usize {
        return Err(ChunkError::BadCompression { id, raw_len: record.raw_len });
    }
    match owner.map(|keys| keys.chunk_id(&plaintext)) {
        Some(found) if found != id => Err(ChunkError::WrongContent { id, found }),
        _ => Ok(plaintext),
    }
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
        let compressed = matches!(self.body, Body::Compressed(_));
        ChunkRecord { id: self.id, key: self.key, raw_len: self.raw_len, compressed, at }
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

impl Workbench {
    fn new() -> Option<Self> {
        Some(Self {
            compressor: Compressor::new(ZSTD_LEVEL).ok()?,
            frame: Vec::with_capacity(compress_bound(CHUNK_BYTES_MAX)),
        })
    }
}

/// The zstd frame of a plaintext, if it is smaller.
fn compress(plaintext: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|workbench| {
        let Workbench { compressor, frame } = workbench.as_mut()?;
        frame.clear();
        compressor.compress_to_buffer(plaintext, frame).ok()?;
        (frame.len() < plaintext.len()).then(|| frame.clone())
    })
}

fn decompress(record: &ChunkRecord, frame: &[u8]) -> Result<Vec<u8>, ChunkError> {
    let bad = || ChunkError::BadCompression { id: record.id, raw_len: record.raw_len };
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let mut plaintext = Vec::with_capacity(record.raw_len as usize);
        decompressor.as_mut().ok_or_else(bad)?.decompress_to_buffer(frame, &mut plaintext).map_err(|_| bad())?;
        Ok(plaintext)
    })
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
