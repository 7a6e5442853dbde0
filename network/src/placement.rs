//! One placement as a state machine without IO: whom to ask, what to pass on, when to stop.
//!
//! The cheapest candidates are asked first, a bounded number at a time. It ends when enough offers are found (more
//! than were wanted, so that the owner can choose and some may fail), when nobody is left to ask, or at the deadline.

use crate::wire::{PlacementDone, PlacementRequest, QuoteRefusal, RefusalKind};
use holdfast_ledger::statement::Quote;
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Digest, TimeMs};
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// How wide and how long a placement searches.
#[derive(Clone, Copy, Debug)]
pub struct PlacementLimits {
    /// Offers passed on for each holder wanted.
    pub offers_per_wanted: u32,
    /// Holders asked at once.
    pub asks_at_once: u32,
    /// Holders asked in all.
    pub asks_max: u32,
    /// Milliseconds after which it ends with what it has.
    pub search_ms: u64,
}

/// The state of one placement.
#[derive(Debug)]
pub struct Placement {
    limits: PlacementLimits,
    offers_max: u32,
    deadline: TimeMs,
    waiting: VecDeque<Address>,
    asking: u32,
    asked: u32,
    offered: u32,
    refusals: BTreeMap<RefusalKind, u32>,
    cheapest: Option<Amount>,
    roomiest: Option<u32>,
    longest_rounds: Option<u32>,
    done: bool,
}

/// What happens to a placement.
#[derive(Debug)]
pub enum Input {
    /// It begins, or time passes.
    Tick,
    /// A holder quoted; the quote was checked.
    Quoted(Box<Quote>),
    /// A holder declined, was silent, or quoted what was not asked.
    Declined(QuoteRefusal),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this holder.
    Ask(Address),
    /// Pass this quote on to the owner.
    Offer(Box<Quote>),
    /// Tell the owner that this was all. Nothing follows.
    Done(PlacementDone),
}

impl Default for PlacementLimits {
    fn default() -> Self {
        Self { offers_per_wanted: 2, asks_at_once: 32, asks_max: 1_024, search_ms: 10_000 }
    }
}

impl Placement {
    /// A placement over `candidates`, best first, beginning at `now`.
    pub fn new(request: &PlacementRequest, candidates: Vec<Address>, limits: PlacementLimits, now: TimeMs) -> Self {
        Self {
            offers_max: u32::from(request.holders).saturating_mul(limits.offers_per_wanted),
            deadline: now.saturating_add(limits.search_ms).min(request.expires),
            waiting: candidates.into_iter().take(limits.asks_max as usize).collect(),
            limits,
            asking: 0,
            asked: 0,
            offered: 0,
            refusals: BTreeMap::new(),
            cheapest: None,
            roomiest: None,
            longest_rounds: None,
            done: false,
        }
    }

    /// When it ends at the latest.
    pub fn deadline(&self) -> TimeMs {
        self.deadline
    }

    /// Takes what happened and says what to do. After `Done` it says nothing any more.
    pub fn step(&mut self, input: Input, now: TimeMs) -> Vec<Output> {
        if self.done {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        match input {
            Input::Tick => {}
            Input::Quoted(quote) => {
                self.asking = self.asking.saturating_sub(1);
                self.offered += 1;
                outputs.push(Output::Offer(quote));
            }
            Input::Declined(refusal) => {
                self.asking = self.asking.saturating_sub(1);
                self.note_refusal(&refusal);
            }
        }
        let enough = self.offered >= self.offers_max;
        if enough || now >= self.deadline || (self.asking == 0 && self.waiting.is_empty()) {
            self.done = true;
            outputs.push(Output::Done(self.summary()));
        } else {
            outputs.extend(self.ask());
        }
        outputs
    }

    /// Asks no more holders at once than could still be of use.
    fn ask(&mut self) -> Vec<Output> {
        let useful = self.offers_max - self.offered;
        let room = self.limits.asks_at_once.min(useful).saturating_sub(self.asking);
        let chosen: Vec<Address> = self.waiting.drain(..self.waiting.len().min(room as usize)).collect();
        self.asking += chosen.len() as u32;
        self.asked += chosen.len() as u32;
        chosen.into_iter().map(Output::Ask).collect()
    }

    fn note_refusal(&mut self, refusal: &QuoteRefusal) {
        *self.refusals.entry(refusal.kind()).or_default() += 1;
        match refusal {
            QuoteRefusal::TooDear { price } => {
                self.cheapest = Some(self.cheapest.map_or(*price, |cheapest| cheapest.min(*price)));
            }
            QuoteRefusal::NoRoom { batches_free } => self.roomiest = self.roomiest.max(Some(*batches_free)),
            QuoteRefusal::TermTooLong { rounds_max } => {
                self.longest_rounds = self.longest_rounds.max(Some(*rounds_max));
            }
            _ => {}
        }
    }

    fn summary(&self) -> PlacementDone {
        let refused = self.refusals.iter().map(|(kind, count)| (*kind, *count)).collect();
        PlacementDone {
            offered: self.offered,
            asked: self.asked,
            refused: Bounded::new(refused).expect("there is at most one count of each kind"),
            cheapest: self.cheapest,
            roomiest: self.roomiest,
            longest_rounds: self.longest_rounds,
        }
    }
}

/// What is wrong with a quote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteError {
    /// It answers another request, or binds somebody else.
    #[error("a quote by {holder} for request {request} of {owner} is not for this request and holder")]
    Foreign {
        /// The quote's request.
        request: holdfast_primitives::RequestId,
        /// The quote's owner.
        owner: Address,
        /// The quote's holder.
        holder: Address,
    },
    /// It offers less than was asked for: another size, no batches, too short a term.
    #[error("a quote for {batches_max} batches of 2^{batch_log2} bytes over {rounds_max} rounds is not what was asked")]
    Unfit {
        /// log2 of the bytes of a batch.
        batch_log2: u8,
        /// Batches.
        batches_max: u32,
        /// Rounds.
        rounds_max: u32,
    },
    /// Above the owner's price.
    #[error("a price of {price} is above the {price_max} that the owner pays")]
    TooDear {
        /// The quote's price.
        price: Amount,
        /// The owner's limit.
        price_max: Amount,
    },
    /// It came another way.
    #[error("the quote is for a path with the digest {found}, it came by one with {expected}")]
    OtherPath {
        /// The quote's.
        found: Digest,
        /// That of the path it came by.
        expected: Digest,
    },
    /// The holder did not sign it.
    #[error("the quote's signature by {holder} does not hold")]
    BadSignature {
        /// The quote's holder.
        holder: Address,
    },
}

/// Whether a quote is what was asked of `holder` along the path with this digest.
pub fn check_quote(
    quote: &Quote,
    request: &PlacementRequest,
    holder: &Address,
    path: &Digest,
    chain: &ChainId,
) -> Result<(), QuoteError> {
    let terms = &quote.terms;
    if (terms.request, terms.owner, terms.holder) != (request.request, request.owner, *holder) {
        return Err(QuoteError::Foreign { request: terms.request, owner: terms.owner, holder: terms.holder });
    }
    let fits = terms.batch_log2 == request.batch_log2 && terms.batches_max > 0 && terms.rounds_max >= request.rounds;
    if !fits {
        let (batch_log2, batches_max, rounds_max) = (terms.batch_log2, terms.batches_max, terms.rounds_max);
        return Err(QuoteError::Unfit { batch_log2, batches_max, rounds_max });
    }
    if terms.price > request.price_max {
        return Err(QuoteError::TooDear { price: terms.price, price_max: request.price_max });
    }
    if terms.path != *path {
        return Err(QuoteError::OtherPath { found: terms.path, expected: *path });
    }
    quote.verify(chain).map_err(|_| QuoteError::BadSignature { holder: *holder })
}
