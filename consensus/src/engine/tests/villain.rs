//! A validator that keeps to no protocol. It has a real key and real network endpoints, but no engine: it says what a test
//! wants said, to whom the test wants. With several endpoints it shows another face to each part of the network.

use super::common::{Block, CHAIN, PATIENCE, Rules, TestApp, keys};
use crate::app::Undecided;
use crate::engine::codec::Wire;
use crate::engine::config::{EngineConfig, Publish};
use crate::engine::handle::EngineHandle;
use crate::engine::network;
use crate::engine::part::{self, BlockPart, Opening};
use crate::engine::signing::ChainSigner;
use crate::engine::types::{BlockValue, EngineAddress, EngineHeight, EngineValidatorSet, Holdfast, Proposal, Vote};
use crate::engine::{start, watchdog::Stopped};
use crate::payload::stream_payload;
use arc_malachitebft_app::config::P2pConfig;
use arc_malachitebft_app::metrics::SharedRegistry;
use arc_malachitebft_app::streaming::StreamMessage;
use arc_malachitebft_codec::Codec;
use arc_malachitebft_core_consensus::SignedConsensusMsg;
use arc_malachitebft_core_types::{NilOrVal, Round, VoteType};
use arc_malachitebft_network as wire;
use arc_malachitebft_network::handle::{CtrlHandle, RecvHandle};
use arc_malachitebft_network::{Channel, Event};
use arc_malachitebft_signing::Signer as _;
use bytes::Bytes;
use holdfast_primitives::{Address, BlockHash, Height, Misbehaviour, Purpose};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

const WIRE: Wire = Wire { response_bytes_max: 0 };
/// Honest validators beside the villain: together they are just the quorum of four.
pub const HONEST: usize = 3;

/// An honest validator.
pub struct Node {
    _dir: TempDir,
    pub app: Arc<TestApp>,
    handle: EngineHandle,
}

/// Three honest validators that never rest, and the villain among them.
pub struct Scene {
    pub nodes: Vec<Node>,
    pub villain: Villain,
    /// The height at which the villain had met everyone.
    entered: u64,
}

/// The fourth validator.
pub struct Villain {
    pub signer: ChainSigner,
    validators: EngineValidatorSet,
    faces: Vec<CtrlHandle>,
    nonce: AtomicU64,
}

impl Scene {
    /// `faces` says which honest validators each endpoint of the villain is connected with.
    pub async fn of(publish: Publish, faces: &[&[usize]]) -> Self {
        let rules = Rules { heartbeat: Duration::from_millis(10), ..Rules::of(&keys(4)) };
        let mut nodes: Vec<Node> = Vec::new();
        for index in 0..HONEST {
            nodes.push(join(index, publish, &rules, &nodes).await);
        }
        let signer = ChainSigner { chain: CHAIN, key: keys(4).remove(HONEST) };
        let validators = EngineValidatorSet::new(&rules.validators);
        let mut villain = Villain { signer, validators, faces: Vec::new(), nonce: AtomicU64::new(0) };
        for seen_by in faces {
            villain.show(publish, &seen_by.iter().map(|index| &nodes[*index]).collect::<Vec<_>>()).await;
        }
        let entered = nodes.iter().map(|node| node.app.height()).max().unwrap();
        Self { nodes, villain, entered }
    }

    /// Lets the villain act once at each height that it sees coming, with the height and its parent, until `over`.
    pub async fn haunted(&self, deed: impl AsyncFn(Height, BlockHash), over: impl Fn(&Self) -> bool) {
        let mut tip = self.nodes[0].app.follow();
        while !over(self) {
            tip.borrow_and_update();
            let (height, parent) = self.nodes[0].parent();
            deed(height.next(), parent).await;
            tokio::time::timeout(PATIENCE, tip.changed()).await.expect("the chain goes on").unwrap();
        }
    }

    /// Whether all honest validators have decided so many heights since the villain is there.
    pub fn reached(&self, heights: u64) -> bool {
        self.nodes.iter().all(|node| node.app.height() >= self.entered + heights)
    }

    /// Whether every honest validator has been handed evidence like this.
    pub fn all_saw(&self, kind: impl Fn(&Misbehaviour) -> bool) -> bool {
        self.nodes.iter().all(|node| node.evidence().iter().any(&kind))
    }

    /// Stops everything; compares every decided block and judges every piece of evidence. Returns the common height and
    /// the heights that were decided on a block of the villain's.
    pub async fn judged(self) -> (u64, Vec<u64>) {
        let villain = self.villain.address();
        let lowest = self.nodes.iter().map(|node| node.app.height()).min().unwrap();
        for node in &self.nodes {
            node.app.audit();
            for height in 1..=lowest {
                assert_eq!(node.app.block(height), self.nodes[0].app.block(height), "height {height}");
            }
            for misbehaviour in node.evidence() {
                assert_eq!(misbehaviour.verify(&CHAIN), Ok(()), "{misbehaviour:?}");
                assert_eq!(*misbehaviour.validator(), villain, "nobody else is accused: {misbehaviour:?}");
            }
        }
        let maker = |height: &u64| self.nodes[0].app.parsed(*height).proposer == villain;
        let own = (1..=lowest).filter(maker).collect();
        for face in self.villain.faces {
            face.wait_shutdown().await.unwrap();
        }
        for node in self.nodes {
            assert_eq!(node.handle.shutdown().await, Stopped::Shutdown);
        }
        (lowest, own)
    }

    /// The rounds in which the heights were decided where the villain was the first to propose.
    pub fn rounds_of_its_turns(&self) -> Vec<u32> {
        let lowest = self.nodes.iter().map(|node| node.app.height()).min().unwrap();
        // The first height may have been under way when the villain came.
        let turns = (self.entered + 2..=lowest).filter(|height| self.villain.has_turn(Height::new(*height)));
        turns.map(|height| self.nodes[0].app.certificate(height).round).collect()
    }
}

async fn join(index: usize, publish: Publish, rules: &Rules, nodes: &[Node]) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::open(dir.path(), rules.clone());
    let peers = nodes.iter().map(|node| node.handle.listening()[0].clone()).collect();
    let config = EngineConfig {
        moniker: format!("honest-{index}"),
        peers,
        publish,
        ..EngineConfig::new(dir.path().join("engine"))
    };
    let handle = start(config, keys(4).remove(index), CHAIN, app.clone()).await.unwrap();
    for other in nodes {
        other.handle.add_peer(&handle.listening()[0]).await.unwrap();
    }
    Node { _dir: dir, app, handle }
}

impl Node {
    fn parent(&self) -> (Height, BlockHash) {
        crate::app::LedgerApp::tip(&*self.app)
    }

    /// Everything that consensus has told the ledger of misbehaviour.
    pub fn evidence(&self) -> Vec<Misbehaviour> {
        self.app.seen_evidence.lock().unwrap().iter().flat_map(|evidence| evidence.items.clone()).collect()
    }
}

impl Villain {
    pub fn address(&self) -> Address {
        self.signer.key.address()
    }

    /// Whether it is the first to propose at this height.
    pub fn has_turn(&self, height: Height) -> bool {
        *self.validators.proposer(height, 0).address() == self.address()
    }

    /// A block that honest validators would take, but for its `entries`; no two are the same.
    pub fn block(&self, height: Height, parent: BlockHash, entries: &[&[u8]]) -> Block {
        let entries = entries.iter().map(|entry| entry.to_vec()).collect();
        Block { height, parent, proposer: self.address(), nonce: self.fresh(), entries }
    }

    /// Never the same number twice.
    pub fn fresh(&self) -> u64 {
        self.nonce.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens one more endpoint.
    async fn show(&mut self, publish: Publish, honest: &[&Node]) {
        let peers = honest.iter().map(|node| node.handle.listening()[0].clone()).collect();
        let settings = EngineConfig { peers, publish, ..EngineConfig::new("") };
        let moniker = format!("villain-{}", self.faces.len());
        let registry = SharedRegistry::global().with_moniker(moniker.as_str());
        let identity = network::identity(moniker, &self.signer, &WIRE).await.unwrap();
        let config = endpoint(settings.check(&CHAIN).unwrap().consensus.p2p);
        let (events, control) = wire::spawn(identity, config, registry).await.unwrap().split();
        let (sender, mut heard) = watch::channel(Heard::default());
        tokio::spawn(listen(events, sender));
        let listening = heard.wait_for(|heard| heard.address.is_some()).await.unwrap().address.clone().unwrap();
        for node in honest {
            node.handle.add_peer(&listening).await.unwrap();
        }
        let met = heard.wait_for(|heard| heard.peers.len() == honest.len());
        tokio::time::timeout(PATIENCE, met).await.expect("the honest ones are met").unwrap();
        self.faces.push(control);
    }

    /// Publishes any bytes at all.
    pub async fn say(&self, face: usize, channel: Channel, bytes: impl Into<Bytes>) {
        self.faces[face].publish(channel, bytes.into()).await.unwrap();
    }

    /// Publishes what the codec can say.
    async fn tell(&self, face: usize, message: SignedConsensusMsg<Holdfast>) {
        self.say(face, Channel::Consensus, WIRE.encode(&message).unwrap()).await;
    }

    /// Streams a block under this opening, then announces it: a proposal with all that belongs to it.
    pub async fn propose(&self, face: usize, block: &Block, round: u32) {
        self.stream(face, self.opening(block, round), &block.bytes()).await;
        self.announce(face, block.height, round, block.hash()).await;
    }

    /// The opening that belongs to a block.
    pub fn opening(&self, block: &Block, round: u32) -> Opening {
        self.opening_of(block.height, round, block.hash(), &block.bytes())
    }

    /// A signed opening that names any hash for any bytes.
    pub fn opening_of(&self, height: Height, round: u32, hash: BlockHash, bytes: &Bytes) -> Opening {
        let (proposer, block) = (self.address(), bytes.clone());
        let kept = Undecided { height, round, valid_round: None, proposer, block, hash, valid: true };
        Opening::sign(&self.signer, &kept, round, None)
    }

    /// Signs an opening again after something in it was changed.
    pub fn signed(&self, opening: Opening) -> Opening {
        let Opening { height, round, hash, block_bytes, .. } = opening;
        let payload = stream_payload(height, round, &hash, block_bytes, &opening.chunks);
        Opening { signature: self.signer.key.sign(Purpose::ProposalFin, &CHAIN, &payload), ..opening }
    }

    /// Streams any bytes under any opening.
    pub async fn stream(&self, face: usize, opening: Opening, bytes: &Bytes) {
        for message in part::stream(opening, bytes, self.fresh()) {
            self.send_part(face, &message).await;
        }
    }

    /// One message of a stream.
    pub async fn send_part(&self, face: usize, message: &StreamMessage<BlockPart>) {
        self.say(face, Channel::ProposalParts, WIRE.encode(message).unwrap()).await;
    }

    /// The signed proposal alone.
    pub async fn announce(&self, face: usize, height: Height, round: u32, hash: BlockHash) {
        let signed = self.signer.sign_proposal(self.proposal(height, round, hash)).await.unwrap();
        self.tell(face, SignedConsensusMsg::Proposal(signed)).await;
    }

    /// A proposal in the name of another, with the villain's signature.
    pub async fn announce_as(&self, face: usize, name: Address, height: Height, hash: BlockHash) {
        let proposal = Proposal { proposer: EngineAddress(name), ..self.proposal(height, 0, hash) };
        let signed = self.signer.sign_proposal(proposal).await.unwrap();
        self.tell(face, SignedConsensusMsg::Proposal(signed)).await;
    }

    fn proposal(&self, height: Height, round: u32, hash: BlockHash) -> Proposal {
        Proposal {
            height: EngineHeight(height),
            round: Round::new(round),
            value: BlockValue(hash),
            valid_round: Round::Nil,
            proposer: EngineAddress(self.address()),
        }
    }

    /// A prevote and a precommit for the same block or for nil.
    pub async fn vote(&self, face: usize, height: Height, round: u32, hash: Option<BlockHash>) {
        self.vote_as(face, self.address(), height, round, hash).await;
    }

    /// Both votes in the name of somebody, with the villain's signature.
    pub async fn vote_as(&self, face: usize, name: Address, height: Height, round: u32, hash: Option<BlockHash>) {
        for kind in [VoteType::Prevote, VoteType::Precommit] {
            let value = hash.map_or(NilOrVal::Nil, NilOrVal::Val);
            let (height, round, validator) = (EngineHeight(height), Round::new(round), EngineAddress(name));
            let signed = self.signer.sign_vote(Vote { kind, height, round, value, validator }).await.unwrap();
            self.tell(face, SignedConsensusMsg::Vote(signed)).await;
        }
    }
}

/// What an endpoint of the villain has heard by itself.
#[derive(Default)]
struct Heard {
    address: Option<String>,
    peers: BTreeSet<wire::PeerId>,
}

/// Listens so that the endpoint does not wait for it; keeps only where it listens and who listens to it.
async fn listen(mut events: RecvHandle, heard: watch::Sender<Heard>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Listening(address) => heard.send_modify(|heard| heard.address = Some(address.to_string())),
            Event::PeerSubscribed(peer, _) => heard.send_modify(|heard| heard.peers.extend([peer])),
            _ => {}
        }
    }
}

/// An endpoint as the engine would open it with these settings, but that discovers nobody and serves no blocks.
fn endpoint(p2p: P2pConfig) -> wire::Config {
    let names = p2p.protocol_names;
    wire::Config {
        transport: wire::TransportProtocol::from_multiaddr(&p2p.listen_addr).unwrap(),
        listen_addr: p2p.listen_addr,
        persistent_peers: p2p.persistent_peers,
        persistent_peers_only: false,
        discovery: wire::DiscoveryConfig { enabled: false, ..wire::DiscoveryConfig::default() },
        idle_connection_timeout: Duration::from_secs(900),
        gossipsub: wire::GossipSubConfig::default(),
        pubsub_protocol: match p2p.protocol {
            arc_malachitebft_app::config::PubSubProtocol::Broadcast => wire::PubSubProtocol::Broadcast,
            arc_malachitebft_app::config::PubSubProtocol::GossipSub(_) => wire::PubSubProtocol::GossipSub,
        },
        channel_names: wire::ChannelNames::default(),
        rpc_max_size: p2p.rpc_max_size.as_u64() as usize,
        pubsub_max_size: p2p.pubsub_max_size.as_u64() as usize,
        pubsub_max_size_per_topic: wire::PubSubMaxSizePerTopic::default(),
        sync_request_timeout: Duration::from_secs(10),
        sync_max_request_size: 1024 * 1024,
        sync_parallel_requests: 1,
        enable_consensus: true,
        enable_sync: true,
        protocol_names: wire::ProtocolNames {
            consensus: names.consensus,
            discovery_kad: names.discovery_kad,
            discovery_regres: names.discovery_regres,
            sync: names.sync,
            validator_proof: names.validator_proof,
        },
    }
}
