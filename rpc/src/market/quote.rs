//! What storing would cost. A pure calculation over the rules and the holders' asking prices (DESIGN section 5).

use crate::error::Failure;
use crate::text::{AddressText, GrainText};
use holdfast_ledger::{Params, Profile, lies_in, shares_topic};
use holdfast_primitives::limits::{
    CATALOG_HEAD_BYTES_MAX, FOOTPRINT_HOPS_MAX, REGISTER_BATCHES_MAX, REGISTER_SEGMENTS_MAX, SEGMENT_BATCHES_MAX,
    SEGMENT_DATA_MAX,
};
use holdfast_primitives::{Amount, AmountError, HolderNo, Tag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Padding that a larger batch may cost, as a part of the data: one sixteenth.
const PADDING_PART: u64 = 16;
const GIB: u128 = 1 << 30;
const THIRTY_DAYS_MS: u128 = 30 * 24 * 60 * 60 * 1_000;

/// Bytes of a registration besides its segments and placements: the signed transaction with a full catalog head.
pub const REGISTER_BYTES_BASE: u64 = 32 + 8 + 8 + 8 + 1 + 4 + 4 + 4 + 1 + 4 + CATALOG_HEAD_BYTES_MAX as u64 + 64;
/// Bytes that a placement with a full footprint adds to a registration.
pub const REGISTER_BYTES_PLACEMENT: u64 = 137 + 64 + 4 + 4 + 96 * FOOTPRINT_HOPS_MAX as u64 + 72;
/// Bytes that a segment adds to a registration, besides its batches.
pub const REGISTER_BYTES_SEGMENT: u64 = 8;
/// Bytes that a batch adds to a registration.
pub const REGISTER_BYTES_BATCH: u64 = 34;

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteAsk {
    /// Bytes after compression and encryption.
    pub bytes: u64,
    /// The term, in rounds.
    pub rounds: u32,
    /// Batch size, log2 of bytes; chosen by the node when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_log2: Option<u8>,
    /// Data batches of a segment; the network's choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<u8>,
    /// Parity batches of a segment; the network's choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<u8>,
    /// What is asked of holders besides room.
    #[serde(default, skip_serializing_if = "QuoteWishes::is_empty")]
    pub wishes: QuoteWishes,
}

/// What an owner may ask of holders besides room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuoteWishes {
    /// What the data is: holders whose disks are for one of these take it. Empty: holders whose disks are for anything.
    #[schemars(with = "Vec<String>")]
    pub topics: Vec<Tag>,
    /// Where it may lie; empty for anywhere.
    #[schemars(with = "Vec<String>")]
    pub regions: Vec<Tag>,
    /// Whether no two batches of a segment may lie with one operator.
    pub distinct_operators: bool,
    /// The only holders that may be chosen; empty for any.
    pub only: Vec<AddressText>,
    /// Holders that must not be chosen.
    pub exclude: Vec<AddressText>,
}

/// What storing would cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteView {
    /// Bytes asked for.
    pub bytes: u64,
    /// Batch size, log2 of bytes.
    pub batch_log2: u8,
    /// Data batches of a segment: this many rebuild it.
    pub data: u8,
    /// Parity batches of a segment.
    pub parity: u8,
    /// Segments needed.
    pub segments: u64,
    /// Batches in all, data and parity, padding included.
    pub batches: u64,
    /// Bytes that holders would keep.
    pub stored_bytes: u64,
    /// The term, in rounds.
    pub rounds: u32,
    /// The term, in milliseconds.
    pub term_ms: u64,
    /// The holders that the estimate rests on, cheapest first.
    pub holders: Vec<OfferView>,
    /// Price of one round.
    #[schemars(with = "GrainText")]
    pub per_round: Amount,
    /// Price of the whole term: goes into escrow.
    #[schemars(with = "GrainText")]
    pub storage: Amount,
    /// The part of it that goes to heavy nodes when every round passes.
    #[schemars(with = "GrainText")]
    pub relay_fee: Amount,
    /// Fee of the registering transactions, at most.
    #[schemars(with = "GrainText")]
    pub tx_fee: Amount,
    /// Storage and transaction fee.
    #[schemars(with = "GrainText")]
    pub total: Amount,
    /// The storage price per GiB asked for and 30 days, rounded down.
    #[schemars(with = "GrainText")]
    pub per_gib_30_days: Amount,
}

/// One holder's part of a quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    /// Its number.
    #[schemars(with = "u32")]
    pub holder: HolderNo,
    /// Its address.
    pub address: AddressText,
    /// Its price per batch per round.
    #[schemars(with = "GrainText")]
    pub price: Amount,
}

/// A holder that could take batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its number.
    pub holder: HolderNo,
    /// Its address.
    pub address: AddressText,
    /// Price per MiB per round.
    pub price: Amount,
    /// Bytes it has room for.
    pub free_bytes: u64,
    /// What it says of itself.
    pub profile: Profile,
}

impl QuoteWishes {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a holder is what is asked for, whoever runs it.
    fn suit(&self, offer: &Offer) -> bool {
        let Profile { topics, region, .. } = &offer.profile;
        let is_named = self.only.is_empty() || self.only.contains(&offer.address);
        shares_topic(&self.topics, topics)
            && lies_in(region.as_ref(), &self.regions)
            && is_named
            && !self.exclude.contains(&offer.address)
    }
}

/// How the data would be cut.
struct Shape {
    batch_log2: u8,
    data: u8,
    parity: u8,
    segments: u64,
}

/// Chooses the cheapest of `offers` that have room, one holder per batch of a segment, and adds everything up.
///
/// # Errors
/// A [`Failure`] whose name begins with `Quote`, [`Failure::BatchClass`] or [`Failure::HoldersTooFew`].
pub fn estimate(ask: &QuoteAsk, params: &Params, offers: Vec<Offer>) -> Result<QuoteView, Failure> {
    if ask.rounds == 0 || ask.rounds > params.contract_rounds_max {
        return Err(Failure::QuoteRounds { rounds: ask.rounds, limit: params.contract_rounds_max });
    }
    let shape = shape(ask, params)?;
    let holders = cheapest(&shape, &ask.wishes, offers)?;
    add_up(ask, params, &shape, holders).map_err(|_| Failure::QuoteTooLarge { bytes: ask.bytes })
}

fn shape(ask: &QuoteAsk, params: &Params) -> Result<Shape, Failure> {
    let (data, parity) = (ask.data.unwrap_or(params.code_data), ask.parity.unwrap_or(params.code_parity));
    if data == 0 || data > SEGMENT_DATA_MAX || usize::from(data) + usize::from(parity) > SEGMENT_BATCHES_MAX {
        return Err(Failure::QuoteCode { data, parity });
    }
    let batch_log2 = match ask.batch_log2 {
        Some(asked) if params.batch_classes.contains(&asked) => asked,
        Some(asked) => return Err(Failure::BatchClass { asked, allowed: params.batch_classes.to_vec() }),
        None => fitting_class(ask.bytes, data, &params.batch_classes),
    };
    Ok(Shape { batch_log2, data, parity, segments: segments(ask.bytes, data, batch_log2) })
}

/// The largest class whose padding costs at most a sixteenth of the data; else the smallest.
pub fn fitting_class(bytes: u64, data: u8, classes: &[u8]) -> u8 {
    let fits = |&&class: &&u8| {
        let padded = (u128::from(segments(bytes, data, class)) * u128::from(data)) << class;
        padded - u128::from(bytes) <= u128::from(bytes / PADDING_PART)
    };
    classes.iter().rev().find(fits).or(classes.first()).copied().unwrap_or(holdfast_primitives::limits::BATCH_LOG2_MIN)
}

fn segments(bytes: u64, data: u8, batch_log2: u8) -> u64 {
    bytes.div_ceil(u64::from(data) << batch_log2).max(1)
}

fn cheapest(shape: &Shape, wishes: &QuoteWishes, mut offers: Vec<Offer>) -> Result<Vec<OfferView>, Failure> {
    let needed = usize::from(shape.data) + usize::from(shape.parity);
    let room = u128::from(shape.segments) << shape.batch_log2;
    offers.retain(|offer| u128::from(offer.free_bytes) >= room && wishes.suit(offer));
    offers.sort_by_key(|offer| (offer.price, offer.holder));
    if wishes.distinct_operators {
        let mut operators = BTreeSet::new();
        offers.retain(|offer| offer.profile.operator.clone().is_none_or(|operator| operators.insert(operator)));
    }
    if offers.len() < needed {
        return Err(Failure::HoldersTooFew { found: offers.len(), needed });
    }
    let mib = 1u64 << shape.batch_log2.saturating_sub(20);
    let view = |offer: &Offer| {
        let price = offer.price.checked_mul(mib).map_err(|_| Failure::QuoteTooLarge { bytes: mib << 20 })?;
        Ok(OfferView { holder: offer.holder, address: offer.address, price })
    };
    offers[..needed].iter().map(view).collect()
}

fn add_up(ask: &QuoteAsk, params: &Params, shape: &Shape, holders: Vec<OfferView>) -> Result<QuoteView, AmountError> {
    let per_segment = Amount::checked_sum(holders.iter().map(|offer| offer.price))?;
    let per_round = per_segment.checked_mul(shape.segments)?;
    let storage = per_round.checked_mul(u64::from(ask.rounds))?;
    let tx_fee = params.fee_per_byte.checked_mul(register_bytes(shape, holders.len() as u64))?;
    let batches = shape.segments.saturating_mul(holders.len() as u64);
    let term_ms = params.round_ms.saturating_mul(u64::from(ask.rounds));
    Ok(QuoteView {
        bytes: ask.bytes,
        batch_log2: shape.batch_log2,
        data: shape.data,
        parity: shape.parity,
        segments: shape.segments,
        batches,
        stored_bytes: batches.saturating_mul(1 << shape.batch_log2),
        rounds: ask.rounds,
        term_ms,
        holders,
        per_round,
        storage,
        relay_fee: storage.share(u64::from(params.relay_fee_bps.min(10_000)), 10_000),
        tx_fee,
        total: storage.checked_add(tx_fee)?,
        per_gib_30_days: per_gib_30_days(storage, ask.bytes, term_ms),
    })
}

/// Bytes of the registering transactions, at most.
fn register_bytes(shape: &Shape, placements: u64) -> u64 {
    let per_tx = (REGISTER_SEGMENTS_MAX as u64).min(REGISTER_BATCHES_MAX as u64 / placements.max(1)).max(1);
    let per_segment = REGISTER_BYTES_SEGMENT + placements * REGISTER_BYTES_BATCH;
    let each = REGISTER_BYTES_BASE + placements * REGISTER_BYTES_PLACEMENT;
    let txs = shape.segments.div_ceil(per_tx);
    txs.saturating_mul(each).saturating_add(shape.segments.saturating_mul(per_segment))
}

fn per_gib_30_days(storage: Amount, bytes: u64, term_ms: u64) -> Amount {
    let unit = u128::from(bytes.max(1)) * u128::from(term_ms.max(1));
    let wide = (u128::from(storage.get()) * GIB).saturating_mul(THIRTY_DAYS_MS) / unit;
    Amount::grains(u64::try_from(wide).unwrap_or(u64::MAX))
}
