//! Which holders' offers somebody wants to see.

use super::HolderView;
use crate::text::GrainText;
use holdfast_ledger::Holder;
use holdfast_primitives::{Amount, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Which offers are wanted. What is left out narrows nothing; of several words in a list one is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffersAsk {
    /// Where the disk may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub regions: Vec<Tag>,
    /// Who may run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub operators: Vec<Tag>,
    /// What the disk is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub topics: Vec<Tag>,
    /// A term that it takes, in rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Bytes that are free of what it offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// The highest price, per MiB per round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<GrainText>")]
    pub price_max: Option<Amount>,
    /// Only holders that are online.
    #[serde(default)]
    pub online: bool,
}

impl OffersAsk {
    /// Whether the ledger's word on a holder is what is asked for; whether it is online is not on the ledger. One that takes
    /// nothing new has no offer.
    pub fn fits(&self, holder: &Holder) -> bool {
        let profile = &holder.profile;
        let named =
            |wanted: &[Tag], word: Option<&Tag>| wanted.is_empty() || word.is_some_and(|it| wanted.contains(it));
        holder.accepting
            && named(&self.regions, profile.region.as_ref())
            && named(&self.operators, profile.operator.as_ref())
            && (self.topics.is_empty() || profile.topics.iter().any(|topic| self.topics.contains(topic)))
            && self.rounds.is_none_or(|rounds| rounds <= profile.rounds_max)
            && self.free_bytes.is_none_or(|bytes| bytes <= holder.quota_bytes.saturating_sub(holder.used_bytes))
            && self.price_max.is_none_or(|price| holder.price <= price)
    }
}

/// The order in which offers are shown: the cheapest first, then the eldest.
pub(super) fn order(one: &HolderView, other: &HolderView) -> Ordering {
    (one.price, one.number).cmp(&(other.price, other.number))
}
