//! The node's heart: the committed tip, the database behind it, the mempool before it, and the news of every commit.
//!
//! A commit is one fan-out: database first (one synced write), then the tip in memory, then the mempool, then whoever
//! watches. Readers take the tip as a value; nobody sees half a block.

use crate::admission::Door;
use crate::clock::NodeClock;
use crate::join::{Checkpoint, Shelf};
use crate::mempool::{Mempool, MempoolLimits, Waiting};
use crate::metrics::NodeMetrics;
use crate::work::{RoundWork, round_work};
use holdfast_consensus::AppError;
use holdfast_ledger::{
    AdmittedTx, Applied, BlockError, CheckedBlock, Event, FullBlock, Genesis, Header, State, TxEnvelope, TxError,
    check_block_knowing, slot_evidence,
};
use holdfast_network::time::Clock as _;
use holdfast_primitives::{Address, BlockHash, Certificate, Height, RoundNo, TimeMs, TxId};
use holdfast_store::{ChainDb, CommitInput, HolderEvidence, StoreError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Checked blocks that are kept so that committing one does not check it again.
const CHECKED_KEPT: usize = 4;

/// The newest committed block and the state after it.
#[derive(Clone, Debug)]
pub struct Tip {
    /// The block's hash; zero while there is only the genesis.
    pub hash: BlockHash,
    /// The block's header; none while there is only the genesis.
    pub header: Option<Arc<Header>>,
    /// The state after it.
    pub state: Arc<State>,
}

/// What every part of a heavy node shares.
pub struct NodeCore {
    genesis: Arc<Genesis>,
    db: Arc<ChainDb>,
    tip: RwLock<Tip>,
    mempool: Mutex<Mempool>,
    pub(crate) door: Door,
    checked: Mutex<VecDeque<CheckedBlock>>,
    work: Notify,
    height: watch::Sender<Height>,
    drops: watch::Sender<u64>,
    metrics: NodeMetrics,
    shelf: Shelf,
    checkpoint: Option<Checkpoint>,
    clock: NodeClock,
}

impl NodeCore {
    /// Loads the tip from the database; on an empty one the tip is the genesis.
    ///
    /// # Errors
    /// When the database is broken, or its state does not hash to what the last block says.
    pub fn open(genesis: Genesis, db: ChainDb, limits: MempoolLimits, clock: NodeClock) -> Result<Self, StoreError> {
        let state = db.load_state(&genesis)?;
        let hash = db.tip().hash;
        let height = state.chain().height;
        let header = db.block(height)?.map(|block| Arc::new(block.header));
        let state = Arc::new(state);
        let shelf = Shelf::default();
        if header.is_some() {
            shelf.put(height, Arc::clone(&state));
        }
        Ok(Self {
            genesis: Arc::new(genesis),
            db: Arc::new(db),
            tip: RwLock::new(Tip { hash, header, state }),
            mempool: Mutex::new(Mempool::new(limits)),
            door: Door::default(),
            checked: Mutex::new(VecDeque::new()),
            work: Notify::new(),
            height: watch::Sender::new(height),
            drops: watch::Sender::new(0),
            metrics: NodeMetrics::new(),
            shelf,
            checkpoint: None,
            clock,
        })
    }

    /// Keeps a snapshot of every height that `interval` divides, for those who join, and follows no chain on which
    /// `checkpoint` does not lie.
    ///
    /// # Errors
    /// When the chain in the database goes by the checkpoint.
    pub fn guarded(mut self, interval: u64, checkpoint: Option<Checkpoint>) -> Result<Self, StoreError> {
        if let Some(Checkpoint { height, hash }) = checkpoint
            && let Some(block) = self.db.block(height)?
            && block.header.hash() != hash
        {
            return Err(StoreError::Conflict { height, stored: block.header.hash(), found: hash });
        }
        self.shelf.set_interval(interval);
        self.checkpoint = checkpoint;
        Ok(self)
    }

    /// The snapshots that are kept for those who join.
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The first state and the rules.
    pub const fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    /// The database.
    pub const fn db(&self) -> &Arc<ChainDb> {
        &self.db
    }

    /// Counters and gauges.
    pub const fn metrics(&self) -> &NodeMetrics {
        &self.metrics
    }

    /// What time it is to this node.
    pub fn now(&self) -> TimeMs {
        self.clock.now()
    }

    /// The newest committed block.
    pub fn tip(&self) -> Tip {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest committed height; changes with every block.
    pub fn watch_height(&self) -> watch::Receiver<Height> {
        self.height.subscribe()
    }

    /// How many transactions the pool ever dropped; changes with every one that [`NodeCore::waiting`] says so of.
    pub fn watch_drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    /// The lowest height whose openings are still kept: what peers can be served from.
    pub(crate) fn min_full_height(&self) -> Height {
        let below = self.db.pruned().map_or(Height::GENESIS, |pruned| pruned.openings_below);
        below.max(Height::GENESIS.next())
    }

    /// Changes the pool at the tip, and tells of it. The tip does not move meanwhile: what is admitted is admitted at the
    /// tip at which the pool was last rechecked.
    pub(crate) fn change_pool<T>(&self, change: impl FnOnce(&mut Mempool, &State) -> T) -> T {
        let (changed, drops) = {
            let mut mempool = self.mempool();
            let changed = change(&mut mempool, &self.tip().state);
            (changed, mempool.drops())
        };
        self.work.notify_waiters();
        self.drops.send_if_modified(|told| std::mem::replace(told, drops.max(*told)) < drops);
        changed
    }

    /// Everything that waits, as it travels.
    pub(crate) fn waiting_envelopes(&self) -> Vec<TxEnvelope> {
        self.mempool().envelopes()
    }

    /// What is known of a transaction that is in no block.
    pub fn waiting(&self, tx: &TxId) -> Option<Waiting> {
        self.mempool().status(tx)
    }

    /// Transactions and bytes that wait.
    pub fn mempool_size(&self) -> (usize, usize) {
        let mempool = self.mempool();
        (mempool.len(), mempool.bytes())
    }

    /// The sequence number that `sender`'s next transaction must carry, counting those that wait.
    pub fn next_sequence(&self, sender: &Address) -> u64 {
        let tip = self.tip();
        self.mempool().next_sequence(&tip.state, sender)
    }

    /// Candidates for a block of at most `bytes_max`.
    pub(crate) fn candidates(&self, bytes_max: usize) -> Vec<AdmittedTx> {
        self.mempool().candidates(bytes_max)
    }

    /// Drops what a proposer found to break a rule.
    pub(crate) fn drop_skipped(&self, skipped: &[(TxId, TxError)]) {
        self.change_pool(|mempool, state| mempool.committed(state, [], skipped));
    }

    /// Checks a proposed block against the tip and remembers it.
    pub(crate) fn check(&self, full: FullBlock, now: TimeMs) -> Result<BlockHash, BlockError> {
        let tip = self.tip();
        let checked = check_block_knowing(&tip.state, tip.hash, full, now, |ids| self.mempool().sounds(ids))?;
        Ok(self.remember(checked))
    }

    /// Remembers a block that was built or checked here.
    pub(crate) fn remember(&self, block: CheckedBlock) -> BlockHash {
        let hash = block.hash();
        let mut kept = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.hash() != hash);
        kept.push_back(block);
        while kept.len() > CHECKED_KEPT {
            kept.pop_front();
        }
        hash
    }

    /// Commits a decided block: one synced write, then everyone is told. `decode` reads it if it was not checked here.
    pub(crate) fn commit(
        &self,
        decode: impl FnOnce() -> Result<FullBlock, AppError>,
        certificate: &Certificate,
    ) -> Result<(), AppError> {
        if let Some(checkpoint) = self.checkpoint.filter(|checkpoint| checkpoint.height == certificate.height)
            && checkpoint.hash != certificate.block
        {
            let hash = certificate.block;
            return Err(format!("the chain has block {hash} where the checkpoint {checkpoint} was given").into());
        }
        let checked = match self.take_checked(&certificate.block) {
            Some(checked) => checked,
            // Decided by others while this node was away: its time may lie ahead of this clock.
            None => {
                let (before, full) = (self.tip(), decode()?);
                let latest = self.now().max(full.block.header.time);
                let known = |ids: &[TxId]| self.mempool().sounds(ids);
                check_block_knowing(&before.state, before.hash, full, latest, known)?
            }
        };
        let applied = checked.apply();
        let evidence = seeded_round(&applied).map_or_else(Vec::new, |round| evidence(&applied.state, round));
        self.db.commit(CommitInput { applied: &applied, certificate, evidence: &evidence })?;
        self.prune(&applied);
        self.publish(applied);
        Ok(())
    }

    /// Returns when there is something to put into a block, at the latest after `heartbeat`.
    pub(crate) async fn until_work(&self, heartbeat: Duration) {
        let wait = async {
            loop {
                let submitted = self.work.notified();
                if !self.mempool().is_empty() {
                    return;
                }
                let work = round_work(&self.tip().state.chain().running, self.now());
                match work {
                    RoundWork::Now => return,
                    RoundWork::After(pause) => {
                        tokio::select! { () = submitted => {}, () = tokio::time::sleep(pause) => {} }
                    }
                }
            }
        };
        // Passing the heartbeat is as good a reason as work.
        let _ = tokio::time::timeout(heartbeat, wait).await;
    }

    /// Drops openings and evidence that are older than the network keeps them. Losing some disk space is no reason to
    /// stop a chain, so a failure is only told.
    fn prune(&self, applied: &Applied) {
        let settled = applied.events.iter().find_map(|event| match event {
            Event::RoundSettled(record) => Some(record.round),
            _ => None,
        });
        let retained = applied.state.params().proof_retention_rounds;
        let Some(oldest) = settled.and_then(|round| round.get().checked_sub(retained)).map(RoundNo::new) else {
            return;
        };
        let Some(record) = applied.state.round(oldest) else { return };
        let pruned = self.db.prune_openings(record.freeze_height).and_then(|()| self.db.prune_evidence(oldest));
        if let Err(error) = pruned {
            tracing::warn!(%error, round = %oldest, "old proofs could not be pruned");
        }
    }

    fn publish(&self, applied: Applied) {
        let included: Vec<TxId> = applied.tx_ids().collect();
        let Applied { full, hash, state, events, .. } = applied;
        let state = Arc::new(state);
        let height = state.chain().height;
        let header = Some(Arc::new(full.block.header.clone()));
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.shelf.is_due(height) {
            self.shelf.put(height, Arc::clone(&state));
        }
        self.change_pool(|mempool, _| {
            *self.tip.write().unwrap_or_else(PoisonError::into_inner) = Tip { hash, header, state: Arc::clone(&state) };
            mempool.committed(&state, included, &[]);
        });
        self.metrics.committed(height, &full, &events);
        self.height.send_replace(height);
    }

    fn take_checked(&self, hash: &BlockHash) -> Option<CheckedBlock> {
        let mut kept = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|block| block.hash() == *hash)?;
        kept.remove(index)
    }

    pub(crate) fn mempool(&self) -> MutexGuard<'_, Mempool> {
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The round whose seed became known in this block.
fn seeded_round(applied: &Applied) -> Option<RoundNo> {
    applied.events.iter().find_map(|event| match event {
        Event::RoundSeeded { round, .. } => Some(*round),
        _ => None,
    })
}

/// The challenged batches of every frozen holder with their paths, for auditors to come: made now, while the lists are as
/// they were frozen.
fn evidence(state: &State, round: RoundNo) -> Vec<HolderEvidence> {
    let frozen = state.iter_holders().filter(|(_, holder)| holder.frozen.is_some());
    frozen
        .filter_map(|(number, _)| Some(HolderEvidence { round, holder: number, slots: slot_evidence(state, number)? }))
        .collect()
}
