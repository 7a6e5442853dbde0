//! What is known of each holder while a session lasts: how quickly it answers, and whether it has let a reader down.
//!
//! Means are exponentially weighted (a new sample counts a quarter). How long a holder may take is a small multiple of
//! what the others take: no absolute time fits a machine next door and one across the sea. A range is slower when many are
//! under way over one line, and not when each has its own: rates are kept both ways, and the more patient one counts.

use super::fault::{Fault, Verdict};
use super::race::Motion;
use holdfast_primitives::Address;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time since some beginning that all moments share.
pub type Moment = Duration;

/// How many times as long as the others a holder may take before its range is asked of others too.
pub(crate) const PATIENCE: u32 = 4;
/// What a holder may take in any case: less says more of a busy machine than of the holder.
pub(crate) const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// How long reaching a holder, or its first byte while none was measured, may take.
pub(crate) const PATIENCE_FIRST: Duration = Duration::from_secs(3);
/// Bytes per second that are expected while no holder was measured.
const RATE_FIRST: f64 = 256.0 * 1024.0;
/// Bytes of a range from which on it tells a rate.
const RATE_BYTES_MIN: u64 = 32 * 1024;
/// The weight of a new sample.
const WEIGHT: f64 = 0.25;

/// All holders of a session.
#[derive(Debug, Default)]
pub struct Standings {
    holders: BTreeMap<Address, Standing>,
    /// Ranges under way, of all races.
    under_way: usize,
}

/// One holder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Seconds from a request to its first byte.
    latency: Option<f64>,
    /// Bytes per second.
    rate: Option<f64>,
    /// Bytes per second, times the ranges that were under way.
    shared_rate: Option<f64>,
    /// Verified bytes of leaves that it served.
    pub(crate) served_bytes: u64,
    /// What it did wrong first, or worst.
    pub(crate) fault: Option<Fault>,
    /// Whether it is asked last, or never again.
    pub(crate) verdict: Option<Verdict>,
}

impl Standings {
    /// Nobody is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this holder is never asked again.
    pub fn is_dropped(&self, holder: &Address) -> bool {
        self.verdict(holder) == Some(Verdict::Drop)
    }

    /// Whether this holder is asked last.
    pub fn is_last_choice(&self, holder: &Address) -> bool {
        self.verdict(holder) == Some(Verdict::Demote)
    }

    /// What this holder did wrong, if anything.
    pub fn fault(&self, holder: &Address) -> Option<&Fault> {
        self.holders.get(holder)?.fault.as_ref()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Address, &Standing)> {
        self.holders.iter()
    }

    fn verdict(&self, holder: &Address) -> Option<Verdict> {
        self.holders.get(holder).and_then(|standing| standing.verdict)
    }

    pub(crate) fn asked(&mut self, holder: Address) {
        self.holders.entry(holder).or_default();
        self.under_way += 1;
    }

    pub(crate) fn no_longer_asked(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Notes how a range came that is whole and verified.
    pub(crate) fn measured(&mut self, holder: Address, motion: &Motion, bytes: u64, now: Moment) {
        let shared = self.under_way.max(1) as f64;
        let standing = self.holders.entry(holder).or_default();
        standing.served_bytes += bytes;
        let (Some(reached), Some(began)) = (motion.reached, motion.began) else { return };
        blend(&mut standing.latency, began.saturating_sub(reached).as_secs_f64());
        if bytes >= RATE_BYTES_MIN {
            let took = now.saturating_sub(reached).as_secs_f64().max(0.001);
            blend(&mut standing.rate, bytes as f64 / took);
            blend(&mut standing.shared_rate, bytes as f64 / took * shared);
        }
    }

    /// Notes a fault. What was worse before stays; a fault that drops counts more than one that demotes.
    pub(crate) fn blame(&mut self, holder: Address, fault: Fault) {
        let standing = self.holders.entry(holder).or_default();
        let verdict = fault.verdict();
        if standing.verdict.is_none() || (standing.verdict == Some(Verdict::Demote) && verdict == Verdict::Drop) {
            standing.verdict = Some(verdict);
            standing.fault = Some(fault);
        }
    }

    /// How long a holder that was reached may take to its first byte.
    pub(crate) fn begin_patience(&self, holder: &Address) -> Duration {
        match self.median_of_others(holder, |standing| standing.latency) {
            Some(latency) => (seconds(latency) * PATIENCE).max(PATIENCE_MIN),
            None => PATIENCE_FIRST,
        }
    }

    /// How long a holder may take from then on for `bytes`.
    pub(crate) fn finish_patience(&self, holder: &Address, bytes: u64) -> Duration {
        let alone = self.median_of_others(holder, |standing| standing.rate);
        let shared = self.median_of_others(holder, |standing| standing.shared_rate);
        let (Some(alone), Some(shared)) = (alone, shared) else {
            return PATIENCE_FIRST + seconds(bytes as f64 / RATE_FIRST);
        };
        let rate = alone.min(shared / self.under_way.max(1) as f64).max(1.0);
        (seconds(bytes as f64 / rate) * PATIENCE).max(PATIENCE_MIN)
    }

    /// What a range of `bytes` is expected to take; holders that were never measured come in the middle.
    pub(crate) fn expected(&self, holder: &Address, bytes: u64) -> Duration {
        let known = self.holders.get(holder);
        let typical = |pick: fn(&Standing) -> Option<f64>| self.median_of_others(holder, pick);
        let latency = known.and_then(|known| known.latency).or_else(|| typical(|standing| standing.latency));
        let rate = known.and_then(|known| known.rate).or_else(|| typical(|standing| standing.rate));
        seconds(latency.unwrap_or_default()) + seconds(bytes as f64 / rate.unwrap_or(RATE_FIRST).max(1.0))
    }

    /// The lower median over the other holders that were measured and are still asked.
    fn median_of_others(&self, holder: &Address, pick: fn(&Standing) -> Option<f64>) -> Option<f64> {
        let others = self.holders.iter().filter(|(other, _)| *other != holder);
        let mut known: Vec<f64> =
            others.filter(|(_, other)| other.verdict.is_none()).filter_map(|(_, other)| pick(other)).collect();
        known.sort_unstable_by(f64::total_cmp);
        known.get(known.len().checked_sub(1)? / 2).copied()
    }
}

fn blend(mean: &mut Option<f64>, sample: f64) {
    *mean = Some(mean.map_or(sample, |mean| mean + WEIGHT * (sample - mean)));
}

/// Finite, not negative, and at most an hour.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds.is_finite() { seconds.clamp(0.0, 3_600.0) } else { 3_600.0 })
}
