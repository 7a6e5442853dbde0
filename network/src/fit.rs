//! Whether a holder would do for a request, as far as others can tell: what it offers, and what the ledger says of it.

use crate::lookup::HolderStanding;
use crate::wire::{HolderOffer, PlacementRequest, QuoteRefusal};
use holdfast_ledger::{lies_in, shares_topic};
use holdfast_primitives::limits::BATCH_LOG2_MIN;
use holdfast_primitives::{Address, Amount};

/// The price per batch per round that a holder which looks fit would ask; otherwise the first reason why it is not.
/// Whether the price is too high is left to the holder's own answer, which then says what would do.
///
/// # Errors
/// What the holder itself would answer, with what would do instead. That the owner named others comes last: it is said
/// of those that would do otherwise.
pub fn fit(
    request: &PlacementRequest,
    holder: &Address,
    offer: &HolderOffer,
    standing: &HolderStanding,
) -> Result<Amount, QuoteRefusal> {
    let mebibytes_log2 = request.batch_log2.checked_sub(BATCH_LOG2_MIN).ok_or(QuoteRefusal::UnknownClass)?;
    let price = 1u64.checked_shl(mebibytes_log2.into()).and_then(|mebibytes| offer.price.checked_mul(mebibytes).ok());
    let price = price.filter(|_| offer.classes.contains(&request.batch_log2)).ok_or(QuoteRefusal::UnknownClass)?;
    if !(offer.accepting && standing.accepting) {
        return Err(QuoteRefusal::NotAccepting);
    }
    let profile = &standing.profile;
    if !shares_topic(&request.topics, &profile.topics) {
        return Err(QuoteRefusal::OtherTopic { topics: profile.topics.clone() });
    }
    if !lies_in(profile.region.as_ref(), &request.regions) {
        return Err(QuoteRefusal::OtherRegion { region: profile.region.clone() });
    }
    if offer.free_bytes.min(standing.free_bytes) >> request.batch_log2 == 0 {
        return Err(QuoteRefusal::NoRoom { batches_free: 0 });
    }
    if profile.rounds_max < request.rounds {
        return Err(QuoteRefusal::TermTooLong { rounds_max: profile.rounds_max });
    }
    if !request.only.is_empty() && !request.only.contains(holder) {
        return Err(QuoteRefusal::NotNamed);
    }
    Ok(price)
}
