//! One node: the engine's core, and the desk at which its wishes are fulfilled.

use super::breach::{Breach, Stop};
use super::desk::{Desk, NextHeight};
use super::message::Message;
use super::queue::Task;
use super::wal::Wal;
use super::{Common, NodeSpec, SimRng};
use crate::app::LedgerApp;
use crate::engine::convert;
use crate::engine::signing::{ChainSigner, ChainVerifier};
use crate::engine::types::{EngineAddress, EngineHeight, Holdfast};
use crate::sim::verify::SimVerifier;
use arc_malachitebft_core_consensus::{Input, LivenessMsg, Params, SignedConsensusMsg, State, process};
use arc_malachitebft_core_types::{ThresholdParams, ValueOrigin, ValuePayload, VoteExtensionPolicy};
use holdfast_primitives::limits::VALIDATORS_MAX;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any run: the core measures the pause after a decision with a real clock, so it is asked for one that never
/// ends, and the desk ends it by virtual time.
const NEVER: Duration = Duration::from_secs(1 << 30);
/// As the engine has them.
const QUEUE_HEIGHTS: usize = 10;
const QUEUE_PER_HEIGHT: usize = 4 * VALIDATORS_MAX;

/// One node, up or down.
pub(super) struct Node<A> {
    index: usize,
    spec: NodeSpec,
    signer: ChainSigner,
    life: u64,
    /// The log while the node is down.
    wal: Wal,
    up: Option<Box<Up<A>>>,
}

struct Up<A> {
    core: State<Holdfast>,
    desk: Desk<A>,
}

impl<A: LedgerApp> Node<A> {
    pub(super) fn new(index: usize, spec: NodeSpec, common: &Common) -> Self {
        let signer = ChainSigner { chain: common.chain, key: spec.key.clone() };
        Self { index, spec, signer, life: 0, wal: Wal::default(), up: None }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.up.is_some()
    }

    pub(super) const fn is_honest(&self) -> bool {
        self.spec.honest
    }

    /// Grows with every start; what an earlier life left for later is void.
    pub(super) const fn life(&self) -> u64 {
        self.life
    }

    /// The node will crash after so many more effects.
    pub(super) fn light_fuse(&mut self, steps: u64) {
        if let Some(up) = &mut self.up {
            up.desk.fuse = Some(steps);
        }
    }

    /// Loses everything that is not durable.
    pub(super) fn crash(&mut self, rng: &mut SimRng) {
        self.life += 1;
        if let Some(up) = self.up.take() {
            self.wal = up.desk.wal;
            self.wal.crash(rng);
            if self.spec.forgetful {
                self.wal = Wal::default();
            }
        }
    }

    /// Starts with what the application has and what is left of the log.
    pub(super) fn start(&mut self, common: &mut Common, app: Arc<A>) -> Result<(), Stop> {
        self.life += 1;
        let inner = ChainVerifier { chain: common.chain };
        let verifier = SimVerifier { inner, known: Arc::clone(&common.known), gullible: self.spec.gullible };
        let signer = self.signer.clone();
        let next = NextHeight::new(app.as_ref(), common.queue.now(), false).map_err(|error| {
            let (node, height) = (self.index, app.tip().0.next());
            Breach::App { node, action: "go on", height, reason: error.to_string() }
        })?;
        let mut desk = Desk::new(self.index, signer, app, verifier, next, common);
        (desk.life, desk.honest) = (self.life, self.spec.honest);
        desk.wal = std::mem::take(&mut self.wal);
        desk.begin_height(common)?;
        let params = Params {
            address: EngineAddress(self.signer.key.address()),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let (height, set) = (EngineHeight(desk.next.height), desk.next.validators.clone());
        let core = State::new(Holdfast, height, set, params, QUEUE_HEIGHTS, QUEUE_PER_HEIGHT);
        self.up = Some(Box::new(Up { core, desk }));
        self.start_height(common)?;
        self.perform(common, Task::Status)
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, common: &mut Common, from: usize, message: &Message) -> Result<(), Stop> {
        let Some(up) = &mut self.up else { return Ok(()) };
        match message {
            Message::Consensus(SignedConsensusMsg::Vote(vote)) => {
                up.desk.hear_vote(vote);
                self.feed(common, Input::Vote(vote.clone()))
            }
            Message::Consensus(SignedConsensusMsg::Proposal(proposal)) => {
                self.feed(common, Input::Proposal(proposal.clone()))
            }
            Message::Liveness(LivenessMsg::Vote(vote)) => self.feed(common, Input::Vote(vote.clone())),
            Message::Liveness(LivenessMsg::PolkaCertificate(certificate)) => {
                self.feed(common, Input::PolkaCertificate(certificate.clone()))
            }
            Message::Liveness(LivenessMsg::SkipRoundCertificate(certificate)) => {
                self.feed(common, Input::RoundCertificate(certificate.clone()))
            }
            Message::Part(part) => {
                up.desk.receive(common, part.clone());
                Ok(())
            }
            Message::Status { tip } => {
                up.desk.ask_if_behind(common, from, *tip);
                Ok(())
            }
            Message::Ask { first } => up.desk.answer(common, from, *first),
            Message::Answer(blocks) => {
                up.desk.take_blocks(blocks);
                self.use_fetched(common)
            }
            Message::World(_) => Ok(()),
        }
    }

    /// Does what was left for later.
    pub(super) fn perform(&mut self, common: &mut Common, task: Task) -> Result<(), Stop> {
        let Some(up) = &mut self.up else { return Ok(()) };
        match task {
            Task::Timer { id } => match up.desk.due_timer(id) {
                Some(timeout) => self.feed(common, Input::TimeoutElapsed(timeout)),
                None => Ok(()),
            },
            Task::Input(input) => self.feed(common, *input),
            Task::Propose { height, round } => match up.desk.propose(common, height, round)? {
                Some(value) => self.feed(common, Input::Propose(value)),
                None => Ok(()),
            },
            Task::Judge(assembled) => match up.desk.judge(common, *assembled)? {
                Some(value) => self.feed(common, Input::ProposedValue(value, ValueOrigin::Consensus)),
                None => Ok(()),
            },
            Task::JudgeSynced(response) => match up.desk.judge_synced(*response)? {
                Some(value) => self.feed(common, Input::ProposedValue(value, ValueOrigin::Sync)),
                None => Ok(()),
            },
            Task::Gate => {
                if up.desk.gate_opens(common) {
                    self.start_height(common)?;
                }
                Ok(())
            }
            Task::Status => {
                up.desk.keep_telling(common);
                Ok(())
            }
        }
    }

    /// Starts the next height, replaying what was logged of it in an earlier life.
    fn start_height(&mut self, common: &mut Common) -> Result<(), Stop> {
        let Some(up) = &mut self.up else { return Ok(()) };
        let desk = &mut up.desk;
        let (height, set) = (desk.next.height, desk.next.validators.clone());
        desk.enter_height(common);
        desk.is_validator = set.contains(&desk.signer.key.address());
        let logged = if desk.is_validator {
            desk.wal.begin(height)
        } else {
            desk.wal.reset(height);
            Vec::new()
        };
        let start = Input::StartHeight(EngineHeight(height), set, false, Some(NEVER), VoteExtensionPolicy::Disabled);
        self.feed(common, start)?;
        if !logged.is_empty() {
            common.tally.replays += 1;
            self.replay(common, logged)?;
        }
        self.use_fetched(common)
    }

    fn replay(&mut self, common: &mut Common, logged: Vec<Input<Holdfast>>) -> Result<(), Stop> {
        if let Some(up) = &mut self.up {
            up.core.index_wal_entries(logged.iter());
            up.desk.recovering = true;
        }
        for entry in logged {
            self.feed(common, entry)?;
        }
        if let Some(up) = &mut self.up {
            up.core.reset_entries_index();
            up.desk.recovering = false;
        }
        Ok(())
    }

    /// Tells the core of a block that others have decided, if it waits for that height.
    fn use_fetched(&mut self, common: &mut Common) -> Result<(), Stop> {
        let Some(up) = &mut self.up else { return Ok(()) };
        if up.core.height().0 != up.desk.next.height {
            return Ok(());
        }
        match up.desk.fetched_block() {
            Some(response) => self.feed(common, Input::SyncValueResponse(response)),
            None => Ok(()),
        }
    }

    fn feed(&mut self, common: &mut Common, input: Input<Holdfast>) -> Result<(), Stop> {
        let Some(up) = &mut self.up else { return Ok(()) };
        let Up { core, desk } = &mut **up;
        let metrics = common.metrics.clone();
        let processed: Result<(), arc_malachitebft_core_consensus::Error<Holdfast>> = process!(
            input: input,
            state: core,
            metrics: &metrics,
            with: effect => match desk.fulfil(common, effect) {
                Ok(resume) => Ok::<_, Infallible>(resume),
                Err(stop) => return Err(stop),
            }
        );
        processed.map_err(|error| {
            let (node, height) = (self.index, core.height().0);
            Breach::Core { node, height, reason: error.to_string() }.into()
        })
    }
}

/// The timeouts of a height as the engine has them.
pub(super) fn timeouts<A: LedgerApp>(desk: &Desk<A>) -> arc_malachitebft_core_types::LinearTimeouts {
    convert::height_params(&desk.next.config, &desk.next.validators).timeouts
}
