//! What an owner asks of holders besides room, term and price.

use holdfast_ledger::{lies_in, shares_topic};
use holdfast_network::control::CheckedOffer;
use holdfast_network::wire::{EXCLUDE_MAX, PlacementRequest};
use holdfast_primitives::limits::{FOOTPRINT_HOPS_MAX, REGIONS_MAX, TOPICS_MAX};
use holdfast_primitives::{Address, Bounded, Tag};
use holdfast_rpc::market::ProfileView;
use thiserror::Error;

/// An owner's wishes. Each of them is looked after by the heavy nodes, by the holder, and by the owner itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What the data is; empty for data without a topic.
    pub topics: Vec<Tag>,
    /// Where it may lie; empty for anywhere.
    pub regions: Vec<Tag>,
    /// Whether no two pieces of a segment may lie with one operator.
    pub distinct_operators: bool,
    /// The only holders that may be chosen; empty for any.
    pub only: Vec<Address>,
    /// Holders that must not be chosen.
    pub exclude: Vec<Address>,
    /// Heavy nodes on the way to a holder, at most; as many as a footprint may have when left out.
    pub hops_max: Option<u8>,
}

/// Why wishes cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WishError {
    /// More of something than a request carries.
    #[error("{found} {what}, at most {limit} fit a request")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Given.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// No path has so many heavy nodes, or none.
    #[error("{found} heavy nodes on the way, a path has 1 to {limit}")]
    Hops {
        /// Given.
        found: u8,
        /// Allowed.
        limit: usize,
    },
    /// One holder is named both ways.
    #[error("{holder} is both named and excluded")]
    Contradiction {
        /// The holder.
        holder: Address,
    },
}

/// Why an offer is not what the owner wished for, whatever the heavy node says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WishUnmet {
    /// Its disk is for other data.
    #[error("{holder} keeps data of other topics")]
    Topic {
        /// The holder.
        holder: Address,
    },
    /// Lies elsewhere.
    #[error("{holder} lies in another region")]
    Region {
        /// The holder.
        holder: Address,
    },
    /// Promises too little.
    #[error("{holder} promises room for {promised} pieces, {wanted} are needed")]
    Room {
        /// The holder.
        holder: Address,
        /// Pieces that its quote is for.
        promised: u32,
        /// Pieces that may come.
        wanted: u32,
    },
}

impl Wishes {
    /// Writes them into a request.
    ///
    /// # Errors
    /// When a request cannot carry them.
    pub fn put_into(&self, request: &mut PlacementRequest) -> Result<(), WishError> {
        let hops_max = self.hops_max.unwrap_or(FOOTPRINT_HOPS_MAX as u8);
        if hops_max == 0 || usize::from(hops_max) > FOOTPRINT_HOPS_MAX {
            return Err(WishError::Hops { found: hops_max, limit: FOOTPRINT_HOPS_MAX });
        }
        if let Some(holder) = self.only.iter().find(|holder| self.exclude.contains(holder)) {
            return Err(WishError::Contradiction { holder: *holder });
        }
        request.hops_max = hops_max;
        request.topics = bounded::<_, TOPICS_MAX>("topics", &self.topics)?;
        request.regions = bounded::<_, REGIONS_MAX>("regions", &self.regions)?;
        request.only = bounded::<_, EXCLUDE_MAX>("named holders", &self.only)?;
        request.exclude = bounded::<_, EXCLUDE_MAX>("excluded holders", &self.exclude)?;
        request.distinct_operators = self.distinct_operators;
        Ok(())
    }

    /// Whether the ledger's record of a holder is needed to judge its offer.
    pub fn needs_profile(&self) -> bool {
        self.distinct_operators || !self.topics.is_empty() || !self.regions.is_empty()
    }

    /// Judges an offer by what the ledger says of its holder. Room, term, price, names and hops have been judged with the
    /// offer itself.
    pub fn judge(&self, offer: &CheckedOffer, profile: &ProfileView) -> Result<(), WishUnmet> {
        let holder = offer.quote().terms.holder;
        if !self.topics.is_empty() && !shares_topic(&self.topics, &profile.topics) {
            return Err(WishUnmet::Topic { holder });
        }
        if !lies_in(profile.region.as_ref(), &self.regions) {
            return Err(WishUnmet::Region { holder });
        }
        Ok(())
    }
}

fn bounded<T: Clone + Ord, const MAX: usize>(what: &'static str, items: &[T]) -> Result<Bounded<T, MAX>, WishError> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    let found = items.len();
    Bounded::new(items).map_err(|_| WishError::TooMany { what, found, limit: MAX })
}
