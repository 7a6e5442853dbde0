//! Why a placement found no more, and what would have succeeded: told by holders, by neighbours, and by this node itself.
//!
//! Whoever tells may lie, so a word counts only where it can be true (a price that was too high lies above the owner's
//! limit), and no number of a neighbour grows beyond what a network has.

use crate::wire::{DONE_TAGS_MAX, PlacementDone, PlacementRequest, QuoteRefusal, RefusalKind};
use holdfast_primitives::limits::VALIDATORS_MAX;
use holdfast_primitives::{Amount, Bounded, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// Holders that one neighbour's summary may speak of, at most.
const TOLD_MAX: u32 = 65_536;

/// What one placement has come to so far.
#[derive(Clone, Debug)]
pub struct Summary {
    price_max: Amount,
    batches: u32,
    rounds: u32,
    asked: u32,
    refused: BTreeMap<RefusalKind, u32>,
    cheapest: Option<Amount>,
    roomiest: Option<u32>,
    longest_rounds: Option<u32>,
    topics: BTreeSet<Tag>,
    untopical: bool,
    regions: BTreeSet<Tag>,
    heavy_asked: u32,
    heavy_silent: u32,
    hops_cut: bool,
}

impl Summary {
    /// Nothing has happened yet.
    pub fn new(request: &PlacementRequest) -> Self {
        Self {
            price_max: request.price_max,
            batches: request.batches_per_holder,
            rounds: request.rounds,
            asked: 0,
            refused: BTreeMap::new(),
            cheapest: None,
            roomiest: None,
            longest_rounds: None,
            topics: BTreeSet::new(),
            untopical: false,
            regions: BTreeSet::new(),
            heavy_asked: 0,
            heavy_silent: 0,
            hops_cut: false,
        }
    }

    /// So many holders were asked.
    pub fn asked(&mut self, holders: u32) {
        self.asked = self.asked.saturating_add(holders);
    }

    /// A heavy node looked into its subtree.
    pub fn looked(&mut self) {
        self.heavy_asked = self.heavy_asked.saturating_add(1);
    }

    /// A heavy node did not answer, or with something else.
    pub fn silent(&mut self) {
        self.heavy_silent = self.heavy_silent.saturating_add(1);
    }

    /// There were heavy nodes beyond the hops that the owner allowed.
    pub fn cut(&mut self) {
        self.hops_cut = true;
    }

    /// A holder that would not do.
    pub fn refused(&mut self, refusal: &QuoteRefusal) {
        self.count(refusal.kind(), 1);
        match refusal {
            QuoteRefusal::TooDear { price } => self.price(Some(*price)),
            QuoteRefusal::NoRoom { batches_free } => self.room(Some(*batches_free)),
            QuoteRefusal::TermTooLong { rounds_max } => self.term(Some(*rounds_max)),
            QuoteRefusal::OtherTopic { topics } => {
                self.untopical |= topics.is_empty();
                note(&mut self.topics, topics);
            }
            QuoteRefusal::OtherRegion { region } => note(&mut self.regions, region.as_slice()),
            _ => {}
        }
    }

    /// What a neighbour says of its own subtree and beyond. What it says to have offered is not believed but counted.
    pub fn merge(&mut self, told: &PlacementDone) {
        self.asked(told.asked.min(TOLD_MAX));
        // A kind that is told twice counts once.
        let told_kinds: BTreeMap<RefusalKind, u32> = told.refused.iter().copied().collect();
        told_kinds.into_iter().for_each(|(kind, count)| self.count(kind, count.min(TOLD_MAX)));
        self.price(told.cheapest);
        self.room(told.roomiest);
        self.term(told.longest_rounds);
        note(&mut self.topics, &told.topics);
        note(&mut self.regions, &told.regions);
        self.untopical |= told.untopical;
        let nodes_max = VALIDATORS_MAX as u32;
        self.heavy_asked = self.heavy_asked.saturating_add(told.heavy_asked.min(nodes_max));
        self.heavy_silent = self.heavy_silent.saturating_add(told.heavy_silent.min(nodes_max));
        self.hops_cut |= told.hops_cut;
    }

    /// The last word, after so many offers.
    pub fn done(&self, offered: u32) -> PlacementDone {
        let refused = self.refused.iter().map(|(kind, count)| (*kind, *count)).collect();
        let tags = |tags: &BTreeSet<Tag>| Bounded::new(tags.iter().cloned().collect()).expect("no more are noted");
        PlacementDone {
            offered,
            asked: self.asked,
            refused: Bounded::new(refused).expect("there is at most one count of each kind"),
            cheapest: self.cheapest,
            roomiest: self.roomiest,
            longest_rounds: self.longest_rounds,
            topics: tags(&self.topics),
            untopical: self.untopical,
            regions: tags(&self.regions),
            heavy_asked: self.heavy_asked,
            heavy_silent: self.heavy_silent,
            hops_cut: self.hops_cut,
        }
    }

    fn count(&mut self, kind: RefusalKind, more: u32) {
        let count = self.refused.entry(kind).or_default();
        *count = count.saturating_add(more);
    }

    fn price(&mut self, told: Option<Amount>) {
        let told = told.filter(|price| *price > self.price_max);
        self.cheapest = self.cheapest.into_iter().chain(told).min();
    }

    fn room(&mut self, told: Option<u32>) {
        self.roomiest = self.roomiest.max(told.filter(|batches| *batches < self.batches));
    }

    fn term(&mut self, told: Option<u32>) {
        self.longest_rounds = self.longest_rounds.max(told.filter(|rounds| *rounds < self.rounds));
    }
}

/// Notes tags until there is no more room for them.
fn note(known: &mut BTreeSet<Tag>, told: &[Tag]) {
    for tag in told {
        if known.len() >= DONE_TAGS_MAX {
            return;
        }
        known.insert(tag.clone());
    }
}
