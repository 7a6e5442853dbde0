//! Finding holders: how the data will be cut, who takes it, and what it costs at most.

use crate::choose::{Bid, choose};
use crate::error::WalletError;
use crate::link::Link;
use crate::session::Session;
use crate::shortage::{ShortageOf, explain_shortage};
use crate::wishes::{WishUnmet, Wishes};
use holdfast_network::control::{CheckedOffer, Offers};
use holdfast_network::wire::{PlacementRequest, Signed};
use holdfast_parcel::{Catalog, Layout};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Address, Amount, Bounded, RequestId, TimeMs};
use holdfast_rpc::AddressText;
use holdfast_rpc::market::{
    HolderRef, REGISTER_BYTES_BASE, REGISTER_BYTES_BATCH, REGISTER_BYTES_PLACEMENT, REGISTER_BYTES_SEGMENT,
    fitting_class,
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
#[derive(Clone, Debug)]
pub struct Terms {
    /// For how many rounds.
    pub rounds: u32,
    /// Highest price per MiB per round.
    pub price_max: Option<Amount>,
    /// Batch size, log2 of bytes, if not the network's choice.
    pub batch_log2: Option<u8>,
    /// Data and parity batches of a segment, if not the network's choice.
    pub code: Option<(u8, u8)>,
    /// What is asked of holders besides.
    pub wishes: Wishes,
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
    terms: &Terms,
) -> Result<Placed, WalletError> {
    let layout = layout(session, bytes, terms)?;
    let segments_max = segments_max(&layout, catalog, bytes, files);
    let to = |first_hop| {
        let request = request(session, first_hop, link.now(), &layout, segments_max, terms)?;
        Ok(Signed::new(request, session.key(), &session.chain()))
    };
    let found = link.place(to).await?;
    let offers = chosen(session, found, terms, &layout, segments_max).await?;
    Ok(Placed { layout, rounds: terms.rounds, offers, segments_max })
}

/// The cheapest offers that are enough, among those that are what the owner wished for.
async fn chosen(
    session: &Session,
    found: Offers,
    terms: &Terms,
    layout: &Layout,
    segments_max: u32,
) -> Result<Vec<CheckedOffer>, WalletError> {
    let Offers { offers, dropped, done } = found;
    let mut dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    let (mut sound, mut bids) = (Vec::new(), Vec::new());
    for offer in offers {
        match bid(session, &offer, &terms.wishes, segments_max).await? {
            Ok(bid) => {
                bids.push(bid);
                sound.push(Some(offer));
            }
            Err(unmet) => dropped.push(unmet.to_string()),
        }
    }
    let wanted = layout.batches();
    let Some(places) = choose(&bids, wanted, terms.wishes.distinct_operators) else {
        let (batch_log2, round_ms) = (layout.batch_log2(), session.params().round_ms);
        let asked = ShortageOf { wishes: &terms.wishes, batch_log2, batches: segments_max, round_ms };
        let shortage = explain_shortage(&asked, &done, &dropped);
        return Err(WalletError::NotEnoughHolders { found: bids.len(), wanted, shortage });
    };
    Ok(places.into_iter().filter_map(|place| sound[place].take()).collect())
}

/// An offer as the choice sees it, if it is what the owner wished for.
async fn bid(
    session: &Session,
    offer: &CheckedOffer,
    wishes: &Wishes,
    segments_max: u32,
) -> Result<Result<Bid, WishUnmet>, WalletError> {
    let terms = &offer.quote().terms;
    // A holder that promises less would refuse its later batches when most of the data is sent.
    if terms.batches_max < segments_max {
        let (holder, promised) = (terms.holder, terms.batches_max);
        return Ok(Err(WishUnmet::Room { holder, promised, wanted: segments_max }));
    }
    let mut operator = None;
    if wishes.needs_profile() {
        let address = AddressText::new(terms.holder, session.params().prefix);
        let profile = session.rpc().market_holder(HolderRef::Address(address)).await?.profile;
        if let Err(unmet) = wishes.judge(offer, &profile) {
            return Ok(Err(unmet));
        }
        operator = profile.operator;
    }
    Ok(Ok(Bid { holder: terms.holder, operator, price: terms.price, hops: offer.footprint().len() }))
}

/// What the owner leaves open is chosen as in the network's own estimates.
fn layout(session: &Session, bytes: u64, terms: &Terms) -> Result<Layout, WalletError> {
    let params = session.params();
    let (data, parity) = terms.code.unwrap_or((params.code_data, params.code_parity));
    let batch_log2 = match terms.batch_log2 {
        Some(batch_log2) => batch_log2,
        None => fitting_class(bytes.max(1), data, &params.batch_classes),
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
    first_hop: Address,
    now: TimeMs,
    layout: &Layout,
    segments_max: u32,
    terms: &Terms,
) -> Result<PlacementRequest, WalletError> {
    let mut request = [0; RequestId::BYTES];
    getrandom::fill(&mut request).map_err(|error| WalletError::unreadable(format!("no randomness: {error}")))?;
    let mebibytes = layout.batch_bytes() >> 20;
    let price_max = match terms.price_max {
        Some(price) => price.checked_mul(mebibytes)?,
        None => Amount::grains(u64::MAX),
    };
    let mut request = PlacementRequest {
        request: RequestId::new(request),
        owner: session.address(),
        first_hop,
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
        expires: now.saturating_add(ANSWER_WITHIN_MS),
    };
    terms.wishes.put_into(&mut request)?;
    Ok(request)
}

/// When a term of `rounds` that begins now ends.
pub fn paid_until(session: &Session, now: TimeMs, rounds: u32) -> TimeMs {
    now.saturating_add(session.params().round_ms.saturating_mul(u64::from(rounds) + 1))
}
