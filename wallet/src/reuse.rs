//! What earlier puts already paid for: on which segments storing something again may build.

use crate::error::WalletError;
use crate::session::Session;
use holdfast_parcel::Catalog;
use holdfast_primitives::{ContractNo, RoundNo};
use holdfast_rpc::account::SegmentView;
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which part of the wanted term what is reused must still be paid for, in tenths: else it is stored anew, for the full term.
const PAID_TENTHS: u32 = 9;

/// What a put may build on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reusable {
    /// Segments that end too soon, or of which a batch is gone or faulty: chunks found there are stored anew.
    pub avoided: BTreeSet<u32>,
    /// For how many rounds the first of the others to end is paid; `None` when there are none.
    pub rounds: Option<u32>,
}

/// Which segments of the catalog will stay for about `rounds` rounds.
pub async fn reusable(session: &Session, catalog: &Catalog, rounds: u32) -> Result<Reusable, WalletError> {
    let live = catalog.live_bytes().into_iter().filter(|(_, bytes)| *bytes > 0).map(|(ordinal, _)| ordinal);
    let wanted: BTreeSet<u32> = live.collect();
    let ends = ends(session, &wanted).await?;
    let running = session.rpc().round_running().await?.round.get();
    let mut reusable = Reusable::default();
    for ordinal in wanted {
        // A contract pays from the round after the running one; so does a new one.
        let end = ends.get(&ordinal).map_or(0, |end| end.get());
        let left = u32::try_from(end.saturating_sub(running + 1)).unwrap_or(u32::MAX);
        if u64::from(left) * 10 < u64::from(rounds) * u64::from(PAID_TENTHS) {
            reusable.avoided.insert(ordinal);
        } else {
            reusable.rounds = Some(reusable.rounds.map_or(left, |first| first.min(left)));
        }
    }
    Ok(reusable)
}

/// The round in which the first of a segment's contracts ends. A segment of which a batch is gone or faulty is left out.
async fn ends(session: &Session, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, RoundNo>, WalletError> {
    let (mut contracts, mut ends) = (HashMap::new(), BTreeMap::new());
    let mut next = wanted.first().copied();
    while let Some(from) = next {
        let ask = PageAsk::from(u64::from(from)).limit(PAGE_ROWS_MAX);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let Some(last) = page.rows.last().map(|segment| segment.ordinal) else { break };
        for segment in page.rows.iter().filter(|segment| wanted.contains(&segment.ordinal)) {
            if let Some(end) = end_of(session, segment, &mut contracts).await? {
                ends.insert(segment.ordinal, end);
            }
        }
        next = last.checked_add(1).and_then(|from| wanted.range(from..).next().copied());
    }
    Ok(ends)
}

async fn end_of(
    session: &Session,
    segment: &SegmentView,
    contracts: &mut HashMap<ContractNo, RoundNo>,
) -> Result<Option<RoundNo>, WalletError> {
    let mut end: Option<RoundNo> = None;
    for member in &segment.members {
        let sound = member.stored.as_ref().filter(|stored| stored.faulty_since.is_none());
        let Some(number) = sound.map(|stored| stored.contract) else { return Ok(None) };
        let contract_end = match contracts.get(&number) {
            Some(known) => *known,
            None => session.rpc().market_contract(number).await?.end_round,
        };
        contracts.insert(number, contract_end);
        end = Some(end.map_or(contract_end, |end| end.min(contract_end)));
    }
    Ok(end)
}
