//! The desk beside the core: proposes, judges, keeps and commits blocks, as `driver.rs` and `judge.rs` of the engine room
//! do. Told again without tasks and channels; what decides anything (what is kept, who may propose, how streams become
//! blocks) is the same code.

use super::breach::{Breach, Stop};
use super::message::Message;
use super::queue::{Event, Task};
use super::verify::SimVerifier;
use super::wal::Wal;
use super::{Common, node};
use crate::app::{AppError, BuildRequest, HeightConfig, LedgerApp, Undecided, Verdict};
use crate::engine::assembly::{Assembled, Assembler, Wanted};
use crate::engine::convert;
use crate::engine::kept::Kept;
use crate::engine::part::{self, BlockPart, Opening};
use crate::engine::signing::ChainSigner;
use crate::engine::types::{BlockValue, EngineHeight, EngineValidatorSet, Holdfast, Vote, engine_round, round_number};
use crate::evidence::Evidence;
use arc_malachitebft_app::streaming::StreamMessage;
use arc_malachitebft_core_consensus::{LocallyProposedValue, ProposedValue};
use arc_malachitebft_core_types::{CommitCertificate, LinearTimeouts, Round, SignedMessage, Timeout, ValueResponse};
use bytes::Bytes;
use holdfast_primitives::{Address, BlockHash, Certificate, Height};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// As the driver: complete blocks of the height after next that wait for us.
const EARLY_BLOCKS_MAX: usize = 4;
/// As the judge: how long to wait before asking again about a block that could not be judged.
const ASK_AGAIN_AFTER_MS: u64 = 100;
/// How often the idle gate is looked at.
const GATE_MS: u64 = 50;
/// Longest time that building or judging a block takes.
const WORK_MS: u64 = 15;

/// What one node has beside its core, for one life.
pub(super) struct Desk<A> {
    pub index: usize,
    pub life: u64,
    pub honest: bool,
    pub signer: ChainSigner,
    pub app: Arc<A>,
    pub verifier: SimVerifier,
    pub wal: Wal,
    /// Effects until the power fails.
    pub fuse: Option<u64>,
    pub next: NextHeight,
    /// The log is being replayed: nothing is logged again.
    pub recovering: bool,
    pub is_validator: bool,
    pub timers: Vec<(Timeout, u64)>,
    pub timeouts: LinearTimeouts,
    /// When the height of the core began.
    pub entered: u64,
    /// A decision is behind us and the next height has not begun.
    pub resting: bool,
    pub evidence: Evidence,
    /// Somebody else's vote, as material for forgers.
    pub heard: Option<SignedMessage<Holdfast, Vote>>,
    /// The highest height that others are known to be at.
    pub seen: Height,
    pub fetched: BTreeMap<Height, (Bytes, Certificate)>,
    pub ask_again_at: u64,
    kept: Kept,
    /// The kept blocks in the order in which they came. Hashes have an order too, but VRF proofs are made with the system's
    /// randomness, so a block has another hash in every run; nothing here may hang on that.
    arrived: Vec<(u32, BlockHash)>,
    assembler: Assembler,
    early: Vec<Assembled>,
    streams_sent: u64,
    block_bytes_max: usize,
}

/// The height that is to be decided: the tip's successor.
pub(super) struct NextHeight {
    pub height: Height,
    pub config: HeightConfig,
    pub validators: EngineValidatorSet,
    pub since: u64,
    pub after_synced: bool,
    told: bool,
    pub round: u32,
}

impl NextHeight {
    pub(super) fn new<A: LedgerApp>(app: &A, since: u64, after_synced: bool) -> Result<Self, AppError> {
        let height = app.tip().0.next();
        let config = app.config_for(height)?;
        let validators = EngineValidatorSet::new(&config.validators);
        Ok(Self { height, config, validators, since, after_synced, told: false, round: 0 })
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { next: self.height, round: self.round, validators: &self.validators }
    }
}

/// The result of a future that waits for nothing.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("an application of a simulation may not wait"),
    }
}

impl<A: LedgerApp> Desk<A> {
    pub(super) fn new(
        index: usize,
        signer: ChainSigner,
        app: Arc<A>,
        verifier: SimVerifier,
        next: NextHeight,
        common: &Common,
    ) -> Self {
        Self {
            index,
            life: 0,
            honest: true,
            signer,
            app,
            verifier,
            wal: Wal::default(),
            fuse: None,
            next,
            recovering: false,
            is_validator: false,
            timers: Vec::new(),
            timeouts: LinearTimeouts::default(),
            entered: 0,
            resting: false,
            evidence: Evidence::default(),
            heard: None,
            seen: Height::GENESIS,
            fetched: BTreeMap::new(),
            ask_again_at: 0,
            kept: Kept::default(),
            arrived: Vec::new(),
            assembler: Assembler::new(common.chain, common.block_bytes_max),
            early: Vec::new(),
            streams_sent: 0,
            block_bytes_max: common.block_bytes_max,
        }
    }

    /// Leaves something for later.
    pub(super) fn later(&self, common: &mut Common, after: u64, task: Task) {
        common.queue.push(after, Event::Later { node: self.index, life: self.life, task });
    }

    fn failed(&self, action: &'static str, height: Height, reason: &AppError) -> Breach {
        Breach::App { node: self.index, action, height, reason: reason.to_string() }
    }

    /// Recalls what was kept for the next height and looks at what arrived early.
    pub(super) fn begin_height(&mut self, common: &mut Common) -> Result<(), Stop> {
        let height = self.next.height;
        let recalled = self.app.undecided(height).map_err(|error| self.failed("recall", height, &error))?;
        self.arrived = recalled.iter().map(|kept| (kept.round, kept.hash)).collect();
        self.kept.begin(height, recalled);
        self.assembler.retire(&self.next.wanted());
        let (due, early): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.early).into_iter().partition(|early| early.opening.height <= height);
        self.early = early;
        due.into_iter().for_each(|assembled| self.consider(common, assembled));
        Ok(())
    }

    /// The core enters the next height now.
    pub(super) fn enter_height(&mut self, common: &Common) {
        self.resting = false;
        self.entered = common.queue.now();
        self.timeouts = node::timeouts(self);
    }

    /// What the core should know of at the start of a round.
    pub(super) fn kept_values(&mut self, height: Height, round: Round) -> Vec<ProposedValue<Holdfast>> {
        if self.kept.height() != height {
            return Vec::new();
        }
        let all = !std::mem::replace(&mut self.next.told, true);
        let due = self.in_order_of_arrival().filter(|kept| all || kept.round == round_number(round));
        due.map(convert::proposed_value).collect()
    }

    fn in_order_of_arrival(&self) -> impl Iterator<Item = &Undecided> {
        let kept = |key: &(u32, BlockHash)| self.kept.iter().find(|kept| (kept.round, kept.hash) == *key);
        self.arrived.iter().filter_map(kept)
    }

    // ---- proposing

    /// The block that the core asked for: what was kept, or else a new one.
    pub(super) fn propose(
        &mut self,
        common: &mut Common,
        height: u64,
        round: u32,
    ) -> Result<Option<LocallyProposedValue<Holdfast>>, Stop> {
        if self.next.height.get() != height {
            return Ok(None);
        }
        let own = self.signer.key.address();
        let own_of_round = |kept: &&Undecided| kept.round == round && kept.proposer == own && kept.valid;
        let before = self.in_order_of_arrival().find(own_of_round).cloned();
        let kept = match before {
            Some(kept) => kept,
            None => self.build(round)?,
        };
        let opening = Opening::sign(&self.signer, &kept, round, None);
        self.stream(common, &kept, opening)?;
        let height = EngineHeight(self.next.height);
        Ok(Some(LocallyProposedValue::new(height, Round::new(round), BlockValue(kept.hash))))
    }

    fn build(&mut self, round: u32) -> Result<Undecided, Stop> {
        let (height, proposer) = (self.next.height, self.signer.key.address());
        // Applications here look at virtual time only.
        let deadline = Instant::now() + Duration::from_secs(1);
        let request = BuildRequest { height, round, proposer, deadline, bytes_max: self.block_bytes_max };
        let built = at_once(self.app.build(request)).map_err(|error| self.failed("build", height, &error))?;
        let identity = self.app.identify(&built).map_err(|error| self.failed("identify", height, &error))?;
        if identity.hash == BlockHash::ZERO || (identity.height, identity.proposer) != (height, proposer) {
            return Err(Breach::OwnBlock { node: self.index, identity }.into());
        }
        let hash = identity.hash;
        let kept = Undecided { height, round, valid_round: None, proposer, block: built, hash, valid: true };
        self.keep(kept.clone(), None)?;
        Ok(kept)
    }

    fn keep(&mut self, kept: Undecided, opening: Option<Opening>) -> Result<(), Stop> {
        self.app.save_undecided(&kept).map_err(|error| self.failed("keep", kept.height, &error))?;
        self.arrived.push((kept.round, kept.hash));
        self.kept.insert(kept, opening);
        Ok(())
    }

    /// Sends a block again: our own proposal of an earlier block, or somebody else's that we are locked on.
    pub(super) fn restream(
        &mut self,
        common: &mut Common,
        height: Height,
        round: u32,
        valid_round: Option<u32>,
        proposer: Address,
        hash: &BlockHash,
    ) -> Result<(), Stop> {
        let found = self.kept.by_hash(hash).filter(|kept| kept.height == height).cloned();
        let Some(block) = found else { return Ok(()) };
        let own = proposer == self.signer.key.address();
        let opening = if own {
            Some(Opening::sign(&self.signer, &block, round, valid_round))
        } else {
            self.kept.opening(&(round, *hash)).cloned()
        };
        opening.map_or(Ok(()), |opening| self.stream(common, &block, opening))
    }

    fn stream(&mut self, common: &mut Common, kept: &Undecided, opening: Opening) -> Result<(), Stop> {
        if self.honest && opening.proposer == self.signer.key.address() {
            common.record.opening(&opening)?;
        }
        self.streams_sent += 1;
        for message in part::stream(opening, &kept.block, self.streams_sent) {
            common.net.publish(&mut common.queue, self.index, Message::Part(message));
        }
        Ok(())
    }

    // ---- judging

    /// Takes a piece of a block.
    pub(super) fn receive(&mut self, common: &mut Common, message: StreamMessage<BlockPart>) {
        if let Ok(Some(assembled)) = self.assembler.accept(message, &self.next.wanted()) {
            self.consider(common, assembled);
        }
    }

    fn consider(&mut self, common: &mut Common, assembled: Assembled) {
        let opening = &assembled.opening;
        if opening.height > self.next.height {
            if self.early.len() < EARLY_BLOCKS_MAX {
                self.early.push(assembled);
            }
            return;
        }
        let due = self.next.validators.proposer(opening.height, opening.round);
        if opening.height < self.next.height || *due.address() != opening.proposer {
            return;
        }
        self.seen = self.seen.max(opening.height);
        if self.kept.claim(opening.height, (opening.round, opening.hash)) {
            let takes = common.rng.between(1, WORK_MS);
            self.later(common, takes, Task::Judge(Box::new(assembled)));
        }
    }

    /// Judges a proposed block; `None` when the core is told nothing.
    pub(super) fn judge(
        &mut self,
        common: &mut Common,
        assembled: Assembled,
    ) -> Result<Option<ProposedValue<Holdfast>>, Stop> {
        let opening = assembled.opening.clone();
        if self.next.height != opening.height {
            return Ok(None);
        }
        let identity = match self.app.identify(&assembled.block) {
            Ok(identity) if identity.hash == opening.hash && identity.height == opening.height => identity,
            _ => return Ok(None),
        };
        let in_turn = self.next.validators.had_its_turn(&identity.proposer, opening.height, opening.round);
        let known = self.kept.by_hash(&identity.hash).is_some_and(|kept| kept.valid);
        let valid = if known {
            true
        } else {
            let verdict = if in_turn { at_once(self.app.validate(&identity, &assembled.block)) } else { OUT_OF_TURN };
            match verdict {
                Verdict::Valid => true,
                Verdict::Invalid { .. } => false,
                Verdict::RetryLater { .. } => {
                    self.later(common, ASK_AGAIN_AFTER_MS, Task::Judge(Box::new(assembled)));
                    return Ok(None);
                }
            }
        };
        let kept = Undecided {
            height: opening.height,
            round: opening.round,
            valid_round: opening.valid_round,
            proposer: identity.proposer,
            block: assembled.block,
            hash: identity.hash,
            valid,
        };
        let value = convert::proposed_value(&kept);
        self.keep(kept, Some(opening))?;
        Ok(Some(value))
    }

    /// Judges a block that others decided; the core has checked its certificate.
    pub(super) fn judge_synced(
        &mut self,
        response: ValueResponse<Holdfast>,
    ) -> Result<Option<ProposedValue<Holdfast>>, Stop> {
        let (height, round) = (response.certificate.height.0, response.certificate.round);
        let block = response.value_bytes;
        if self.next.height != height || block.len() > self.block_bytes_max {
            return Ok(None);
        }
        let Ok(identity) = self.app.identify(&block) else { return Ok(None) };
        if identity.height != height || identity.hash != response.certificate.value_id {
            return Ok(None);
        }
        let number = round_number(round);
        let in_turn = self.next.validators.had_its_turn(&identity.proposer, height, number);
        let verdict = if in_turn { at_once(self.app.validate(&identity, &block)) } else { OUT_OF_TURN };
        let valid = match verdict {
            Verdict::Valid => true,
            Verdict::Invalid { .. } => false,
            Verdict::RetryLater { .. } => return Ok(None),
        };
        let (hash, proposer) = (identity.hash, identity.proposer);
        let kept = Undecided { height, round: number, valid_round: None, proposer, block, hash, valid };
        let value = ProposedValue { valid_round: engine_round(None), ..convert::proposed_value(&kept) };
        self.keep(kept, None)?;
        self.kept.mark_synced();
        Ok(Some(value))
    }

    // ---- committing

    /// Commits what the core has decided.
    pub(super) fn commit(&mut self, common: &mut Common, decided: &CommitCertificate<Holdfast>) -> Result<(), Stop> {
        let height = decided.height.0;
        if height < self.next.height {
            return Ok(());
        }
        let certificate =
            convert::certificate(decided).map_err(|error| self.failed("certify", height, &error.into()))?;
        let trusted = certificate.verify(&self.signer.chain, &self.next.config.validators);
        trusted.map_err(|error| self.failed("certify", height, &error.into()))?;
        let hash = certificate.block;
        let found = self.kept.by_hash(&hash).map(|kept| kept.block.clone());
        let block = found.ok_or(Breach::BlockNotKept { node: self.index, height, hash })?;
        let synced = self.kept.synced();
        common.tally.synced += u64::from(synced);
        common.tally.late_rounds += u64::from(certificate.round > 0);
        let evidence = std::mem::take(&mut self.evidence);
        let committed = at_once(self.app.commit(block, certificate, evidence));
        committed.map_err(|error| self.failed("commit", height, &error))?;
        if self.app.tip() != (height, hash) {
            return Err(self.failed("move the tip", height, &"the tip is elsewhere".into()).into());
        }
        let next = NextHeight::new(self.app.as_ref(), common.queue.now(), synced);
        self.next = next.map_err(|error| self.failed("go on", height.next(), &error))?;
        self.begin_height(common)
    }

    /// The height is over; the next begins when the gate opens.
    pub(super) fn finalize(&mut self, common: &mut Common, evidence: Evidence) {
        self.evidence.items.extend(evidence.items);
        self.resting = true;
        self.later(common, 0, Task::Gate);
    }

    /// Whether the next height begins now; if not, the gate is looked at again soon.
    pub(super) fn gate_opens(&self, common: &mut Common) -> bool {
        if !self.resting {
            return false;
        }
        let since = Duration::from_millis(common.queue.now().saturating_sub(self.next.since));
        let heartbeat = self.next.config.heartbeat;
        let work = || {
            let mut waiting = pin!(self.app.until_work(heartbeat));
            waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        if self.next.after_synced || self.seen >= self.next.height || since >= heartbeat || work() {
            return true;
        }
        self.later(common, GATE_MS, Task::Gate);
        false
    }
}

const OUT_OF_TURN: Verdict = Verdict::Invalid { reason: String::new() };
