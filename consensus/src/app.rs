//! What consensus asks of the ledger: the one boundary between agreeing on blocks and knowing what they mean.

use crate::evidence::Evidence;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_primitives::{Address, BlockHash, Certificate, Height, ValidatorSet};
use std::time::{Duration, Instant};

/// Why the application could not do what it was asked; consensus stops and names it.
pub type AppError = Box<dyn std::error::Error + Send + Sync>;

/// How one height is decided. A pure function of the state committed at the height before, so that every validator
/// computes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeightConfig {
    /// Who votes.
    pub validators: ValidatorSet,
    /// Shortest time from the start of this height to the start of the next; `None` goes as fast as it can.
    pub target: Option<Duration>,
    /// Longest pause after this height while there is no work.
    pub heartbeat: Duration,
    /// How long each step waits for others.
    pub timeouts: Timeouts,
}

/// How long each step of a consensus round waits before it goes on without the missing messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the proposal, in round 0. A dead proposer costs this much per turn.
    pub propose: Duration,
    /// For more prevotes, once two thirds are there but disagree.
    pub prevote: Duration,
    /// For more precommits, once two thirds are there but disagree.
    pub precommit: Duration,
    /// Added to each of these with every further round.
    pub delta: Duration,
    /// No step waits longer than this, whatever the round.
    pub longest: Duration,
}

/// What a proposer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildRequest {
    /// The height of the block: the tip's plus one.
    pub height: Height,
    /// The consensus round; above zero an earlier proposal was not decided.
    pub round: u32,
    /// Us: who the block names as its proposer.
    pub proposer: Address,
    /// When the block must be ready; a later one misses its turn.
    pub deadline: Instant,
    /// Most bytes that the encoded block may have.
    pub bytes_max: usize,
}

/// Which block some bytes are, as their header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockIdentity {
    /// The hash: the value that is voted on. Never all zero, which stands for "nil" in votes.
    pub hash: BlockHash,
    /// The height it is made for.
    pub height: Height,
    /// Who made it. Consensus checks that it was this validator's turn in the round of the proposal or before.
    pub proposer: Address,
}

/// What the rules say about a block that somebody proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be committed at this height.
    Valid,
    /// It breaks a rule, on every node and forever.
    Invalid {
        /// The rule, for the log.
        reason: String,
    },
    /// Cannot be judged now (its time lies ahead of our clock, say); ask again while the height is undecided.
    RetryLater {
        /// What is missing, for the log.
        reason: String,
    },
}

/// A proposed block with the verdict on it, as it must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The height it is proposed for.
    pub height: Height,
    /// The consensus round it is proposed in.
    pub round: u32,
    /// The earlier round in which two thirds prevoted it, if it is proposed again.
    pub valid_round: Option<u32>,
    /// Who made it.
    pub proposer: Address,
    /// The encoded block.
    pub block: Bytes,
    /// Its hash: the value that is voted on.
    pub hash: BlockHash,
    /// Whether the rules allow it.
    pub valid: bool,
}

/// The ledger as consensus drives it.
///
/// Promises of the driver: `commit` runs alone, never beside `build`, `validate` or another `commit`; heights are
/// committed in order, each exactly once per process; `validate` is called for the tip's successor only. Everything
/// else may be called at any time from any task, so implementers share their state behind `&self`.
#[async_trait]
pub trait LedgerApp: Send + Sync + 'static {
    /// The last committed block; height 0 and the genesis hash on a fresh chain.
    fn tip(&self) -> (Height, BlockHash);

    /// How `height` is decided. Only asked for the tip's successor.
    ///
    /// # Errors
    /// When this program does not know the rules of that height; the driver stops before it could vote on it.
    fn config_for(&self, height: Height) -> Result<HeightConfig, AppError>;

    /// Which block these bytes are. Cheap, without looking at the state; the bytes come from strangers.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a block, or its header does not commit to all the rest: one
    /// hash names one string of bytes.
    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError>;

    /// Builds the next block.
    ///
    /// # Errors
    /// When the ledger is broken; an empty block is always possible.
    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError>;

    /// Judges a block for the tip's successor whose identity is known. Has no side effects.
    async fn validate(&self, identity: &BlockIdentity, block: &Bytes) -> Verdict;

    /// Keeps a proposed block until its height is committed. Durable before it returns. Several blocks may be kept for
    /// one height and round; the pair of round and hash tells them apart. Blocks; called where blocking is allowed.
    ///
    /// # Errors
    /// When the disk refuses.
    fn save_undecided(&self, undecided: &Undecided) -> Result<(), AppError>;

    /// All blocks kept for `height`; empty once it is committed. Blocks; called where blocking is allowed.
    ///
    /// # Errors
    /// When the disk refuses.
    fn undecided(&self, height: Height) -> Result<Vec<Undecided>, AppError>;

    /// Commits the decided block in one atomic, synced write and forgets what was kept for its height. `evidence` is
    /// what was seen of misbehaviour since the commit before.
    ///
    /// # Errors
    /// When the block cannot be applied or the disk refuses; the driver stops.
    async fn commit(&self, block: Bytes, certificate: Certificate, evidence: Evidence) -> Result<(), AppError>;

    /// A committed block with its certificate, for peers that catch up; `None` when it is pruned or not yet there.
    /// Blocks; called where blocking is allowed.
    ///
    /// # Errors
    /// When the disk refuses.
    fn decided(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, AppError>;

    /// The lowest height that [`LedgerApp::decided`] still serves.
    fn min_height(&self) -> Height;

    /// Returns when there is something to put into a block, at the latest after `heartbeat`. Dropped and called again
    /// at will.
    async fn until_work(&self, heartbeat: Duration);
}

impl Default for Timeouts {
    /// A dead proposer costs one second.
    fn default() -> Self {
        Self {
            propose: Duration::from_secs(1),
            prevote: Duration::from_millis(500),
            precommit: Duration::from_millis(500),
            delta: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}
