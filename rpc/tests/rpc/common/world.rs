//! The node: seven blocks, a pool that asks the rule book, and a disk that can be broken.

use super::records::{self, START};
use async_trait::async_trait;
use holdfast_ledger::{
    Block, Event, FrozenHolder, Genesis, Header, Payment, Pending, RoundRecord, RoundResult, SignedTx, SlotEvidence,
    State, Steps, Tx, TxBody, TxEnvelope, admit, rows_root,
};
use holdfast_por::{PROOF_VERSION, ProofPart};
use holdfast_primitives::{
    AccountNo, Address, Amount, BlockHash, Bounded, Certificate, CommitSignature, ContractNo, Digest, Height, HolderNo,
    Purpose, RoundNo, SecretKey, SegmentNo, StateRoot, TimeMs, TxId, ValidatorSet, VrfProof, sha256, vote_payload,
};
use holdfast_rpc::tx::TxStatus;
use holdfast_rpc::{Backend, BackendError, Check, Faucet, HeavyInfo, NodeInfo, ProofPlace, Standing, SubmitError, Tip};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub struct World {
    chain: Mutex<Chain>,
    heights: watch::Sender<Height>,
    drops: watch::Sender<u64>,
    disk_is_broken: AtomicBool,
    is_ready: AtomicBool,
}

struct Chain {
    state: Arc<State>,
    settled: RoundRecord,
    frozen_root: Digest,
    blocks: Vec<Block>,
    events: Vec<Vec<Event>>,
    pool: BTreeMap<TxId, (TxEnvelope, TxStatus)>,
}

/// What the openings of the one proof would be.
pub fn openings() -> Vec<u8> {
    (0..=255).collect()
}

impl World {
    pub fn new() -> Self {
        let (settled, frozen_root) = rounds();
        let state = Arc::new(records::state(Height::GENESIS, &settled, frozen_root));
        let (blocks, events, pool) = (Vec::new(), Vec::new(), BTreeMap::new());
        let chain = Chain { state, settled, frozen_root, blocks, events, pool };
        let world = Self {
            chain: Mutex::new(chain),
            heights: watch::channel(Height::GENESIS).0,
            drops: watch::channel(0).0,
            disk_is_broken: AtomicBool::new(false),
            is_ready: AtomicBool::new(true),
        };
        for (txs, events) in history() {
            world.append(txs, events);
        }
        world
    }

    /// Makes a block of everything that waits.
    pub fn make_block(&self) -> Height {
        let waiting: Vec<SignedTx> = {
            let chain = self.chain.lock().unwrap();
            let pending = chain.pool.values().filter(|(_, status)| *status == TxStatus::Pending);
            pending.map(|(envelope, _)| envelope.signed.clone()).collect()
        };
        let executed = waiting.iter().map(|signed| Event::Executed { tx: signed.id(), fee: signed.tx.fee }).collect();
        self.append(waiting, executed)
    }

    /// Makes a block that settles the round once more.
    pub fn settle_again(&self) -> Height {
        self.append(vec![], vec![Event::RoundSettled(rounds().0)])
    }

    /// Drops everything that waits.
    pub fn drop_waiting(&self) {
        self.drop_as(TxStatus::Dropped {
            code: "expired".into(),
            message: "expired at height 1".into(),
            replaced_by: None,
        });
    }

    /// Replaces everything that waits by a transaction.
    pub fn replace_waiting(&self, by: TxId) {
        let message = format!("replaced by transaction {by}");
        self.drop_as(TxStatus::Dropped { code: "tx_replaced".into(), message, replaced_by: Some(by) });
    }

    fn drop_as(&self, dropped: TxStatus) {
        for (_, status) in self.chain.lock().unwrap().pool.values_mut() {
            if *status == TxStatus::Pending {
                status.clone_from(&dropped);
            }
        }
        self.drops.send_modify(|drops| *drops += 1);
    }

    /// Forgets everything that waits, as a restart does.
    pub fn forget_waiting(&self) {
        self.chain.lock().unwrap().pool.clear();
    }

    pub fn break_disk(&self) {
        self.disk_is_broken.store(true, Ordering::SeqCst);
    }

    pub fn fall_ill(&self) {
        self.is_ready.store(false, Ordering::SeqCst);
    }

    /// A transfer that the rule book admits now.
    pub fn transfer(&self, amount: Amount) -> TxEnvelope {
        transfer(&records::owner(), 3, amount)
    }

    /// A transfer whose sequence number another transaction took.
    pub fn late_transfer(&self, amount: Amount) -> TxEnvelope {
        transfer(&records::owner(), 2, amount)
    }

    fn append(&self, txs: Vec<SignedTx>, events: Vec<Event>) -> Height {
        let height = {
            let mut chain = self.chain.lock().unwrap();
            let height = Height::new(chain.blocks.len() as u64 + 1);
            let state = records::state(height, &chain.settled, chain.frozen_root);
            let parent = chain.blocks.last().map_or(BlockHash::ZERO, |block| block.header.hash());
            let header = header(height, parent, state.root(), &txs, &events);
            for (index, signed) in (0..).zip(&txs) {
                let status = TxStatus::Final { height, index };
                chain.pool.insert(signed.id(), (TxEnvelope::bare(signed.clone()), status));
            }
            chain.state = Arc::new(state);
            chain.blocks.push(Block { header, txs: Bounded::new(txs).unwrap() });
            chain.events.push(events);
            height
        };
        self.heights.send_replace(height);
        height
    }

    fn read<T>(&self, height: Height, of: impl Fn(&Chain, usize) -> Option<T>) -> Result<Option<T>, BackendError> {
        if self.disk_is_broken.load(Ordering::SeqCst) {
            return Err(BackendError::Fault("read /var/secret/000042.sst: bad sector".into()));
        }
        let Some(place) = height.previous() else { return Ok(None) };
        Ok(of(&self.chain.lock().unwrap(), place.get() as usize))
    }
}

#[async_trait]
impl Backend for World {
    fn genesis(&self) -> Arc<Genesis> {
        Arc::new(records::genesis())
    }

    fn tip(&self) -> Tip {
        let chain = self.chain.lock().unwrap();
        let header = &chain.blocks.last().unwrap().header;
        Tip { hash: header.hash(), header: Some(Arc::new(header.clone())), state: chain.state.clone() }
    }

    fn watch_height(&self) -> watch::Receiver<Height> {
        self.heights.subscribe()
    }

    fn watch_drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, BackendError> {
        let chain = self.chain.lock().unwrap();
        Ok(chain.blocks.iter().find(|block| block.header.hash() == *hash).map(|block| block.header.height))
    }

    fn header(&self, height: Height) -> Result<Option<Header>, BackendError> {
        self.read(height, |chain, place| Some(chain.blocks.get(place)?.header.clone()))
    }

    fn block(&self, height: Height) -> Result<Option<Block>, BackendError> {
        self.read(height, |chain, place| chain.blocks.get(place).cloned())
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, BackendError> {
        self.read(height, |chain, place| Some(certificate(&chain.blocks.get(place)?.header)))
    }

    fn validators(&self, height: Height) -> Result<Option<ValidatorSet>, BackendError> {
        self.read(height, |_, _| Some(records::validators()))
    }

    fn steps(&self, _: Height) -> Result<Steps, BackendError> {
        Ok(Bounded::empty())
    }

    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, BackendError> {
        self.read(height, |chain, place| chain.events.get(place).cloned())
    }

    fn tx_status(&self, id: &TxId) -> Result<TxStatus, BackendError> {
        Ok(self.chain.lock().unwrap().pool.get(id).map_or(TxStatus::Unknown, |(_, status)| status.clone()))
    }

    fn txs_between(&self, low: &TxId, high: &TxId, limit: usize) -> Result<Vec<TxId>, BackendError> {
        let chain = self.chain.lock().unwrap();
        let is_final = |status: &TxStatus| matches!(status, TxStatus::Final { .. });
        let known = chain.pool.range(low..=high).filter(|(_, (_, status))| is_final(status));
        Ok(known.map(|(id, _)| *id).take(limit).collect())
    }

    fn proof_parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<ProofPlace>, BackendError> {
        let place = ProofPlace { height: Height::new(4), index: 0, failed: vec![2] };
        Ok(if (round.get(), holder.get()) == (0, 0) { vec![place] } else { vec![] })
    }

    fn openings(&self, tx: &TxId) -> Result<Option<Vec<u8>>, BackendError> {
        Ok((*tx == proof().id()).then(openings))
    }

    fn slot_evidence(&self, _: RoundNo, holder: HolderNo) -> Result<Vec<SlotEvidence>, BackendError> {
        let state = self.chain.lock().unwrap().state.clone();
        let Some(list) = state.list(holder, records::BATCH_LOG2) else { return Ok(vec![]) };
        let path = Bounded::new(list.proof_in_prefix(1, 0).unwrap()).unwrap();
        Ok(vec![SlotEvidence { batch_log2: records::BATCH_LOG2, slot: 0, record: list.get(0).unwrap().clone(), path }])
    }

    async fn submit(&self, envelope: TxEnvelope) -> Result<TxId, SubmitError> {
        let mut chain = self.chain.lock().unwrap();
        let id = envelope.signed.id();
        let status = chain.pool.get(&id).map(|(_, status)| status);
        if matches!(status, Some(TxStatus::Final { .. })) {
            return Err(SubmitError::Refused { code: "tx_known".into(), message: format!("{id} is known") });
        }
        let waiting = Pending::none(&chain.state, &envelope.signed.tx.sender);
        let admitted = admit(&chain.state, envelope.clone(), &waiting);
        admitted.map_err(|rule| SubmitError::Refused { code: rule.code().into(), message: rule.to_string() })?;
        chain.pool.insert(id, (envelope, TxStatus::Pending));
        Ok(id)
    }

    fn node(&self) -> NodeInfo {
        NodeInfo {
            account: records::validator().address(),
            node_addr: "holdfast-node:0909@127.0.0.1:4001".into(),
            children: 2,
            peers: 1,
            graph: holdfast_rpc::GraphInfo::default(),
            synced: true,
            version: "0.1.0".into(),
        }
    }

    fn heavies(&self) -> Vec<HeavyInfo> {
        let info = |key: SecretKey, port: u16, rpc_url: Option<&str>| HeavyInfo {
            address: key.address(),
            node_addr: format!("{}@127.0.0.1:{port}", key.address()),
            rpc_url: rpc_url.map(str::to_owned),
        };
        vec![
            info(records::validator(), 4_001, Some("http://127.0.0.1:7450")),
            info(SecretKey::from_seed([200; 32]), 4_002, None),
        ]
    }

    fn standing(&self) -> Standing {
        Standing { peers: 1, synced: true, version: "0.1.0" }
    }

    fn is_online(&self, holder: &Address) -> bool {
        [records::holder(0).address(), records::holder(1).address()].contains(holder)
    }

    fn faucet(&self) -> Option<Arc<dyn Faucet>> {
        Some(Arc::new(Fountain))
    }

    fn health(&self) -> Vec<Check> {
        let ok = self.is_ready.load(Ordering::SeqCst);
        let store = Check { name: "store", ok: true, detail: String::new() };
        let peers = Check { name: "peers", ok, detail: format!("{} connected", u8::from(ok)) };
        vec![store, peers]
    }

    fn metrics(&self) -> String {
        "# TYPE holdfast_height gauge\nholdfast_height 7\n# EOF\n".into()
    }
}

struct Fountain;

#[async_trait]
impl Faucet for Fountain {
    fn per_call(&self) -> Amount {
        Amount::hold(5)
    }

    async fn send(&self, to: Address, amount: Amount) -> Result<TxId, SubmitError> {
        Ok(TxId::new(sha256(&[to.as_bytes().as_slice(), &amount.get().to_le_bytes()].concat())))
    }
}

/// The one proof of the settled round, by holder 0.
pub fn proof() -> SignedTx {
    let part = ProofPart {
        version: PROOF_VERSION,
        round: RoundNo::new(0),
        holder: records::holder(0).address(),
        set_root: records::frozen(0, 0).set_root,
        first_j: 0,
        count: 4,
    };
    let openings_digest = Digest::new(sha256(&openings()));
    sign(&records::holder(0), 0, Amount::ZERO, TxBody::Prove { part, openings_digest })
}

pub fn transfer(from: &SecretKey, sequence: u64, amount: Amount) -> TxEnvelope {
    let memo = Bounded::new(b"rent".to_vec()).unwrap();
    let body = TxBody::Transfer { to: records::holder(1).address(), amount, memo };
    TxEnvelope::bare(sign(from, sequence, Amount::grains(5_000), body))
}

fn sign(key: &SecretKey, sequence: u64, fee: Amount, body: TxBody) -> SignedTx {
    let tx = Tx { sender: key.address(), sequence, fee, expires: Height::new(1_000), body };
    tx.sign(key, &records::genesis().chain_id())
}

fn frozen_rows(round: u64) -> Vec<FrozenHolder> {
    let row = |number| FrozenHolder {
        number: HolderNo::new(number),
        holder: records::holder(number).address(),
        frozen: records::frozen(number, round),
    };
    vec![row(0), row(1)]
}

fn result_rows() -> Vec<RoundResult> {
    let row = |number, missing, proof_digest| RoundResult {
        holder: records::holder(number).address(),
        proof_digest,
        missing,
        challenges: 4,
    };
    vec![row(0, 1, Digest::new([0xd1; 32])), row(1, 4, Digest::ZERO)]
}

/// The settled round and what the running one was frozen as.
fn rounds() -> (RoundRecord, Digest) {
    (records::settled(rows_root(&frozen_rows(0)), rows_root(&result_rows())), rows_root(&frozen_rows(1)))
}

fn freeze(round: u64) -> Vec<Event> {
    let rows = frozen_rows(round);
    let frozen_root = rows_root(&rows);
    let deadline = TimeMs::new(START + 30_000 + 400 * round);
    let all = Event::RoundFrozen { round: RoundNo::new(round), deadline, frozen_root };
    rows.into_iter().map(Event::HolderFrozen).chain([all]).collect()
}

/// Transactions and events of every block; together the events are of every kind.
fn history() -> Vec<(Vec<SignedTx>, Vec<Event>)> {
    let (transfer, proof) = (transfer(&records::owner(), 2, Amount::hold(1)).signed, proof());
    let (holder, contract, segment, owner) =
        (HolderNo::new(1), ContractNo::new(1), SegmentNo::new(0), AccountNo::new(0));
    let paid = Payment {
        contract: ContractNo::new(0),
        batches: 1,
        paid: Amount::grains(1_000),
        relay_fee: Amount::grains(15),
    };
    let seeded = |round, seed| Event::RoundSeeded { round: RoundNo::new(round), seed };
    let settlement = result_rows().into_iter().map(Event::HolderResult).chain([
        Event::BatchFaulty { holder, batch_log2: 20, slot: 0, segment, index: 1 },
        Event::Paid(Bounded::new(vec![paid]).unwrap()),
        Event::Fined { holder, amount: Amount::grains(2) },
        Event::RoundSettled(rounds().0),
    ]);
    vec![
        (
            vec![transfer.clone()],
            vec![
                Event::Executed { tx: transfer.id(), fee: transfer.tx.fee },
                Event::Transferred { from: owner, to: AccountNo::new(2), amount: Amount::hold(1) },
            ],
        ),
        (vec![], freeze(0)),
        (vec![], vec![seeded(0, [0x5e; 32])]),
        (
            vec![proof.clone()],
            vec![
                Event::Executed { tx: proof.id(), fee: Amount::ZERO },
                Event::ProofVerified {
                    holder: HolderNo::new(0),
                    tx: proof.id(),
                    first_j: 0,
                    count: 4,
                    failed: vec![2],
                },
            ],
        ),
        (vec![], settlement.collect()),
        (vec![], freeze(1)),
        (
            vec![],
            vec![
                seeded(1, [0x5f; 32]),
                Event::HolderJoined { holder, account: AccountNo::new(2) },
                Event::HolderUpdated { holder },
                Event::ContractOpened { contract, owner, holder, batches: 1, escrow: Amount::grains(100_000) },
                Event::SegmentRegistered { segment, owner, ordinal: 0 },
                Event::SegmentReleased { segment },
                Event::ContractExtended { contract, end_round: RoundNo::new(150), added: Amount::grains(50_000) },
                Event::ContractEnded { contract, refund: Amount::grains(99_000) },
            ],
        ),
    ]
}

fn header(height: Height, parent: BlockHash, state_root: StateRoot, txs: &[SignedTx], events: &[Event]) -> Header {
    Header {
        protocol_version: 1,
        chain: records::genesis().chain_id(),
        height,
        time: TimeMs::new(START + 100 * height.get()),
        parent,
        proposer: records::validator().address(),
        tx_root: rows_root(txs),
        result_root: rows_root(events),
        state_root,
        beacon: [0xbe; 32],
        vrf: VrfProof { pre_output: [1; 32], proof: [2; 64] },
        validators: records::validators().digest(),
        next_validators: records::validators().digest(),
    }
}

fn certificate(header: &Header) -> Certificate {
    let (key, block, round) = (records::validator(), header.hash(), 0);
    let payload = vote_payload(true, header.height, round, Some(&block));
    let signature = key.sign(Purpose::Vote, &header.chain, &payload);
    let commit = CommitSignature { validator: key.address(), signature };
    Certificate { height: header.height, round, block, signatures: Bounded::new(vec![commit]).unwrap() }
}
