//! Transactions that wait for a block.
//!
//! Every one of them was admitted by the ledger's own check against the tip, counting what the same sender has waiting
//! before it. Proofs wait apart: they carry no sequence number and go first, so that no fee can keep them out.
//!
//! A full pool makes room for whoever pays more per byte, and for proofs whatever they find. What goes is the worst payer's
//! last transaction, so that nothing that stays depends on what went.

use holdfast_ledger::{AdmittedTx, Pending, SoundTx, StakeRule, State, TxBody, TxEnvelope, TxError, admit_sound};
use holdfast_primitives::{Address, Amount, TxId};
use std::cmp::Reverse;
use std::collections::btree_map::Values;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};

mod answer;

pub use answer::{DropReason, SubmitError, Waiting};

/// Transactions that one newcomer may displace for its fee: bounds what a refusal costs. A proof may displace any number.
const DISPLACED_MAX: usize = 64;

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

/// How well a transaction pays: grains per byte, in 2^-64, rounded down. Sizes are far below 2^32, so two that differ at all
/// differ by more than that.
type Price = u128;
/// A place among the last of each queue, the worst first: by price, then the larger id.
type Tail = (Price, Reverse<TxId>, Address);

struct Entry {
    tx: AdmittedTx,
    bytes: usize,
    price: Price,
}

#[derive(Default)]
struct Queue {
    by_sequence: BTreeMap<u64, Entry>,
    /// What they cost together.
    reserved: Amount,
    tail: Option<Tail>,
}

/// Where a waiting transaction is kept.
#[derive(Clone, Copy)]
enum Place {
    Queue { sender: Address, sequence: u64 },
    Proof { part: Part },
}

/// What costs nothing to hand in waits once: one part of one holder's proof, by its first challenge, or the accusation of
/// one validator.
type Part = (Address, Option<u32>);

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
    ///
    /// # Errors
    /// When it waits already, breaks a rule, or finds no room. Nothing is displaced then.
    pub fn insert(&mut self, state: &State, sound: SoundTx) -> Result<TxId, SubmitError> {
        let (tx, place) = (sound.id(), place_of(&sound));
        if self.known.contains_key(&tx) {
            return Err(SubmitError::Known { tx });
        }
        self.check_share(&place)?;
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

    /// Forgets what a block took and what the new tip rules out; remembers why for those that ask.
    pub fn committed(&mut self, state: &State, included: &[TxId], skipped: &[(TxId, TxError)]) {
        for tx in included {
            self.remove(tx);
        }
        for (tx, reason) in skipped {
            if self.remove(tx).is_some() {
                self.remember(*tx, reason.clone().into());
            }
        }
        self.recheck(state);
    }

    /// Admits everything anew against `state`: cheap, because signatures were checked before.
    fn recheck(&mut self, state: &State) {
        let mut gone: Vec<(TxId, TxError)> = Vec::new();
        for (tx, entry) in &self.proofs {
            let pending = Pending::none(state, &entry.sender());
            gone.extend(entry.tx.check_again(state, &pending).err().map(|reason| (*tx, reason)));
        }
        for (sender, queue) in &self.queues {
            let mut pending = Pending::none(state, sender);
            for entry in queue.by_sequence.values() {
                match entry.tx.check_again(state, &pending) {
                    Ok(()) => pending = entry.tx.after(&pending),
                    Err(reason) => gone.push((entry.id(), reason)),
                }
            }
        }
        for (tx, reason) in gone {
            self.remove(&tx);
            self.remember(tx, reason.into());
        }
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
    fn check_share(&self, place: &Place) -> Result<(), SubmitError> {
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
                Ok(())
            }
        }
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
            let (fee, bytes) = (entry.tx.sound().signed().tx.fee, entry.bytes);
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
                let queue = self.queues.entry(sender).or_default();
                queue.reserved =
                    queue.reserved.checked_add(entry.tx.cost()).expect("admission checked the sum against the balance");
                queue.by_sequence.insert(sequence, entry);
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
        let entry = queue.by_sequence.remove(&sequence)?;
        queue.reserved = queue.reserved.saturating_sub(entry.tx.cost());
        self.update_tail(sender);
        Some(entry)
    }

    /// Keeps the last of a queue among the tails; a queue without any is no queue.
    fn update_tail(&mut self, sender: &Address) {
        let Some(queue) = self.queues.get_mut(sender) else { return };
        let last = queue.by_sequence.values().next_back().map(|entry| (entry.price, Reverse(entry.id()), *sender));
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

fn place_of(sound: &SoundTx) -> Place {
    let tx = &sound.signed().tx;
    match &tx.body {
        TxBody::Prove { part, .. } => Place::Proof { part: (part.holder, Some(part.first_j)) },
        TxBody::Accuse { misbehaviour } => Place::Proof { part: (*misbehaviour.validator(), None) },
        _ => Place::Queue { sender: tx.sender, sequence: tx.sequence },
    }
}

impl Entry {
    fn new(tx: AdmittedTx) -> Self {
        let (bytes, fee) = (tx.sound().block_bytes(), tx.sound().signed().tx.fee);
        let price = (u128::from(fee.get()) << 64) / (bytes.max(1) as u128);
        Self { tx, bytes, price }
    }

    fn id(&self) -> TxId {
        self.tx.sound().id()
    }

    fn sender(&self) -> Address {
        self.tx.sound().signed().tx.sender
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

/// The next transaction of one sender, ordered by fee per byte, then by the smaller id.
struct Head<'a> {
    entry: &'a Entry,
    rest: Values<'a, u64, Entry>,
}

impl<'a> Head<'a> {
    fn next(mut rest: Values<'a, u64, Entry>) -> Option<Self> {
        Some(Self { entry: rest.next()?, rest })
    }

    fn rank(&self) -> (Price, Reverse<TxId>) {
        (self.entry.price, Reverse(self.entry.id()))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
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
        self.rank().cmp(&other.rank())
    }
}
