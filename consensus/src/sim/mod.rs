//! A network of validators in one thread, hung on one number. For tests: deterministic.
//!
//! Each node is the engine's real core (`arc-malachitebft-core-consensus`: the Tendermint machine, its vote keeper, its
//! write-ahead rules) over our own types, signatures and proposer schedule, and drives a real [`LedgerApp`]. What is
//! played is everything around it: time, timers, the wires, the power supply, and the thread that carries answers between
//! core and application (`driver.rs` and `judge.rs` of the engine room, told again without a runtime).
//!
//! ```text
//! seed ─► queue of events in virtual time ─► node (core + desk) ─► effects: sign, log, publish, decide, ask for a block
//!           ▲                                                          │
//!           └── wires that delay, lose, repeat, split ◄────────────────┘
//! ```
//! A node that crashes loses everything except what its application made durable and the part of its log that was
//! flushed; of the rest the first few entries may survive. A crash strikes between any two effects. A dishonest validator is
//! played by several honest machines with one key (Bano et al., "Twins: BFT systems made robust", 2020), so that it
//! equivocates in every way in which a node can talk at all.
//!
//! What is left out: the engine's actors and mailboxes, its codec, gossip and discovery; `consensus/tests` runs those.

mod breach;
mod catch_up;
mod desk;
mod effects;
mod message;
mod net;
mod node;
mod queue;
mod record;
mod rng;
mod verify;
mod wal;

pub use breach::Breach;
pub use record::Statement;
pub use rng::SimRng;

use crate::app::LedgerApp;
use arc_malachitebft_app::metrics::Metrics;
use breach::Stop;
use bytes::Bytes;
use holdfast_primitives::{ChainId, SecretKey};
use message::Message;
use net::Net;
use node::Node;
use queue::{Event, Queue};
use record::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use verify::Known;

/// Milliseconds between two beats of the world.
pub const BEAT_MS: u64 = 100;
/// Steps that a node may still take after it was decided that it crashes.
const FUSE_STEPS: u64 = 60;

/// Virtual time, for applications that look at a clock.
#[derive(Clone, Debug, Default)]
pub struct SimClock(Arc<AtomicU64>);

impl SimClock {
    /// Milliseconds since the simulation began.
    pub fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What goes wrong, and until when.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// After this many milliseconds nothing new goes wrong: wires are whole, quick and lose nothing, and whoever crashed
    /// starts again.
    pub until_ms: u64,
    /// The longest way of a message until then.
    pub delay_ms_max: u64,
    /// Of a hundred messages so many are lost.
    pub loss_percent: u64,
    /// Of a hundred messages so many arrive twice.
    pub duplicate_percent: u64,
    /// Crashes, each of some node at some time.
    pub crashes: u64,
    /// Times at which the network falls into two groups for a while.
    pub splits: u64,
    /// Of a hundred votes that a dishonest node publishes so many come with a forged one of somebody else.
    pub forge_percent: u64,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// What it signs with. Several nodes with one key are one dishonest validator.
    pub key: SecretKey,
    /// Whether it counts as honest: then it must never contradict itself, and its application must never fail.
    pub honest: bool,
    /// When it starts, in milliseconds.
    pub starts_ms: u64,
    /// With whom it can ever talk; `None` for everybody.
    pub peers: Option<Vec<usize>>,
    /// Believes every signature: broken on purpose, for tests of the tests.
    pub gullible: bool,
    /// Its log does not survive a crash: broken on purpose, too.
    pub forgetful: bool,
}

/// Everything that a run hangs on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number.
    pub seed: u64,
    /// The chain that is signed for.
    pub chain: ChainId,
    /// Most bytes of a block.
    pub block_bytes_max: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// Told the time.
    pub clock: SimClock,
}

/// A message of the world outside of consensus.
#[derive(Clone, Debug)]
pub struct Post {
    /// The sending node; nothing is sent while it is down.
    pub from: usize,
    /// The content, which [`World::receive`] gets.
    pub bytes: Bytes,
}

/// How often things happened that a quiet run does not show: so that a test can tell that it tested something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Nodes that crashed.
    pub crashes: u64,
    /// Starts with something in the log.
    pub replays: u64,
    /// Heights that a node learnt of from others who had decided them.
    pub synced: u64,
    /// Heights that a node decided in another round than the first.
    pub late_rounds: u64,
}

impl Tally {
    /// Adds another run's counts.
    pub const fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.replays += other.replays;
        self.synced += other.synced;
        self.late_rounds += other.late_rounds;
    }
}

/// What lies beside consensus: the disks, the applications on them, and whoever uses them.
pub trait World {
    /// The application of a node.
    type App: LedgerApp;

    /// Opens the application of `node` on what is durable of it. Its futures must be ready at once, except
    /// [`LedgerApp::until_work`].
    fn open(&mut self, node: usize) -> Arc<Self::App>;

    /// The node has crashed: all that is not durable is gone.
    fn crashed(&mut self, node: usize);

    /// Does what users do, every [`BEAT_MS`]; what it returns goes from each sender to everybody else.
    fn beat(&mut self, now_ms: u64) -> Vec<Post>;

    /// A message arrives at a node that is up.
    fn receive(&mut self, node: usize, bytes: &Bytes);

    /// What is wrong with the chain, if anything; ends the run.
    fn fault(&self) -> Option<String>;
}

/// What all nodes share.
struct Common {
    chain: ChainId,
    block_bytes_max: usize,
    faults: Faults,
    queue: Queue,
    net: Net,
    rng: SimRng,
    record: Record,
    known: Known,
    metrics: Metrics,
    tally: Tally,
}

/// A running simulation.
pub struct Simulation<W: World> {
    world: W,
    nodes: Vec<Node<W::App>>,
    common: Common,
    clock: SimClock,
    trace: u64,
}

impl<W: World> Simulation<W> {
    /// Sets everything up; nothing has happened yet.
    pub fn new(plan: Plan, specs: Vec<NodeSpec>, world: W) -> Self {
        let Plan { seed, chain, block_bytes_max, faults, clock } = plan;
        let mut rng = SimRng::new(seed);
        let net = Net::new(faults.clone(), rng.fork(), &specs);
        let queue = Queue::default();
        let (record, known, metrics) = (Record::default(), Known::default(), Metrics::new());
        let tally = Tally::default();
        let mut common = Common { chain, block_bytes_max, faults, queue, net, rng, record, known, metrics, tally };
        for (node, spec) in specs.iter().enumerate() {
            common.queue.push(spec.starts_ms, Event::Restart { node });
        }
        common.plan_faults(specs.len());
        common.queue.push(BEAT_MS, Event::Beat);
        let nodes = specs.into_iter().enumerate().map(|(index, spec)| Node::new(index, spec, &common)).collect();
        Self { world, nodes, common, clock, trace: 0xcbf2_9ce4_8422_2325 }
    }

    /// Lets things happen until `done`, at most until `deadline_ms`; whether it came to that.
    ///
    /// # Errors
    /// The first thing that must never happen.
    pub fn run(&mut self, deadline_ms: u64, done: impl Fn(&W) -> bool) -> Result<bool, Breach> {
        while self.common.queue.next_at().is_some_and(|at| at <= deadline_ms) {
            let Some(event) = self.common.queue.pop() else { break };
            self.clock.0.store(self.common.queue.now(), Ordering::Relaxed);
            self.handle(event)?;
            if let Some(reason) = self.world.fault() {
                return Err(Breach::World { at_ms: self.now_ms(), reason });
            }
            if done(&self.world) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Milliseconds since the beginning.
    pub const fn now_ms(&self) -> u64 {
        self.common.queue.now()
    }

    /// The world.
    pub const fn world(&self) -> &W {
        &self.world
    }

    /// What happened so far.
    pub const fn tally(&self) -> Tally {
        self.common.tally
    }

    /// A number that two runs share only if the same things happened in the same order.
    pub const fn trace(&self) -> u64 {
        self.trace
    }

    fn handle(&mut self, event: Event) -> Result<(), Breach> {
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, &message),
            Event::Later { node, life, task } => {
                self.mark(2, node);
                let done = match &mut self.nodes[node] {
                    up if up.life() == life => up.perform(&mut self.common, task),
                    _ => return Ok(()),
                };
                self.settle(node, done)
            }
            Event::Crash { node } => {
                let steps = self.common.rng.below(FUSE_STEPS);
                self.nodes[node].light_fuse(steps);
                Ok(())
            }
            Event::Restart { node } => {
                self.mark(3, node);
                if self.nodes[node].is_up() {
                    return Ok(());
                }
                let app = self.world.open(node);
                let started = self.nodes[node].start(&mut self.common, app);
                self.settle(node, started)
            }
            Event::Split { groups } => {
                self.common.net.split(groups);
                Ok(())
            }
            Event::Beat => {
                self.beat();
                Ok(())
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: &Message) -> Result<(), Breach> {
        if !self.nodes[to].is_up() {
            return Ok(());
        }
        self.mark(1, to);
        if let Message::World(bytes) = message {
            self.world.receive(to, bytes);
            return Ok(());
        }
        let done = self.nodes[to].deliver(&mut self.common, from, message);
        self.settle(to, done)
    }

    fn beat(&mut self) {
        for Post { from, bytes } in self.world.beat(self.now_ms()) {
            if self.nodes[from].is_up() {
                self.common.net.publish(&mut self.common.queue, from, Message::World(bytes));
            }
        }
        self.common.queue.push(BEAT_MS, Event::Beat);
    }

    /// After a node has done something: it may have crashed, or done what must never happen.
    fn settle(&mut self, node: usize, done: Result<(), Stop>) -> Result<(), Breach> {
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Crashed) => {
                self.mark(4, node);
                self.common.tally.crashes += 1;
                self.nodes[node].crash(&mut self.common.rng);
                self.world.crashed(node);
                let Faults { until_ms, .. } = self.common.faults;
                let left = until_ms.saturating_sub(self.now_ms());
                let pause = self.common.rng.between(1, 1 + left / 2);
                self.common.queue.push(pause, Event::Restart { node });
                Ok(())
            }
            Err(Stop::Breach(breach)) if self.nodes[node].is_honest() => Err(breach),
            // A dishonest node that breaks its own machine stays away.
            Err(Stop::Breach(_)) => {
                self.nodes[node].crash(&mut self.common.rng);
                self.world.crashed(node);
                Ok(())
            }
        }
    }

    /// FNV-1a over what happens when and where.
    fn mark(&mut self, kind: u64, node: usize) {
        for word in [self.common.queue.now(), kind, node as u64] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Common {
    fn plan_faults(&mut self, nodes: usize) {
        let Faults { until_ms, crashes, splits, .. } = self.faults;
        for _ in 0..crashes {
            let node = usize::try_from(self.rng.below(nodes as u64)).expect("an index of a list in memory");
            let at = self.rng.below(until_ms);
            self.queue.push(at, Event::Crash { node });
        }
        for _ in 0..splits {
            let at = self.rng.below(until_ms);
            let length = self.rng.below(until_ms - at);
            let groups = (0..nodes).map(|_| u8::from(self.rng.percent(50))).collect();
            self.queue.push(at, Event::Split { groups: Some(groups) });
            self.queue.push(at + length, Event::Split { groups: None });
        }
        self.queue.push(until_ms, Event::Split { groups: None });
    }
}
