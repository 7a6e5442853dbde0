//! A perfect binary tree, seen from both sides: the prover keeps all nodes, the verifier climbs with siblings.

use crate::hash::Hash;
use holdfast_primitives::lanes::LANES;
use holdfast_primitives::merkle::{node, parents};

/// All nodes of a perfect tree in one list, bottom level first, so that nodes `2i` and `2i + 1` of the list are the
/// children of node `width + i`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: Vec<Hash>,
}

/// A node's place: level 0 is the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeAt {
    pub(crate) level: u8,
    pub(crate) index: u32,
}

impl Tree {
    /// Hashes upwards from `bottom`, whose length is a power of two.
    pub(crate) fn grow(bottom: Vec<Hash>) -> Self {
        assert!(bottom.len().is_power_of_two(), "a perfect tree over {} nodes", bottom.len());
        let (mut from, mut width) = (0, bottom.len());
        let mut nodes = bottom;
        nodes.resize(2 * width - 1, [0; 32]);
        while width > 1 {
            let (below, above) = nodes.split_at_mut(from + width);
            parents(&below[from..], &mut above[..width / 2]);
            (from, width) = (from + width, width / 2);
        }
        Self { nodes }
    }

    /// Takes all nodes of a tree as [`Tree::nodes`] gave them, so many as a perfect tree has; `None` unless every inner
    /// node hashes its children.
    pub(crate) fn check(nodes: Vec<Hash>) -> Option<Self> {
        let width = nodes.len().div_ceil(2);
        let sound = (width..nodes.len()).all(|i| {
            let left = 2 * (i - width);
            nodes[i] == node(&nodes[left], &nodes[left + 1])
        });
        sound.then_some(Self { nodes })
    }

    pub(crate) fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    pub(crate) fn width(&self) -> usize {
        self.nodes.len().div_ceil(2)
    }

    pub(crate) fn top(&self) -> Hash {
        self.nodes[self.nodes.len() - 1]
    }

    /// The node at `at`, if the tree has it.
    pub(crate) fn node(&self, at: NodeAt) -> Option<Hash> {
        let inside = (at.index as usize) < self.width() >> at.level;
        if inside { self.nodes.get(offset(self.width(), at)).copied() } else { None }
    }
}

/// Where a node of a tree over `width` stands in the list of all nodes.
pub(crate) fn offset(width: usize, at: NodeAt) -> usize {
    2 * width - ((2 * width) >> at.level) + at.index as usize
}

/// The nodes that a verifier of bottom nodes `first..=last` lacks, in a tree of `depth` levels above the bottom: upwards,
/// and on one level the left one first. For a single node this is its sibling on every level.
pub(crate) fn siblings(depth: u8, first: u32, last: u32) -> Vec<NodeAt> {
    let mut needed = Vec::with_capacity(2 * usize::from(depth));
    for level in 0..depth {
        let (left, right) = (first >> level, last >> level);
        if left % 2 == 1 {
            needed.push(NodeAt { level, index: left - 1 });
        }
        if right.is_multiple_of(2) {
            needed.push(NodeAt { level, index: right + 1 });
        }
    }
    needed
}

/// The top of a tree of `depth` levels from its consecutive bottom nodes, of which `first` is the first, and from
/// `siblings` in the order of [`siblings`]. `None` when siblings are missing or left over.
pub(crate) fn climb(depth: u8, first: u32, mut hashes: Vec<Hash>, siblings: &[Hash]) -> Option<Hash> {
    let mut siblings = siblings.iter();
    for level in 0..depth {
        let starts_right = (first >> level) % 2 == 1;
        climb_level(starts_right, &mut hashes, &mut siblings)?;
    }
    let all_used = siblings.next().is_none() && hashes.len() == 1;
    if all_used { hashes.first().copied() } else { None }
}

/// Replaces consecutive nodes by their parents, in place.
fn climb_level<'a>(
    starts_right: bool,
    hashes: &mut Vec<Hash>,
    siblings: &mut impl Iterator<Item = &'a Hash>,
) -> Option<()> {
    let (mut read, mut write) = (0, 0);
    if starts_right {
        *hashes.first_mut()? = node(siblings.next()?, hashes.first()?);
        (read, write) = (1, 1);
    }
    while let Some(&children) = hashes[read..].first_chunk::<{ 2 * LANES }>() {
        parents(&children, &mut hashes[write..write + LANES]);
        (read, write) = (read + 2 * LANES, write + LANES);
    }
    while read < hashes.len() {
        let parent = match hashes.get(read + 1) {
            Some(right) => node(&hashes[read], right),
            None => node(&hashes[read], siblings.next()?),
        };
        hashes[write] = parent;
        (read, write) = (read + 2, write + 1);
    }
    hashes.truncate(write);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::climb;
    use holdfast_primitives::merkle::node;

    #[test]
    fn climbing_takes_exactly_the_siblings_it_needs() {
        let [a, b, c, d] = [[1; 32], [2; 32], [3; 32], [4; 32]];
        let top = node(&node(&a, &b), &node(&c, &d));
        assert_eq!(climb(2, 1, vec![b, c], &[a, d]), Some(top));
        assert_eq!(climb(2, 1, vec![b, c], &[a]), None, "one is missing");
        assert_eq!(climb(2, 1, vec![b, c], &[a, d, d]), None, "one is left over");
        assert_eq!(climb(1, 0, vec![a, b, c, d], &[]), None, "more leaves than the tree has");
        assert_eq!(climb(2, 0, vec![], &[a, b]), None, "no leaves");
    }
}
