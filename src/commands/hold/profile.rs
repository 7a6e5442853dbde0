//! What a holder says of itself, as its operator says it on the command line.

use crate::failure::Failure;
use crate::output::duration_ms;
use clap::Args;
use holdfast_ledger::Profile;
use holdfast_primitives::{Bounded, Tag};
use std::str::FromStr;

/// The whole word of the operator, like quota and price: what a start leaves out is taken back from the ledger.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// Where the disk is, for owners who want their data there or elsewhere; left out, nothing is said
    #[arg(long, value_name = "REGION")]
    region: Option<Tag>,
    /// Who runs it: one name for all holders that may fail together; left out, this holder counts as its own operator
    #[arg(long, value_name = "OPERATOR")]
    operator: Option<Tag>,
    /// What the disk is for (repeatable): it takes data of these topics only; left out, data without a topic
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<Tag>,
    /// Longest term to be bound for, as a duration or a number of rounds, for example 90d or 500; left out, the network's
    #[arg(long, value_name = "DURATION|ROUNDS")]
    max_term: Option<Term>,
}

/// A term as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// In rounds.
    Rounds(u32),
    /// In milliseconds.
    Lasting(u64),
}

impl FromStr for Term {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(rounds) = text.parse() {
            return Ok(Self::Rounds(rounds));
        }
        let lasting: humantime::Duration =
            text.parse().map_err(|_| "write a duration such as 90d, or a number of rounds".to_owned())?;
        u64::try_from(lasting.as_millis()).map(Self::Lasting).map_err(|_| "no network lasts so long".to_owned())
    }
}

impl Term {
    /// Whole rounds within it.
    fn rounds(self, round_ms: u64) -> u32 {
        match self {
            Self::Rounds(rounds) => rounds,
            Self::Lasting(milliseconds) => u32::try_from(milliseconds / round_ms.max(1)).unwrap_or(u32::MAX),
        }
    }
}

impl ProfileArgs {
    /// The profile on a network whose rounds last so long and whose terms are at most `rounds_max` rounds.
    ///
    /// # Errors
    /// More topics than a holder may have; a term shorter than a round.
    pub fn profile(&self, round_ms: u64, rounds_max: u32) -> Result<Profile, Failure> {
        let longest = self.max_term.map_or(rounds_max, |term| term.rounds(round_ms).min(rounds_max));
        if longest == 0 {
            let round = duration_ms(round_ms);
            return Err(Failure::usage(format!("--max-term is shorter than a round, and a round lasts {round}")));
        }
        let (mut topics, (region, operator)) = (self.topics.clone(), (self.region.clone(), self.operator.clone()));
        topics.sort();
        topics.dedup();
        let topics = Bounded::new(topics).map_err(|error| Failure::usage(format!("--topic: {error}")))?;
        Ok(Profile { rounds_max: longest, region, operator, topics })
    }
}

/// A profile in words, for the line with which a holder starts.
pub fn words(profile: &Profile, round_ms: u64) -> String {
    let mut words = Vec::new();
    if let Some(region) = &profile.region {
        words.push(format!("in {region}"));
    }
    if let Some(operator) = &profile.operator {
        words.push(format!("run by {operator}"));
    }
    let topics: Vec<&str> = profile.topics.iter().map(Tag::as_str).collect();
    words.push(if topics.is_empty() { "for anything".to_owned() } else { format!("for {}", topics.join(", ")) });
    words.push(format!("for up to {}", duration_ms(u64::from(profile.rounds_max).saturating_mul(round_ms))));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn args(topics: &[&str], max_term: Option<&str>) -> ProfileArgs {
        let topics = topics.iter().map(|topic| topic.parse().expect("a topic")).collect();
        let max_term = max_term.map(|term| term.parse().expect("a term"));
        ProfileArgs { region: Some("eu-west".parse().expect("a region")), operator: None, topics, max_term }
    }

    #[test]
    fn a_term_is_whole_rounds_and_no_longer_than_the_network_allows() {
        let rounds = |term| args(&[], term).profile(4 * HOUR_MS, 1_000).map(|profile| profile.rounds_max).ok();
        assert_eq!(rounds(None), Some(1_000));
        assert_eq!(rounds(Some("500")), Some(500));
        assert_eq!(rounds(Some("9h")), Some(2));
        assert_eq!(rounds(Some("20years")), Some(1_000));
        assert_eq!(rounds(Some("3h")), None, "shorter than a round");
        assert_eq!(rounds(Some("0")), None);
        assert!("soon".parse::<Term>().is_err());
    }

    #[test]
    fn topics_count_once_and_have_a_limit() {
        let profile = args(&["music", "films", "music"], None).profile(HOUR_MS, 10).expect("a profile");
        assert_eq!(words(&profile, HOUR_MS), "in eu-west, for films, music, for up to 10h");
        let nine = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        assert!(args(&nine, None).profile(HOUR_MS, 10).is_err());
    }
}
