//! Whose tickets count: those of the heavy nodes that this holder leans on, and those of former ones for as long as a
//! ticket of theirs can count. An upload that a dead parent introduced goes on after the holder has moved.

use holdfast_network::time::Clock;
use holdfast_primitives::{Address, TimeMs};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a ticket counts at most: what heavy nodes give them.
const TICKET_MS: u64 = 6 * 60 * 60 * 1_000;
/// Former heavy nodes that are remembered, at most; the ones that were left first are forgotten first.
const FORMER_MAX: usize = 64;

/// Heavy nodes whose tickets count now.
pub struct Issuers {
    clock: Arc<dyn Clock>,
    /// With each former one the time until which its tickets count.
    known: Mutex<HashMap<Address, Option<TimeMs>>>,
}

impl Issuers {
    /// Nobody yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Notes on whom the holder leans from now on.
    pub fn lean_on(&self, parents: &[Address]) {
        let now = self.clock.now();
        let mut known = self.lock();
        for (_, until) in known.iter_mut().filter(|(id, until)| until.is_none() && !parents.contains(id)) {
            *until = Some(now.saturating_add(TICKET_MS));
        }
        known.retain(|_, until| until.is_none_or(|until| until > now));
        known.extend(parents.iter().map(|parent| (*parent, None)));
        while known.values().filter(|until| until.is_some()).count() > FORMER_MAX {
            let oldest = known.iter().filter_map(|(id, until)| until.map(|until| (until, *id))).min();
            let (_, id) = oldest.expect("there are more than the limit");
            known.remove(&id);
        }
    }

    /// Whether a ticket of `issuer` counts.
    pub fn trusts(&self, issuer: &Address) -> bool {
        let now = self.clock.now();
        self.lock().get(issuer).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Option<TimeMs>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> TimeMs {
            TimeMs::new(self.0.load(Ordering::Relaxed))
        }
    }

    fn id(number: u8) -> Address {
        Address::new([number; 32])
    }

    #[test]
    fn a_former_parent_is_trusted_until_its_tickets_end() {
        let hand = Arc::new(Hand(AtomicU64::new(1_000)));
        let issuers = Issuers::new(hand.clone());
        issuers.lean_on(&[id(1), id(2)]);
        issuers.lean_on(&[id(2), id(3)]);
        assert!([1, 2, 3].iter().all(|number| issuers.trusts(&id(*number))) && !issuers.trusts(&id(4)));
        hand.0.store(1_000 + TICKET_MS, Ordering::Relaxed);
        assert_eq!([1, 2, 3].map(|number| issuers.trusts(&id(number))), [false, true, true]);
    }

    #[test]
    fn whoever_moves_often_remembers_a_bounded_number() {
        let hand = Arc::new(Hand(AtomicU64::new(0)));
        let issuers = Issuers::new(hand.clone());
        for number in 0..=200 {
            hand.0.store(u64::from(number), Ordering::Relaxed);
            issuers.lean_on(&[id(number)]);
        }
        assert_eq!(issuers.lock().len(), FORMER_MAX + 1);
        assert!(issuers.trusts(&id(200)) && issuers.trusts(&id(199)) && !issuers.trusts(&id(100)));
    }
}
