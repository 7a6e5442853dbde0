//! The placement machine on whole graphs, without a network: every message is an event of a simulation that runs from one
//! seed. The oracle walks the graph breadth first and knows nothing of machines.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_ledger::statement::{Footprint, QuoteTerms, path_digest};
use holdfast_network::control::CheckedOffer;
use holdfast_network::footprint::extend;
use holdfast_network::heavy::{Seen, Sight};
use holdfast_network::placement::{Input, Output, Placement, PlacementLimits, Reach, Scope};
use holdfast_network::wire::{
    Direction, Offered, PlacementDone, PlacementRequest, QuoteRefusal, SeekDone, Signed, Ticket,
};
use holdfast_primitives::{Address, Amount, Bounded, Height, Tag, TimeMs};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const OWNER: u8 = 200;
const FIRST_HOLDER: u8 = 100;
const START: TimeMs = TimeMs::new(START_MS);

/// A graph of heavy nodes 1, 2, ... and their holders.
#[derive(Clone, Debug)]
struct World {
    lines: BTreeSet<(u8, u8)>,
    nodes: u8,
    /// Per holder: its parent, its operator, and whether it declines.
    holders: Vec<(u8, Option<u8>, bool)>,
    /// Nodes that never say a word.
    mute: BTreeSet<u8>,
    hops_max: u8,
    wanted: u16,
    distinct: bool,
}

impl World {
    fn neighbours(&self, node: u8) -> impl Iterator<Item = u8> {
        let other = move |(one, other): &(u8, u8)| match node {
            _ if node == *one => Some(*other),
            _ if node == *other => Some(*one),
            _ => None,
        };
        self.lines.iter().filter_map(other)
    }

    fn holders_of(&self, node: u8) -> impl Iterator<Item = (usize, &(u8, Option<u8>, bool))> {
        self.holders.iter().enumerate().filter(move |(_, (parent, _, _))| *parent == node)
    }

    fn operator(&self, holder: Address) -> Option<Tag> {
        let place = (0..self.holders.len()).find(|place| holder_id(*place) == holder)?;
        self.holders[place].1.map(|operator| format!("operator-{operator}").parse().unwrap())
    }

    /// The oracle: heavy nodes within the owner's hops, by breadth first search, mute ones not passed through.
    fn within_reach(&self) -> BTreeSet<u8> {
        let (mut reached, mut open) = (BTreeSet::from([1]), VecDeque::from([(1, 1)]));
        while let Some((node, hops)) = open.pop_front() {
            if hops < self.hops_max {
                for next in self.neighbours(node).filter(|next| !self.mute.contains(next)) {
                    if reached.insert(next) {
                        open.push_back((next, hops + 1));
                    }
                }
            }
        }
        reached
    }
}

fn holder_id(place: usize) -> Address {
    id(FIRST_HOLDER + place as u8)
}

/// One heavy node's work on the request.
struct Search {
    node: u8,
    path: Footprint,
    machine: Placement,
    /// Whose search asked for it.
    asker: Option<usize>,
    /// What it says arrives in order.
    said_until: u64,
}

enum Event {
    Happens { search: usize, input: Input },
    Arrives { node: u8, path: Footprint, wanted: u32, within_ms: u64, asker: usize },
}

/// What came of it.
struct Outcome {
    offers: Vec<Offered>,
    done: PlacementDone,
    ended_at: u64,
    /// How often each holder was asked.
    asked: BTreeMap<Address, u32>,
}

struct Simulation<'a> {
    world: &'a World,
    request: PlacementRequest,
    limits: PlacementLimits,
    rng: StdRng,
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
    searches: Vec<Search>,
    seen: BTreeMap<u8, Seen>,
    asked: BTreeMap<Address, u32>,
    offers: Vec<Offered>,
}

impl<'a> Simulation<'a> {
    fn new(world: &'a World, seed: u64) -> Self {
        let request = PlacementRequest {
            hops_max: world.hops_max,
            distinct_operators: world.distinct,
            ..placement(OWNER, 1, world.wanted)
        };
        let limits = PlacementLimits { asks_at_once: 3, neighbours_at_once: 2, ..PlacementLimits::default() };
        Self {
            world,
            request,
            limits,
            rng: StdRng::seed_from_u64(seed),
            events: BTreeMap::new(),
            number: 0,
            searches: Vec::new(),
            seen: (1..=world.nodes).map(|node| (node, Seen::new(100))).collect(),
            asked: BTreeMap::new(),
            offers: Vec::new(),
        }
    }

    fn run(mut self) -> Outcome {
        self.seen
            .get_mut(&1)
            .unwrap()
            .note((self.request.owner, self.request.request), 1, self.request.expires, START)
            .unwrap();
        let scope = Scope::of_owner(&self.request, &self.limits);
        self.begin(1, Bounded::empty(), scope, true, None, START_MS);
        while let Some(((now, _), event)) = self.events.pop_first() {
            match event {
                Event::Happens { search, input } => {
                    if let Some(done) = self.step(search, input, now) {
                        return Outcome { offers: self.offers, done, ended_at: now, asked: self.asked };
                    }
                }
                Event::Arrives { node, path, wanted, within_ms, asker } => {
                    self.arrive(node, path, wanted, within_ms, asker, now);
                }
            }
        }
        panic!("the owner was never told that this was all")
    }

    fn at(&mut self, when: u64, event: Event) {
        self.number += 1;
        self.events.insert((when, self.number), event);
    }

    fn later(&mut self, now: u64) -> u64 {
        now + self.rng.random_range(1..60)
    }

    fn begin(&mut self, node: u8, path: Footprint, scope: Scope, looks: bool, asker: Option<usize>, now: u64) {
        let on_path: Vec<Address> = path.iter().map(|hop| hop.node).collect();
        let neighbours = self.world.neighbours(node).map(id).filter(|other| !on_path.contains(other)).collect();
        let holders = self.world.holders_of(node).map(|(place, _)| holder_id(place));
        let subtree = holders.map(|holder| (holder, self.world.operator(holder))).collect();
        let reach = Reach { subtree: looks.then_some(subtree), unfit: vec![], neighbours };
        let machine = Placement::new(&self.request, reach, scope, self.limits, TimeMs::new(now));
        self.searches.push(Search { node, path, machine, asker, said_until: now });
        let search = self.searches.len() - 1;
        self.at(now, Event::Happens { search, input: Input::Tick });
    }

    fn arrive(&mut self, node: u8, path: Footprint, wanted: u32, within_ms: u64, asker: usize, now: u64) {
        assert!(path.len() < usize::from(self.request.hops_max), "a path over the owner's limit");
        if self.world.mute.contains(&node) {
            return;
        }
        let hops = path.len() as u8 + 1;
        let name = (self.request.owner, self.request.request);
        let sight = self.seen.get_mut(&node).unwrap().note(name, hops, self.request.expires, TimeMs::new(now)).unwrap();
        if sight == Sight::Again {
            let told = Some(SeekDone { seen: true, ..SeekDone::default() });
            let when = self.later(now);
            return self.at(when, Event::Happens { search: asker, input: Input::Sought { neighbour: id(node), told } });
        }
        let hops_left = self.request.hops_max - hops;
        let scope = Scope { offers_max: wanted, search_ms: within_ms, hops_left };
        self.begin(node, path, scope, sight == Sight::First, Some(asker), now);
    }

    /// The last word of the owner's own search, when it comes.
    fn step(&mut self, search: usize, input: Input, now: u64) -> Option<PlacementDone> {
        let outputs = self.searches[search].machine.step(input, TimeMs::new(now));
        for output in outputs {
            match output {
                Output::Ask(holder) => self.ask(search, holder, now),
                Output::AskNeighbour { node, wanted, within_ms } => self.forward(search, node, wanted, within_ms, now),
                Output::Offer(quote) => {
                    let offered = self.offered(search, *quote);
                    self.tell_found(search, offered, now);
                }
                Output::Relay(offered) => self.tell_found(search, *offered, now),
                Output::Done(done) => match self.searches[search].asker {
                    None => return Some(done),
                    Some(asker) => {
                        let neighbour = id(self.searches[search].node);
                        let told = Some(SeekDone { seen: false, done });
                        self.tell(search, asker, Input::Sought { neighbour, told }, now);
                    }
                },
            }
        }
        let wakes = self.searches[search].machine.wakes_at().get();
        if wakes > now {
            self.at(wakes, Event::Happens { search, input: Input::Tick });
        }
        None
    }

    fn ask(&mut self, search: usize, holder: Address, now: u64) {
        *self.asked.entry(holder).or_default() += 1;
        let place = (0..self.world.holders.len()).find(|place| holder_id(*place) == holder).unwrap();
        let input = if self.world.holders[place].2 {
            Input::Declined { holder, refusal: QuoteRefusal::NoRoom { batches_free: 1 } }
        } else {
            let path = self.path_to(search, &holder);
            let terms = QuoteTerms {
                request: self.request.request,
                owner: self.request.owner,
                holder,
                batch_log2: self.request.batch_log2,
                batches_max: self.request.batches_per_holder,
                price: Amount::grains(10),
                rounds_max: self.request.rounds,
                path: path_digest(path.iter().map(|hop| &hop.node)),
                expires: Height::new(1_000),
            };
            Input::Quoted(Box::new(terms.sign(&key(FIRST_HOLDER + place as u8), &CHAIN)))
        };
        let when = self.later(now);
        self.at(when, Event::Happens { search, input });
    }

    fn forward(&mut self, search: usize, neighbour: Address, wanted: u32, within_ms: u64, now: u64) {
        let node = (1..=self.world.nodes).find(|node| id(*node) == neighbour).unwrap();
        let (path, when) = (self.path_to(search, &neighbour), self.later(now));
        self.at(when, Event::Arrives { node, path, wanted, within_ms, asker: search });
        // The driver's patience with a neighbour.
        let given_up = Input::Sought { neighbour, told: None };
        self.at(now + within_ms + within_ms / 8, Event::Happens { search, input: given_up });
    }

    fn path_to(&self, search: usize, next: &Address) -> Footprint {
        let Search { node, path, .. } = &self.searches[search];
        extend(path, (&self.request.request, &self.request.owner, next), &key(*node), &CHAIN).unwrap()
    }

    fn offered(&self, search: usize, quote: holdfast_ledger::statement::Quote) -> Offered {
        let holder = quote.terms.holder;
        let node = self.searches[search].node;
        let ticket = Ticket {
            issuer: id(node),
            client: self.request.owner,
            holder,
            holder_addr: holdfast_network::NodeAddr::bare(holder),
            request: self.request.request,
            direction: Direction::Write,
            bytes_max: 1 << 20,
            expires: TimeMs::new(START_MS + 1_000_000),
        };
        let footprint = self.path_to(search, &holder);
        Offered { quote, footprint, ticket: Signed::new(ticket, &key(node), &CHAIN) }
    }

    fn tell_found(&mut self, search: usize, offered: Offered, now: u64) {
        match self.searches[search].asker {
            None => self.offers.push(offered),
            Some(asker) => {
                let (neighbour, operator) =
                    (id(self.searches[search].node), self.world.operator(offered.quote.terms.holder));
                let offered = Box::new(offered);
                self.tell(search, asker, Input::Found { neighbour, offered, operator }, now);
            }
        }
    }

    fn tell(&mut self, search: usize, asker: usize, input: Input, now: u64) {
        let when = self.later(now).max(self.searches[search].said_until);
        self.searches[search].said_until = when;
        self.at(when, Event::Happens { search: asker, input });
    }
}

fn worlds(wanted: impl Strategy<Value = u16>, mute: usize) -> impl Strategy<Value = World> {
    let holder = (1u8..=7, proptest::option::of(0u8..4), proptest::bool::weighted(0.2));
    let lines = proptest::collection::btree_set((1u8..=7, 1u8..=7), 3..14);
    let mute = proptest::collection::btree_set(2u8..=7, 0..=mute);
    let holders = proptest::collection::vec(holder, 0..14);
    (2u8..=7, lines, holders, 1u8..=4, wanted, mute, any::<bool>()).prop_map(
        |(nodes, lines, holders, hops_max, wanted, mute, distinct)| {
            let within = |node: &u8| (node - 1) % nodes + 1;
            let lines =
                lines.iter().map(|(one, other)| (within(one), within(other))).filter(|(one, other)| one < other);
            let holders = holders.iter().map(|(parent, operator, declines)| (within(parent), *operator, *declines));
            let mute = mute.iter().map(within).filter(|node| *node != 1).collect();
            World { lines: lines.collect(), nodes, holders: holders.collect(), mute, hops_max, wanted, distinct }
        },
    )
}

/// What holds in every world: nobody is asked twice, what is offered convinces the owner, and it ends in time.
fn check_sound(world: &World, outcome: &Outcome) -> Result<(), TestCaseError> {
    prop_assert!(outcome.asked.values().all(|times| *times == 1), "asked twice: {:?}", outcome.asked);
    prop_assert!(outcome.ended_at <= START_MS + PlacementLimits::default().search_ms);
    prop_assert!(outcome.done.offered as usize == outcome.offers.len());
    prop_assert!(outcome.offers.len() <= 2 * usize::from(world.wanted));
    let request = PlacementRequest { hops_max: world.hops_max, ..placement(OWNER, 1, world.wanted) };
    let mut holders = BTreeSet::new();
    let mut operators = BTreeSet::new();
    for offered in &outcome.offers {
        let checked = CheckedOffer::check(offered.clone(), &request, &id(1), &CHAIN, START);
        prop_assert!(checked.is_ok(), "{:?}", checked);
        let holder = offered.quote.terms.holder;
        prop_assert!(holders.insert(holder), "offered twice");
        let operator = world.operator(holder);
        prop_assert!(
            !world.distinct || operator.is_none_or(|operator| operators.insert(operator)),
            "one operator twice"
        );
        let steps: Vec<Address> = offered.footprint.iter().map(|hop| hop.node).collect();
        let is_line = |pair: &[Address]| {
            world.lines.iter().any(|(one, other)| {
                [id(*one), id(*other)] == [pair[0], pair[1]] || [id(*other), id(*one)] == [pair[0], pair[1]]
            })
        };
        prop_assert!(steps.windows(2).all(is_line), "a path along lines that there are not");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// When nobody fails and more is wanted than there is, everyone within the owner's hops is found, and nobody beyond.
    #[test]
    fn everyone_within_the_hops_is_found(world in worlds(Just(40), 0), seed: u64) {
        let outcome = Simulation::new(&world, seed).run();
        check_sound(&world, &outcome)?;
        let reach = world.within_reach();
        let fit = world.holders.iter().enumerate().filter(|(_, (parent, _, declines))| reach.contains(parent) && !declines);
        let fit: Vec<Address> = fit.map(|(place, _)| holder_id(place)).collect();
        let found: BTreeSet<Address> = outcome.offers.iter().map(|offered| offered.quote.terms.holder).collect();
        if world.distinct {
            let independent = fit.iter().filter(|holder| world.operator(**holder).is_none()).count();
            let operators: BTreeSet<_> = fit.iter().filter_map(|holder| world.operator(*holder)).collect();
            prop_assert_eq!(found.len(), independent + operators.len());
        } else {
            prop_assert_eq!(&found, &fit.iter().copied().collect::<BTreeSet<_>>());
        }
        prop_assert_eq!(outcome.done.heavy_asked as usize, reach.len());
        prop_assert_eq!(outcome.done.heavy_silent, 0);
    }

    /// Whoever is mute and however little is wanted.
    #[test]
    fn every_search_is_sound_and_ends_in_time(world in worlds(1u16..6, 3), seed: u64) {
        let outcome = Simulation::new(&world, seed).run();
        check_sound(&world, &outcome)?;
        let reach = world.within_reach();
        prop_assert!(outcome.done.heavy_asked as usize <= reach.len());
        for holder in outcome.asked.keys() {
            let place = (0..world.holders.len()).find(|place| holder_id(*place) == *holder).unwrap();
            prop_assert!(reach.contains(&world.holders[place].0), "somebody out of reach was asked");
        }
    }
}
