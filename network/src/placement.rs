//! One placement as a state machine without IO: whom to ask, what to pass on, when to stop.
//!
//! ```text
//! own subtree    the cheapest candidates first, a bounded number at a time
//! neighbours     once the subtree is done, or has had its share of the time: what is still missing
//! ```
//!
//! It ends when enough offers are found (more than were wanted, so that the owner can choose and some may fail), when
//! nobody is left to ask, or at the deadline. No holder is passed on twice, and where the owner wants distinct
//! operators, no operator either.

use crate::summary::Summary;
use crate::wire::{Offered, PlacementDone, PlacementRequest, QuoteRefusal, SeekDone};
use holdfast_ledger::statement::Quote;
use holdfast_primitives::{Address, Amount, ChainId, Digest, Tag, TimeMs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use thiserror::Error;

/// Less time than this is of no use to a neighbour, in milliseconds.
const SHARE_MS_MIN: u64 = 20;

/// How wide and how long a placement searches.
#[derive(Clone, Copy, Debug)]
pub struct PlacementLimits {
    /// Offers passed on for each holder wanted.
    pub offers_per_wanted: u32,
    /// Holders asked at once.
    pub asks_at_once: u32,
    /// Holders asked in all.
    pub asks_max: u32,
    /// Neighbours asked at once.
    pub neighbours_at_once: usize,
    /// Milliseconds after which it ends with what it has.
    pub search_ms: u64,
}

/// What one placement may do at this node.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Offers that are of use, at most.
    pub offers_max: u32,
    /// Milliseconds after which it ends with what it has.
    pub search_ms: u64,
    /// Heavy nodes that the path may still gain beyond this one.
    pub hops_left: u8,
}

/// Whom this node could ask.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Its own holders, best first, with their operators; `None` when they were asked before.
    pub subtree: Option<Vec<(Address, Option<Tag>)>>,
    /// Why other holders of its own would not do.
    pub unfit: Vec<QuoteRefusal>,
    /// Its neighbours, those on the path left out.
    pub neighbours: Vec<Address>,
}

/// The state of one placement.
#[derive(Debug)]
pub struct Placement {
    limits: PlacementLimits,
    scope: Scope,
    distinct_operators: bool,
    deadline: TimeMs,
    /// When neighbours are asked whether or not the own subtree is done.
    widen_at: TimeMs,
    asks_left: u32,
    /// Whether that has come about.
    widened: bool,
    waiting: VecDeque<(Address, Option<Tag>)>,
    asking: BTreeMap<Address, Option<Tag>>,
    neighbours: VecDeque<Address>,
    asking_neighbours: BTreeSet<Address>,
    /// Whose offers were passed on.
    holders: BTreeSet<Address>,
    operators: BTreeSet<Tag>,
    summary: Summary,
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
    Declined {
        /// The holder.
        holder: Address,
        /// Why.
        refusal: QuoteRefusal,
    },
    /// A neighbour found a holder; the offer was checked.
    Found {
        /// The neighbour.
        neighbour: Address,
        /// The offer.
        offered: Box<Offered>,
        /// Who runs the holder, if it says so.
        operator: Option<Tag>,
    },
    /// A neighbour has told all.
    Sought {
        /// The neighbour.
        neighbour: Address,
        /// Its last word; `None` when it was silent, refused, or sent what no honest neighbour sends.
        told: Option<SeekDone>,
    },
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this holder.
    Ask(Address),
    /// Ask this neighbour.
    AskNeighbour {
        /// Which.
        node: Address,
        /// For how many offers, at most.
        wanted: u32,
        /// How long it may take, in milliseconds.
        within_ms: u64,
    },
    /// Pass this quote of an own holder on.
    Offer(Box<Quote>),
    /// Pass this offer of a neighbour on.
    Relay(Box<Offered>),
    /// Say that this was all. Nothing follows.
    Done(PlacementDone),
}

impl Default for PlacementLimits {
    fn default() -> Self {
        Self { offers_per_wanted: 2, asks_at_once: 32, asks_max: 1_024, neighbours_at_once: 16, search_ms: 10_000 }
    }
}

impl Scope {
    /// What the heavy node that the owner asked may do.
    pub fn of_owner(request: &PlacementRequest, limits: &PlacementLimits) -> Self {
        let wanted = u32::from(request.holders).saturating_mul(limits.offers_per_wanted);
        // Of holders that are named there are no more than that.
        let named = if request.only.is_empty() { u32::MAX } else { request.only.len() as u32 };
        Self {
            offers_max: wanted.min(named),
            search_ms: limits.search_ms,
            hops_left: request.hops_max.saturating_sub(1),
        }
    }
}

impl Placement {
    /// A placement over those within `reach`, beginning at `now`.
    pub fn new(request: &PlacementRequest, reach: Reach, scope: Scope, limits: PlacementLimits, now: TimeMs) -> Self {
        let mut summary = Summary::new(request);
        let waiting: VecDeque<_> = match reach.subtree {
            Some(fit) => {
                summary.looked();
                reach.unfit.iter().for_each(|refusal| summary.refused(refusal));
                fit.into()
            }
            None => VecDeque::new(),
        };
        Self {
            scope,
            distinct_operators: request.distinct_operators,
            deadline: now.saturating_add(scope.search_ms).min(request.expires),
            widen_at: now.saturating_add(scope.search_ms / 4),
            asks_left: limits.asks_max,
            limits,
            widened: false,
            waiting,
            asking: BTreeMap::new(),
            neighbours: reach.neighbours.into(),
            asking_neighbours: BTreeSet::new(),
            holders: BTreeSet::new(),
            operators: BTreeSet::new(),
            summary,
            done: false,
        }
    }

    /// When it ends at the latest.
    pub fn deadline(&self) -> TimeMs {
        self.deadline
    }

    /// When it wants the next [`Input::Tick`], if nothing else happens.
    pub fn wakes_at(&self) -> TimeMs {
        let waits = self.scope.hops_left > 0 && !self.neighbours.is_empty() && !self.widened;
        if waits { self.widen_at.min(self.deadline) } else { self.deadline }
    }

    /// Takes what happened and says what to do. After `Done` it says nothing any more.
    pub fn step(&mut self, input: Input, now: TimeMs) -> Vec<Output> {
        if self.done {
            return Vec::new();
        }
        let mut outputs: Vec<Output> = self.take(input).into_iter().collect();
        if self.missing() > 0 && now < self.deadline {
            outputs.extend(self.ask());
            outputs.extend(self.ask_neighbours(now));
        }
        if self.missing() == 0 || now >= self.deadline || self.is_idle() {
            self.done = true;
            outputs.push(Output::Done(self.summary.done(self.offered())));
        }
        outputs
    }

    /// Notes what happened; the offer to pass on, if there is one. Who was not asked is not heard.
    fn take(&mut self, input: Input) -> Option<Output> {
        match input {
            Input::Tick => None,
            Input::Quoted(quote) => {
                let operator = self.asking.remove(&quote.terms.holder)?;
                self.count(quote.terms.holder, operator).then_some(Output::Offer(quote))
            }
            Input::Declined { holder, refusal } => {
                self.asking.remove(&holder)?;
                self.summary.refused(&refusal);
                None
            }
            Input::Found { neighbour, offered, operator } => {
                let is_heard = self.missing() > 0 && self.asking_neighbours.contains(&neighbour);
                (is_heard && self.count(offered.quote.terms.holder, operator)).then_some(Output::Relay(offered))
            }
            Input::Sought { neighbour, told } => {
                if self.asking_neighbours.remove(&neighbour) {
                    match told {
                        Some(told) => self.summary.merge(&told.done),
                        None => self.summary.silent(),
                    }
                }
                None
            }
        }
    }

    /// Whether an offer counts: neither its holder nor, where it matters, its operator was offered before.
    fn count(&mut self, holder: Address, operator: Option<Tag>) -> bool {
        if self.holders.contains(&holder) {
            return false;
        }
        if self.is_spoken_for(operator.as_ref()) {
            self.summary.refused(&QuoteRefusal::SameOperator);
            return false;
        }
        self.operators.extend(operator);
        self.holders.insert(holder)
    }

    /// Asks no more holders at once than could still be of use.
    fn ask(&mut self) -> Vec<Output> {
        let room = self.limits.asks_at_once.min(self.missing()) as usize;
        let mut later = VecDeque::new();
        let mut chosen = Vec::new();
        while self.asking.len() < room
            && self.asks_left > 0
            && let Some((holder, operator)) = self.waiting.pop_front()
        {
            if self.holders.contains(&holder) {
                continue;
            }
            if self.is_spoken_for(operator.as_ref()) {
                self.summary.refused(&QuoteRefusal::SameOperator);
            } else if self.is_being_asked(operator.as_ref()) {
                later.push_back((holder, operator));
            } else {
                self.asks_left -= 1;
                self.asking.insert(holder, operator);
                chosen.push(Output::Ask(holder));
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        if self.asks_left == 0 {
            self.waiting.clear();
        }
        self.summary.asked(chosen.len() as u32);
        chosen
    }

    fn ask_neighbours(&mut self, now: TimeMs) -> Vec<Output> {
        self.widened |= self.is_subtree_done() || now >= self.widen_at;
        if !self.widened {
            return Vec::new();
        }
        if self.scope.hops_left == 0 {
            if !self.neighbours.is_empty() && self.is_subtree_done() {
                self.summary.cut();
                self.neighbours.clear();
            }
            return Vec::new();
        }
        // What is left of the time after a neighbour's share is for its answer to come, and for others to be told.
        let within_ms = self.deadline.since(now) / 4 * 3;
        if within_ms < SHARE_MS_MIN {
            self.neighbours.clear();
        }
        let room = self.limits.neighbours_at_once.saturating_sub(self.asking_neighbours.len());
        let chosen: Vec<Address> = self.neighbours.drain(..self.neighbours.len().min(room)).collect();
        self.asking_neighbours.extend(&chosen);
        let wanted = self.missing();
        chosen.into_iter().map(|node| Output::AskNeighbour { node, wanted, within_ms }).collect()
    }

    fn is_spoken_for(&self, operator: Option<&Tag>) -> bool {
        self.distinct_operators && operator.is_some_and(|operator| self.operators.contains(operator))
    }

    fn is_being_asked(&self, operator: Option<&Tag>) -> bool {
        self.distinct_operators && operator.is_some() && self.asking.values().any(|asked| asked.as_ref() == operator)
    }

    fn is_subtree_done(&self) -> bool {
        self.waiting.is_empty() && self.asking.is_empty()
    }

    fn is_idle(&self) -> bool {
        let no_neighbour =
            self.asking_neighbours.is_empty() && (self.scope.hops_left == 0 || self.neighbours.is_empty());
        self.is_subtree_done() && no_neighbour
    }

    fn offered(&self) -> u32 {
        self.holders.len() as u32
    }

    fn missing(&self) -> u32 {
        self.scope.offers_max.saturating_sub(self.offered())
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
