//! The proposed blocks of the height that is being decided: a copy in memory of what the application keeps on disk,
//! with the openings under which they were streamed.

use super::part::Opening;
use crate::app::Undecided;
use holdfast_primitives::{Address, BlockHash, Height};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks kept of one round. Honest proposers make one; more come from one that equivocates, and any of the first few
/// may be the one that two thirds vote for. Beyond that only catching up will tell.
const BLOCKS_PER_ROUND_MAX: usize = 4;

/// Names a proposal within its height.
pub(crate) type ProposalKey = (u32, BlockHash);

/// The blocks proposed for one height.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    height: Height,
    blocks: BTreeMap<ProposalKey, Undecided>,
    openings: BTreeMap<ProposalKey, Opening>,
    judged: BTreeSet<ProposalKey>,
    synced: bool,
}

impl Kept {
    /// Starts over at `height` with what the application kept.
    pub(crate) fn begin(&mut self, height: Height, recalled: Vec<Undecided>) {
        let blocks = recalled.into_iter().map(|kept| ((kept.round, kept.hash), kept));
        *self = Self { height, blocks: blocks.collect(), ..Self::default() };
    }

    /// The height these blocks are for.
    pub(crate) const fn height(&self) -> Height {
        self.height
    }

    /// Whether somebody should judge this proposal; says so once only.
    pub(crate) fn claim(&mut self, height: Height, key: ProposalKey) -> bool {
        let of_round = self.judged.iter().filter(|(round, _)| *round == key.0).count();
        height == self.height
            && !self.blocks.contains_key(&key)
            && of_round < BLOCKS_PER_ROUND_MAX
            && self.judged.insert(key)
    }

    /// Adds a block that the application has on disk; one of another height is ignored.
    pub(crate) fn insert(&mut self, kept: Undecided, opening: Option<Opening>) {
        if kept.height != self.height {
            return;
        }
        let key = (kept.round, kept.hash);
        self.openings.extend(opening.map(|opening| (key, opening)));
        self.blocks.insert(key, kept);
    }

    /// Notes that this height's block came from a peer that is ahead.
    pub(crate) const fn mark_synced(&mut self) {
        self.synced = true;
    }

    /// Whether this height's block came from a peer that is ahead.
    pub(crate) const fn synced(&self) -> bool {
        self.synced
    }

    /// The block with this hash, whatever its round; one that is valid if there is one.
    pub(crate) fn by_hash(&self, hash: &BlockHash) -> Option<&Undecided> {
        let same = || self.blocks.values().filter(|kept| kept.hash == *hash);
        same().find(|kept| kept.valid).or_else(|| same().next())
    }

    /// What `proposer` made in `round`.
    pub(crate) fn made_by(&self, proposer: &Address, round: u32) -> Option<&Undecided> {
        self.blocks.values().find(|kept| kept.round == round && kept.proposer == *proposer && kept.valid)
    }

    /// All blocks, in order of rounds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Undecided> {
        self.blocks.values()
    }

    /// The opening under which this block was streamed in this round.
    pub(crate) fn opening(&self, key: &ProposalKey) -> Option<&Opening> {
        self.openings.get(key)
    }
}
