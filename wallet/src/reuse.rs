//! What an earlier put already paid for: whether storing a file again may build on it.

use crate::error::WalletError;
use crate::session::Session;
use holdfast_parcel::Catalog;
use holdfast_primitives::{ContractNo, RoundNo};
use holdfast_rpc::PageAsk;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which part of the wanted term what is reused must still be paid for, in tenths: else it is stored anew, for the full term.
const PAID_TENTHS: u32 = 9;

/// Forgets those of `names` whose pieces lie where they would not stay for about `rounds` rounds, or where a batch is lost
/// already; packing then stores them anew instead of finding their chunks. Returns for how many rounds what is kept is
/// paid for, if something is kept.
pub async fn forget_what_ends_sooner(
    session: &Session,
    catalog: &mut Catalog,
    names: &[&str],
    rounds: u32,
) -> Result<Option<u32>, WalletError> {
    let known: Vec<(&str, BTreeSet<u32>)> =
        names.iter().filter_map(|name| Some((*name, used(catalog, name)?))).collect();
    let ends = ends(session, known.iter().flat_map(|(_, segments)| segments)).await?;
    let running = session.rpc().round_running().await?.round.get();
    // A contract pays from the round after the running one; so does a new one.
    let rounds_left = |segment: &u32| {
        let end = ends.get(segment).map_or(0, |end| end.get());
        u32::try_from(end.saturating_sub(running + 1)).unwrap_or(u32::MAX)
    };
    let mut kept: Option<u32> = None;
    for (name, segments) in &known {
        let left = segments.iter().map(rounds_left).min();
        if left.is_some_and(|left| u64::from(left) * 10 < u64::from(rounds) * u64::from(PAID_TENTHS)) {
            catalog.remove_file(name)?;
        } else {
            kept = kept.into_iter().chain(left).min();
        }
    }
    Ok(kept)
}

/// The segments that hold a file's chunks; `None` if there is no such file.
fn used(catalog: &Catalog, name: &str) -> Option<BTreeSet<u32>> {
    let file = catalog.file(name).ok()?;
    Some(catalog.chunks_of(file).map(|chunk| chunk.at.segment).collect())
}

/// The round in which the first of a segment's contracts ends. A segment of which a batch is gone or faulty is left out.
async fn ends(session: &Session, segments: impl Iterator<Item = &u32>) -> Result<BTreeMap<u32, RoundNo>, WalletError> {
    let (mut contracts, mut ends) = (HashMap::new(), BTreeMap::new());
    for ordinal in segments.copied().collect::<BTreeSet<u32>>() {
        let ask = PageAsk::from(u64::from(ordinal)).limit(1);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let Some(segment) = page.rows.into_iter().find(|segment| segment.ordinal == ordinal) else { continue };
        let stored = segment.members.iter().map(|member| member.stored.as_ref());
        let sound = stored.map(|stored| Some(stored.filter(|stored| stored.faulty_since.is_none())?.contract));
        let Some(sound) = sound.collect::<Option<Vec<ContractNo>>>() else { continue };
        let mut end = None;
        for number in sound {
            let contract_end = match contracts.get(&number) {
                Some(known) => *known,
                None => session.rpc().market_contract(number).await?.end_round,
            };
            contracts.insert(number, contract_end);
            end = Some(end.map_or(contract_end, |end: RoundNo| end.min(contract_end)));
        }
        ends.extend(end.map(|end| (ordinal, end)));
    }
    Ok(ends)
}
