//! Every limit of this room, tied to its neighbours by compile-time assertions.

use holdfast_primitives::limits::{BATCH_LOG2_MIN, CATALOG_HEAD_BYTES_MAX};

/// Smallest chunk that is cut from a longer file, in bytes.
pub const CHUNK_BYTES_MIN: usize = 64 * 1024;
/// The size that cut points aim at, in bytes.
pub const CHUNK_BYTES_AVERAGE: usize = 256 * 1024;
/// Largest chunk in bytes: 1 MiB less 64, so that a sealed chunk fits a segment of one smallest batch.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024 - 64;
/// Plaintext bytes of a chunk that are compressed by themselves: what a reader of one compressed byte must fetch.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Frames of a chunk, at most.
pub const CHUNK_FRAMES_MAX: usize = CHUNK_BYTES_MAX.div_ceil(FRAME_BYTES);
/// Bytes that sealing adds: the cipher's tag.
pub const SEAL_BYTES: usize = 16;
/// Largest sealed chunk in bytes.
pub const STORED_BYTES_MAX: usize = CHUNK_BYTES_MAX + SEAL_BYTES;
/// Bytes read ahead of the cutter: the plaintext in flight. Also bounds the sealed bytes in flight.
pub const READ_AHEAD_BYTES: usize = 8 * 1024 * 1024;
/// Width of one step of the erasure code, in bytes of every batch.
pub const STRIPE_BYTES: usize = 1024 * 1024;
/// Bytes of every batch that are coded at once: what of a step one thread holds in its own cache.
pub const CODED_BYTES: usize = 64 * 1024;

/// Bytes of a path, at most.
pub const PATH_BYTES_MAX: usize = 4096;
/// Chunks of one owner, at most. With the average chunk: 4 TiB.
pub const CATALOG_CHUNKS_MAX: usize = 1 << 24;
/// Files of one owner, at most.
pub const CATALOG_FILES_MAX: usize = 1 << 24;
/// Segments that one catalog speaks of, at most.
pub const CATALOG_SEGMENTS_MAX: usize = 1 << 22;
/// Bytes of an encoded catalog, at most.
pub const CATALOG_BYTES_MAX: usize = 1 << 31;

/// Chunks of a file that can be handed on by an excerpt, at most. With the average chunk: 256 GiB.
pub const EXCERPT_CHUNKS_MAX: usize = 1 << 20;
/// Segments of such a file, at most.
pub const EXCERPT_SEGMENTS_MAX: usize = 1 << 17;
/// Bytes of an encoded excerpt, at most.
pub const EXCERPT_BYTES_MAX: usize =
    8 + 4 + 4 + EXCERPT_CHUNKS_MAX * CHUNK_RECORD_BYTES_MAX + EXCERPT_SEGMENTS_MAX * SEGMENT_SHAPE_BYTES_MAX;

/// Chunks that a catalog head names itself; a longer list lies in chunks of its own.
pub const HEAD_CHUNKS_MAX: usize = 6;
/// Bytes of an encoded chunk record, at most.
pub const CHUNK_RECORD_BYTES_MAX: usize = 32 + 32 + 4 + 4 + 2 * CHUNK_FRAMES_MAX + 16;
/// Bytes of an encoded segment shape, at most.
pub const SEGMENT_SHAPE_BYTES_MAX: usize = 8 + 1 + 32;
/// Bytes of an encoded catalog head, at most: generation, time, flag, two counted lists.
pub const HEAD_BYTES_MAX: usize =
    8 + 8 + 1 + 4 + 4 + HEAD_CHUNKS_MAX * (CHUNK_RECORD_BYTES_MAX + SEGMENT_SHAPE_BYTES_MAX);
/// Bytes that sealing a head adds: version, nonce, tag.
pub const HEAD_SEAL_BYTES: usize = 1 + 12 + SEAL_BYTES;
/// Catalog chunks that one index lists, at most.
pub const INDEX_CHUNKS_MAX: usize = CATALOG_BYTES_MAX.div_ceil(CHUNK_BYTES_MAX);
/// Bytes of an encoded index, at most.
pub const INDEX_BYTES_MAX: usize = 4 + 4 + INDEX_CHUNKS_MAX * (CHUNK_RECORD_BYTES_MAX + SEGMENT_SHAPE_BYTES_MAX);

const _: () = assert!(CHUNK_BYTES_MIN < CHUNK_BYTES_AVERAGE && CHUNK_BYTES_AVERAGE < CHUNK_BYTES_MAX);
const _: () =
    assert!(CHUNK_BYTES_MIN.is_multiple_of(2) && CHUNK_BYTES_MAX.is_multiple_of(2), "the cutter tests bytes in pairs");
const _: () = assert!(STORED_BYTES_MAX <= 1 << BATCH_LOG2_MIN, "a sealed chunk fits the smallest segment");
const _: () = assert!(FRAME_BYTES <= 1 << 16, "the length of a frame that became smaller fits 16 bits");
const _: () = assert!(CHUNK_BYTES_MAX < READ_AHEAD_BYTES, "a whole chunk fits the buffer it is cut in");
const _: () = assert!((1usize << BATCH_LOG2_MIN).is_multiple_of(STRIPE_BYTES), "stripes tile every batch");
const _: () = assert!(STRIPE_BYTES.is_multiple_of(CODED_BYTES), "coded pieces tile every stripe");
const _: () = assert!(HEAD_BYTES_MAX + HEAD_SEAL_BYTES <= CATALOG_HEAD_BYTES_MAX, "a sealed head fits the account");
const _: () = assert!(INDEX_BYTES_MAX <= HEAD_CHUNKS_MAX * CHUNK_BYTES_MAX, "a head reaches the longest index");
