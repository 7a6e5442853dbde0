//! A chain with a story, kept as a node keeps it, and a server that tells it: truly or not, as its villain likes.
//!
//! The story: Carol, Dave and Erin hold what Alice and Bob store. In round 0 everybody proves all. In round 1 Dave has lost a
//! batch and Erin sends nothing. In round 2 all prove again, and Dave's lost batch goes unpaid: it was faulty before. After
//! round 0 Frank bonds and becomes the weightiest validator, and after round 1 he bonds more.

use crate::disk::Disk;
use crate::market::{BLOCK_MS, HEAVY, Market, address, key, vrf};
use crate::signing::Deal;
use crate::villains::Villain;
use async_trait::async_trait;
use holdfast_ledger::{
    Account, AdmittedTx, Applied, Block, Contract, Event, FullBlock, Genesis, Header, LoadError, Phase, Segment,
    SlotEvidence, State, StateSource, Step, Steps, Table, TxBody, TxEnvelope, slot_evidence,
};
use holdfast_primitives::{
    AccountNo, Address, Amount, BlockHash, Bounded, Certificate, CommitSignature, ContractNo, Digest, Height, HolderNo,
    Purpose, RoundNo, SegmentNo, TxId, ValidatorSet, vote_payload,
};
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{
    Backend, BackendError, Check, Faucet, HeavyInfo, NodeInfo, ProofPlace, RpcConfig, RpcServer, Standing, SubmitError,
    Tip, serve,
};
use holdfast_wallet::NodeSource;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use tokio::sync::watch;

/// Everything that a node keeps.
pub struct Archive {
    pub genesis: Genesis,
    pub blocks: Vec<FullBlock>,
    pub events: Vec<Vec<Event>>,
    pub tip: Arc<State>,
    evidence: BTreeMap<(RoundNo, HolderNo), Vec<SlotEvidence>>,
    sets: BTreeMap<Digest, ValidatorSet>,
    disk: Disk,
}

/// The story, told once for all tests.
pub static STORY: LazyLock<Arc<Archive>> = LazyLock::new(|| Arc::new(Chronicler::begin().story()));

/// Writes the archive while the market runs.
struct Chronicler {
    market: Market,
    blocks: Vec<FullBlock>,
    events: Vec<Vec<Event>>,
    evidence: BTreeMap<(RoundNo, HolderNo), Vec<SlotEvidence>>,
    sets: BTreeMap<Digest, ValidatorSet>,
}

impl Chronicler {
    fn begin() -> Self {
        let market = Market::open();
        let first = &market.state.chain().validators;
        let sets = BTreeMap::from([(first.digest(), first.clone())]);
        Self { market, blocks: Vec::new(), events: Vec::new(), evidence: BTreeMap::new(), sets }
    }

    fn story(mut self) -> Archive {
        let joins = ["carol", "dave", "erin"].map(|name| self.market.join(name));
        self.block(joins.to_vec());
        let deals = ["carol", "dave", "erin"].map(Deal::with);
        let register = self.market.register("alice", 20, 2, &deals);
        self.block(vec![register]);
        let path = vec![HEAVY[0], HEAVY[1], HEAVY[2]];
        let deals = ["carol", "dave"].map(|holder| Deal { path: path.clone(), ..Deal::with(holder) });
        let register = self.market.register("bob", 21, 2, &deals);
        self.block(vec![register]);
        self.round(&["carol", "dave", "erin"]);
        self.bond("frank", 3);
        let state = self.market.state.clone();
        self.market.vault.lose(&state, "dave", 21, 0);
        self.round(&["carol", "dave"]);
        self.bond("frank", 2);
        self.round(&["carol", "dave", "erin"]);
        let transfer = self.market.transfer("alice", "bob", 12_345);
        self.block(vec![transfer]);
        let tip = Arc::new(self.market.state.clone());
        let Self { market, blocks, events, evidence, sets } = self;
        Archive { genesis: market.genesis, blocks, events, tip, evidence, sets, disk: market.disk }
    }

    fn bond(&mut self, name: &str, hold: u64) {
        let body = TxBody::Bond { amount: Amount::hold(hold), vrf: vrf(name).public() };
        let bond = self.market.tx(name, body);
        self.block(vec![bond]);
    }

    fn block(&mut self, txs: Vec<TxEnvelope>) {
        let txs = self.market.admit_all(txs);
        self.block_at(self.market.time + BLOCK_MS, txs);
    }

    fn block_at(&mut self, time: u64, txs: Vec<AdmittedTx>) {
        let (applied, skipped) = self.market.build(time, HEAVY[0], txs);
        assert!(skipped.is_empty());
        self.keep(&applied);
        self.market.commit(applied).unwrap();
    }

    fn keep(&mut self, applied: &Applied) {
        let set = &applied.state.chain().validators;
        self.sets.insert(set.digest(), set.clone());
        self.blocks.push(applied.full.clone());
        self.events.push(applied.events.clone());
        for event in &applied.events {
            let Event::RoundSeeded { round, .. } = event else { continue };
            for (number, _) in applied.state.iter_holders() {
                if let Some(slots) = slot_evidence(&applied.state, number) {
                    self.evidence.insert((*round, number), slots);
                }
            }
        }
    }

    /// A whole round in which these holders prove.
    fn round(&mut self, proving: &[&'static str]) {
        let round = self.market.state.chain().running.round;
        self.block_at(self.market.state.chain().running.due.get(), Vec::new());
        while self.market.state.chain().running.phase == Phase::AwaitingSeed {
            self.block(Vec::new());
        }
        for holder in proving {
            let proof = self.market.proof(holder);
            self.block(proof);
        }
        while self.market.state.chain().running.round == round {
            self.block(Vec::new());
        }
    }
}

impl Archive {
    fn place(&self, height: Height) -> Option<usize> {
        let place = usize::try_from(height.previous()?.get()).unwrap();
        (place < self.blocks.len()).then_some(place)
    }

    pub fn header(&self, height: Height) -> Option<Header> {
        Some(self.blocks[self.place(height)?].block.header.clone())
    }

    /// Who decided a block of this header, or decides the next one.
    pub fn set(&self, digest: &Digest) -> ValidatorSet {
        self.sets[digest].clone()
    }

    /// Every change of validators after a height.
    pub fn steps(&self, after: Height) -> Vec<Step> {
        let headers = self.blocks.iter().map(|full| &full.block.header);
        let changes = headers.filter(|header| header.height > after && header.next_validators != header.validators);
        changes.map(|header| self.step(header)).collect()
    }

    fn step(&self, header: &Header) -> Step {
        let next = Some(self.set(&header.next_validators));
        Step { header: header.clone(), certificate: certificate(header, self.quorum(header)), next }
    }

    /// A quorum of those who decided this header's height.
    pub fn quorum(&self, header: &Header) -> &'static [&'static str] {
        let has_frank = self.set(&header.validators).get(&address("frank")).is_some();
        if has_frank { &["walter", "victor", "wendy", "frank"] } else { &HEAVY[..3] }
    }

    /// The height of the first block in which something like this happens.
    pub fn height_of(&self, happens: impl Fn(&Event) -> bool) -> Height {
        let place = self.events.iter().position(|events| events.iter().any(&happens)).unwrap();
        Height::new(place as u64 + 1)
    }

    /// Where a transaction stands.
    fn find(&self, id: &TxId) -> Option<(Height, usize)> {
        let at = |(place, full): (usize, &FullBlock)| {
            let index = full.block.txs.iter().position(|signed| signed.id() == *id)?;
            Some((Height::new(place as u64 + 1), index))
        };
        self.blocks.iter().enumerate().find_map(at)
    }

    fn parts(&self, round: RoundNo, holder: HolderNo) -> Vec<ProofPlace> {
        let mut parts = Vec::new();
        for (place, events) in self.events.iter().enumerate() {
            for event in events {
                let Event::ProofVerified { holder: of, tx, first_j, failed, .. } = event else { continue };
                let index = self.blocks[place].block.txs.iter().position(|signed| signed.id() == *tx).unwrap();
                let TxBody::Prove { part, .. } = self.blocks[place].block.txs[index].tx.body else { unreachable!() };
                if (part.round, *of) == (round, holder) {
                    let (height, index) = (Height::new(place as u64 + 1), index as u32);
                    parts.push((*first_j, ProofPlace { height, index, failed: failed.clone() }));
                }
            }
        }
        parts.sort_by_key(|(first_j, _)| *first_j);
        parts.into_iter().map(|(_, place)| place).collect()
    }

    /// The newest state with one record rewritten.
    fn forged<T>(&self, table: Table, number: u32, forge: impl Fn(&mut T)) -> State
    where
        T: borsh::BorshSerialize + borsh::BorshDeserialize,
    {
        let rewrite = |value: &[u8]| {
            let mut record: T = borsh::from_slice(value).unwrap();
            forge(&mut record);
            borsh::to_vec(&record).unwrap()
        };
        let forgery = Forgery { disk: &self.disk, table, key: number.to_be_bytes(), rewrite: &rewrite };
        State::load(&self.genesis, &forgery).unwrap()
    }

    /// A contract at half its price.
    pub fn with_cheap_contract(&self, number: ContractNo) -> State {
        let halve = |contract: &mut Contract| contract.price = Amount::grains(contract.price.get() / 2);
        self.forged(Table::Contracts, number.get(), halve)
    }

    /// A segment whose second piece lies one slot further on.
    pub fn with_moved_piece(&self, number: SegmentNo) -> State {
        self.forged(Table::Segments, number.get(), |segment: &mut Segment| segment.members[1].slot += 1)
    }

    /// An account under Mallory's address.
    pub fn with_mallory_as(&self, number: AccountNo) -> State {
        self.forged(Table::Accounts, number.get(), |account: &mut Account| account.address = address("mallory"))
    }
}

struct Forgery<'a> {
    disk: &'a Disk,
    table: Table,
    key: [u8; 4],
    rewrite: &'a dyn Fn(&[u8]) -> Vec<u8>,
}

impl StateSource for Forgery<'_> {
    fn scan(&self, table: Table, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        self.disk.scan(table, &mut |key, value| {
            let meant = table == self.table && key == self.key;
            if meant { each(key, &(self.rewrite)(value)) } else { each(key, value) }
        })
    }
}

/// The signatures of these on a block.
pub fn certificate(header: &Header, signers: &[&str]) -> Certificate {
    let (block, round) = (header.hash(), 0);
    let payload = vote_payload(true, header.height, round, Some(&block));
    let commit = |name: &&str| {
        let signature = key(name).sign(Purpose::Vote, &header.chain, &payload);
        CommitSignature { validator: address(name), signature }
    };
    let signatures = Bounded::new(signers.iter().map(commit).collect()).unwrap();
    Certificate { height: header.height, round, block, signatures }
}

/// A node that tells the story as `villain` likes it.
pub struct Teller {
    pub story: Arc<Archive>,
    pub villain: Villain,
    /// Blocks below have lost their openings.
    pub openings_below: Height,
    heights: watch::Sender<Height>,
}

/// A served teller and an auditor's line to it.
pub struct Served {
    pub node: NodeSource,
    pub url: String,
    _server: RpcServer,
}

/// Serves the story, all of it, as `villain` likes it.
pub async fn served(villain: Villain) -> Served {
    served_pruned(villain, Height::GENESIS).await
}

/// The same with no openings of blocks below a height.
pub async fn served_pruned(villain: Villain, openings_below: Height) -> Served {
    let story = Arc::clone(&STORY);
    let heights = watch::channel(story.tip.chain().height).0;
    let teller = Arc::new(Teller { story, villain, openings_below, heights });
    let server = serve(RpcConfig::default(), teller).await.unwrap();
    let url = server.url();
    Served { node: NodeSource::connect(&url).unwrap(), url, _server: server }
}

#[async_trait]
impl Backend for Teller {
    fn genesis(&self) -> Arc<Genesis> {
        Arc::new(self.story.genesis.clone())
    }

    fn tip(&self) -> Tip {
        let header = self.story.blocks.last().unwrap().block.header.clone();
        let hash = header.hash();
        let header = self.villain.header(&self.story, header);
        Tip { hash, header: Some(Arc::new(header)), state: self.villain.state(&self.story) }
    }

    fn watch_height(&self) -> watch::Receiver<Height> {
        self.heights.subscribe()
    }

    fn watch_drops(&self) -> watch::Receiver<u64> {
        // Nothing waits here, so nothing is ever dropped.
        watch::channel(0).1
    }

    fn height_of(&self, block: &BlockHash) -> Result<Option<Height>, BackendError> {
        let found = self.story.blocks.iter().find(|full| full.block.header.hash() == *block);
        Ok(found.map(|full| full.block.header.height))
    }

    fn header(&self, height: Height) -> Result<Option<Header>, BackendError> {
        Ok(self.story.header(height).map(|header| self.villain.header(&self.story, header)))
    }

    fn block(&self, height: Height) -> Result<Option<Block>, BackendError> {
        let Some(place) = self.story.place(height) else { return Ok(None) };
        Ok(Some(self.villain.block(&self.story, self.story.blocks[place].block.clone())))
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, BackendError> {
        Ok(self.story.header(height).map(|header| self.villain.certificate(&self.story, header)))
    }

    fn validators(&self, height: Height) -> Result<Option<ValidatorSet>, BackendError> {
        Ok(self.story.header(height).map(|header| self.story.set(&header.validators)))
    }

    fn steps(&self, after: Height) -> Result<Steps, BackendError> {
        Ok(Bounded::new(self.villain.steps(&self.story, after)).unwrap())
    }

    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, BackendError> {
        let Some(place) = self.story.place(height) else { return Ok(None) };
        Ok(Some(self.villain.events(self.story.events[place].clone())))
    }

    fn tx_status(&self, id: &TxId) -> Result<TxStatus, BackendError> {
        let place = self.story.find(id);
        Ok(place.map_or(TxStatus::Unknown, |(height, index)| TxStatus::Final { height, index: index as u32 }))
    }

    fn txs_between(&self, _: &TxId, _: &TxId, _: usize) -> Result<Vec<TxId>, BackendError> {
        unreachable!("an audit names transactions in full")
    }

    fn proof_parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<ProofPlace>, BackendError> {
        Ok(self.story.parts(round, holder))
    }

    fn openings(&self, tx: &TxId) -> Result<Option<Vec<u8>>, BackendError> {
        let Some((height, index)) = self.story.find(tx) else { return Ok(None) };
        if height < self.openings_below {
            return Ok(None);
        }
        let full = &self.story.blocks[self.story.place(height).unwrap()];
        let is_proof = |index: &usize| matches!(full.block.txs[*index].tx.body, TxBody::Prove { .. });
        let nth = (0..index).filter(is_proof).count();
        Ok(is_proof(&index).then(|| self.villain.openings(full.openings[nth].to_vec())))
    }

    fn slot_evidence(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SlotEvidence>, BackendError> {
        Ok(self.story.evidence.get(&(round, holder)).cloned().unwrap_or_default())
    }

    async fn submit(&self, _: TxEnvelope) -> Result<TxId, SubmitError> {
        Err(SubmitError::NotSynced { height: self.story.tip.chain().height })
    }

    fn heavies(&self) -> Vec<HeavyInfo> {
        Vec::new()
    }

    fn node(&self) -> NodeInfo {
        NodeInfo {
            account: address(HEAVY[0]),
            node_addr: String::new(),
            children: 0,
            peers: 0,
            graph: holdfast_rpc::GraphInfo::default(),
            synced: true,
            version: String::new(),
        }
    }

    fn standing(&self) -> Standing {
        Standing { peers: 0, synced: true, version: "0.1.0" }
    }

    fn is_online(&self, _: &Address) -> bool {
        true
    }

    fn faucet(&self) -> Option<Arc<dyn Faucet>> {
        None
    }

    fn health(&self) -> Vec<Check> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }
}
