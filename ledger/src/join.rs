//! How a new node takes a state over from others and believes none of them.
//!
//! ```text
//! Trusted (follow.rs) -> Manifest: block, certificate, roots, lengths        checked before any record is asked for
//!                     -> Chunk after Chunk: runs of records of one table     each checked on arrival against the roots
//!                     -> State::load                                        everything hashed once more at the end
//! ```
//! Every table is a Merkle vector, so a run of its records and the hashes beside it lead to the table's root: a chunk that
//! lies is known at once and so is who sent it. The lists of the holders hang from the holders' records, which come first.
//! The server decides how many records fit a chunk; the asker says where to begin and where to end at the latest.

mod chunk;
mod manifest;

pub(crate) use chunk::RUNS_MAX;
pub use chunk::{Chunk, ChunkAsk, ChunkError, ListIndex, Run, Verified};
pub use manifest::{CheckedManifest, MANIFEST_BYTES_MAX, Manifest, ManifestError, TableTop};

pub use holdfast_primitives::limits::SNAPSHOT_CHUNK_BYTES_MAX as CHUNK_BYTES_MAX;
