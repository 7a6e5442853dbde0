//! A parent that lies about the way its offers took, or about who made them: its owner keeps none of them. What the owner
//! keeps is a `CheckedOffer`, and only that can be uploaded to, signed for and paid.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_ledger::statement::{Footprint, FootprintHop, QuoteTerms, hop_payload, path_digest};
use holdfast_network::control::{ControlClient, ControlClientConfig, ControlError, OfferError, Offers};
use holdfast_network::footprint::FootprintError;
use holdfast_network::wire::{
    Direction, FrameError, FromParent, Offered, PLACEMENT_HOLDERS_MAX, PlacementDone, PlacementRequest, Role, Signed,
    Ticket, ToParent, Welcome, encode_frame, read_frame_within, write_frame,
};
use holdfast_network::{Connection, Endpoint};
use holdfast_primitives::limits::FOOTPRINT_HOPS_MAX;
use holdfast_primitives::{Amount, Bounded, Height, Purpose, TimeMs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const PARENT: u8 = 1;
const OWNER: u8 = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// What the liar says after an owner's request, frame by frame.
type Lies = Box<dyn FnOnce(&PlacementRequest) -> Vec<Vec<u8>> + Send>;

/// Keeps to the protocol until the owner asks for holders; then it lies.
async fn lie(endpoint: Arc<dyn Endpoint>, lies: Lies) {
    let connection: Arc<dyn Connection> = endpoint.accept().await.unwrap().accept().await.unwrap();
    let mut session = connection.accept_bi().await.unwrap();
    let hello: ToParent = read_frame_within(&mut session.recv, PATIENCE).await.unwrap();
    assert!(matches!(hello, ToParent::Hello(_)));
    let welcome = Welcome { height: Height::new(1), you: connection.remote_id(), observed: None, relay_url: None };
    write_frame(&mut session.send, &FromParent::Welcome(welcome), PATIENCE).await.unwrap();
    let mut asked = connection.accept_bi().await.unwrap();
    let ToParent::Place(request) = read_frame_within(&mut asked.recv, PATIENCE).await.unwrap() else {
        panic!("an owner asks for holders")
    };
    for frame in lies(&request.statement) {
        // The owner may have heard enough.
        if asked.send.write_all(&frame).await.is_err() {
            break;
        }
    }
    let _ = asked.send.shutdown().await;
    connection.closed().await;
}

/// What the owner keeps of these lies.
async fn told(lies: impl FnOnce(&PlacementRequest) -> Vec<Vec<u8>> + Send + 'static) -> Result<Offers, ControlError> {
    let (network, clock) = (network(1), TestClock::start());
    let liar = tokio::spawn(lie(Arc::new(network.endpoint(id(PARENT))), Box::new(lies)));
    let (endpoint, config) = (network.endpoint(id(OWNER)), ControlClientConfig::default());
    let client = ControlClient::connect(&endpoint, &bare(PARENT), CHAIN, Role::Owner, clock, config).await.unwrap();
    let kept = client.place(sign(placement(OWNER, PARENT, 1), OWNER)).await.unwrap().collect().await;
    client.close();
    liar.await.unwrap();
    kept
}

/// One hop of `node` between its neighbours, signed by `signer`.
fn hop(request: &PlacementRequest, index: u8, node: u8, between: (u8, u8), signer: u8) -> FootprintHop {
    let payload = hop_payload(&request.request, &request.owner, index, &id(between.0), &id(between.1));
    FootprintHop { node: id(node), signature: key(signer).sign(Purpose::FootprintHop, &CHAIN, &payload) }
}

/// The path over these heavy nodes from the owner to `holder`, every hop signed as it should be.
fn path(request: &PlacementRequest, nodes: &[u8], holder: u8) -> Vec<FootprintHop> {
    let around: Vec<u8> = [&[OWNER], nodes, &[holder]].concat();
    let hops = around.windows(3).zip(0..);
    hops.map(|(three, index)| hop(request, index, three[1], (three[0], three[2]), three[1])).collect()
}

/// An offer by `holder` that holds in everything but, perhaps, the path.
fn offered(request: &PlacementRequest, holder: u8, path: Footprint) -> Offered {
    let last = path.last().map_or(id(PARENT), |hop| hop.node);
    let terms = QuoteTerms {
        request: request.request,
        owner: request.owner,
        holder: id(holder),
        batch_log2: request.batch_log2,
        batches_max: request.batches_per_holder,
        price: Amount::grains(10),
        rounds_max: request.rounds,
        path: path_digest(path.iter().map(|hop| &hop.node)),
        expires: Height::new(1_000),
    };
    let issuer = (1..20).find(|seed| id(*seed) == last).unwrap();
    let ticket = Ticket {
        issuer: last,
        client: request.owner,
        holder: id(holder),
        holder_addr: bare(holder),
        request: request.request,
        direction: Direction::Write,
        bytes_max: 4 << 20,
        expires: TimeMs::new(START_MS + 600_000),
    };
    Offered {
        quote: terms.sign(&key(holder), &CHAIN),
        footprint: path,
        ticket: Signed::new(ticket, &key(issuer), &CHAIN),
    }
}

fn frame(message: &FromParent) -> Vec<u8> {
    encode_frame(message).unwrap()
}

fn offer_frame(request: &PlacementRequest, holder: u8, path: Vec<FootprintHop>) -> Vec<u8> {
    frame(&FromParent::Offered(Box::new(offered(request, holder, Bounded::new(path).unwrap()))))
}

fn done() -> Vec<u8> {
    frame(&FromParent::Done(PlacementDone::default()))
}

/// What the owner says of one offer whose path the liar made up.
async fn dropped(path_of: impl FnOnce(&PlacementRequest) -> Vec<FootprintHop> + Send + 'static) -> OfferError {
    let kept = told(move |request| vec![offer_frame(request, 3, path_of(request)), done()]).await.unwrap();
    assert!(kept.offers.is_empty(), "the owner keeps {:?}", kept.offers);
    kept.dropped.into_iter().next().expect("the owner says why")
}

fn is_footprint(error: OfferError) -> FootprintError {
    match error {
        OfferError::Footprint(error) => error,
        other => panic!("not the footprint: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn honest_paths_of_one_hop_and_of_the_most_hops_are_kept() {
    for nodes in [&[PARENT][..], &[PARENT, 8, 9, 10]] {
        assert!(nodes.len() <= FOOTPRINT_HOPS_MAX);
        let nodes = nodes.to_vec();
        let kept = told(move |request| vec![offer_frame(request, 3, path(request, &nodes, 3)), done()]).await.unwrap();
        assert_eq!((kept.offers.len(), kept.dropped.len()), (1, 0), "{:?}", kept.dropped);
    }
}

/// Whoever cuts off the first hops keeps their share.
#[tokio::test(start_paused = true)]
async fn a_path_that_does_not_begin_at_the_owners_parent_is_refused() {
    for nodes in [vec![8], vec![8, 9], vec![8, PARENT]] {
        let first = nodes[0];
        let error = is_footprint(dropped(move |request| path(request, &nodes, 3)).await);
        assert_eq!(error, FootprintError::WrongFirst { found: id(first), expected: id(PARENT) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_hop_is_refused_wherever_it_stands() {
    for forged in 0..4 {
        let error = dropped(move |request| {
            let nodes = [PARENT, 8, 9, 10];
            let mut path = path(request, &nodes, 3);
            let around = [OWNER, PARENT, 8, 9, 10, 3];
            path[forged] = hop(request, forged as u8, nodes[forged], (around[forged], around[forged + 2]), 17);
            path
        });
        let node = id([PARENT, 8, 9, 10][forged]);
        assert_eq!(is_footprint(error.await), FootprintError::BadSignature { index: forged, node });
    }
}

/// True signatures, for another place in the path: the hop signed its neighbours and its number.
#[tokio::test(start_paused = true)]
async fn hops_put_in_another_order_are_refused() {
    let swapped = dropped(|request| {
        let mut path = path(request, &[PARENT, 8, 9, 10], 3);
        path.swap(1, 2);
        path
    });
    assert_eq!(is_footprint(swapped.await), FootprintError::BadSignature { index: 0, node: id(PARENT) });
    let cut = dropped(|request| {
        let mut path = path(request, &[PARENT, 8, 9], 3);
        path.remove(1);
        path
    });
    assert_eq!(is_footprint(cut.await), FootprintError::BadSignature { index: 0, node: id(PARENT) });
}

#[tokio::test(start_paused = true)]
async fn a_repeated_hop_is_refused() {
    for nodes in [vec![PARENT, PARENT], vec![PARENT, 8, PARENT], vec![PARENT, 8, 9, 8]] {
        let twice = *nodes.last().unwrap();
        let error = is_footprint(dropped(move |request| path(request, &nodes, 3)).await);
        assert_eq!(error, FootprintError::Repeated { node: id(twice) });
    }
}

/// Five hops, every one of them signed: the message itself is none, and ends the placement.
#[tokio::test(start_paused = true)]
async fn a_path_over_the_limit_is_refused() {
    let error = told(|request| {
        let nodes = [PARENT, 8, 9, 10, 11];
        let honest = offered(request, 3, Bounded::new(path(request, &nodes[..4], 3)).unwrap());
        let long = borsh::to_vec(&path(request, &nodes, 3)).unwrap();
        let place = borsh::to_vec(&honest.quote).unwrap().len();
        let mut body = borsh::to_vec(&FromParent::Offered(Box::new(honest.clone()))).unwrap();
        let short = borsh::to_vec(&honest.footprint).unwrap().len();
        body.splice(1 + place..1 + place + short, long);
        let length = u32::try_from(body.len()).unwrap();
        vec![[&length.to_le_bytes()[..], &body].concat(), done()]
    });
    let error = error.await.unwrap_err();
    assert!(
        matches!(&error, ControlError::Frame { source: FrameError::Malformed { .. } | FrameError::Length { .. }, .. }),
        "{error}"
    );
}

/// One holder's offer twice would be two batches of a segment on one disk, and a registration that the ledger refuses when
/// everything is uploaded.
#[tokio::test(start_paused = true)]
async fn the_same_holder_twice_counts_once() {
    let kept = told(|request| {
        let offer = |holder| offer_frame(request, holder, path(request, &[PARENT], holder));
        let other_way = offer_frame(request, 3, path(request, &[PARENT, 8], 3));
        vec![offer(3), offer(3), other_way, offer(4), done()]
    });
    let kept = kept.await.unwrap();
    let holders: Vec<_> = kept.offers.iter().map(|offer| offer.quote().terms.holder).collect();
    assert_eq!(holders, [id(3), id(4)]);
    let repeated = OfferError::Repeated { holder: id(3) };
    assert_eq!(kept.dropped, [repeated.clone(), repeated]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_never_ends_is_left() {
    let endless =
        told(|request| vec![offer_frame(request, 3, path(request, &[PARENT], 3)); 16 * PLACEMENT_HOLDERS_MAX + 1]);
    let error = endless.await.unwrap_err();
    assert!(matches!(error, ControlError::TooMany { found, limit } if found > limit), "{error}");
}
