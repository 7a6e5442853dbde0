//! What a holder asks and offers, as its operator set it.

use holdfast_ledger::statement::QuoteTerms;
use holdfast_ledger::{Profile, lies_in, shares_topic};
use holdfast_network::wire::{PlacementRequest, QuoteRefusal};
use holdfast_primitives::{Address, Amount, Digest, Height};

/// The operator's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes offered in all.
    pub quota_bytes: u64,
    /// Asking price per MiB per round.
    pub price: Amount,
    /// Longest term, region, operator and topics.
    pub profile: Profile,
    /// Sizes of batches taken, log2 of bytes.
    pub batch_classes: Vec<u8>,
    /// Whether new batches are taken.
    pub accepting: bool,
}

impl Offer {
    /// The price of one batch for one round; `None` when it exceeds all money.
    pub fn batch_price(&self, batch_log2: u8) -> Option<Amount> {
        self.price.checked_mul(1 << batch_log2.checked_sub(20)?).ok()
    }

    /// The terms for `request`, given `free_bytes` that could still be promised and covered by collateral.
    pub fn terms(
        &self,
        request: &PlacementRequest,
        holder: Address,
        path: Digest,
        free_bytes: u64,
        expires: Height,
    ) -> Result<QuoteTerms, QuoteRefusal> {
        if !self.accepting {
            return Err(QuoteRefusal::NotAccepting);
        }
        if !request.only.is_empty() && !request.only.contains(&holder) {
            return Err(QuoteRefusal::NotNamed);
        }
        self.check_purpose(request)?;
        if !self.batch_classes.contains(&request.batch_log2) {
            return Err(QuoteRefusal::UnknownClass);
        }
        if request.rounds > self.profile.rounds_max {
            return Err(QuoteRefusal::TermTooLong { rounds_max: self.profile.rounds_max });
        }
        let price = self.batch_price(request.batch_log2).ok_or(QuoteRefusal::UnknownClass)?;
        if price > request.price_max {
            return Err(QuoteRefusal::TooDear { price });
        }
        let batches_free = u32::try_from(free_bytes >> request.batch_log2).unwrap_or(u32::MAX);
        if request.batches_per_holder > batches_free {
            return Err(QuoteRefusal::NoRoom { batches_free });
        }
        Ok(QuoteTerms {
            request: request.request,
            owner: request.owner,
            holder,
            batch_log2: request.batch_log2,
            batches_max: request.batches_per_holder,
            price,
            rounds_max: self.profile.rounds_max,
            path,
            expires,
        })
    }

    /// What the disk is for and where it is.
    fn check_purpose(&self, request: &PlacementRequest) -> Result<(), QuoteRefusal> {
        let Profile { region, topics, .. } = &self.profile;
        if !shares_topic(&request.topics, topics) {
            return Err(QuoteRefusal::OtherTopic { topics: topics.clone() });
        }
        if !lies_in(region.as_ref(), &request.regions) {
            return Err(QuoteRefusal::OtherRegion { region: region.clone() });
        }
        Ok(())
    }
}
