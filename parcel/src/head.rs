//! The entry of an owner's account from which a bare machine finds everything again: where the catalog lies and what
//! opens it.
//!
//! ```text
//! sealed head = version u8 = 1 | nonce 12 | AES-256-GCM(head key, body) | tag 16                       at most 1024 B
//! associated data = "holdfast/catalog-head/v1\0" | owner's address 32      so no owner's head opens as another's
//! body = generation u64 | written u64 | indexed u8 | list     list = chunks u32 n, n records | segments u32 n, n shapes
//!
//! head -> catalog chunks                   up to 6 of them
//! head -> index chunks -> catalog chunks   beyond; the index is another such list
//! ```

use crate::catalog::{Catalog, CatalogError, SegmentInfo};
use crate::chunk::{ChunkError, ChunkRecord, decode_chunk};
use crate::keys::OwnerKeys;
use crate::layout::Layout;
use crate::limits::{HEAD_BYTES_MAX, HEAD_CHUNKS_MAX, HEAD_SEAL_BYTES, INDEX_BYTES_MAX, INDEX_CHUNKS_MAX};
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::limits::CATALOG_HEAD_BYTES_MAX;
use holdfast_primitives::{Address, Bounded, TimeMs, decode_exact};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::collections::BTreeMap;
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const OWNER_LABEL: &[u8] = b"holdfast/catalog-head/v1\0";

/// Which segment has which shape and roots. Borsh, 9 or 41 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SegmentShape {
    /// The owner's own count.
    pub ordinal: u32,
    /// Its shape.
    pub layout: Layout,
    /// [`roots_digest`] of its batches' roots; `None` while the owner did not know them.
    pub roots_digest: Option<[u8; 32]>,
}

/// Chunks, and the shapes of the segments they lie in.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct ChunkList<const MAX: usize> {
    pub chunks: Bounded<ChunkRecord, MAX>,
    pub segments: Bounded<SegmentShape, MAX>,
}

/// Where the catalog lies.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CatalogHead {
    pub(crate) generation: u64,
    pub(crate) written: TimeMs,
    pub(crate) indexed: bool,
    pub(crate) list: ChunkList<HEAD_CHUNKS_MAX>,
}

/// The next chunks to fetch on the way to the catalog.
pub struct CatalogFetch {
    indexed: bool,
    wanted: Vec<ChunkRecord>,
    shapes: Vec<SegmentShape>,
    home: Vec<ChunkRecord>,
}

/// A step on the way to the catalog.
pub enum CatalogLoad {
    /// More chunks are needed.
    Fetch(CatalogFetch),
    /// Arrived.
    Ready(Box<Catalog>),
}

/// Why a sealed head does not open, or what it points to is not a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The account has no catalog.
    #[error("the account has no catalog yet: nothing was stored from it")]
    Empty,
    /// Cut short, or too long.
    #[error("a catalog head of {found} bytes: allowed are {HEAD_SEAL_BYTES} to {CATALOG_HEAD_BYTES_MAX}")]
    WrongLength {
        /// Bytes found.
        found: usize,
    },
    /// Written by a later version.
    #[error("catalog head version {version} is unknown to this program")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// The cipher's tag does not fit.
    #[error("the catalog head does not open: it belongs to another owner or was altered")]
    WrongKeyOrOwner,
    /// It opens but is no head.
    #[error("malformed catalog head: {reason}")]
    Malformed {
        /// The decoder's reason.
        reason: String,
    },
    /// Another number of chunks was supplied than wanted.
    #[error("{found} chunks of the catalog supplied, {expected} are wanted")]
    WrongCount {
        /// Chunks supplied.
        found: usize,
        /// Chunks wanted.
        expected: usize,
    },
    /// A chunk of the catalog is not what it should be.
    #[error("a chunk of the catalog: {0}")]
    Chunk(#[from] ChunkError),
    /// The chunks do not make a catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl CatalogHead {
    /// How often the catalog was stored: of two heads the higher generation is the newer.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// When it was stored.
    pub const fn written(&self) -> TimeMs {
        self.written
    }

    /// The shapes of the segments that must be read first.
    pub fn segments(&self) -> &[SegmentShape] {
        &self.list.segments
    }

    /// The bytes for the owner's account: at most 1024.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn seal(&self, keys: &OwnerKeys, owner: &Address) -> Vec<u8> {
        let mut body = borsh::to_vec(self).expect("writing to a vector does not fail");
        let mut nonce = [0; NONCE_LEN];
        // The head key seals every generation, so each needs a nonce of its own. By the birthday bound random 96-bit
        // nonces stay apart for 2^32 generations (NIST SP 800-38D, 8.3).
        getrandom::fill(&mut nonce).expect("the operating system provides randomness");
        let sealing = cipher(keys).seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data(owner)),
            &mut body,
        );
        sealing.expect("a head is far below the cipher's limit");
        [[VERSION].as_slice(), &nonce, &body].concat()
    }

    /// Opens the bytes that stand in the account of `owner`.
    pub fn open(sealed: &[u8], keys: &OwnerKeys, owner: &Address) -> Result<Self, HeadError> {
        let found = sealed.len();
        let Some((version, rest)) = sealed.split_first() else { return Err(HeadError::Empty) };
        if *version != VERSION {
            return Err(HeadError::UnknownVersion { version: *version });
        }
        if !(HEAD_SEAL_BYTES..=CATALOG_HEAD_BYTES_MAX).contains(&found) {
            return Err(HeadError::WrongLength { found });
        }
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(HeadError::WrongLength { found })?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut body = Zeroizing::new(body.to_vec());
        let opened = cipher(keys).open_in_place(nonce, Aad::from(associated_data(owner)), &mut body);
        let body = opened.map_err(|_| HeadError::WrongKeyOrOwner)?;
        decode_exact(body, HEAD_BYTES_MAX).map_err(|error| HeadError::Malformed { reason: error.to_string() })
    }

    /// The first step towards the catalog.
    pub fn fetch(&self) -> CatalogFetch {
        CatalogFetch {
            indexed: self.indexed,
            wanted: self.list.chunks.to_vec(),
            shapes: self.list.segments.to_vec(),
            home: Vec::new(),
        }
    }
}

impl CatalogFetch {
    /// The chunks to fetch, in order.
    pub fn wanted(&self) -> &[ChunkRecord] {
        &self.wanted
    }

    /// The shape of a segment that a wanted chunk lies in.
    pub fn shape(&self, segment: u32) -> Option<SegmentShape> {
        self.shapes.iter().find(|shape| shape.ordinal == segment).copied()
    }

    /// Takes the stored bytes of the wanted chunks, in order; the next step, or the catalog.
    pub fn supply(mut self, stored: Vec<Vec<u8>>) -> Result<CatalogLoad, HeadError> {
        if stored.len() != self.wanted.len() {
            return Err(HeadError::WrongCount { found: stored.len(), expected: self.wanted.len() });
        }
        // A record may claim any length until its chunk is decoded, so nothing is reserved for the sum of claims.
        let mut bytes = Zeroizing::new(Vec::new());
        for (record, stored) in self.wanted.iter().zip(stored) {
            bytes.extend_from_slice(&Zeroizing::new(decode_chunk(record, stored)?));
        }
        self.home.append(&mut self.wanted);
        if self.indexed {
            self.follow_index(&bytes).map(CatalogLoad::Fetch)
        } else {
            self.finish(&bytes).map(CatalogLoad::Ready)
        }
    }

    fn follow_index(mut self, index: &[u8]) -> Result<Self, HeadError> {
        let list: ChunkList<INDEX_CHUNKS_MAX> =
            decode_exact(index, INDEX_BYTES_MAX).map_err(|error| HeadError::Malformed { reason: error.to_string() })?;
        self.shapes.extend(list.segments.iter());
        Ok(Self { indexed: false, wanted: list.chunks.into_inner(), shapes: self.shapes, home: self.home })
    }

    fn finish(self, bytes: &[u8]) -> Result<Box<Catalog>, HeadError> {
        let mut catalog = Catalog::decode(bytes)?;
        catalog.settle(&self.home, &self.shapes);
        Ok(Box::new(catalog))
    }
}

impl<const MAX: usize> ChunkList<MAX> {
    /// The list of `chunks`, with the shapes that `segments` knows; `None` when there are more than `MAX`.
    pub fn new(chunks: Vec<ChunkRecord>, segments: &BTreeMap<u32, SegmentInfo>) -> Option<Self> {
        let mut ordinals: Vec<u32> = chunks.iter().map(|record| record.at.segment).collect();
        ordinals.dedup();
        let known = ordinals.iter().filter_map(|ordinal| segments.get(ordinal));
        let shapes = known.map(SegmentInfo::shape).collect();
        Some(Self { chunks: Bounded::new(chunks).ok()?, segments: Bounded::new(shapes).ok()? })
    }
}

impl Catalog {
    /// Notes where this catalog itself lies; its segments may be unknown to it when it was read from them.
    pub(crate) fn settle(&mut self, home: &[ChunkRecord], shapes: &[SegmentShape]) {
        for SegmentShape { ordinal, layout, roots_digest } in shapes.iter().copied() {
            let fresh = SegmentInfo { ordinal, layout, used_bytes: 0, roots_digest };
            let known = self.segments.entry(ordinal).or_insert(fresh);
            known.roots_digest = known.roots_digest.or(roots_digest);
        }
        self.home.clear();
        for record in home {
            *self.home.entry(record.at.segment).or_default() += u64::from(record.at.stored_len);
            if let Some(segment) = self.segments.get_mut(&record.at.segment) {
                segment.used_bytes = segment.used_bytes.max(record.at.end());
            }
        }
    }
}

fn associated_data(owner: &Address) -> Vec<u8> {
    [OWNER_LABEL, owner.as_bytes()].concat()
}

fn cipher(keys: &OwnerKeys) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, keys.head()).expect("the key has the cipher's 32 bytes"))
}
