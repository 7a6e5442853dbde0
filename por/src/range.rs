//! Verifying a run of leaves against a batch's root: how uploads, downloads and byte ranges are checked (DESIGN section 7).
//!
//! The proof is the least that the verifier lacks: the siblings to the left and right of the run, bottom-up, left first on
//! each level. How many there are follows from the sizes and is never sent. For one leaf they are its opening's siblings.

use crate::hash::{Hash, leaf_hashes};
use crate::layers::Layers;
use crate::merkle::{GROUP_BYTES, GROUP_DEPTH, group_tree, seal};
use crate::meta::{BatchMeta, MetaError};
use crate::tree::{NodeAt, Tree, climb, siblings};
use holdfast_primitives::limits::{BATCH_DEPTH_MAX, LEAF_BYTES};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use thiserror::Error;

/// The siblings beside a run of leaves: at most two per level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeProof {
    hashes: Vec<Hash>,
}

/// Why a run of leaves is not shown to be the batch's.
#[derive(Debug, Error)]
pub enum RangeError {
    /// The meta is not one.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// No leaves, or leaves past the batch's end.
    #[error("leaves {first}..{first}+{count} of a batch of {leaves}")]
    OutOfBatch {
        /// First leaf.
        first: u32,
        /// Leaves asked for.
        count: u64,
        /// Leaves of the batch.
        leaves: u64,
    },
    /// The bytes are not whole leaves.
    #[error("{found} bytes are not whole leaves of {LEAF_BYTES}")]
    BrokenLeaf {
        /// Bytes given.
        found: usize,
    },
    /// More or fewer siblings than this run needs.
    #[error("{found} bytes of siblings, the range needs {expected}")]
    ProofLength {
        /// Bytes given.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The leaves or the siblings are not this batch's.
    #[error("leaves {first}..{first}+{count} do not match the batch's root")]
    Mismatch {
        /// First leaf.
        first: u32,
        /// Leaves given.
        count: u64,
        /// The root that they do lead to; `None` when they lead to none.
        found: Option<Hash>,
    },
    /// The layers are those of a batch of another size.
    #[error("layers of {found} groups, the batch has {expected}")]
    Layers {
        /// Groups of the layers.
        found: usize,
        /// Groups of the batch.
        expected: u64,
    },
    /// A group at the run's edge could not be read.
    #[error("cannot read group {group}: {source}")]
    Read {
        /// The group of 64 KiB.
        group: u32,
        /// The reader's reason.
        source: io::Error,
    },
}

impl RangeProof {
    /// Most bytes a proof can have.
    pub const BYTES_MAX: usize = 2 * 32 * BATCH_DEPTH_MAX as usize;

    /// The siblings laid end to end.
    pub fn as_bytes(&self) -> &[u8] {
        self.hashes.as_flattened()
    }

    /// Reads the proof for `count` leaves from `first` on: exactly as many siblings as that run needs.
    pub fn from_bytes(meta: &BatchMeta, first: u32, count: u32, bytes: &[u8]) -> Result<Self, RangeError> {
        let expected = 32 * range_proof_hashes(meta, first, count)?;
        if bytes.len() != expected {
            return Err(RangeError::ProofLength { found: bytes.len(), expected });
        }
        Ok(Self { hashes: bytes.as_chunks().0.to_vec() })
    }
}

/// How many siblings the proof for `count` leaves from `first` on has.
pub fn range_proof_hashes(meta: &BatchMeta, first: u32, count: u32) -> Result<usize, RangeError> {
    needed(meta, first, count.into()).map(|siblings| siblings.len())
}

/// Whether `leaves` (whole leaves laid end to end) are the batch's leaves from `first` on. Total on any input.
pub fn verify_range(meta: &BatchMeta, first: u32, leaves: &[u8], proof: &RangeProof) -> Result<(), RangeError> {
    let (whole, rest) = leaves.as_chunks();
    if !rest.is_empty() {
        return Err(RangeError::BrokenLeaf { found: leaves.len() });
    }
    let count = whole.len() as u64;
    let expected = 32 * needed(meta, first, count)?.len();
    if proof.as_bytes().len() != expected {
        return Err(RangeError::ProofLength { found: proof.as_bytes().len(), expected });
    }
    let top = climb(meta.depth(), first, leaf_hashes(whole).collect(), &proof.hashes);
    match top.map(|top| seal(meta.batch_log2, &top)) {
        Some(root) if root == meta.root => Ok(()),
        found => Err(RangeError::Mismatch { first, count, found }),
    }
}

/// Builds the proof for `count` leaves from `first` on. `read_group` fills 64 KiB of the batch; it is called only for the
/// groups at the run's edges, and not at all for a run of whole groups.
pub fn range_proof(
    meta: &BatchMeta,
    layers: &Layers,
    first: u32,
    count: u32,
    mut read_group: impl FnMut(u32, &mut [u8]) -> io::Result<()>,
) -> Result<RangeProof, RangeError> {
    let needed = needed(meta, first, count.into())?;
    let expected = meta.leaves() >> GROUP_DEPTH;
    if layers.groups() as u64 != expected {
        return Err(RangeError::Layers { found: layers.groups(), expected });
    }
    let mut edges = BTreeMap::new();
    for group in needed.iter().filter_map(group_below) {
        if let Entry::Vacant(vacant) = edges.entry(group) {
            vacant.insert(read_tree(group, &mut read_group)?);
        }
    }
    let hashes = needed.iter().map(|at| node(layers, &edges, at)).collect();
    Ok(RangeProof { hashes })
}

/// The siblings of a run that lies within the batch.
fn needed(meta: &BatchMeta, first: u32, count: u64) -> Result<Vec<NodeAt>, RangeError> {
    meta.check()?;
    let (leaves, end) = (meta.leaves(), u64::from(first).saturating_add(count));
    if count == 0 || end > leaves {
        return Err(RangeError::OutOfBatch { first, count, leaves });
    }
    let last = u32::try_from(end - 1).expect("a batch has at most 2^18 leaves");
    Ok(siblings(meta.depth(), first, last))
}

/// The group in which a node below the kept layers lies.
fn group_below(at: &NodeAt) -> Option<u32> {
    (at.level < GROUP_DEPTH).then(|| at.index >> (GROUP_DEPTH - at.level))
}

fn read_tree(group: u32, read_group: &mut impl FnMut(u32, &mut [u8]) -> io::Result<()>) -> Result<Tree, RangeError> {
    let mut bytes = [0; GROUP_BYTES];
    read_group(group, &mut bytes).map_err(|source| RangeError::Read { group, source })?;
    Ok(group_tree(&bytes))
}

fn node(layers: &Layers, edges: &BTreeMap<u32, Tree>, at: &NodeAt) -> Hash {
    let found = match group_below(at) {
        None => layers.node(NodeAt { level: at.level - GROUP_DEPTH, index: at.index }),
        Some(group) => {
            let first = group << (GROUP_DEPTH - at.level);
            edges.get(&group).and_then(|tree| tree.node(NodeAt { level: at.level, index: at.index - first }))
        }
    };
    found.expect("the layers have the batch's size and every edge group was read")
}
