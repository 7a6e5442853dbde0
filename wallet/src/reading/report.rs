//! What reading came to besides the bytes.

use holdfast_network::PathKind;
use holdfast_primitives::{Address, NetworkPrefix};
use serde::Serialize;
use std::collections::BTreeMap;

use super::standing::Standings;

/// What reading came to besides the bytes, over a whole session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    /// Verified bytes of leaves that were fetched.
    pub fetched_bytes: u64,
    /// Ranges that were rebuilt from other batches.
    pub rebuilt_ranges: u64,
    /// Every holder that was asked.
    pub holders: Vec<HolderReport>,
}

/// One holder's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderReport {
    /// Its address.
    pub holder: String,
    /// Verified bytes of leaves that it served.
    pub bytes: u64,
    /// How they travelled last: `direct`, `relayed`, or `none` when no session ever stood.
    pub path: &'static str,
    /// Why it was dropped in mid-flight, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// Why a holder was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// A word for programs: `bad-data`, `other-batch`, `refused-...`, `garbage`, `offline`, `unreachable`, `lost`,
    /// `stalled` or `slow`.
    pub code: String,
    /// In words.
    pub reason: String,
}

impl ReadReport {
    pub(crate) fn of(
        standings: &Standings,
        rebuilt_ranges: u64,
        paths: &BTreeMap<Address, PathKind>,
        prefix: NetworkPrefix,
    ) -> Self {
        let holders = standings.all().map(|(holder, standing)| HolderReport {
            holder: holder.to_text(prefix),
            bytes: standing.served_bytes,
            path: match paths.get(holder) {
                Some(PathKind::Direct) => "direct",
                Some(PathKind::Relayed) => "relayed",
                Some(PathKind::Unknown) | None => "none",
            },
            dropped: standing.fault.as_ref().map(|fault| Dropped { code: fault.word(), reason: fault.detail.clone() }),
        });
        let holders: Vec<HolderReport> = holders.collect();
        Self { fetched_bytes: holders.iter().map(|holder| holder.bytes).sum(), rebuilt_ranges, holders }
    }

    /// The holders that were dropped.
    pub fn dropped(&self) -> impl Iterator<Item = (&HolderReport, &Dropped)> {
        self.holders.iter().filter_map(|holder| Some((holder, holder.dropped.as_ref()?)))
    }

    /// What of this report came after `before`, of the same session: bytes and ranges less, holders as they stand.
    pub fn since(mut self, before: &Self) -> Self {
        self.fetched_bytes = self.fetched_bytes.saturating_sub(before.fetched_bytes);
        self.rebuilt_ranges = self.rebuilt_ranges.saturating_sub(before.rebuilt_ranges);
        for holder in &mut self.holders {
            let earlier = before.holders.iter().find(|earlier| earlier.holder == holder.holder);
            holder.bytes = holder.bytes.saturating_sub(earlier.map_or(0, |earlier| earlier.bytes));
        }
        self.holders.retain(|holder| holder.bytes > 0 || holder.dropped.is_some());
        self
    }
}
