//! The policy in virtual time: holders of every temper, ranges that share what is known of them, and a judge who counts for
//! itself. Failures print the seed's case; `PROPTEST_CASES` and the regressions file replay it.

use holdfast_primitives::Address;
use holdfast_wallet::reading::{Fault, FaultCode, Input, Moment, Motion, Output, Race, Standings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RANGE: u64 = 1 << 20;

/// How a holder behaves, always; times in milliseconds from being asked.
#[derive(Clone, Copy, Debug)]
enum Temper {
    /// Answers.
    Delivers { reached: u64, began: u64, done: u64 },
    /// Never answers; its session gives up on it in the end.
    Silent { until: u64 },
    /// Is caught at something for which it is dropped.
    Crooked { after: u64 },
    /// Says that it lacks the batch.
    Lacks { after: u64 },
}

impl Temper {
    fn delivers(&self) -> bool {
        matches!(self, Self::Delivers { .. })
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Reached,
    Began,
    Ended,
    Wake,
}

/// A network of holders, and everything that was asked of them.
struct World {
    tempers: Vec<Temper>,
    needed: usize,
    standings: Standings,
    queue: BTreeMap<(Moment, u64), (usize, u8, Event)>,
    sequence: u64,
    motions: BTreeMap<(usize, u8), Motion>,
    races: Vec<Option<Race>>,
    /// What was asked: race, batch.
    asked: Vec<(usize, u8)>,
    /// Holders caught at what they are dropped for, as the judge saw it.
    caught: BTreeSet<u8>,
    outcomes: BTreeMap<usize, Output>,
}

fn holder(batch: u8) -> Address {
    Address::new([batch + 1; 32])
}

fn ms(milliseconds: u64) -> Moment {
    Moment::from_millis(milliseconds)
}

impl World {
    fn new(tempers: Vec<Temper>, needed: usize) -> Self {
        Self {
            tempers,
            needed,
            standings: Standings::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            motions: BTreeMap::new(),
            races: Vec::new(),
            asked: Vec::new(),
            caught: BTreeSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Runs some ranges at once to their end; which batch each wants.
    fn read(&mut self, wanted: &[u8], mut now: Moment) -> Moment {
        for batch in wanted {
            let holders = (0..self.tempers.len() as u8).map(|batch| Some(holder(batch))).collect();
            self.races.push(Some(Race::new(holders, *batch, self.needed, RANGE, [])));
            self.step(self.races.len() - 1, Input::Tick, now);
        }
        let mut steps = 0;
        while let Some(((at, _), (race, batch, event))) = self.queue.pop_first() {
            now = at;
            steps += 1;
            assert!(steps < 100_000, "the races go round in circles");
            self.happen(race, batch, event, now);
        }
        assert!(self.races.iter().all(Option::is_none), "a race waits for nothing");
        now
    }

    fn happen(&mut self, race: usize, batch: u8, event: Event, now: Moment) {
        if self.races[race].is_none() {
            return;
        }
        if let Event::Wake = event {
            return self.step(race, Input::Tick, now);
        }
        // What was cut off moves no more.
        let Some(motion) = self.motions.get_mut(&(race, batch)) else { return };
        match event {
            Event::Reached => motion.reached = Some(now),
            Event::Began => motion.began = Some(now),
            Event::Ended | Event::Wake => {}
        }
        motion.last = motion.began.map(|_| now);
        let motion = *motion;
        self.races[race].as_mut().unwrap().note_motion(batch, motion);
        if let Event::Ended = event {
            self.motions.remove(&(race, batch));
            let input = self.end(batch);
            self.step(race, input, now);
            // What became known of a holder is told to all.
            (0..self.races.len()).for_each(|other| self.step(other, Input::Tick, now));
        } else {
            self.schedule_wake(race, now);
        }
    }

    fn end(&mut self, batch: u8) -> Input {
        let fault = match self.tempers[usize::from(batch)] {
            Temper::Delivers { .. } => return Input::Came { batch, bytes: RANGE },
            Temper::Silent { .. } => Fault::new(FaultCode::Stalled, "silent"),
            Temper::Crooked { .. } => {
                self.caught.insert(batch);
                Fault::new(FaultCode::BadData, "crooked")
            }
            Temper::Lacks { .. } => Fault {
                refusal: Some(holdfast_network::wire::RefusalCode::UnknownBatch),
                ..Fault::new(FaultCode::Refused, "lacks it")
            },
        };
        Input::Failed { batch, fault }
    }

    fn step(&mut self, number: usize, input: Input, now: Moment) {
        let Some(mut race) = self.races[number].take() else { return };
        for output in race.step(&mut self.standings, input, now) {
            match output {
                Output::Ask { batch, holder: asked } => self.ask(number, batch, asked, now),
                Output::Cancel { batch } => {
                    self.motions.remove(&(number, batch));
                }
                decided => {
                    self.outcomes.insert(number, decided);
                }
            }
        }
        if !self.outcomes.contains_key(&number) {
            self.races[number] = Some(race);
            self.schedule_wake(number, now);
        }
    }

    fn ask(&mut self, race: usize, batch: u8, asked: Address, now: Moment) {
        assert_eq!(asked, holder(batch), "the batch's own holder is asked");
        assert!(!self.caught.contains(&batch), "a holder is asked after it was dropped");
        assert!(!self.asked.contains(&(race, batch)), "a batch is asked for twice");
        self.asked.push((race, batch));
        self.motions.insert((race, batch), Motion::default());
        let (reached, began, ended) = match self.tempers[usize::from(batch)] {
            Temper::Delivers { reached, began, done } => (Some(reached), Some(began), done),
            Temper::Silent { until } => (Some(1), None, until),
            Temper::Crooked { after } => (Some(1), Some(after), after),
            Temper::Lacks { after } => (Some(1), None, after),
        };
        let events = [(reached, Event::Reached), (began, Event::Began), (Some(ended), Event::Ended)];
        for (after, event) in events {
            if let Some(after) = after {
                self.schedule(now + ms(after), race, batch, event);
            }
        }
    }

    fn schedule(&mut self, at: Moment, race: usize, batch: u8, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (race, batch, event));
    }

    fn schedule_wake(&mut self, race: usize, now: Moment) {
        let wakes = self.races[race].as_ref().and_then(|racing| racing.wakes(&self.standings, now));
        if let Some(at) = wakes {
            self.schedule(at, race, 0, Event::Wake);
        }
    }

    /// What must come of a range, by the rule itself: its own holder delivers, or enough others do.
    fn should_succeed(&self, wanted: u8) -> bool {
        let others = self.tempers.iter().enumerate().filter(|(batch, _)| *batch != usize::from(wanted));
        self.tempers[usize::from(wanted)].delivers()
            || others.filter(|(_, temper)| temper.delivers()).count() >= self.needed
    }
}

fn any_temper() -> impl Strategy<Value = Temper> {
    prop_oneof![
        4 => (1u64..800, 1u64..2_000, 1u64..20_000).prop_map(|(reached, begins, rest)| Temper::Delivers {
            reached,
            began: reached + begins,
            done: reached + begins + rest,
        }),
        1 => (10_000u64..60_000).prop_map(|until| Temper::Silent { until }),
        1 => (2u64..5_000).prop_map(|after| Temper::Crooked { after }),
        1 => (2u64..5_000).prop_map(|after| Temper::Lacks { after }),
    ]
}

/// Everybody within three times the quickest, below the four at which patience ends; and below the three seconds that
/// anybody has while nothing was measured.
fn healthy() -> impl Strategy<Value = Vec<Temper>> {
    (1u64..950, 3usize..14).prop_flat_map(|(quickest, count)| {
        let one = (quickest..3 * quickest, quickest..3 * quickest).prop_map(|(began, rest)| Temper::Delivers {
            reached: 1,
            began: 1 + began,
            done: 1 + began + rest,
        });
        proptest::collection::vec(one, count)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_range_comes_exactly_when_enough_holders_deliver(
        tempers in proptest::collection::vec(any_temper(), 2..12),
        needed in 1usize..8,
        picks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..6), 1..5),
    ) {
        let needed = needed.min(tempers.len() - 1);
        let mut world = World::new(tempers, needed);
        let (mut now, mut wanted) = (ms(0), Vec::new());
        for at_once in picks {
            let batches: Vec<u8> = at_once.iter().map(|pick| pick % needed as u8).collect();
            now = world.read(&batches, now);
            wanted.extend(batches);
        }
        for (race, batch) in wanted.iter().enumerate() {
            let succeeded = world.outcomes[&race] != Output::Lost;
            prop_assert_eq!(succeeded, world.should_succeed(*batch), "range {} of batch {}", race, batch);
        }
    }

    #[test]
    fn while_everybody_is_well_nothing_is_fetched_twice(tempers in healthy(), ranges in 1usize..40) {
        let needed = (tempers.len() * 2 / 3).max(1);
        let mut world = World::new(tempers, needed);
        let mut now = ms(0);
        // The first answers teach what is usual here.
        let batches: Vec<u8> = (0..needed as u8).collect();
        now = world.read(&batches, now);
        let taught = world.asked.len();
        for range in 0..ranges {
            now = world.read(&[(range % needed) as u8], now);
        }
        prop_assert_eq!(world.asked.len() - taught, ranges, "one question for each range");
        prop_assert!(world.outcomes.values().all(|outcome| *outcome == Output::Direct));
    }

    #[test]
    fn a_laggard_costs_what_was_asked_of_it_and_no_more(
        lag in 20_000u64..60_000,
        count in 4usize..12,
        at_once in 1usize..8,
        later in 1usize..20,
    ) {
        let quick = Temper::Delivers { reached: 5, began: 20, done: 100 };
        let mut tempers = vec![quick; count];
        tempers[0] = Temper::Delivers { reached: 5, began: 20, done: lag };
        let needed = count - 2;
        let mut world = World::new(tempers, needed);
        let mut now = world.read(&(1..needed as u8).collect::<Vec<_>>(), ms(0));
        let before = world.asked.len();
        now = world.read(&vec![0; at_once], now);
        prop_assert!(world.asked.len() - before <= at_once * (needed + 1), "k times what was asked of it");
        prop_assert!(world.standings.is_last_choice(&holder(0)));
        for _ in 0..later {
            now = world.read(&[0], now);
        }
        let lagging = world.asked.iter().filter(|(_, batch)| *batch == 0).count();
        prop_assert_eq!(lagging, at_once, "it is passed by from there on");
    }
}

#[test]
fn everyone_who_is_left_is_asked_before_a_range_is_given_up() {
    let slow = Temper::Delivers { reached: 5, began: 20, done: 50_000 };
    let crooked = Temper::Crooked { after: 10 };
    let mut world = World::new(vec![slow, crooked, slow, slow, crooked, crooked], 4);
    world.read(&[0], ms(0));
    assert_eq!(world.outcomes[&0], Output::Direct, "three of four others cannot rebuild it, but the slow one delivers");
    world.read(&[1], ms(60_000));
    assert_eq!(world.outcomes[&1], Output::Lost);
}
