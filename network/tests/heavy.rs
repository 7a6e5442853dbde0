//! The graph of heavy nodes over the network in memory: holders are found where they are, and every hop is signed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::town::{OWNER, Town};
use common::*;
use holdfast_network::control::Offers;
use holdfast_network::wire::{PlacementRequest, QuoteRefusal, RefusalKind};
use holdfast_primitives::{Address, Amount};
use std::collections::BTreeMap;
use std::time::Duration;

/// Each holder with the path on which it was found.
fn paths(offers: &Offers) -> BTreeMap<Address, Vec<Address>> {
    let path = |offer: &holdfast_network::control::CheckedOffer| offer.footprint().iter().map(|hop| hop.node).collect();
    offers.offers.iter().map(|offer| (offer.quote().terms.holder, path(offer))).collect()
}

#[tokio::test(start_paused = true)]
async fn an_owner_finds_the_holder_of_a_neighbour_over_two_signed_hops() {
    let town = Town::line(&[1, 2]).await;
    town.holder(2, 30, 10, None).await;
    let owner = town.owner(1).await;
    let offers = owner.place(sign(placement(OWNER, 1, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert!(offers.dropped.is_empty(), "{:?}", offers.dropped);
    assert_eq!(paths(&offers), BTreeMap::from([(id(30), vec![id(1), id(2)])]));
    let ticket = &offers.offers[0].ticket().statement;
    assert_eq!((ticket.issuer, ticket.holder_addr.id), (id(2), id(30)), "the node where it is online introduces");
    assert_eq!((offers.done.offered, offers.done.heavy_asked, offers.done.heavy_silent), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_own_subtree_comes_first_and_neighbours_bring_what_is_missing() {
    let town = Town::line(&[1, 2, 3]).await;
    for (parent, holder, price) in [(1, 30, 50), (1, 31, 60), (2, 32, 10), (3, 33, 20)] {
        town.holder(parent, holder, price, None).await;
    }
    let owner = town.owner(1).await;
    let one = owner.place(sign(placement(OWNER, 1, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(paths(&one).into_keys().collect::<Vec<_>>(), sorted(&[30, 31]), "twice as many as wanted are here");
    assert_eq!(one.done.heavy_asked, 1);
    let request = PlacementRequest { request: request_no(2), ..placement(OWNER, 1, 3) };
    let all = owner.place(sign(request, OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(paths(&all)[&id(33)], [id(1), id(2), id(3)]);
    assert_eq!((all.offers.len(), all.done.heavy_asked), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn the_owners_hop_limit_cuts_the_search_and_the_last_word_says_so() {
    let town = Town::line(&[1, 2, 3]).await;
    town.holder(3, 33, 20, None).await;
    let owner = town.owner(1).await;
    let near = PlacementRequest { hops_max: 2, ..placement(OWNER, 1, 1) };
    let offers = owner.place(sign(near, OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!((offers.offers.len(), offers.done.heavy_asked, offers.done.hops_cut), (0, 2, true));
    let far = PlacementRequest { request: request_no(2), hops_max: 3, ..placement(OWNER, 1, 1) };
    let offers = owner.place(sign(far, OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!((offers.offers.len(), offers.done.hops_cut), (1, false));
}

#[tokio::test(start_paused = true)]
async fn in_a_ring_nobody_is_asked_twice() {
    let town = Town::ring(&[1, 2, 3, 4]).await;
    for (parent, holder) in [(1, 30), (2, 31), (3, 32), (4, 33)] {
        town.holder(parent, holder, 10, None).await;
    }
    let owner = town.owner(1).await;
    let offers = owner.place(sign(placement(OWNER, 1, 9), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(paths(&offers).into_keys().collect::<Vec<_>>(), sorted(&[30, 31, 32, 33]));
    assert_eq!((offers.done.asked, offers.done.heavy_asked), (4, 4), "each once");
    assert!(town.asked().values().all(|times| *times == 1), "{:?}", town.asked());
}

#[tokio::test(start_paused = true)]
async fn a_silent_neighbour_costs_its_share_of_the_time_and_is_told_of() {
    let town = Town::star(1, &[2, 3]).await;
    town.holder(2, 30, 10, None).await;
    town.holder(3, 31, 10, None).await;
    town.network.partition(id(1), id(3));
    let owner = town.owner(1).await;
    let started = tokio::time::Instant::now();
    let offers = owner.place(sign(placement(OWNER, 1, 2), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(paths(&offers).into_keys().collect::<Vec<_>>(), [id(30)]);
    assert_eq!((offers.done.heavy_asked, offers.done.heavy_silent), (2, 1));
    assert!(started.elapsed().as_secs() < 10, "it ended before the deadline");
}

#[tokio::test(start_paused = true)]
async fn why_there_are_too_few_is_told_from_beyond_the_first_node_too() {
    let town = Town::line(&[1, 2, 3]).await;
    let dear = |price| Some(QuoteRefusal::TooDear { price: Amount::grains(price) });
    town.holder(1, 30, 10, dear(3_000)).await;
    town.holder(2, 31, 10, dear(2_000)).await;
    town.holder(3, 32, 10, Some(QuoteRefusal::NoRoom { batches_free: 3 })).await;
    let owner = town.owner(1).await;
    let done = owner.place(sign(placement(OWNER, 1, 1), OWNER)).await.unwrap().collect().await.unwrap().done;
    assert_eq!(done.refused.to_vec(), [(RefusalKind::NoRoom, 1), (RefusalKind::TooDear, 2)]);
    assert_eq!((done.cheapest, done.roomiest), (Some(Amount::grains(2_000)), Some(3)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_learns_where_a_holder_is_that_is_online_three_nodes_away() {
    let town = Town::ring(&[1, 2, 3, 4, 5]).await;
    town.holder(4, 30, 10, None).await;
    town.holder(1, 31, 10, None).await;
    let reader = town.owner(1).await;
    let located = reader.locate(&[id(30), id(31), id(32)]).await.unwrap();
    let issuers: Vec<_> =
        located.iter().map(|told| told.ticket.as_ref().map(|ticket| ticket.statement.issuer)).collect();
    assert_eq!(issuers, [Some(id(4)), Some(id(1)), None]);
}

#[tokio::test(start_paused = true)]
async fn neighbours_find_each_other_again_after_the_line_between_them_was_cut() {
    let town = Town::line(&[1, 2]).await;
    town.holder(2, 30, 10, None).await;
    town.network.cut(id(1), id(2));
    while !town.nodes[&1].graph.neighbours().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    town.settled().await;
    let owner = town.owner(1).await;
    let offers = owner.place(sign(placement(OWNER, 1, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers.len(), 1);
}

fn sorted(seeds: &[u8]) -> Vec<Address> {
    let mut ids: Vec<Address> = seeds.iter().map(|seed| id(*seed)).collect();
    ids.sort_unstable();
    ids
}

fn request_no(number: u8) -> holdfast_primitives::RequestId {
    holdfast_primitives::RequestId::new([100 + number; 16])
}

/// Waits until a node says so of a holder.
async fn until_online(town: &Town, node: u8, holder: u8, online: bool) {
    let told = async {
        while town.nodes[&node].graph.is_online(&id(holder)) != online {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), told).await.expect("the word goes round");
}

#[tokio::test(start_paused = true)]
async fn word_of_who_is_online_goes_round_and_of_who_is_not_too() {
    let town = Town::ring(&[1, 2, 3, 4]).await;
    town.holder(3, 30, 10, None).await;
    for node in [1, 2, 3, 4] {
        until_online(&town, node, 30, true).await;
        assert!(!town.nodes[&node].graph.is_online(&id(31)));
    }
    town.network.cut(id(3), id(30));
    for node in [1, 2, 3, 4] {
        until_online(&town, node, 30, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn word_goes_no_further_than_a_path_can_lead() {
    let town = Town::line(&[1, 2, 3, 4, 5]).await;
    town.holder(5, 30, 10, None).await;
    until_online(&town, 2, 30, true).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!town.nodes[&1].graph.is_online(&id(30)), "five heavy nodes are on no path");
}
