//! Finding holders: how the data will be cut, who takes it, and what it costs at most.

use crate::error::WalletError;
use crate::link::Link;
use crate::session::Session;
use holdfast_network::control::{CheckedOffer, OfferError};
use holdfast_network::wire::{PlacementDone, PlacementRequest, RefusalKind, Signed};
use holdfast_parcel::{Catalog, Layout};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Amount, Bounded, RequestId, TimeMs};
use holdfast_rpc::market::{
    QuoteAsk, REGISTER_BYTES_BASE, REGISTER_BYTES_BATCH, REGISTER_BYTES_PLACEMENT, REGISTER_BYTES_SEGMENT,
};

/// How long holders may take to answer.
const ANSWER_WITHIN_MS: u64 = 60_000;
/// The largest chunk: what may stay empty at a segment's end.
const CHUNK_BYTES_MAX: u64 = 1024 * 1024 + 64;
/// A chunk's record in the catalog, and what sealing adds to it.
const CATALOG_BYTES_PER_CHUNK: u64 = 112;
const CHUNK_BYTES_MIN: u64 = 64 * 1024;
/// A file's record in the catalog besides its name and chunks.
const CATALOG_BYTES_PER_FILE: u64 = 96;

/// What the owner wants.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// For how many rounds.
    pub rounds: u32,
    /// Highest price per MiB per round.
    pub price_max: Option<Amount>,
    /// Batch size, log2 of bytes, if not the network's choice.
    pub batch_log2: Option<u8>,
    /// Data and parity batches of a segment, if not the network's choice.
    pub code: Option<(u8, u8)>,
}

/// Holders that will take it, and the most it can cost.
pub struct Placed {
    /// How the data will be cut.
    pub layout: Layout,
    /// The term, in rounds.
    pub rounds: u32,
    /// One offer per batch of a segment, cheapest first.
    pub offers: Vec<CheckedOffer>,
    /// Segments at most.
    pub segments_max: u32,
}

/// What storing costs, at most (before) or exactly (after).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Segments.
    pub segments: u32,
    /// Batches.
    pub batches: u64,
    /// Bytes that holders keep.
    pub stored_bytes: u64,
    /// Of all batches, for one round.
    pub per_round: Amount,
    /// For the whole term: goes into escrow.
    pub storage: Amount,
    /// The part of it that heavy nodes earn when every round passes.
    pub relay_fee: Amount,
    /// Fees of the transactions.
    pub fee: Amount,
    /// Storage and fees.
    pub total: Amount,
}

impl Placed {
    /// What `segments` segments cost.
    pub fn cost(&self, session: &Session, segments: u32) -> Result<Cost, WalletError> {
        let count = u64::from(segments);
        let per_segment = Amount::checked_sum(self.offers.iter().map(|offer| offer.quote().terms.price))?;
        let per_round = per_segment.checked_mul(count)?;
        let storage = per_round.checked_mul(u64::from(self.rounds))?;
        let batches = count * self.layout.batches() as u64;
        let placements = self.offers.len() as u64 * REGISTER_BYTES_PLACEMENT;
        let transactions = count.div_ceil(1_024).max(1);
        let bytes = transactions * (REGISTER_BYTES_BASE + placements)
            + count * REGISTER_BYTES_SEGMENT
            + batches * REGISTER_BYTES_BATCH;
        let fee = session.params().fee_per_byte.checked_mul(bytes)?;
        Ok(Cost {
            segments,
            batches,
            stored_bytes: batches * self.layout.batch_bytes(),
            per_round,
            storage,
            relay_fee: storage.share(u64::from(session.params().relay_fee_bps), 10_000),
            fee,
            total: storage.checked_add(fee)?,
        })
    }
}

/// Finds holders for `bytes` of new data in `files` files.
pub async fn place(
    session: &Session,
    link: &Link,
    catalog: &Catalog,
    (bytes, files): (u64, u64),
    terms: Terms,
) -> Result<Placed, WalletError> {
    let layout = layout(session, bytes, terms).await?;
    let segments_max = segments_max(&layout, catalog, bytes, files);
    let wanted = layout.batches();
    let request = request(session, link, &layout, segments_max, terms)?;
    let found = link.control().place(Signed::new(request, session.key(), &session.chain())).await?.collect().await?;
    let mut offers = found.offers;
    // A holder that promises less would refuse its later batches when most of the data is sent.
    offers.retain(|offer| offer.quote().terms.batches_max >= segments_max);
    offers.sort_by_key(|offer| offer.quote().terms.price);
    if offers.len() < wanted {
        return Err(WalletError::NotEnoughHolders {
            found: offers.len(),
            wanted,
            reasons: explain(&found.done, &found.dropped),
        });
    }
    offers.truncate(wanted);
    Ok(Placed { layout, rounds: terms.rounds, offers, segments_max })
}

/// The network's own estimate chooses what the owner leaves open.
async fn layout(session: &Session, bytes: u64, terms: Terms) -> Result<Layout, WalletError> {
    let params = session.params();
    let (data, parity) = terms.code.unwrap_or((params.code_data, params.code_parity));
    let batch_log2 = match terms.batch_log2 {
        Some(batch_log2) => batch_log2,
        None if params.batch_classes.len() == 1 => params.batch_classes[0],
        None => {
            let (data, parity) = (Some(data), Some(parity));
            let ask = QuoteAsk { bytes: bytes.max(1), rounds: terms.rounds, batch_log2: None, data, parity };
            session.rpc().market_quote(ask).await?.batch_log2
        }
    };
    Ok(Layout::new(data, parity, batch_log2)?)
}

/// How many segments the data can take at most: nothing dedupes, nothing compresses, every segment's end stays as empty as
/// a chunk can leave it, and the whole catalog is written anew.
fn segments_max(layout: &Layout, catalog: &Catalog, bytes: u64, files: u64) -> u32 {
    let known_chunks = catalog.chunks().count() as u64;
    let known_files = catalog.list("").count() as u64;
    let new_chunks = bytes / CHUNK_BYTES_MIN + files;
    let catalog_bytes = (known_chunks + new_chunks) * CATALOG_BYTES_PER_CHUNK
        + (known_files + files) * (CATALOG_BYTES_PER_FILE + 64)
        + CHUNK_BYTES_MIN;
    let sealed = bytes + new_chunks * 32 + catalog_bytes;
    let usable = layout.data_bytes().saturating_sub(CHUNK_BYTES_MAX).max(layout.data_bytes() / 2);
    // One segment that is exactly filled leaves nothing empty.
    let segments = if sealed <= layout.data_bytes() { 1 } else { sealed.div_ceil(usable) };
    u32::try_from(segments).unwrap_or(u32::MAX)
}

fn request(
    session: &Session,
    link: &Link,
    layout: &Layout,
    segments_max: u32,
    terms: Terms,
) -> Result<PlacementRequest, WalletError> {
    let mut request = [0; RequestId::BYTES];
    getrandom::fill(&mut request).map_err(|error| WalletError::unreadable(format!("no randomness: {error}")))?;
    let mebibytes = layout.batch_bytes() >> 20;
    let price_max = match terms.price_max {
        Some(price) => price.checked_mul(mebibytes)?,
        None => Amount::grains(u64::MAX),
    };
    Ok(PlacementRequest {
        request: RequestId::new(request),
        owner: session.address(),
        first_hop: link.control().parent(),
        batch_log2: layout.batch_log2(),
        batches_per_holder: segments_max,
        holders: u16::try_from(layout.batches()).expect("a segment has at most 128 batches"),
        rounds: terms.rounds,
        price_max,
        exclude: Bounded::empty(),
        only: Bounded::empty(),
        topics: Bounded::empty(),
        regions: Bounded::empty(),
        distinct_operators: false,
        hops_max: FOOTPRINT_HOPS_MAX as u8,
        expires: link.now().saturating_add(ANSWER_WITHIN_MS),
    })
}

/// Why holders declined, and what would do, in one line.
fn explain(done: &PlacementDone, dropped: &[OfferError]) -> String {
    if done.asked == 0 {
        return "no holder with room and a price within the limit is online".to_owned();
    }
    let mut reasons: Vec<String> =
        done.refused.iter().map(|(kind, count)| format!("{count} {}", kind_text(*kind))).collect();
    reasons.extend(done.cheapest.map(|price| format!("the cheapest of them asks {price} per batch and round")));
    reasons.extend(done.roomiest.map(|batches| format!("the roomiest could take {batches} batches")));
    reasons.extend(done.longest_rounds.map(|rounds| format!("the longest term is {rounds} rounds")));
    reasons.extend(dropped.first().map(|first| format!("{} offers did not hold: {first}", dropped.len())));
    if reasons.is_empty() { "no more are online".to_owned() } else { reasons.join(", ") }
}

const fn kind_text(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NotAccepting => "take nothing now",
        RefusalKind::NoRoom => "have no room",
        RefusalKind::TooDear => "are too dear",
        RefusalKind::TermTooLong => "do not bind themselves for so long",
        RefusalKind::UnknownClass => "do not take batches of this size",
        RefusalKind::Busy => "are busy",
        RefusalKind::BadRequest => "could not read the request",
        RefusalKind::Failed => "failed",
        RefusalKind::Silent => "did not answer",
        RefusalKind::BadQuote => "answered with something else",
        RefusalKind::OtherTopic => "keep other things",
        RefusalKind::OtherRegion => "are elsewhere",
        RefusalKind::NotNamed => "were not named",
        RefusalKind::SameOperator => "belong to an operator that is chosen already",
    }
}

/// When a term of `rounds` that begins now ends.
pub fn paid_until(session: &Session, now: TimeMs, rounds: u32) -> TimeMs {
    now.saturating_add(session.params().round_ms.saturating_mul(u64::from(rounds) + 1))
}
