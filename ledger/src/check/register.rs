//! The shape of a registration: segments first, then the placements that hold them.

use crate::error::{PlacementRule, SegmentRule, TxError};
use crate::params::Params;
use crate::statement::path_digest;
use crate::tx::{NewSegment, Placement, Register};
use holdfast_primitives::limits::{REGISTER_BATCHES_MAX, SEGMENT_BATCHES_MAX, SEGMENT_DATA_MAX};
use holdfast_primitives::{Address, Amount};
use std::collections::BTreeSet;

/// The classic GF(2^8) Vandermonde code, the only erasure code so far.
const CODEC_VANDERMONDE: u8 = 1;

/// Checks everything in a registration but its signatures.
pub(super) fn check(params: &Params, sender: &Address, register: &Register) -> Result<(), TxError> {
    if register.segments.is_empty() {
        return Err(TxError::RegisterNothing);
    }
    let batches: usize = register.segments.iter().map(|segment| segment.batches.len()).sum();
    if batches > REGISTER_BATCHES_MAX {
        return Err(TxError::TooManyBatches { batches, limit: REGISTER_BATCHES_MAX });
    }
    for (segment, new) in register.segments.iter().enumerate() {
        check_segment(params, new, register.placements.len()).map_err(|rule| TxError::Segment { segment, rule })?;
    }
    let mut holders = BTreeSet::new();
    for (index, (placement, count)) in register.placements.iter().zip(placement_counts(register)).enumerate() {
        let holder = placement.quote.terms.holder;
        if !holders.insert(holder) {
            return Err(TxError::Placement { placement: index, rule: PlacementRule::HolderTwice { holder } });
        }
        check_placement(params, sender, placement, count)
            .map_err(|rule| TxError::Placement { placement: index, rule })?;
    }
    check_classes(register)
}

/// How many batches lie with each placement.
pub(crate) fn placement_counts(register: &Register) -> Vec<u32> {
    let mut counts = vec![0; register.placements.len()];
    for batch in register.segments.iter().flat_map(|segment| segment.batches.iter()) {
        if let Some(count) = counts.get_mut(usize::from(batch.placement)) {
            *count += 1;
        }
    }
    counts
}

/// What a placement of `batches` costs in advance: price x batches x rounds.
pub(crate) fn escrow(placement: &Placement, batches: u32) -> Result<Amount, PlacementRule> {
    let per_round = placement.quote.terms.price.checked_mul(u64::from(batches));
    per_round
        .and_then(|per_round| per_round.checked_mul(u64::from(placement.rounds)))
        .map_err(|_| PlacementRule::EscrowOverflow)
}

fn check_segment(params: &Params, segment: &NewSegment, placements: usize) -> Result<(), SegmentRule> {
    let NewSegment { batch_log2, data, parity, codec, .. } = *segment;
    if !params.batch_classes.contains(&batch_log2) {
        return Err(SegmentRule::Class { batch_log2 });
    }
    let expected = usize::from(data) + usize::from(parity);
    if data == 0 || data > SEGMENT_DATA_MAX || expected > SEGMENT_BATCHES_MAX {
        return Err(SegmentRule::Shape { data, parity });
    }
    if codec != CODEC_VANDERMONDE {
        return Err(SegmentRule::Codec { codec });
    }
    if segment.batches.len() != expected {
        return Err(SegmentRule::Batches { found: segment.batches.len(), expected });
    }
    let mut used = BTreeSet::new();
    for (index, batch) in segment.batches.iter().enumerate() {
        let placement = batch.placement;
        if usize::from(placement) >= placements {
            return Err(SegmentRule::PlacementUnknown { index, placement });
        }
        if !used.insert(placement) {
            return Err(SegmentRule::PlacementTwice { placement });
        }
    }
    Ok(())
}

fn check_placement(
    params: &Params,
    sender: &Address,
    placement: &Placement,
    batches: u32,
) -> Result<(), PlacementRule> {
    let terms = &placement.quote.terms;
    if batches == 0 {
        return Err(PlacementRule::Unused);
    }
    if terms.owner != *sender {
        return Err(PlacementRule::QuoteOwner { owner: terms.owner });
    }
    if terms.price.is_zero() {
        return Err(PlacementRule::QuotePriceZero);
    }
    if batches > terms.batches_max {
        return Err(PlacementRule::QuoteBatches { batches, batches_max: terms.batches_max });
    }
    let rounds_max = terms.rounds_max.min(params.contract_rounds_max);
    if placement.rounds == 0 || placement.rounds > rounds_max {
        return Err(PlacementRule::Rounds { rounds: placement.rounds, rounds_max });
    }
    check_footprint(placement)?;
    escrow(placement, batches).map(|_| ())
}

/// One share per heavy node: a path that names one twice is no path.
fn check_footprint(placement: &Placement) -> Result<(), PlacementRule> {
    let mut seen = BTreeSet::new();
    for hop in placement.footprint.iter() {
        if !seen.insert(hop.node) {
            return Err(PlacementRule::FootprintRepeats { node: hop.node });
        }
    }
    if placement.footprint.is_empty() {
        return Err(PlacementRule::FootprintEmpty);
    }
    let (found, quoted) = (path_digest(placement.footprint.iter().map(|hop| &hop.node)), placement.quote.terms.path);
    if found != quoted {
        return Err(PlacementRule::OtherPath { found, quoted });
    }
    Ok(())
}

/// Every batch has the size that its placement's quote is for.
fn check_classes(register: &Register) -> Result<(), TxError> {
    for segment in register.segments.iter() {
        let found = segment.batch_log2;
        for batch in segment.batches.iter() {
            let placement = usize::from(batch.placement);
            let quoted = register.placements[placement].quote.terms.batch_log2;
            if quoted != found {
                return Err(TxError::Placement { placement, rule: PlacementRule::QuoteClass { quoted, found } });
            }
        }
    }
    Ok(())
}
