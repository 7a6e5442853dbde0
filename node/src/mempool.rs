//! Transactions that wait for a block.
//!
//! Every one of them was admitted by the ledger's own check against the tip, counting what the same sender has waiting
//! before it. Proofs wait apart: they carry no sequence number and go first, so that no fee can keep them out.

use holdfast_ledger::{AdmittedTx, Pending, SoundTx, State, TxEnvelope, TxError, admit_sound};
use holdfast_primitives::{Address, Amount, TxId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use thiserror::Error;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct MempoolLimits {
    /// Transactions of one sender.
    pub per_sender: usize,
    /// Transactions in all.
    pub count: usize,
    /// Bytes in all, openings included.
    pub bytes: usize,
    /// Dropped transactions whose reason is remembered.
    pub remembered: usize,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self { per_sender: 256, count: 100_000, bytes: 256 * 1024 * 1024, remembered: 10_000 }
    }
}

/// Why a transaction may not wait.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// The ledger refuses it.
    #[error(transparent)]
    Rule(#[from] TxError),
    /// It waits already.
    #[error("transaction {tx} waits already")]
    Known {
        /// The transaction.
        tx: TxId,
    },
    /// One sender's share of the pool is used up.
    #[error("{sender} has {waiting} transactions waiting, the limit is {limit}")]
    SenderFull {
        /// The sender.
        sender: Address,
        /// How many wait.
        waiting: usize,
        /// The limit.
        limit: usize,
    },
    /// The pool is full.
    #[error("the pool is full: {count} transactions, {bytes} bytes")]
    PoolFull {
        /// Transactions waiting.
        count: usize,
        /// Bytes waiting.
        bytes: usize,
    },
}

/// What became of a transaction that is not in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// It waits.
    Pending,
    /// It was dropped and can never be final as it is.
    Dropped(TxError),
}

struct Entry {
    tx: AdmittedTx,
    bytes: usize,
}

#[derive(Default)]
struct Queue {
    by_sequence: BTreeMap<u64, Entry>,
    reserved: Amount,
}

/// The pool.
pub struct Mempool {
    limits: MempoolLimits,
    queues: HashMap<Address, Queue>,
    proofs: BTreeMap<TxId, Entry>,
    known: HashMap<TxId, (Address, u64)>,
    dropped: HashMap<TxId, TxError>,
    dropped_order: VecDeque<TxId>,
    bytes: usize,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            queues: HashMap::new(),
            proofs: BTreeMap::new(),
            known: HashMap::new(),
            dropped: HashMap::new(),
            dropped_order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Transactions waiting.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sequence number that `sender`'s next transaction must carry, counting those that wait.
    pub fn next_sequence(&self, state: &State, sender: &Address) -> u64 {
        self.pending(state, sender).next_sequence
    }

    /// What is known of a transaction that is in no block.
    pub fn status(&self, tx: &TxId) -> Option<Waiting> {
        if self.known.contains_key(tx) {
            return Some(Waiting::Pending);
        }
        self.dropped.get(tx).cloned().map(Waiting::Dropped)
    }

    /// Admits a transaction, whose shape and signatures were checked before, against the tip.
    pub fn insert(&mut self, state: &State, sound: SoundTx) -> Result<TxId, SubmitError> {
        let tx = sound.id();
        if self.known.contains_key(&tx) {
            return Err(SubmitError::Known { tx });
        }
        let sender = sound.signed().tx.sender;
        let waiting = self.queues.get(&sender).map_or(0, |queue| queue.by_sequence.len());
        if waiting >= self.limits.per_sender {
            return Err(SubmitError::SenderFull { sender, waiting, limit: self.limits.per_sender });
        }
        let bytes = sound.block_bytes();
        if self.known.len() >= self.limits.count || self.bytes.saturating_add(bytes) > self.limits.bytes {
            return Err(SubmitError::PoolFull { count: self.known.len(), bytes: self.bytes });
        }
        let (is_proof, sequence) = (sound.is_proof(), sound.signed().tx.sequence);
        let pending = self.pending(state, &sender);
        let admitted = admit_sound(state, sound, &pending)?;
        if is_proof {
            self.proofs.insert(tx, Entry { tx: admitted, bytes });
        } else {
            let queue = self.queues.entry(sender).or_default();
            queue.reserved = admitted.after(&pending).reserved;
            queue.by_sequence.insert(sequence, Entry { tx: admitted, bytes });
        }
        self.known.insert(tx, (sender, sequence));
        self.bytes += bytes;
        Ok(tx)
    }

    /// Everything that waits, as it travels: proofs first, then each sender's in order of sequence.
    pub fn envelopes(&self) -> Vec<TxEnvelope> {
        let queued = self.queues.values().flat_map(|queue| queue.by_sequence.values());
        self.proofs.values().chain(queued).map(|entry| entry.tx.sound().envelope().clone()).collect()
    }

    /// What a proposer may put into a block of at most `bytes_max`: proofs first, then the best payers, each sender's
    /// in order of sequence.
    pub fn candidates(&self, bytes_max: usize) -> Vec<AdmittedTx> {
        let mut left = bytes_max;
        let mut chosen = Vec::new();
        for entry in self.proofs.values() {
            take(&mut chosen, &mut left, entry);
        }
        let mut heads: std::collections::BinaryHeap<Head<'_>> =
            self.queues.values().filter_map(|queue| Head::next(queue.by_sequence.values())).collect();
        while let Some(head) = heads.pop() {
            if take(&mut chosen, &mut left, head.entry) {
                heads.extend(Head::next(head.rest));
            }
        }
        chosen
    }

    /// Forgets what a block took and what the new tip rules out; remembers why for those that ask.
    pub fn committed(&mut self, state: &State, included: &[TxId], skipped: &[(TxId, TxError)]) {
        for tx in included {
            self.remove(tx);
        }
        for (tx, reason) in skipped {
            if self.remove(tx) {
                self.remember(*tx, reason.clone());
            }
        }
        self.recheck(state);
    }

    /// Admits everything anew against `state`: cheap, because signatures were checked before.
    fn recheck(&mut self, state: &State) {
        let mut gone: Vec<(TxId, TxError)> = Vec::new();
        for (tx, entry) in &self.proofs {
            let sound = entry.tx.sound();
            let pending = Pending::none(state, &sound.signed().tx.sender);
            gone.extend(admit_sound(state, sound.clone(), &pending).err().map(|reason| (*tx, reason)));
        }
        for (sender, queue) in &mut self.queues {
            let mut pending = Pending::none(state, sender);
            for entry in queue.by_sequence.values() {
                match admit_sound(state, entry.tx.sound().clone(), &pending) {
                    Ok(admitted) => pending = admitted.after(&pending),
                    Err(reason) => gone.push((entry.tx.sound().id(), reason)),
                }
            }
            queue.reserved = pending.reserved;
        }
        for (tx, reason) in gone {
            self.remove(&tx);
            self.remember(tx, reason);
        }
        self.queues.retain(|_, queue| !queue.by_sequence.is_empty());
    }

    fn pending(&self, state: &State, sender: &Address) -> Pending {
        let mut pending = Pending::none(state, sender);
        if let Some(queue) = self.queues.get(sender) {
            pending.next_sequence =
                queue.by_sequence.last_key_value().map_or(pending.next_sequence, |(last, _)| last.saturating_add(1));
            pending.reserved = queue.reserved;
        }
        pending
    }

    fn remove(&mut self, tx: &TxId) -> bool {
        let Some((sender, sequence)) = self.known.remove(tx) else { return false };
        let entry = match self.proofs.remove(tx) {
            Some(entry) => Some(entry),
            None => self.queues.get_mut(&sender).and_then(|queue| queue.by_sequence.remove(&sequence)),
        };
        self.bytes -= entry.map_or(0, |entry| entry.bytes);
        true
    }

    fn remember(&mut self, tx: TxId, reason: TxError) {
        if self.dropped.insert(tx, reason).is_none() {
            self.dropped_order.push_back(tx);
        }
        while self.dropped_order.len() > self.limits.remembered {
            if let Some(oldest) = self.dropped_order.pop_front() {
                self.dropped.remove(&oldest);
            }
        }
    }
}

fn take(chosen: &mut Vec<AdmittedTx>, left: &mut usize, entry: &Entry) -> bool {
    let fits = entry.bytes <= *left;
    if fits {
        *left -= entry.bytes;
        chosen.push(entry.tx.clone());
    }
    fits
}

/// The next transaction of one sender, ordered by fee per byte.
struct Head<'a> {
    entry: &'a Entry,
    rest: std::collections::btree_map::Values<'a, u64, Entry>,
}

impl<'a> Head<'a> {
    fn next(mut rest: std::collections::btree_map::Values<'a, u64, Entry>) -> Option<Self> {
        Some(Self { entry: rest.next()?, rest })
    }

    /// Compares fee per byte without division: a/b < c/d exactly when a*d < c*b.
    fn weigh(&self, other: &Self) -> std::cmp::Ordering {
        let fee = |head: &Self| u128::from(head.entry.tx.sound().signed().tx.fee.get());
        let (mine, theirs) = (fee(self) * other.entry.bytes as u128, fee(other) * self.entry.bytes as u128);
        mine.cmp(&theirs).then_with(|| other.entry.tx.sound().id().cmp(&self.entry.tx.sound().id()))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.weigh(other).is_eq()
    }
}
impl Eq for Head<'_> {}
impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.weigh(other)
    }
}
