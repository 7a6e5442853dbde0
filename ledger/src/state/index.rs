//! From a name to a record number: a persistent hash trie beside the state, not part of its root.
//!
//! It holds 32 bits of a hash and a number per entry, never the name: that lies in the record, where the caller
//! compares it. About 20 bytes per entry. A clone costs one counter; an insertion copies one leaf (at most 512 bytes) and its
//! few ancestors, so it stays cheap while older clones live. The hash is keyed at random per process, so nobody can
//! choose addresses that all meet in one leaf; nothing that is signed or hashed depends on it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Entries from which a leaf splits.
const LEAF_ENTRIES: usize = 64;
/// Bits of the hash that choose a child.
const STEP_BITS: u32 = 4;
/// Children of a branch.
const CHILDREN: usize = 1 << STEP_BITS;
/// Levels of branches: below the last the hash has no bits left, and a leaf grows instead.
const LEVELS_MAX: u32 = u32::BITS / STEP_BITS;

/// Numbers by the hash of their names.
#[derive(Clone, Debug)]
pub(super) struct NumberIndex {
    hasher: RandomState,
    root: Arc<Trie>,
}

#[derive(Clone, Debug)]
enum Trie {
    Leaf(Vec<Entry>),
    Branch([Arc<Trie>; CHILDREN]),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    number: u32,
}

impl NumberIndex {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), root: Arc::new(Trie::Leaf(Vec::new())) }
    }

    /// The number of `name`; `is_it` compares a candidate's name.
    pub(super) fn get(&self, name: &impl Hash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(name);
        let mut trie = &*self.root;
        let mut level = 0;
        while let Trie::Branch(children) = trie {
            trie = &children[step(hash, level)];
            level += 1;
        }
        let Trie::Leaf(entries) = trie else { return None };
        entries.iter().find(|entry| entry.hash == hash && is_it(entry.number)).map(|entry| entry.number)
    }

    /// Adds a name that is not there yet.
    pub(super) fn insert(&mut self, name: &impl Hash, number: u32) {
        let hash = self.hash(name);
        insert(&mut self.root, 0, Entry { hash, number });
    }

    fn hash(&self, name: &impl Hash) -> u32 {
        self.hasher.hash_one(name) as u32
    }
}

fn insert(trie: &mut Arc<Trie>, level: u32, entry: Entry) {
    let trie = Arc::make_mut(trie);
    match trie {
        Trie::Branch(children) => insert(&mut children[step(entry.hash, level)], level + 1, entry),
        Trie::Leaf(entries) if entries.len() < LEAF_ENTRIES || level == LEVELS_MAX => entries.push(entry),
        Trie::Leaf(entries) => {
            let entries = std::mem::take(entries);
            *trie = Trie::Branch(std::array::from_fn(|_| Arc::new(Trie::Leaf(Vec::new()))));
            let Trie::Branch(children) = trie else { return };
            for entry in entries.into_iter().chain([entry]) {
                insert(&mut children[step(entry.hash, level)], level + 1, entry);
            }
        }
    }
}

const fn step(hash: u32, level: u32) -> usize {
    (hash >> (level * STEP_BITS)) as usize & (CHILDREN - 1)
}

#[cfg(test)]
mod tests {
    use super::NumberIndex;

    /// Equal names have equal hashes: as bad as any attacker could make it.
    #[test]
    fn names_that_all_meet_in_one_leaf_are_told_apart_by_their_records() {
        let mut index = NumberIndex::new();
        (0..300).for_each(|number| index.insert(&"everybody", number));
        let before = index.clone();
        index.insert(&"everybody", 300);
        assert!((0..=300).all(|number| index.get(&"everybody", |candidate| candidate == number) == Some(number)));
        assert_eq!(index.get(&"everybody", |_| false), None);
        assert_eq!(index.get(&"nobody", |_| true), None);
        assert_eq!(before.get(&"everybody", |candidate| candidate == 300), None);
    }
}
