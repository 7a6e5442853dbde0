//! The ledger as consensus drives it: what `NodeApp` and `NodeCore` do, on a disk of memory and a virtual clock.

use crate::judge::Judge;
use crate::scene::{Actor, START_MS, Villain, validator_key, validator_vrf};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_consensus::sim::SimClock;
use holdfast_consensus::{
    AppError, BlockIdentity, BuildRequest, Evidence, HeightConfig, LedgerApp, Timeouts, Undecided, Verdict,
};
use holdfast_ledger::{
    BlockError, CheckedBlock, FullBlock, Proposer, SignedTx, State, Tx, TxBody, TxEnvelope, build_block, check_block,
    sound,
};
use holdfast_node::{Mempool, MempoolLimits, RoundWork, SubmitError, round_work};
use holdfast_primitives::limits::BLOCK_BYTES_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Certificate, Height, Misbehaviour, StateRoot, TimeMs, TxId, VrfSecretKey, decode_exact,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// As a node keeps them.
const CHECKED_KEPT: usize = 4;

/// What survives a crash.
pub struct Disk {
    pub state: State,
    pub hash: BlockHash,
    chain: Vec<(Bytes, Certificate)>,
    undecided: Vec<Undecided>,
}

impl Disk {
    pub const fn new(genesis: State) -> Self {
        Self { state: genesis, hash: BlockHash::ZERO, chain: Vec::new(), undecided: Vec::new() }
    }
}

/// One node's application, for one life.
pub struct SimApp {
    node: usize,
    actor: Actor,
    address: Address,
    vrf: VrfSecretKey,
    clock: SimClock,
    disk: Arc<Mutex<Disk>>,
    judge: Arc<Mutex<Judge>>,
    mempool: Mutex<Mempool>,
    checked: Mutex<VecDeque<CheckedBlock>>,
}

impl SimApp {
    pub fn open(node: usize, actor: Actor, clock: SimClock, disk: Arc<Mutex<Disk>>, judge: Arc<Mutex<Judge>>) -> Self {
        Self {
            node,
            address: validator_key(actor.validator).address(),
            vrf: validator_vrf(actor.validator),
            actor,
            clock,
            disk,
            judge,
            // Small, so that transactions compete for room.
            mempool: Mutex::new(Mempool::new(MempoolLimits { per_sender: 4, count: 12, ..MempoolLimits::default() })),
            checked: Mutex::default(),
        }
    }

    /// By this node's clock.
    fn now(&self) -> TimeMs {
        TimeMs::new((START_MS + self.clock.now_ms()).saturating_add_signed(self.actor.skew_ms))
    }

    pub fn state(&self) -> State {
        self.disk.lock().unwrap().state.clone()
    }

    /// Admits a transaction, as a node does.
    pub fn submit(&self, envelope: TxEnvelope) -> Result<TxId, SubmitError> {
        let state = self.state();
        let sound = sound(state.params(), &state.chain().chain, vec![envelope]).pop().unwrap()?;
        self.mempool.lock().unwrap().insert(&state, sound)
    }

    pub fn next_sequence(&self, sender: &Address) -> u64 {
        self.mempool.lock().unwrap().next_sequence(&self.state(), sender)
    }

    /// Everything that waits, in an order that does not hang on a hash table.
    pub fn waiting(&self) -> Vec<TxEnvelope> {
        let mut waiting = self.mempool.lock().unwrap().envelopes();
        waiting.sort_by_key(|envelope| (envelope.signed.tx.sequence, envelope.signed.id()));
        waiting
    }

    /// Hands in a proof that somebody contradicted itself; the next time that everything is passed on, this is too.
    fn accuse(&self, misbehaviour: Misbehaviour) {
        let chain = self.state().chain().clone();
        let expires = Height::new(chain.height.get() + 1_000);
        let body = TxBody::Accuse { misbehaviour };
        let tx = Tx { sender: self.address, sequence: 0, fee: Amount::ZERO, expires, body };
        // Refused when somebody else was quicker.
        let _ = self.submit(TxEnvelope::bare(tx.sign(&validator_key(self.actor.validator), &chain.chain)));
    }

    fn remember(&self, block: CheckedBlock) {
        let mut checked = self.checked.lock().unwrap();
        checked.push_back(block);
        if checked.len() > CHECKED_KEPT {
            checked.pop_front();
        }
    }

    fn checked(&self, hash: &BlockHash, full: FullBlock) -> Result<CheckedBlock, BlockError> {
        let mut checked = self.checked.lock().unwrap();
        if let Some(place) = checked.iter().position(|block| block.hash() == *hash) {
            return Ok(checked.remove(place).unwrap());
        }
        let disk = self.disk.lock().unwrap();
        let latest = self.now().max(full.block.header.time);
        check_block(&disk.state, disk.hash, full, latest)
    }
}

fn decode(block: &[u8]) -> Result<FullBlock, AppError> {
    Ok(decode_exact(block, BLOCK_BYTES_MAX)?)
}

#[async_trait]
impl LedgerApp for SimApp {
    fn tip(&self) -> (Height, BlockHash) {
        let disk = self.disk.lock().unwrap();
        (disk.state.chain().height, disk.hash)
    }

    fn config_for(&self, _: Height) -> Result<HeightConfig, AppError> {
        let state = self.state();
        let params = state.params();
        Ok(HeightConfig {
            validators: state.chain().validators.clone(),
            target: Some(Duration::from_millis(params.block_interval_ms)),
            heartbeat: Duration::from_millis(params.heartbeat_ms),
            timeouts: Timeouts { longest: Duration::from_secs(5), ..Timeouts::default() },
        })
    }

    fn identify(&self, block: &[u8]) -> Result<BlockIdentity, AppError> {
        let full = decode(block)?;
        full.check_commitments()?;
        let header = &full.block.header;
        Ok(BlockIdentity { hash: header.hash(), height: header.height, proposer: header.proposer })
    }

    async fn build(&self, request: BuildRequest) -> Result<Bytes, AppError> {
        let (state, hash) = {
            let disk = self.disk.lock().unwrap();
            (disk.state.clone(), disk.hash)
        };
        let candidates = self.mempool.lock().unwrap().candidates(request.bytes_max);
        let proposer = Proposer { address: self.address, vrf: &self.vrf };
        let built = build_block(&state, hash, candidates.into_iter(), proposer, self.now(), request.bytes_max);
        self.mempool.lock().unwrap().committed(&state, [], &built.skipped);
        let mut full = built.checked.full().clone();
        if self.actor.villain == Some(Villain::Liar) {
            full.block.header.state_root = StateRoot::new([0xee; 32]);
        } else {
            self.remember(built.checked);
        }
        Ok(borsh::to_vec(&full)?.into())
    }

    async fn validate(&self, _: &BlockIdentity, block: &Bytes) -> Verdict {
        let Ok(full) = decode(block) else { return Verdict::Invalid { reason: "no block".to_owned() } };
        let checked = {
            let disk = self.disk.lock().unwrap();
            check_block(&disk.state, disk.hash, full, self.now())
        };
        match checked {
            Ok(checked) => {
                self.remember(checked);
                Verdict::Valid
            }
            Err(error @ BlockError::TimeAhead { .. }) => Verdict::RetryLater { reason: error.to_string() },
            Err(error) => Verdict::Invalid { reason: error.to_string() },
        }
    }

    fn save_undecided(&self, undecided: &Undecided) -> Result<(), AppError> {
        let kept = &mut self.disk.lock().unwrap().undecided;
        kept.retain(|other| (other.round, other.hash) != (undecided.round, undecided.hash));
        kept.push(undecided.clone());
        Ok(())
    }

    fn undecided(&self, height: Height) -> Result<Vec<Undecided>, AppError> {
        let disk = self.disk.lock().unwrap();
        Ok(disk.undecided.iter().filter(|kept| kept.height == height).cloned().collect())
    }

    async fn commit(&self, block: Bytes, certificate: Certificate, evidence: Evidence) -> Result<(), AppError> {
        let full = decode(&block)?;
        let applied = self.checked(&certificate.block, full)?.apply();
        let included: Vec<TxId> = applied.full.block.txs.iter().map(SignedTx::id).collect();
        self.mempool.lock().unwrap().committed(&applied.state, included.iter().copied(), &[]);
        self.checked.lock().unwrap().clear();
        if self.actor.villain.is_none() {
            let mut judge = self.judge.lock().unwrap();
            judge.committed(self.node, &block, &certificate, applied.state.root());
            judge.accused(&evidence);
        }
        {
            let mut disk = self.disk.lock().unwrap();
            (disk.state, disk.hash) = (applied.state, applied.hash);
            disk.chain.push((block, certificate));
            disk.undecided.clear();
        }
        evidence.items.into_iter().for_each(|misbehaviour| self.accuse(misbehaviour));
        Ok(())
    }

    fn decided(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, AppError> {
        let disk = self.disk.lock().unwrap();
        let index = height.get().checked_sub(1).and_then(|index| usize::try_from(index).ok());
        Ok(index.and_then(|index| disk.chain.get(index)).cloned())
    }

    fn min_height(&self) -> Height {
        Height::new(1)
    }

    async fn until_work(&self, _: Duration) {
        let idle = self.mempool.lock().unwrap().is_empty();
        if idle && round_work(&self.state().chain().running, self.now()) != RoundWork::Now {
            std::future::pending().await
        }
    }
}
