//! Answers the engine's questions by asking the application. One task, one question at a time: the engine waits in line
//! for every answer except those to `Decided` and `Finalized`, so what is heavy goes elsewhere. Blocks of other
//! proposers are judged in tasks of their own, and the idle gate waits in one.
//!
//! A dropped answer would stall consensus; every path below either answers or ends the driver, which the watchdog sees.

use super::assembly::{Assembled, Assembler, Wanted};
use super::codec::SYNC_BLOCKS_MAX;
use super::part::{self, Opening};
use super::shared::{Fault, Shared};
use super::types::{BlockValue, EngineHeight, EngineValidatorSet, Holdfast, round_number, round_option};
use super::watchdog::Stopped;
use super::{convert, gate, judge};
use crate::app::{BuildRequest, HeightConfig, LedgerApp, Undecided};
use crate::evidence::Evidence;
use arc_malachitebft_app::events::TxEvent;
use arc_malachitebft_app::streaming::StreamMessage;
use arc_malachitebft_app::types::{LocallyProposedValue, PeerId, ProposedValue};
use arc_malachitebft_app_channel::{AppMsg, NetworkMsg, Reply};
use arc_malachitebft_core_consensus::VoteExtensionError;
use arc_malachitebft_core_types::{CommitCertificate, HeightParams, Round};
use arc_malachitebft_engine::host::Next;
use arc_malachitebft_sync::RawDecidedValue;
use holdfast_primitives::{Address, BlockHash, Height};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a node that must not decide the next height goes on handing out what was decided: who stops at once may leave
/// others without the last block, who then wait for it and never learn that they must stop, too.
const PARTING: Duration = Duration::from_secs(10);
/// What the application could not do when it does not know the rules of the next height.
const GO_ON: &str = "go on";
/// Complete blocks of the height after next that wait for us to get there.
const EARLY_BLOCKS_MAX: usize = 4;

/// The task between the engine and the application.
pub(crate) struct Driver<A> {
    shared: Arc<Shared<A>>,
    faults: mpsc::Receiver<Fault>,
    publish: mpsc::Sender<NetworkMsg<Holdfast>>,
    events: TxEvent<Holdfast>,
    response_bytes_max: usize,
    assembler: Assembler,
    early: Vec<Assembled>,
    evidence: Evidence,
    next: NextHeight,
    streams_sent: u64,
}

/// The height that is to be decided: the tip's successor.
pub(crate) struct NextHeight {
    height: Height,
    config: HeightConfig,
    validators: EngineValidatorSet,
    /// When its predecessor was committed, and whether that came from a peer that is ahead.
    since: Instant,
    after_synced: bool,
    /// Whether the engine knows what was kept for it.
    told: bool,
    /// The round it is in.
    round: u32,
}

impl NextHeight {
    pub(crate) fn new<A: LedgerApp>(app: &A, after_synced: bool) -> Result<Self, Fault> {
        let height = app.tip().0.next();
        let config = app.config_for(height).map_err(|error| Fault::App { action: GO_ON, height, error })?;
        let validators = EngineValidatorSet::new(&config.validators);
        Ok(Self { height, config, validators, since: Instant::now(), after_synced, told: false, round: 0 })
    }

    fn params(&self) -> HeightParams<Holdfast> {
        convert::height_params(&self.config, &self.validators)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { next: self.height, round: self.round, validators: &self.validators }
    }
}

impl<A: LedgerApp> Driver<A> {
    pub(crate) fn new(
        shared: Arc<Shared<A>>,
        faults: mpsc::Receiver<Fault>,
        publish: mpsc::Sender<NetworkMsg<Holdfast>>,
        events: TxEvent<Holdfast>,
        response_bytes_max: usize,
        next: NextHeight,
    ) -> Self {
        let assembler = Assembler::new(shared.signer.chain, shared.block_bytes_max);
        Self {
            shared,
            faults,
            publish,
            events,
            response_bytes_max,
            assembler,
            early: Vec::new(),
            evidence: Evidence::default(),
            next,
            streams_sent: 0,
        }
    }

    /// Answers until the engine asks no more or the application fails. `ready` is told when the engine listens.
    pub(crate) async fn run(
        mut self,
        mut questions: mpsc::Receiver<AppMsg<Holdfast>>,
        ready: oneshot::Sender<()>,
    ) -> Stopped {
        let mut ready = Some(ready);
        loop {
            let answered = tokio::select! {
                Some(fault) = self.faults.recv() => Err(fault),
                question = questions.recv() => match question {
                    Some(question) => self.answer(question, &mut ready).await,
                    None => return Stopped::Ended { reason: "it asks nothing any more".to_owned() },
                },
            };
            if let Err(fault) = answered {
                if matches!(fault, Fault::App { action: GO_ON, .. }) {
                    // In vain if the engine ends before.
                    let _ = tokio::time::timeout(PARTING, self.part(&mut questions)).await;
                }
                return fault.into();
            }
        }
    }

    /// Hands out what was decided, and leaves everything else unanswered, until the engine asks no more.
    async fn part(&self, questions: &mut mpsc::Receiver<AppMsg<Holdfast>>) {
        let mut unanswered = Vec::new();
        while let Some(question) = questions.recv().await {
            match question {
                AppMsg::GetDecidedValues { range, reply } => match self.decided(range).await {
                    Ok(values) => give(reply, values),
                    Err(fault) => tracing::warn!(reason = %Stopped::from(fault), "a peer is not helped"),
                },
                AppMsg::GetHistoryMinHeight { reply } => give(reply, EngineHeight(self.shared.app.min_height())),
                // A dropped question would be taken for an answer that failed.
                question => unanswered.push(question),
            }
        }
    }

    async fn answer(
        &mut self,
        question: AppMsg<Holdfast>,
        ready: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Fault> {
        match question {
            AppMsg::ConsensusReady { reply } => {
                self.begin_height().await?;
                give(reply, (EngineHeight(self.next.height), self.next.params()));
                if let Some(ready) = ready.take() {
                    give(ready, ());
                }
            }
            AppMsg::StartedRound { height, round, reply_value, .. } => {
                self.next.round = round_number(round);
                give(reply_value, self.kept_values(height.0, round));
            }
            AppMsg::GetValue { height, round, timeout, reply } => self.propose(height.0, round, timeout, reply).await?,
            AppMsg::RestreamProposal { height, round, valid_round, address, value_id } => {
                self.restream(height.0, round_number(round), round_option(valid_round), address.0, &value_id).await;
            }
            AppMsg::ReceivedProposalPart { from, part, reply, .. } => {
                // The block follows when it is complete and judged, past the connector.
                give(reply, None);
                self.receive(from, part);
            }
            AppMsg::ProcessSyncedValue { height, round, value_bytes, reply, .. } => {
                let validators = &self.next.validators;
                let outcome =
                    judge::synced(&self.shared, validators, height.0, round_number(round), value_bytes).await?;
                give(reply, outcome);
            }
            AppMsg::Decided { certificate, reply, .. } => {
                let committed = self.commit(certificate).await;
                if matches!(committed, Ok(()) | Err(Fault::App { action: GO_ON, .. })) {
                    give(reply, ());
                }
                committed?;
            }
            AppMsg::Finalized { evidence, reply, .. } => {
                self.evidence.items.extend(convert::evidence(evidence).items);
                self.start_next_when_due(reply);
            }
            AppMsg::GetDecidedValues { range, reply } => give(reply, self.decided(range).await?),
            AppMsg::GetHistoryMinHeight { reply } => give(reply, EngineHeight(self.shared.app.min_height())),
            AppMsg::ExtendVote { reply, .. } => give(reply, None),
            AppMsg::VerifyVoteExtensions { extensions, reply, .. } => {
                let refuse = |(address, ())| (address, Err(VoteExtensionError::InvalidVoteExtension));
                give(reply, extensions.into_iter().map(refuse).collect());
            }
        }
        Ok(())
    }

    /// Recalls what was kept for the next height and looks at what arrived early.
    async fn begin_height(&mut self) -> Result<(), Fault> {
        let height = self.next.height;
        let recalled = self.shared.blocking("recall", height, move |app| app.undecided(height)).await?;
        self.shared.kept().begin(height, recalled);
        self.shared.progress.moved(height);
        self.assembler.retire(&self.next.wanted());
        let (due, early) =
            std::mem::take(&mut self.early).into_iter().partition(|early| early.opening.height <= height);
        self.early = early;
        let due: Vec<Assembled> = due;
        due.into_iter().for_each(|assembled| self.consider(assembled));
        Ok(())
    }

    /// What the engine should know of at the start of a round: everything kept, the first time it asks about a height,
    /// for it may have restarted; after that what belongs to the round.
    fn kept_values(&mut self, height: Height, round: Round) -> Vec<ProposedValue<Holdfast>> {
        let kept = self.shared.kept();
        if kept.height() != height {
            return Vec::new();
        }
        let all = !std::mem::replace(&mut self.next.told, true);
        let due = kept.iter().filter(|kept| all || kept.round == round_number(round));
        due.map(convert::proposed_value).collect()
    }

    async fn propose(
        &mut self,
        height: Height,
        round: Round,
        timeout: Duration,
        reply: Reply<LocallyProposedValue<Holdfast>>,
    ) -> Result<(), Fault> {
        let number = round_number(round);
        let own = self.shared.signer.key.address();
        let before = self.shared.kept().made_by(&own, number).cloned();
        let kept = match before {
            Some(kept) => kept,
            None => self.build(height, number, timeout).await?,
        };
        give(reply, LocallyProposedValue::new(EngineHeight(height), round, BlockValue(kept.hash)));
        let opening = Opening::sign(&self.shared.signer, &kept, number, None);
        self.stream(&kept, opening).await;
        Ok(())
    }

    async fn build(&mut self, height: Height, round: u32, timeout: Duration) -> Result<Undecided, Fault> {
        let failed = |action| move |error| Fault::App { action, height, error };
        let (proposer, limit) = (self.shared.signer.key.address(), self.shared.block_bytes_max);
        // The other half of the others' patience is for the block to travel and be judged.
        let deadline = Instant::now() + timeout / 2;
        let request = BuildRequest { height, round, proposer, deadline, bytes_max: limit };
        let block = self.shared.app.build(request).await.map_err(failed("build"))?;
        let identity = self.shared.app.identify(&block).map_err(failed("identify"))?;
        if block.len() > limit
            || identity.hash == BlockHash::ZERO
            || (identity.height, identity.proposer) != (height, proposer)
        {
            return Err(Fault::OwnBlock { identity, bytes: block.len(), limit });
        }
        let kept = Undecided { height, round, valid_round: None, proposer, block, hash: identity.hash, valid: true };
        self.shared.keep(kept.clone(), None).await?;
        Ok(kept)
    }

    /// Sends a block again: our own proposal of an earlier block, or somebody else's that we are locked on.
    async fn restream(
        &mut self,
        height: Height,
        round: u32,
        valid_round: Option<u32>,
        proposer: Address,
        hash: &BlockHash,
    ) {
        let (found, relayed) = {
            let kept = self.shared.kept();
            (kept.by_hash(hash).cloned(), kept.opening(&(round, *hash)).cloned())
        };
        let Some(block) = found.filter(|kept| kept.height == height) else { return };
        let signer = &self.shared.signer;
        let own = proposer == signer.key.address();
        let opening = if own { Some(Opening::sign(signer, &block, round, valid_round)) } else { relayed };
        match opening {
            Some(opening) => self.stream(&block, opening).await,
            None => tracing::debug!(%height, round, "cannot relay a block whose opening was lost in a restart"),
        }
    }

    async fn stream(&mut self, kept: &Undecided, opening: Opening) {
        self.streams_sent += 1;
        for message in part::stream(opening, &kept.block, self.streams_sent) {
            // A closed channel means that the engine is stopping, which the watchdog notices.
            if self.publish.send(NetworkMsg::PublishProposalPart(message)).await.is_err() {
                return;
            }
        }
    }

    fn receive(&mut self, from: PeerId, message: StreamMessage<part::BlockPart>) {
        match self.assembler.accept(message, &self.next.wanted()) {
            Ok(Some(assembled)) => self.consider(assembled),
            Ok(None) => {}
            Err(refusal) => tracing::debug!(%from, %refusal, "dropped a part of a block"),
        }
    }

    fn consider(&mut self, assembled: Assembled) {
        let opening = &assembled.opening;
        if opening.height > self.next.height {
            if self.early.len() < EARLY_BLOCKS_MAX {
                self.early.push(assembled);
            }
            return;
        }
        let due = self.next.validators.proposer(opening.height, opening.round);
        if opening.height < self.next.height || *due.address() != opening.proposer {
            tracing::debug!(proposer = %opening.proposer, "dropped a block that was proposed out of turn");
            return;
        }
        self.shared.proposed.send_if_modified(|seen| std::mem::replace(seen, opening.height) < opening.height);
        if self.shared.kept().claim(opening.height, (opening.round, opening.hash)) {
            tokio::spawn(judge::proposed(self.shared.clone(), self.next.validators.clone(), assembled));
        }
    }

    async fn commit(&mut self, decided: CommitCertificate<Holdfast>) -> Result<(), Fault> {
        let height = decided.height.0;
        if height < self.next.height {
            return Ok(());
        }
        let certificate = convert::certificate(&decided).map_err(|error| Fault::App {
            action: "certify",
            height,
            error: error.into(),
        })?;
        let trusted = certificate.verify(&self.shared.signer.chain, &self.next.config.validators);
        trusted.map_err(|error| Fault::App { action: "certify", height, error: error.into() })?;
        let hash = certificate.block;
        let (found, synced) = {
            let kept = self.shared.kept();
            (kept.by_hash(&hash).map(|kept| kept.block.clone()), kept.synced())
        };
        let block = found.ok_or(Fault::BlockNotKept { height, hash })?;
        let evidence = std::mem::take(&mut self.evidence);
        {
            let _alone = self.shared.applying.write().await;
            let committed = self.shared.app.commit(block, certificate, evidence).await;
            committed.map_err(|error| Fault::App { action: "commit", height, error })?;
        }
        let tip = self.shared.app.tip();
        if tip != (height, hash) {
            return Err(Fault::TipElsewhere { expected: (height, hash), tip });
        }
        self.next = NextHeight::new(self.shared.app.as_ref(), synced)?;
        self.begin_height().await
    }

    /// Answers when the next height is due: at once while we catch up, else when the idle gate opens.
    fn start_next_when_due(&self, reply: Reply<Next<Holdfast>>) {
        let next = Next::Start(EngineHeight(self.next.height), self.next.params());
        if self.next.after_synced {
            give(reply, next);
            return;
        }
        let heartbeat = self.next.config.heartbeat.saturating_sub(self.next.since.elapsed());
        let (shared, events) = (self.shared.clone(), self.events.subscribe());
        let (height, validators) = (self.next.height, self.next.validators.clone());
        tokio::spawn(async move {
            gate::wait(&shared, events, height, &validators, heartbeat).await;
            give(reply, next);
        });
    }

    async fn decided(&self, range: RangeInclusive<EngineHeight>) -> Result<Vec<RawDecidedValue<Holdfast>>, Fault> {
        let (first, last) = (range.start().0, range.end().0);
        let bytes_max = self.response_bytes_max;
        let recall = move |app: &A| {
            let (mut values, mut bytes) = (Vec::new(), 0usize);
            let mut height = first;
            while height <= last && values.len() < SYNC_BLOCKS_MAX && bytes < bytes_max {
                let Some((block, certificate)) = app.decided(height)? else { break };
                bytes += block.len();
                values.push(RawDecidedValue::new(block, convert::to_engine(&certificate)));
                height = height.next();
            }
            Ok(values)
        };
        self.shared.blocking("recall", first, recall).await
    }
}

/// Answers the engine; if it does not wait any more it is stopping, which the watchdog notices.
fn give<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}
