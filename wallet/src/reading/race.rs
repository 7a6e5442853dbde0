//! One range of a segment, from the first sufficient set of holders: the policy, without IO and without a clock of its own.
//!
//! The holder of the batch that has the bytes is asked first, alone: while everybody is well, nothing is fetched twice.
//! When it has not begun or finished in a small multiple of what others take, the same range of as many other batches is
//! asked for as rebuild it, and whichever set is whole first wins. Whoever was overdue then is cut off and asked last from
//! there on; whoever misbehaves is cut off at once and never asked again.
//!
//! What this costs in bytes: nothing while no answer is overdue. Each holder that becomes overdue costs at most `k` times
//! the ranges that were asked of it at that moment, since new ranges pass it by.

use super::fault::{Fault, FaultCode};
use super::standing::{Moment, PATIENCE_FIRST, Standings};
use holdfast_primitives::Address;
use std::collections::{BTreeMap, BTreeSet};

/// How far the answer to one question has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// When the session with the holder stood.
    pub reached: Option<Moment>,
    /// When the first byte came.
    pub began: Option<Moment>,
    /// When the last byte came so far.
    pub last: Option<Moment>,
}

/// What happens to a race.
#[derive(Clone, Debug)]
pub enum Input {
    /// It begins, or time has passed, or something became known of a holder.
    Tick,
    /// A batch's range is here, whole and verified.
    Came {
        /// The batch.
        batch: u8,
        /// Bytes of leaves.
        bytes: u64,
    },
    /// A batch's range will not come.
    Failed {
        /// The batch.
        batch: u8,
        /// What its holder did.
        fault: Fault,
    },
}

/// What a race wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this holder for the range of its batch.
    Ask {
        /// The batch.
        batch: u8,
        /// Its holder.
        holder: Address,
    },
    /// Drop the question that is under way.
    Cancel {
        /// The batch.
        batch: u8,
    },
    /// The wanted batch's range is here.
    Direct,
    /// Enough others are here to rebuild it.
    Rebuild,
    /// Too few batches are left; `Race::lost` says why.
    Lost,
}

/// One range, wanted of one batch of a segment.
pub struct Race {
    /// Who holds each batch, as the ledger says.
    holders: Vec<Option<Address>>,
    wanted: u8,
    needed: usize,
    bytes: u64,
    asks: BTreeMap<u8, Ask>,
    came: BTreeSet<u8>,
    gone: BTreeMap<u8, Fault>,
    decided: bool,
}

struct Ask {
    holder: Address,
    since: Moment,
    motion: Motion,
    /// Whether it was known as a last choice when it was asked: then it is given time.
    last_choice: bool,
}

impl Race {
    /// A race for `bytes` of batch `wanted` of a segment whose batches these holders hold; any `needed` of them rebuild
    /// it. `here` are batches whose range is known already.
    pub fn new(
        holders: Vec<Option<Address>>,
        wanted: u8,
        needed: usize,
        bytes: u64,
        here: impl IntoIterator<Item = u8>,
    ) -> Self {
        let came = here.into_iter().collect();
        Self { holders, wanted, needed, bytes, asks: BTreeMap::new(), came, gone: BTreeMap::new(), decided: false }
    }

    /// Takes in what happened, and says what to do. After `Direct`, `Rebuild` or `Lost` it wants nothing any more.
    pub fn step(&mut self, standings: &mut Standings, input: Input, now: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.take(standings, input, now);
        if self.decided {
            return outputs;
        }
        self.cut_off_dropped(standings, &mut outputs);
        if self.came.contains(&self.wanted) {
            self.decide(standings, Output::Direct, now, &mut outputs);
        } else if self.came.len() >= self.needed {
            self.decide(standings, Output::Rebuild, now, &mut outputs);
        } else {
            self.ask_more(standings, now, &mut outputs);
            if !self.can_succeed(standings) {
                self.decide(standings, Output::Lost, now, &mut outputs);
            }
        }
        outputs
    }

    /// Notes how far an answer has come. Nothing follows from it before the next step.
    pub fn note_motion(&mut self, batch: u8, motion: Motion) {
        if let Some(ask) = self.asks.get_mut(&batch) {
            ask.motion = motion;
        }
    }

    /// When it must be given the time again if nothing happens before.
    pub fn wakes(&self, standings: &Standings, now: Moment) -> Option<Moment> {
        let deadlines = self.asks.values().map(|ask| self.deadline(standings, ask));
        deadlines.filter(|deadline| *deadline > now).min()
    }

    /// The batches whose range is here.
    pub fn came(&self) -> &BTreeSet<u8> {
        &self.came
    }

    /// Why each batch that did not come did not.
    pub fn lost<'a>(&'a self, standings: &'a Standings) -> impl Iterator<Item = (u8, Option<Address>, String)> + 'a {
        let missing = (0..self.holders.len() as u8).filter(|batch| !self.came.contains(batch));
        missing.map(move |batch| {
            let holder = self.holder(batch);
            let fault = self.gone.get(&batch).or_else(|| standings.fault(&holder?));
            let reason = match (fault, holder) {
                (Some(fault), _) => fault.to_string(),
                (None, Some(_)) => "not asked any more".to_owned(),
                (None, None) => "the ledger lists no holder for it".to_owned(),
            };
            (batch, holder, reason)
        })
    }

    /// Nobody waits for it any more: what it asked is no longer under way.
    pub fn abandon(&mut self, standings: &mut Standings) {
        std::mem::take(&mut self.asks).values().for_each(|_| standings.no_longer_asked());
        self.decided = true;
    }

    fn holder(&self, batch: u8) -> Option<Address> {
        self.holders.get(usize::from(batch)).copied().flatten()
    }

    fn take(&mut self, standings: &mut Standings, input: Input, now: Moment) {
        match input {
            Input::Tick => {}
            Input::Came { batch, bytes } => {
                if let Some(ask) = self.asks.remove(&batch) {
                    standings.measured(ask.holder, &ask.motion, bytes, now);
                    standings.no_longer_asked();
                    self.came.insert(batch);
                }
            }
            Input::Failed { batch, fault } => {
                if let Some(ask) = self.asks.remove(&batch) {
                    standings.blame(ask.holder, fault.clone());
                    standings.no_longer_asked();
                    self.gone.insert(batch, fault);
                }
            }
        }
    }

    /// Another race may have found out about a holder that is being asked here.
    fn cut_off_dropped(&mut self, standings: &mut Standings, outputs: &mut Vec<Output>) {
        let dropped: Vec<u8> =
            self.asks.iter().filter(|(_, ask)| standings.is_dropped(&ask.holder)).map(|(batch, _)| *batch).collect();
        for batch in dropped {
            self.asks.remove(&batch);
            standings.no_longer_asked();
            outputs.push(Output::Cancel { batch });
        }
    }

    fn decide(&mut self, standings: &mut Standings, how: Output, now: Moment, outputs: &mut Vec<Output>) {
        self.decided = true;
        for (batch, ask) in std::mem::take(&mut self.asks) {
            if how != Output::Lost && self.is_overdue(standings, &ask, now) {
                standings.blame(ask.holder, self.overdue_fault(standings, &ask, now));
            }
            standings.no_longer_asked();
            outputs.push(Output::Cancel { batch });
        }
        outputs.push(how);
    }

    fn ask_more(&mut self, standings: &mut Standings, now: Moment, outputs: &mut Vec<Output>) {
        let in_time = self.asks.iter().filter(|(_, ask)| !self.is_overdue(standings, ask, now));
        let in_time: BTreeSet<u8> = in_time.map(|(batch, _)| *batch).collect();
        if in_time.contains(&self.wanted) {
            return;
        }
        let candidates = self.candidates(standings);
        if let Some(batch) = candidates.iter().find(|batch| **batch == self.wanted) {
            let holder = self.holder(*batch).expect("a candidate has a holder");
            if !standings.is_last_choice(&holder) {
                return self.ask(standings, *batch, holder, now, outputs);
            }
        }
        let short = self.needed.saturating_sub(self.came.len() + in_time.len());
        for batch in candidates.into_iter().take(short) {
            let holder = self.holder(batch).expect("a candidate has a holder");
            self.ask(standings, batch, holder, now, outputs);
        }
    }

    fn ask(&mut self, standings: &mut Standings, batch: u8, holder: Address, now: Moment, outputs: &mut Vec<Output>) {
        let last_choice = standings.is_last_choice(&holder);
        standings.asked(holder);
        self.asks.insert(batch, Ask { holder, since: now, motion: Motion::default(), last_choice });
        outputs.push(Output::Ask { batch, holder });
    }

    /// Batches that may still be asked for, the most promising first.
    fn candidates(&self, standings: &Standings) -> Vec<u8> {
        let fresh = |batch: &u8| {
            let known = self.asks.contains_key(batch) || self.came.contains(batch) || self.gone.contains_key(batch);
            !known && self.holder(*batch).is_some_and(|holder| !standings.is_dropped(&holder))
        };
        let mut batches: Vec<u8> = (0..self.holders.len() as u8).filter(fresh).collect();
        batches.sort_by_key(|batch| {
            let holder = self.holder(*batch).expect("a candidate has a holder");
            (standings.is_last_choice(&holder), standings.expected(&holder, self.bytes), *batch)
        });
        batches
    }

    fn can_succeed(&self, standings: &Standings) -> bool {
        let mut open: BTreeSet<u8> = self.candidates(standings).into_iter().collect();
        open.extend(self.asks.keys());
        open.contains(&self.wanted) || self.came.len() + open.len() >= self.needed
    }

    fn deadline(&self, standings: &Standings, ask: &Ask) -> Moment {
        let Some(reached) = ask.motion.reached else { return ask.since + PATIENCE_FIRST };
        let begin = standings.begin_patience(&ask.holder);
        match (ask.motion.began, ask.motion.last) {
            (Some(began), last) => {
                let still = last.unwrap_or(began) + begin;
                still.min(began + standings.finish_patience(&ask.holder, self.bytes))
            }
            (None, _) => reached + begin,
        }
    }

    fn is_overdue(&self, standings: &Standings, ask: &Ask, now: Moment) -> bool {
        let demoted_meanwhile = standings.is_last_choice(&ask.holder) && !ask.last_choice;
        demoted_meanwhile || self.deadline(standings, ask) <= now
    }

    fn overdue_fault(&self, standings: &Standings, ask: &Ask, now: Moment) -> Fault {
        let waited = now.saturating_sub(ask.motion.reached.unwrap_or(ask.since)).as_secs_f64();
        let Some(last) = ask.motion.last.or(ask.motion.began) else {
            let code = if ask.motion.reached.is_some() { FaultCode::Stalled } else { FaultCode::Unreachable };
            return Fault::new(code, format!("nothing came within {waited:.1} s, others were done"));
        };
        let silent = now.saturating_sub(last);
        if silent >= standings.begin_patience(&ask.holder) {
            return Fault::new(FaultCode::Stalled, format!("nothing came any more for {:.1} s", silent.as_secs_f64()));
        }
        Fault::new(FaultCode::Slow, format!("not done after {waited:.1} s, others were far ahead"))
    }
}
