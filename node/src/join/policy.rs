//! By which way an empty database comes to the newest state. Pure: what the peers offer goes in, a decision comes out.

use holdfast_network::wire::SourceOffer;
use holdfast_primitives::{BlockHash, Height};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Blocks from which on a snapshot is taken where both ways are open.
const BLOCKS_MAX: u64 = 5_000;

/// The way that the operator chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// A snapshot where the chain is long or its first blocks are gone, else blocks.
    #[default]
    Auto,
    /// A snapshot in any case.
    Snapshot,
    /// Every block from the first on.
    Blocks,
}

/// A block that is on the chain for certain, had from people one trusts; as text `HEIGHT:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The block's height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no checkpoint: write a block's height and hash as HEIGHT:HASH")]
pub struct CheckpointError {
    /// What was given, cut to 100 characters.
    pub text: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Fetch every block.
    Blocks,
    /// Fetch a snapshot.
    Snapshot,
    /// Nobody has what is needed; ask again.
    Wait,
}

/// Decides by what those who answered offer.
pub(crate) fn decide(mode: SyncMode, offers: &[SourceOffer]) -> Decision {
    let snapshot = offers.iter().any(|offer| !offer.snapshots.is_empty());
    let blocks = offers.iter().any(|offer| offer.blocks_from <= Height::GENESIS.next());
    let tip = offers.iter().map(|offer| offer.tip.get()).max().unwrap_or(0);
    match mode {
        SyncMode::Blocks => Decision::Blocks,
        _ if offers.is_empty() => Decision::Wait,
        SyncMode::Snapshot | SyncMode::Auto
            if snapshot && (mode == SyncMode::Snapshot || !blocks || tip > BLOCKS_MAX) =>
        {
            Decision::Snapshot
        }
        SyncMode::Auto if blocks => Decision::Blocks,
        SyncMode::Snapshot | SyncMode::Auto => Decision::Wait,
    }
}

/// The first block that anyone who answered still has, where that is too late for a node whose newest block is `tip`.
pub(crate) fn history_gone(tip: Height, offers: &[SourceOffer]) -> Option<Height> {
    let first = offers.iter().map(|offer| offer.blocks_from).min()?;
    (first > tip.next()).then_some(first)
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height, self.hash)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let read = || {
            let (height, hash) = text.split_once(':')?;
            Some(Self { height: Height::new(height.parse().ok()?), hash: hash.parse().ok()? })
        };
        read().ok_or_else(|| CheckpointError { text: text.chars().take(100).collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use holdfast_primitives::Bounded;

    fn offer(tip: u64, blocks_from: u64, snapshots: &[u64]) -> SourceOffer {
        SourceOffer {
            tip: Height::new(tip),
            blocks_from: Height::new(blocks_from),
            follow_from: Height::GENESIS,
            snapshots: Bounded::new(snapshots.iter().map(|height| Height::new(*height)).collect()).unwrap(),
            peers: Bounded::empty(),
            consensus: Bounded::empty(),
        }
    }

    #[test]
    fn the_way_follows_from_the_choice_and_from_what_peers_have() {
        use {Decision as D, SyncMode as M};
        let (young, long, pruned) = (offer(40, 1, &[30]), offer(6_000, 1, &[5_000]), offer(90, 50, &[80]));
        for (mode, offers, expected) in [
            (M::Auto, vec![], D::Wait),
            (M::Auto, vec![young.clone()], D::Blocks),
            (M::Auto, vec![young.clone(), long.clone()], D::Snapshot),
            (M::Auto, vec![pruned.clone()], D::Snapshot),
            (M::Auto, vec![pruned.clone(), young.clone()], D::Blocks),
            (M::Auto, vec![offer(6_000, 1, &[])], D::Blocks),
            (M::Auto, vec![offer(6_000, 9, &[])], D::Wait),
            (M::Snapshot, vec![], D::Wait),
            (M::Snapshot, vec![young.clone()], D::Snapshot),
            (M::Snapshot, vec![offer(40, 1, &[])], D::Wait),
            (M::Blocks, vec![], D::Blocks),
            (M::Blocks, vec![pruned.clone()], D::Blocks),
        ] {
            assert_eq!(decide(mode, &offers), expected, "{mode:?} {offers:?}");
        }
        assert_eq!(history_gone(Height::GENESIS, &[pruned.clone(), young]), None);
        assert_eq!(history_gone(Height::GENESIS, std::slice::from_ref(&pruned)), Some(Height::new(50)));
        assert_eq!(history_gone(Height::new(49), &[pruned]), None);
        assert_eq!(history_gone(Height::new(49), &[]), None);
    }

    #[test]
    fn a_checkpoint_is_read_as_it_is_written() {
        let checkpoint = Checkpoint { height: Height::new(77), hash: BlockHash::new([9; 32]) };
        assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        for text in ["", "77", "77:", ":09", "x:0909", "77:09"] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text}");
        }
    }
}
