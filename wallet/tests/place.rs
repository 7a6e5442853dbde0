//! Which holders an owner takes, and what it is told when there are too few.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_network::wire::{PlacementDone, PlacementRequest, RefusalKind};
use holdfast_primitives::{Address, Amount, Bounded, RequestId, Tag, TimeMs};
use holdfast_wallet::{Bid, Shortage, ShortageOf, WishError, Wishes, choose, explain_shortage};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn holder(seed: u8) -> Address {
    Address::new([seed; 32])
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Whether a set takes no holder twice, and no operator where that matters.
fn is_allowed(set: &[&Bid], distinct: bool) -> bool {
    let mut holders = BTreeSet::new();
    let mut operators = BTreeSet::new();
    set.iter().all(|bid| {
        let fresh = bid.operator.as_ref().is_none_or(|operator| !distinct || operators.insert(operator));
        fresh && holders.insert(bid.holder)
    })
}

fn cost(set: &[&Bid]) -> (u64, usize) {
    (set.iter().map(|bid| bid.price.get()).sum(), set.iter().map(|bid| bid.hops).sum())
}

/// The oracle tries every subset.
fn cheapest_of_all(bids: &[Bid], wanted: usize, distinct: bool) -> Option<(u64, usize)> {
    let subsets = (0u32..1 << bids.len()).filter(|mask| mask.count_ones() as usize == wanted);
    let set =
        |mask: u32| bids.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1).map(|(_, bid)| bid).collect();
    let sets = subsets.map(set).filter(|set: &Vec<&Bid>| is_allowed(set, distinct));
    sets.map(|set| cost(&set)).min()
}

fn bids() -> impl Strategy<Value = Vec<Bid>> {
    // One operator for each holder, so that one holder does not have two.
    let bid = (0u8..8, 1u64..5, 1usize..5);
    proptest::collection::vec(bid, 0..11).prop_map(|bids| {
        let operator = |holder: u8| (holder > 2).then(|| tag(&format!("operator-{}", holder % 3)));
        let bid = |(seed, price, hops)| Bid {
            holder: holder(seed),
            operator: operator(seed),
            price: Amount::grains(price),
            hops,
        };
        bids.into_iter().map(bid).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_finds_a_cheaper_set_that_is_enough(bids in bids(), wanted in 0usize..6, distinct: bool) {
        let chosen = choose(&bids, wanted, distinct);
        let set: Option<Vec<&Bid>> = chosen.map(|places| places.into_iter().map(|place| &bids[place]).collect());
        if let Some(set) = &set {
            prop_assert_eq!(set.len(), wanted);
            prop_assert!(is_allowed(set, distinct));
            prop_assert!(set.is_sorted_by_key(|bid| bid.price));
        }
        prop_assert_eq!(set.map(|set| cost(&set)), cheapest_of_all(&bids, wanted, distinct));
    }
}

fn told(wishes: &Wishes, done: &PlacementDone) -> Shortage {
    let asked = ShortageOf { wishes, batch_log2: 22, batches: 7, round_ms: 4 * 3_600 * 1_000 };
    let Shortage { reasons, remedy } = explain_shortage(&asked, done, &[]);
    let remedy = match remedy.strip_prefix("what may help: ") {
        Some(ways) => ways.strip_suffix("; holdfast status shows who is online and at what price").unwrap().to_owned(),
        None => remedy,
    };
    Shortage { reasons, remedy }
}

fn refused(kinds: &[(RefusalKind, u32)]) -> PlacementDone {
    PlacementDone { refused: Bounded::new(kinds.to_vec()).unwrap(), heavy_asked: 1, ..PlacementDone::default() }
}

#[test]
fn an_owner_is_told_what_is_wrong_and_what_would_do() {
    let done = PlacementDone {
        cheapest: Some(Amount::grains(40)),
        roomiest: Some(3),
        longest_rounds: Some(180),
        heavy_asked: 3,
        heavy_silent: 1,
        ..refused(&[(RefusalKind::NoRoom, 1), (RefusalKind::TooDear, 4), (RefusalKind::TermTooLong, 2)])
    };
    let Shortage { reasons, remedy } = told(&Wishes::default(), &done);
    assert_eq!(
        reasons,
        "of the others, 1 has too little room, 4 are too dear and 2 do not bind themselves for so long; 3 heavy nodes were asked; one heavy node did not answer"
    );
    // 40 grain for 4 MiB and 4 hours are 10 for one MiB: 10 * 1,024 * 180 for a GiB and 30 days.
    let price = Amount::grains(10 * 1_024 * 180);
    assert_eq!(
        remedy,
        format!(
            "--price-limit {price} (what the cheapest of those too dear asks); or --for 30d (the longest term among those that bind themselves for less); or less data at once (the roomiest without enough room takes 3 pieces of 7); or the same again later (some did not answer)"
        )
    );
}

#[test]
fn an_owner_that_asked_for_a_topic_is_told_which_there_are() {
    let wishes = Wishes { topics: vec![tag("birds")], ..Wishes::default() };
    let other = refused(&[(RefusalKind::OtherTopic, 5)]);
    let some = PlacementDone { topics: Bounded::new(vec![tag("maps"), tag("music")]).unwrap(), ..other.clone() };
    assert_eq!(told(&wishes, &some).reasons, "of the others, 5 keep data of other topics");
    assert_eq!(told(&wishes, &some).remedy, "--topic maps or music (what their disks are for)");
    let both = PlacementDone { untopical: true, ..some.clone() };
    assert_eq!(told(&wishes, &both).remedy, "--topic maps or music or no --topic");
    let none = PlacementDone { untopical: true, ..other };
    assert_eq!(told(&wishes, &none).remedy, "no --topic (some take data without one only)");
    assert_eq!(told(&Wishes::default(), &some).remedy, "--topic maps or music (what their disks are for)");
}

#[test]
fn an_owner_that_asked_for_a_place_or_for_names_is_told_who_else_there_is() {
    let wishes =
        Wishes { regions: vec![tag("eu-de")], hops_max: Some(2), distinct_operators: true, ..Wishes::default() };
    let done = PlacementDone {
        regions: Bounded::new(vec![tag("us-ny")]).unwrap(),
        hops_cut: true,
        ..refused(&[(RefusalKind::OtherRegion, 1), (RefusalKind::NotNamed, 6), (RefusalKind::SameOperator, 2)])
    };
    let Shortage { reasons, remedy } = told(&wishes, &done);
    assert_eq!(
        reasons,
        "of the others, 1 lies elsewhere, 6 were not named and 2 are run by operators that are chosen already"
    );
    assert_eq!(
        remedy,
        "--region us-ny or no --region; or more --holder or none at all (6 others look fit); or no --distinct-operators; or --max-hops 4 (there are heavy nodes further away)"
    );
}

#[test]
fn where_nobody_is_online_that_is_what_is_said() {
    let Shortage { reasons, remedy } = told(&Wishes::default(), &refused(&[]));
    assert_eq!(reasons, "no other holder is online");
    assert_eq!(remedy, "try again when there are more holders; holdfast status shows who is online and at what price");
}

fn request() -> PlacementRequest {
    PlacementRequest {
        request: RequestId::ZERO,
        owner: holder(1),
        first_hop: holder(2),
        batch_log2: 20,
        batches_per_holder: 1,
        holders: 1,
        rounds: 1,
        price_max: Amount::grains(1),
        exclude: Bounded::empty(),
        only: Bounded::empty(),
        topics: Bounded::empty(),
        regions: Bounded::empty(),
        distinct_operators: false,
        hops_max: 4,
        expires: TimeMs::new(1),
    }
}

#[test]
fn wishes_stand_in_the_request_each_once() {
    let wishes = Wishes {
        topics: vec![tag("maps"), tag("birds"), tag("maps")],
        regions: vec![tag("eu-de")],
        distinct_operators: true,
        only: vec![holder(7), holder(6)],
        exclude: vec![holder(5)],
        hops_max: Some(2),
    };
    let mut asked = request();
    wishes.put_into(&mut asked).unwrap();
    assert_eq!(asked.topics.to_vec(), [tag("birds"), tag("maps")]);
    assert_eq!((asked.only.to_vec(), asked.exclude.to_vec()), (vec![holder(6), holder(7)], vec![holder(5)]));
    assert_eq!((asked.regions.to_vec(), asked.distinct_operators, asked.hops_max), (vec![tag("eu-de")], true, 2));
}

#[test]
fn wishes_that_no_request_carries_are_named() {
    let refusal = |wishes: Wishes| wishes.put_into(&mut request()).unwrap_err();
    let topics = (0..9).map(|number| tag(&format!("t{number}"))).collect();
    let many = refusal(Wishes { topics, ..Wishes::default() });
    assert_eq!(many, WishError::TooMany { what: "topics", found: 9, limit: 8 });
    let hops = refusal(Wishes { hops_max: Some(5), ..Wishes::default() });
    assert_eq!(hops, WishError::Hops { found: 5, limit: 4 });
    let both = refusal(Wishes { only: vec![holder(1)], exclude: vec![holder(1)], ..Wishes::default() });
    assert_eq!(both, WishError::Contradiction { holder: holder(1) });
}
