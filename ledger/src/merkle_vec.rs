//! The one structure every table of the state is made of: dense records and the SHA-256 tree over them.
//!
//! ```text
//! leaf_i = SHA256(0x00 | borsh(record_i))
//! node   = SHA256(0x01 | left | right);  a subtree without leaves is EMPTY, and node(EMPTY, EMPTY) = EMPTY
//! top    = the tree of the smallest power-of-two width that fits the records; EMPTY when there are none
//! root   = SHA256(0x02 | u64le len | top)
//! ```
//!
//! Inner hashes lie in the pages of the records: 32 bytes per record. Leaf hashes are not kept; a record is its leaf,
//! hashed again when its neighbour changes or a proof needs it. [`MerkleVec::seal`] hashes what changed, each node
//! once. A clone costs one counter.

use crate::pages::{Body, FAN, FAN_LOG2, Page, Pages, span};
use borsh::BorshSerialize;
use holdfast_primitives::merkle::{self, EMPTY};
use holdfast_primitives::sha256_parts;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::sync::Arc;

/// A node of the tree.
pub type Hash = [u8; 32];

/// Changes from which sealing is spread over threads.
const PARALLEL_CHANGES: usize = 4_096;

/// Dense records and their tree.
#[derive(Clone, Debug)]
pub struct MerkleVec<T> {
    pages: Pages<T, Inner>,
    /// At most this many records changed since the last seal.
    changes: usize,
    sealed_len: usize,
    root: Hash,
}

/// The 63 inner nodes over a page's 64 children as a heap: the top at 1, the children of `i` at `2i` and `2i + 1`.
#[derive(Clone, Debug)]
struct Inner([Hash; FAN]);

/// Who is told the bytes of changed records while they are hashed. Parts run on several threads and are joined in
/// ascending order.
pub(crate) trait Changes: Send {
    /// An empty collector of the same kind, for a part of the tree.
    fn part(&self) -> Self;
    /// Record `index` is now `record`.
    fn put(&mut self, index: usize, record: &[u8]);
    /// Record `index` is gone; told after all others.
    fn remove(&mut self, index: usize);
    /// Takes what was collected further right.
    fn join(&mut self, later: Self);
}

/// Nobody is told.
impl Changes for () {
    fn part(&self) -> Self {}
    fn put(&mut self, _index: usize, _record: &[u8]) {}
    fn remove(&mut self, _index: usize) {}
    fn join(&mut self, (): Self) {}
}

impl<T: Clone + BorshSerialize + Send + Sync> MerkleVec<T> {
    /// No records, sealed.
    pub fn new() -> Self {
        Self { pages: Pages::new(), changes: 0, sealed_len: 0, root: vector_root(0, &EMPTY) }
    }

    /// Takes the records and seals.
    pub fn load(records: impl IntoIterator<Item = T>) -> Self {
        let mut vector = Self::new();
        records.into_iter().for_each(|record| vector.push(record));
        vector.seal();
        vector
    }

    /// How many records there are.
    pub const fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Record `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index)
    }

    /// All records in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter()
    }

    /// Record `index` to change; its leaf is hashed anew at the next seal.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.changes += 1;
        self.pages.get_mut(index)
    }

    /// Appends a record.
    pub fn push(&mut self, record: T) {
        self.changes += 1;
        self.pages.push(record);
    }

    /// Takes the last record off.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        let record = self.pages.get(last).cloned();
        self.truncate(last);
        record
    }

    /// Drops every record from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.changes += 1;
        self.pages.truncate(len);
    }

    /// Calls `change` with every record, touching each page once. It returns whether it changed the
    /// record; a change that is denied would be seen by readers but not by the root.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(usize, &mut T) -> bool) {
        let mut changes = 0;
        self.pages.for_each_mut(&mut |index, record| {
            let changed = change(index, record);
            changes += usize::from(changed);
            changed
        });
        self.changes += changes;
    }

    /// Hashes what changed since the last seal and returns the new root.
    pub fn seal(&mut self) -> Hash {
        self.seal_into(&mut ())
    }

    /// The root as of the last seal.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// How many records there were at the last seal.
    pub const fn sealed_len(&self) -> usize {
        self.sealed_len
    }

    /// The siblings of record `index` from its leaf up, as of the last seal, when nothing may have changed since;
    /// `None` when there was no such record.
    pub fn proof(&self, index: usize) -> Option<Vec<Hash>> {
        self.proof_in_prefix(self.sealed_len, index)
    }

    /// The root as it was when there were only the first `len` records, if those have not changed since.
    /// Takes at most one hash per level. `None` when there are fewer.
    pub fn root_of_prefix(&self, len: usize) -> Option<Hash> {
        let known = len <= self.sealed_len.min(self.len());
        known.then(|| vector_root(len as u64, &self.subtree(height(len as u64), 0, len)))
    }

    /// The proof of record `index` under [`MerkleVec::root_of_prefix`]; `None` when it is not among the first `len`
    /// or there are fewer.
    pub fn proof_in_prefix(&self, len: usize, index: usize) -> Option<Vec<Hash>> {
        let known = len <= self.sealed_len.min(self.len()) && index < len;
        known.then(|| (0..height(len as u64)).map(|level| self.subtree(level, index >> level ^ 1, len)).collect())
    }

    /// [`MerkleVec::seal`], telling `changes` the bytes of every record that changed and which ones are gone.
    pub(crate) fn seal_into<C: Changes>(&mut self, changes: &mut C) -> Hash {
        if self.changes > 0 {
            let parallel = self.changes > PARALLEL_CHANGES;
            let level = self.pages.levels();
            seal_page(Arc::make_mut(self.pages.root_mut()), 0, level, parallel, changes);
            (self.len()..self.sealed_len).for_each(|gone| changes.remove(gone));
            self.changes = 0;
            self.sealed_len = self.len();
            let top = self.subtree(height(self.sealed_len as u64), 0, self.sealed_len);
            self.root = vector_root(self.sealed_len as u64, &top);
        }
        self.root
    }

    /// The node over the `2^height` leaves from `index << height` on, as it was with only the first `len` records.
    pub(crate) fn subtree(&self, height: u32, index: usize, len: usize) -> Hash {
        let start = index << height;
        if start >= len {
            return EMPTY;
        }
        if start + (1 << height) <= len || len == self.sealed_len && len == self.len() {
            return self.stored(height, index);
        }
        parent(&self.subtree(height - 1, 2 * index, len), &self.subtree(height - 1, 2 * index + 1, len))
    }

    /// The node as the last seal left it; it must lie above an existing record.
    fn stored(&self, height: u32, index: usize) -> Hash {
        if height == 0 {
            let record = self.pages.get(index).expect("the caller checked the index");
            return leaf_of(record, &mut Vec::new());
        }
        let (level, in_page) = ((height - 1) / FAN_LOG2, (height - 1) % FAN_LOG2);
        let across = 1 << (FAN_LOG2 - 1 - in_page);
        self.pages.page(level, index << height).summary.0[across + index % across]
    }
}

impl<T: Clone + BorshSerialize + Send + Sync> Default for MerkleVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self([EMPTY; FAN])
    }
}

impl Inner {
    /// Hashes every node above a child whose bit is set in `dirty`, each once, from the bottom up.
    fn rehash(&mut self, dirty: u64, mut child: impl FnMut(usize) -> Hash) {
        let mut touched: u64 = 0;
        for pair in (0..FAN / 2).filter(|pair| dirty >> (2 * pair) & 0b11 != 0) {
            self.0[FAN / 2 + pair] = parent(&child(2 * pair), &child(2 * pair + 1));
            touched |= 1 << (FAN / 2 + pair);
        }
        for node in (1..FAN / 2).rev() {
            if touched >> (2 * node) & 0b11 != 0 {
                self.0[node] = parent(&self.0[2 * node], &self.0[2 * node + 1]);
                touched |= 1 << node;
            }
        }
    }
}

/// Whether `record` is entry `index` of the vector of `len` records with root `root`. Total: any bytes get an answer.
pub fn verify_record(root: &Hash, len: u64, index: u64, record: &[u8], proof: &[Hash]) -> bool {
    if index >= len || proof.len() != height(len) as usize {
        return false;
    }
    let (top, _) = proof.iter().fold((merkle::leaf(record), index), |(node, index), sibling| {
        (if index & 1 == 0 { parent(&node, sibling) } else { parent(sibling, &node) }, index >> 1)
    });
    vector_root(len, &top) == *root
}

fn seal_page<T, C>(page: &mut Page<T, Inner>, first: usize, level: u32, parallel: bool, changes: &mut C)
where
    T: Clone + BorshSerialize + Send + Sync,
    C: Changes,
{
    let dirty = std::mem::take(&mut page.dirty);
    match &mut page.body {
        Body::Records(records) => seal_records(records, &mut page.summary, dirty, first, changes),
        Body::Pages(pages) => {
            let below = pages.iter_mut().enumerate().filter(|(slot, below)| dirty >> slot & 1 == 1 && below.dirty != 0);
            let below = below.map(|(slot, below)| (first + slot * span(level), below));
            if parallel {
                seal_in_parallel(below.collect(), level - 1, changes);
            } else {
                below.for_each(|(first, below)| seal_page(Arc::make_mut(below), first, level - 1, false, changes));
            }
            page.summary.rehash(dirty, |slot| pages.get(slot).map_or(EMPTY, |below| below.summary.0[1]));
        }
    }
}

fn seal_in_parallel<T, C>(pages: Vec<(usize, &mut Arc<Page<T, Inner>>)>, level: u32, changes: &mut C)
where
    T: Clone + BorshSerialize + Send + Sync,
    C: Changes,
{
    let parts: Vec<_> = pages.into_iter().map(|(first, page)| (first, page, changes.part())).collect();
    let told: Vec<C> = parts
        .into_par_iter()
        .map(|(first, page, mut part)| {
            seal_page(Arc::make_mut(page), first, level, level > 1, &mut part);
            part
        })
        .collect();
    told.into_iter().for_each(|part| changes.join(part));
}

fn seal_records<T: BorshSerialize>(
    records: &[T],
    inner: &mut Inner,
    dirty: u64,
    first: usize,
    changes: &mut impl Changes,
) {
    let mut bytes = Vec::with_capacity(128);
    inner.rehash(dirty, |slot| {
        let Some(record) = records.get(slot) else { return EMPTY };
        let leaf = leaf_of(record, &mut bytes);
        if dirty >> slot & 1 == 1 {
            changes.put(first + slot, &bytes);
        }
        leaf
    });
}

/// The record's leaf; its borsh is left in `bytes`.
fn leaf_of<T: BorshSerialize>(record: &T, bytes: &mut Vec<u8>) -> Hash {
    bytes.clear();
    record.serialize(bytes).expect("a record encodes into memory");
    merkle::leaf(bytes)
}

pub(crate) fn parent(left: &Hash, right: &Hash) -> Hash {
    if *left == EMPTY && *right == EMPTY { EMPTY } else { merkle::node(left, right) }
}

/// Levels of nodes above the leaves of `len` records: log2 of the smallest power of two that is not below `len`.
pub(crate) const fn height(len: u64) -> u32 {
    if len <= 1 { 0 } else { u64::BITS - (len - 1).leading_zeros() }
}

pub(crate) fn vector_root(len: u64, top: &Hash) -> Hash {
    sha256_parts(&[&[0x02], &len.to_le_bytes(), top])
}
