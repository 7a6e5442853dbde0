//! Too few holders: why, and what would succeed, in sentences that a person can act on.

use crate::wishes::Wishes;
use holdfast_genesis::Price;
use holdfast_network::wire::{PlacementDone, RefusalKind};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Amount, Tag};
use std::time::Duration;

/// What was asked for, as far as it could be asked for otherwise.
#[derive(Clone, Debug)]
pub struct ShortageOf<'a> {
    /// The owner's wishes.
    pub wishes: &'a Wishes,
    /// Size of a batch, log2 of bytes.
    pub batch_log2: u8,
    /// Pieces for each holder, at most.
    pub batches: u32,
    /// A round, in milliseconds.
    pub round_ms: u64,
}

/// Why there are too few, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What keeps the others from taking it.
    pub reasons: String,
    /// What the owner could ask for instead.
    pub remedy: String,
}

/// Puts the heavy nodes' last word into sentences; `dropped` are offers that the owner itself could not take, each with
/// the reason.
pub fn explain_shortage(asked: &ShortageOf<'_>, done: &PlacementDone, dropped: &[String]) -> Shortage {
    Shortage { reasons: reasons(done, dropped), remedy: remedy(asked, done) }
}

fn reasons(done: &PlacementDone, dropped: &[String]) -> String {
    let mut reasons: Vec<String> =
        done.refused.iter().map(|(kind, count)| format!("{count} {}", kind_text(*kind, *count))).collect();
    match dropped {
        [] => {}
        [one] => reasons.push(format!("one offer does not hold ({one})")),
        [first, ..] => reasons.push(format!("{} offers do not hold (the first: {first})", dropped.len())),
    }
    let mut text = match reasons.is_empty() {
        true => "no other holder is online".to_owned(),
        false => format!("of the others, {}", listed(&reasons, "and")),
    };
    if done.heavy_asked > 1 {
        text.push_str(&format!("; {} heavy nodes were asked", done.heavy_asked));
    }
    match done.heavy_silent {
        0 => {}
        1 => text.push_str("; one heavy node did not answer"),
        silent => text.push_str(&format!("; {silent} heavy nodes did not answer")),
    }
    text
}

fn remedy(asked: &ShortageOf<'_>, done: &PlacementDone) -> String {
    let wishes = asked.wishes;
    let mut ways = Vec::new();
    if let Some(price) = done.cheapest {
        let stated = price_limit(price, asked.batch_log2, asked.round_ms);
        ways.push(format!("--price-limit {stated} (what the cheapest of those too dear asks)"));
    }
    if let Some(rounds) = done.longest_rounds.filter(|rounds| *rounds > 0) {
        let longest = Duration::from_millis(asked.round_ms.saturating_mul(rounds.into()));
        ways.push(format!("--for {} (the longest term among those that bind themselves for less)", term(longest)));
    }
    if let Some(room) = done.roomiest.filter(|room| *room > 0) {
        let wanted = asked.batches;
        ways.push(format!("less data at once (the roomiest without enough room takes {room} pieces of {wanted})"));
    }
    if count(done, RefusalKind::OtherTopic) > 0 {
        ways.extend(topic_way(wishes, done));
    }
    if count(done, RefusalKind::OtherRegion) > 0 {
        ways.push(match tags(&done.regions) {
            Some(regions) => format!("--region {regions} or no --region"),
            None => "no --region (some do not say where they are)".to_owned(),
        });
    }
    match count(done, RefusalKind::NotNamed) {
        0 => {}
        others => ways.push(format!("more --holder or none at all ({others} others look fit)")),
    }
    if count(done, RefusalKind::SameOperator) > 0 {
        ways.push("no --distinct-operators".to_owned());
    }
    let hops_max = wishes.hops_max.map_or(FOOTPRINT_HOPS_MAX, usize::from);
    if done.hops_cut && hops_max < FOOTPRINT_HOPS_MAX {
        ways.push(format!("--max-hops {FOOTPRINT_HOPS_MAX} (there are heavy nodes further away)"));
    }
    if done.heavy_silent > 0 || count(done, RefusalKind::Silent) + count(done, RefusalKind::Busy) > 0 {
        ways.push("the same again later (some did not answer)".to_owned());
    }
    let look = "holdfast status shows who is online and at what price";
    match ways.is_empty() {
        true => format!("try again when there are more holders; {look}"),
        false => format!("what may help: {}; {look}", ways.join("; or ")),
    }
}

/// Data of a topic, and data without one, go to different disks.
fn topic_way(wishes: &Wishes, done: &PlacementDone) -> Option<String> {
    match (tags(&done.topics), done.untopical && !wishes.topics.is_empty()) {
        (Some(topics), true) => Some(format!("--topic {topics} or no --topic")),
        (Some(topics), false) => Some(format!("--topic {topics} (what their disks are for)")),
        (None, true) => Some("no --topic (some take data without one only)".to_owned()),
        (None, false) => None,
    }
}

fn count(done: &PlacementDone, kind: RefusalKind) -> u32 {
    done.refused.iter().find(|(found, _)| *found == kind).map_or(0, |(_, count)| *count)
}

/// A price per batch per round as `--price-limit` takes it; stating it gives at least that price.
fn price_limit(price: Amount, batch_log2: u8, round_ms: u64) -> Amount {
    let mebibytes = 1u64 << batch_log2.saturating_sub(20).min(40);
    let per_mebibyte = Amount::grains(price.get().div_ceil(mebibytes));
    Price::per_mib_round(per_mebibyte).per_gib_30_days(round_ms)
}

/// A term as `--for` takes it, in one unit, rounded down.
fn term(longest: Duration) -> String {
    match longest.as_secs() {
        seconds @ 0..300 => format!("{seconds}s"),
        seconds @ 300..18_000 => format!("{}m", seconds / 60),
        seconds @ 18_000..432_000 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn tags(tags: &[Tag]) -> Option<String> {
    let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| listed(&names, "or"))
}

fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

const fn kind_text(kind: RefusalKind, count: u32) -> &'static str {
    let one = count == 1;
    match kind {
        RefusalKind::NotAccepting if one => "takes nothing now",
        RefusalKind::NotAccepting => "take nothing now",
        RefusalKind::NoRoom if one => "has too little room",
        RefusalKind::NoRoom => "have too little room",
        RefusalKind::TooDear if one => "is too dear",
        RefusalKind::TooDear => "are too dear",
        RefusalKind::TermTooLong if one => "does not bind itself for so long",
        RefusalKind::TermTooLong => "do not bind themselves for so long",
        RefusalKind::UnknownClass if one => "does not take pieces of this size",
        RefusalKind::UnknownClass => "do not take pieces of this size",
        RefusalKind::Busy if one => "is busy",
        RefusalKind::Busy => "are busy",
        RefusalKind::BadRequest => "could not read the request",
        RefusalKind::Failed => "failed",
        RefusalKind::Silent => "did not answer",
        RefusalKind::BadQuote => "answered with something else",
        RefusalKind::OtherTopic if one => "keeps data of other topics",
        RefusalKind::OtherTopic => "keep data of other topics",
        RefusalKind::OtherRegion if one => "lies elsewhere",
        RefusalKind::OtherRegion => "lie elsewhere",
        RefusalKind::NotNamed if one => "was not named",
        RefusalKind::NotNamed => "were not named",
        RefusalKind::SameOperator if one => "is run by an operator that is chosen already",
        RefusalKind::SameOperator => "are run by operators that are chosen already",
    }
}
