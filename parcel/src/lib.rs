//! Files to batches and back: chunk, dedupe, compress, encrypt, pack, code; and the owner's encrypted catalog.
//!
//! Writing, top to bottom: [`Packer::add_file`] cuts a reader's bytes ([`Chunker`]), leaves out what the owner has
//! stored before ([`OwnerKeys::chunk_id`], [`Catalog::find_chunk`]), seals the rest ([`seal_chunk`]), lays it end to
//! end into a segment, and hands each full [`PackedSegment`] to the caller's [`SegmentSink`], which streams its
//! `k + m` batches out ([`PackedSegment::write_batches`]). [`Packer::finish`] stores the catalog the same way and
//! returns the [`CatalogHead`] for the owner's account.
//!
//! Reading: [`CatalogHead::open`], then [`CatalogFetch`] until the [`Catalog`] is there; [`Catalog::pieces`] says which
//! chunks a byte range of a file needs, [`plan_read`] which batch ranges hold them, [`Fetched`] gathers what came
//! (and rebuilds what was lost from any `k` batches), [`decode_chunk`] gives the plaintext; [`ChunkSlice`] a part of it.
//!
//! This room is sync and pure: readers, writers and the space a segment is filled in are the caller's. It must never
//! know a clock, a socket, a disk, who holds a batch, or what anything costs. It hands out batch bytes; their trees and
//! proofs belong to `por`.

mod catalog;
mod chunk;
mod chunker;
mod code;
mod excerpt;
mod file;
mod head;
mod keys;
mod layout;
pub mod limits;
mod pack;
mod path;
mod read;
mod segment;
mod slice;
mod table;
mod wire;

pub use catalog::{Catalog, CatalogError, SegmentInfo, roots_digest};
pub use chunk::{ChunkError, ChunkRecord, SealedChunk, decode_chunk, seal_chunk};
pub use chunker::Chunker;
pub use code::{CodeError, ErasureCode};
pub use excerpt::{Excerpt, ExcerptError};
pub use file::{FileMeta, FileRecord, Piece, content_hash};
pub use head::{CatalogFetch, CatalogHead, CatalogLoad, HeadError, SegmentShape};
pub use keys::{ChunkId, ChunkKey, OwnerKeys};
pub use layout::{BatchSpan, Layout, LayoutError, Locator};
pub use pack::{FileAdded, Finish, PackError, PackStats, Packer, SegmentSink};
pub use path::{FilePath, PathError};
pub use read::{Fetched, ReadError, plan_read};
pub use segment::{MemorySpace, PackedSegment, SegmentSpace, Stripe, Stripes};
pub use slice::{ChunkSlice, PieceRead};
