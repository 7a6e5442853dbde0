//! Which of the offers an owner takes: the cheapest set that is enough. No IO.

use holdfast_primitives::{Address, Amount, Tag};
use std::collections::BTreeSet;

/// An offer, as the choice sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// Who offers.
    pub holder: Address,
    /// Who runs it; a holder that does not say so is its own operator.
    pub operator: Option<Tag>,
    /// Price per batch per round.
    pub price: Amount,
    /// Heavy nodes on the way.
    pub hops: usize,
}

/// Who is told apart from whom.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Keeper<'a> {
    Operator(&'a Tag),
    Holder(Address),
}

/// The places of the `wanted` bids that cost least together, no holder twice, and no operator either where that is asked
/// for; of sets that cost the same, one with the fewest hops. In ascending order of price. `None` when there are too few.
///
/// What one keeper offers beyond its best bid is of no use to any set, so the best bids of different keepers are it.
pub fn choose(bids: &[Bid], wanted: usize, distinct_operators: bool) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..bids.len()).collect();
    order.sort_by_key(|&place| (bids[place].price, bids[place].hops, bids[place].holder));
    let mut taken = BTreeSet::new();
    let mut chosen = Vec::with_capacity(wanted);
    for place in order {
        let bid = &bids[place];
        let keeper = match &bid.operator {
            Some(operator) if distinct_operators => Keeper::Operator(operator),
            _ => Keeper::Holder(bid.holder),
        };
        if chosen.len() < wanted && taken.insert(keeper) {
            chosen.push(place);
        }
    }
    (chosen.len() == wanted).then_some(chosen)
}
