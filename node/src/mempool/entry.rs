//! What waits, and where.

use holdfast_ledger::{AdmittedTx, Pending, SoundTx, State, TxBody, TxError};
use holdfast_primitives::{Address, Amount, Height, TxId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Values;

/// How well a transaction pays: grains per byte, in 2^-64, rounded down. Sizes are far below 2^32, so two that differ at all
/// differ by more than that.
pub(super) type Price = u128;
/// A place among the last of each queue, the worst first: by price, then the larger id.
pub(super) type Tail = (Price, Reverse<TxId>, Address);
/// What costs nothing to hand in waits once: one part of one holder's proof, by its first challenge, or the accusation of
/// one validator.
pub(super) type Part = (Address, Option<u32>);

/// One waiting transaction.
pub(super) struct Entry {
    pub tx: AdmittedTx,
    pub bytes: usize,
    pub price: Price,
}

/// One sender's, in order of sequence without a gap.
#[derive(Default)]
pub(super) struct Queue {
    pub by_sequence: BTreeMap<u64, Entry>,
    /// What they cost together.
    pub reserved: Amount,
    /// Their bytes together.
    pub bytes: usize,
    pub tail: Option<Tail>,
    shape: Shape,
}

/// What of a queue's transactions decides whether they must be looked at one by one.
#[derive(Clone, Copy)]
struct Shape {
    /// Whether the sender's account and the height are all that they depend on.
    payments_only: bool,
    /// The last height at which none of them is expired.
    expires: Height,
}

impl Default for Shape {
    fn default() -> Self {
        Self { payments_only: true, expires: Height::new(u64::MAX) }
    }
}

impl Shape {
    fn with(self, entry: &Entry) -> Self {
        let tx = &entry.tx.sound().signed().tx;
        let payment = matches!(tx.body, TxBody::Transfer { .. });
        Self { payments_only: self.payments_only && payment, expires: self.expires.min(tx.expires) }
    }
}

/// Where a waiting transaction is kept.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Queue { sender: Address, sequence: u64 },
    Proof { part: Part },
}

impl Place {
    pub fn of(sound: &SoundTx) -> Self {
        let tx = &sound.signed().tx;
        match &tx.body {
            TxBody::Prove { part, .. } => Self::Proof { part: (part.holder, Some(part.first_j)) },
            TxBody::Accuse { misbehaviour } => Self::Proof { part: (*misbehaviour.validator(), None) },
            _ => Self::Queue { sender: tx.sender, sequence: tx.sequence },
        }
    }
}

impl Entry {
    pub fn new(tx: AdmittedTx) -> Self {
        let (bytes, fee) = (tx.sound().block_bytes(), tx.sound().signed().tx.fee);
        let price = (u128::from(fee.get()) << 64) / (bytes.max(1) as u128);
        Self { tx, bytes, price }
    }

    pub fn id(&self) -> TxId {
        self.tx.sound().id()
    }

    pub fn fee(&self) -> Amount {
        self.tx.sound().signed().tx.fee
    }

    pub fn sender(&self) -> Address {
        self.tx.sound().signed().tx.sender
    }
}

impl Queue {
    /// What a transaction finds before it: everything, or what has a lower sequence number.
    pub fn pending_below(&self, state: &State, sender: &Address, sequence: u64) -> Pending {
        let before = self.by_sequence.range(..sequence);
        before.fold(Pending::none(state, sender), |pending, (_, entry)| entry.tx.after(&pending))
    }

    /// Adds an entry that was admitted.
    pub fn put(&mut self, sequence: u64, entry: Entry) {
        self.reserved =
            self.reserved.checked_add(entry.tx.cost()).expect("admission checked the sum against the balance");
        self.bytes += entry.bytes;
        self.shape = self.shape.with(&entry);
        self.by_sequence.insert(sequence, entry);
    }

    /// Takes an entry out.
    pub fn take(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.by_sequence.remove(&sequence)?;
        self.reserved = self.reserved.saturating_sub(entry.tx.cost());
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Whether all of them hold at this state, as far as that can be told without looking at each: payments of one sender
    /// hold together when they follow on its account's sequence number and the balance covers their sum.
    pub fn holds_still(&self, state: &State, sender: &Address) -> bool {
        let Some((_, account)) = state.account_by_address(sender) else { return false };
        let (first, last) = (self.by_sequence.keys().next(), self.by_sequence.keys().next_back());
        let follows = first == Some(&account.sequence)
            && last.is_some_and(|last| last - account.sequence + 1 == self.by_sequence.len() as u64);
        self.shape.payments_only
            && follows
            && self.reserved <= account.balance
            && state.chain().height.next() <= self.shape.expires
    }

    /// The transactions from `sequence` on that do not hold at this state after `pending`, and why. What comes behind one
    /// of them does not hold either.
    pub fn broken_from(&self, state: &State, sequence: u64, mut pending: Pending) -> Vec<(TxId, TxError)> {
        let mut broken = Vec::new();
        for entry in self.by_sequence.range(sequence..).map(|(_, entry)| entry) {
            match entry.tx.check_again(state, &pending) {
                Ok(()) => pending = entry.tx.after(&pending),
                Err(reason) => broken.push((entry.id(), reason)),
            }
        }
        broken
    }

    /// Forgets what was noted of those that have left.
    pub fn look_again(&mut self) {
        self.shape = self.by_sequence.values().fold(Shape::default(), Shape::with);
    }
}

/// The next transaction of one sender, ordered by fee per byte, then by the smaller id.
pub(super) struct Head<'a> {
    pub entry: &'a Entry,
    pub rest: Values<'a, u64, Entry>,
}

impl<'a> Head<'a> {
    pub fn next(mut rest: Values<'a, u64, Entry>) -> Option<Self> {
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
