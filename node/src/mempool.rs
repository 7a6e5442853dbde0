//! Transactions that wait for a block.
//!
//! Every one of them was admitted by the ledger's own check against the tip, counting what the same sender has waiting
//! before it. Proofs wait apart: they carry no sequence number and go first, so that no fee can keep them out.
//!
//! A full pool makes room for whoever pays more per byte, and for proofs whatever they find. What goes is the worst payer's
//! last transaction, so that nothing that stays depends on what went. A sender may replace what it has waiting by what pays
//! more, and no sender takes more than its share.

use entry::{Entry, Head, Part, Place, Queue, Tail};
use holdfast_ledger::{AdmittedTx, Pending, ShapedTx, SoundTx, StakeRule, State, Tx, TxEnvelope, TxError, admit_sound};
use holdfast_primitives::{Address, TxId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

mod answer;
mod entry;
mod recheck;
mod replace;

pub use answer::{DropReason, SubmitError, Waiting};
pub use replace::REPLACEMENT_PERCENT;

/// Transactions that one newcomer may displace for its fee: bounds what a refusal costs. A proof may displace any number.
const DISPLACED_MAX: usize = 64;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct MempoolLimits {
    /// Transactions of one sender, proofs apart.
    pub per_sender: usize,
    /// Bytes of one sender, proofs apart.
    pub bytes_per_sender: usize,
    /// Transactions in all.
    pub count: usize,
    /// Bytes in all, openings included.
    pub bytes: usize,
    /// Dropped transactions whose reason is remembered.
    pub remembered: usize,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self {
            per_sender: 256,
            bytes_per_sender: 8 * 1024 * 1024,
            count: 100_000,
            bytes: 256 * 1024 * 1024,
            remembered: 10_000,
        }
    }
}

/// The pool.
pub struct Mempool {
    limits: MempoolLimits,
    queues: HashMap<Address, Queue>,
    /// The last of each queue: the only ones that may be displaced.
    tails: BTreeSet<Tail>,
    proofs: BTreeMap<TxId, Entry>,
    /// A proof costs nothing to hand in, so each of its parts may wait but once.
    parts: BTreeSet<Part>,
    known: HashMap<TxId, Place>,
    dropped: HashMap<TxId, DropReason>,
    dropped_order: VecDeque<TxId>,
    /// How many were ever dropped: whoever waits looks again when it changes.
    drops: u64,
    bytes: usize,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: MempoolLimits) -> Self {
        Self {
            limits,
            queues: HashMap::new(),
            tails: BTreeSet::new(),
            proofs: BTreeMap::new(),
            parts: BTreeSet::new(),
            known: HashMap::new(),
            dropped: HashMap::new(),
            dropped_order: VecDeque::new(),
            drops: 0,
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

    /// How many transactions were ever dropped.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    /// Those of the transactions that wait here. Proofs are left out: what an id covers of them is not all of them.
    pub fn sounds(&self, txs: &[TxId]) -> Vec<Option<Arc<SoundTx>>> {
        txs.iter().map(|tx| Some(Arc::clone(self.in_place_of(self.known.get(tx)?)?.tx.shared()))).collect()
    }

    /// What can be refused without a look at its signature: what waits already, or whose sequence number is used.
    ///
    /// # Errors
    /// As [`Mempool::insert`] would say, or that it is not signed.
    pub fn check_early(&self, state: &State, tx: &ShapedTx) -> Result<(), SubmitError> {
        if self.known.contains_key(&tx.id()) {
            return Err(SubmitError::Known { tx: tx.id() });
        }
        let Tx { sender, sequence: found, ref body, .. } = tx.signed().tx;
        let used = state.account_by_address(&sender).map_or(0, |(_, account)| account.sequence);
        if found < used && !body.is_free() {
            return Err(TxError::WrongSequence { expected: self.next_sequence(state, &sender), found }.into());
        }
        Ok(())
    }

    /// Admits a transaction, whose shape and signatures were checked before, against the tip. It takes the place of one with
    /// the same sender and sequence number if it pays [`REPLACEMENT_PERCENT`] of that one's fee.
    ///
    /// # Errors
    /// When it waits already, breaks a rule, or finds no room. Nothing is displaced or replaced then.
    pub fn insert(&mut self, state: &State, sound: SoundTx) -> Result<TxId, SubmitError> {
        let (tx, place) = (sound.id(), Place::of(&sound));
        if self.known.contains_key(&tx) {
            return Err(SubmitError::Known { tx });
        }
        if let (Place::Queue { sender, sequence }, Some(_)) = (place, self.in_place_of(&place)) {
            return self.replace(state, sound, (sender, sequence));
        }
        self.check_share(&place, sound.block_bytes())?;
        let pending = self.pending(state, &sound.signed().tx.sender);
        let entry = Entry::new(admit_sound(state, sound, &pending)?);
        self.make_room(&entry, &place)?;
        self.forget(&tx);
        self.put(tx, place, entry);
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
        let mut heads: BinaryHeap<Head<'_>> =
            self.queues.values().filter_map(|queue| Head::next(queue.by_sequence.values())).collect();
        while let Some(head) = heads.pop() {
            if take(&mut chosen, &mut left, head.entry) {
                heads.extend(Head::next(head.rest));
            }
        }
        chosen
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

    /// One sender's share of the pool; of a proof, one place for each part.
    fn check_share(&self, place: &Place, bytes: usize) -> Result<(), SubmitError> {
        match place {
            Place::Proof { part } if self.parts.contains(part) => match *part {
                (_, Some(first_j)) => Err(TxError::ProofPartTwice { first_j }.into()),
                (accused, None) => Err(TxError::from(StakeRule::Accused { accused }).into()),
            },
            Place::Proof { .. } => Ok(()),
            Place::Queue { sender, .. } => {
                let (waiting, limit) =
                    (self.queues.get(sender).map_or(0, |queue| queue.by_sequence.len()), self.limits.per_sender);
                if waiting >= limit {
                    return Err(SubmitError::SenderFull { sender: *sender, waiting, limit });
                }
                self.check_sender_bytes(sender, bytes, 0)
            }
        }
    }

    /// Whether `bytes` more of this sender fit its share once `instead` are gone.
    fn check_sender_bytes(&self, sender: &Address, bytes: usize, instead: usize) -> Result<(), SubmitError> {
        let waiting = self.queues.get(sender).map_or(0, |queue| queue.bytes);
        let limit = self.limits.bytes_per_sender;
        if waiting - instead + bytes > limit {
            return Err(SubmitError::SenderBytes { sender: *sender, waiting, bytes, limit });
        }
        Ok(())
    }

    /// Displaces worse payers until `newcomer` fits, or nobody.
    fn make_room(&mut self, newcomer: &Entry, place: &Place) -> Result<(), SubmitError> {
        let full = SubmitError::PoolFull { count: self.known.len(), bytes: self.bytes };
        if newcomer.bytes > self.limits.bytes {
            return Err(full);
        }
        let mut displaced = Vec::new();
        while !self.has_room(newcomer.bytes) {
            let removed = self.worst_below(newcomer, place, displaced.len()).and_then(|tx| self.remove(&tx));
            match removed {
                Some(removed) => displaced.push(removed),
                None => {
                    displaced.into_iter().rev().for_each(|(place, entry)| self.put(entry.id(), place, entry));
                    return Err(full);
                }
            }
        }
        for (_, entry) in displaced {
            let (fee, bytes) = (entry.fee(), entry.bytes);
            self.remember(entry.id(), DropReason::Displaced { fee, bytes });
        }
        Ok(())
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.known.len() < self.limits.count && self.bytes.saturating_add(bytes) <= self.limits.bytes
    }

    /// The next transaction that `newcomer` may displace.
    fn worst_below(&self, newcomer: &Entry, place: &Place, displaced: usize) -> Option<TxId> {
        let Place::Queue { sender, .. } = place else {
            return self.tails.first().map(|(_, Reverse(tx), _)| *tx);
        };
        // Its own sender's transactions are what it builds on.
        let (price, Reverse(tx), _) = self.tails.iter().find(|(_, _, other)| other != sender)?;
        (*price < newcomer.price && displaced < DISPLACED_MAX).then_some(*tx)
    }

    fn put(&mut self, tx: TxId, place: Place, entry: Entry) {
        self.bytes += entry.bytes;
        self.known.insert(tx, place);
        match place {
            Place::Proof { part } => {
                self.parts.insert(part);
                self.proofs.insert(tx, entry);
            }
            Place::Queue { sender, sequence } => {
                self.queues.entry(sender).or_default().put(sequence, entry);
                self.update_tail(&sender);
            }
        }
    }

    fn remove(&mut self, tx: &TxId) -> Option<(Place, Entry)> {
        let place = self.known.remove(tx)?;
        let entry = match &place {
            Place::Proof { part } => {
                self.parts.remove(part);
                self.proofs.remove(tx)
            }
            Place::Queue { sender, sequence } => self.unqueue(sender, *sequence),
        };
        let entry = entry.expect("what is known is kept at its place");
        self.bytes -= entry.bytes;
        Some((place, entry))
    }

    fn unqueue(&mut self, sender: &Address, sequence: u64) -> Option<Entry> {
        let queue = self.queues.get_mut(sender)?;
        let entry = queue.take(sequence)?;
        self.update_tail(sender);
        Some(entry)
    }

    /// Keeps the last of a queue among the tails; a queue without any is no queue.
    fn update_tail(&mut self, sender: &Address) {
        let Some(queue) = self.queues.get_mut(sender) else { return };
        let last = queue.by_sequence.values().next_back().map(|entry| (entry.price, Reverse(entry.id()), *sender));
        if last.is_some() && last == queue.tail {
            return;
        }
        if let Some(before) = std::mem::replace(&mut queue.tail, last) {
            self.tails.remove(&before);
        }
        match last {
            Some(last) => {
                self.tails.insert(last);
            }
            None => {
                self.queues.remove(sender);
            }
        }
    }

    fn remember(&mut self, tx: TxId, reason: DropReason) {
        self.drops += 1;
        if self.dropped.insert(tx, reason).is_none() {
            self.dropped_order.push_back(tx);
        }
        while self.dropped_order.len() > self.limits.remembered {
            if let Some(oldest) = self.dropped_order.pop_front() {
                self.dropped.remove(&oldest);
            }
        }
    }

    /// What waits again is no longer dropped.
    fn forget(&mut self, tx: &TxId) {
        if self.dropped.remove(tx).is_some() {
            self.dropped_order.retain(|other| other != tx);
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
