//! Heavy nodes that lie to their neighbours: honest owners keep nothing of it, no holder is troubled, and the liar is left
//! alone for a while.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::town::{OWNER, Town};
use common::*;
use holdfast_ledger::statement::{Footprint, FootprintHop, QuoteTerms, hop_payload, path_digest};
use holdfast_network::control::Offers;
use holdfast_network::wire::{
    Direction, FromNeighbour, HEAVY_VERSION, Offered, PlacementDone, PlacementRequest, Refusal, RefusalCode,
    RefusalKind, Seek, SeekDone, Signed, Ticket, ToNeighbour, encode_frame, read_frame_within, write_frame,
};
use holdfast_network::{BiStream, CloseReason, Connection, Endpoint, Protocol};
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Height, Purpose, RequestId, TimeMs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const VILLAIN: u8 = 66;
const FRIEND: u8 = 67;
const HOLDER: u8 = 30;
const PATIENCE: Duration = Duration::from_secs(20);

/// A bonded heavy node that goes its own way.
struct Villain {
    connection: Arc<dyn Connection>,
    _endpoint: Arc<dyn Endpoint>,
    first: BiStream,
}

impl Villain {
    /// Connects to `node` as an honest neighbour does.
    async fn neighbour_of(town: &Town, node: u8) -> Self {
        let (endpoint, connection) = knock(town, VILLAIN, node).await;
        let mut first = connection.open_bi().await.unwrap();
        let hello = ToNeighbour::Hello { version: HEAVY_VERSION, chain: CHAIN };
        write_frame(&mut first.send, &hello, PATIENCE).await.unwrap();
        let welcome: FromNeighbour = read_frame_within(&mut first.recv, PATIENCE).await.unwrap();
        assert!(matches!(welcome, FromNeighbour::Hello { .. }), "{welcome:?}");
        while !town.nodes[&node].graph.neighbours().contains(&id(VILLAIN)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { connection, _endpoint: endpoint, first }
    }

    /// What the neighbour says to this.
    async fn asks(&self, question: &ToNeighbour) -> Vec<FromNeighbour> {
        self.sends(&encode_frame(question).unwrap()).await
    }

    async fn sends(&self, frame: &[u8]) -> Vec<FromNeighbour> {
        let mut stream = self.connection.open_bi().await.unwrap();
        stream.send.write_all(frame).await.unwrap();
        stream.send.shutdown().await.unwrap();
        let mut answers = Vec::new();
        while let Ok(answer) = read_frame_within(&mut stream.recv, PATIENCE).await {
            answers.push(answer);
        }
        answers
    }

    async fn is_refused(&self, seek: Seek) -> RefusalCode {
        match &self.asks(&ToNeighbour::Seek(Box::new(seek))).await[..] {
            [FromNeighbour::Refused(refusal)] => refusal.code,
            other => panic!("not a refusal: {other:?}"),
        }
    }

    /// Why the neighbour ended it.
    async fn closed(&self) -> Option<Refusal> {
        match tokio::time::timeout(PATIENCE, self.connection.closed()).await {
            Ok(CloseReason::Remote { code, reason }) => Refusal::of_close(code, &reason),
            _ => None,
        }
    }
}

async fn knock(town: &Town, who: u8, node: u8) -> (Arc<dyn Endpoint>, Arc<dyn Connection>) {
    let endpoint: Arc<dyn Endpoint> = Arc::new(town.network.endpoint(id(who)));
    let connection = endpoint.connect(&bare(node), Protocol::Heavy).await.unwrap();
    (endpoint, connection)
}

/// An honest node with a villain beside it.
fn beside_a_villain() -> Town {
    let town = Town::apart(&[1], &[]);
    town.ledger.heavy.lock().unwrap().extend([id(VILLAIN), id(FRIEND)]);
    town
}

fn hop(request: &PlacementRequest, index: u8, node: u8, between: (u8, u8), signer: u8) -> FootprintHop {
    let payload = hop_payload(&request.request, &request.owner, index, &id(between.0), &id(between.1));
    FootprintHop { node: id(node), signature: key(signer).sign(Purpose::FootprintHop, &CHAIN, &payload) }
}

/// The path over these nodes from the owner to `next`, every hop signed as it should be.
fn path(request: &PlacementRequest, nodes: &[u8], next: u8) -> Footprint {
    let around: Vec<u8> = [&[OWNER], nodes, &[next]].concat();
    let hops = around.windows(3).zip(0..);
    let hops = hops.map(|(three, index)| hop(request, index, three[1], (three[0], three[2]), three[1]));
    Bounded::new(hops.collect()).unwrap()
}

fn terms(request: &PlacementRequest, path: &Footprint) -> QuoteTerms {
    QuoteTerms {
        request: request.request,
        owner: request.owner,
        holder: id(HOLDER),
        batch_log2: request.batch_log2,
        batches_max: request.batches_per_holder,
        price: Amount::grains(10),
        rounds_max: request.rounds,
        path: path_digest(path.iter().map(|hop| &hop.node)),
        expires: Height::new(1_000),
    }
}

/// An offer by the villain's own holder along `path`, to which the holder agreed as `terms` say.
fn offered(request: &PlacementRequest, path: Footprint, terms: QuoteTerms) -> Offered {
    let last = path.last().unwrap().node;
    let ticket = Ticket {
        issuer: last,
        client: request.owner,
        holder: id(HOLDER),
        holder_addr: bare(HOLDER),
        request: request.request,
        direction: Direction::Write,
        bytes_max: 4 << 20,
        expires: TimeMs::new(START_MS + 600_000),
    };
    let issuer = (1..100).find(|seed| id(*seed) == last).unwrap();
    Offered {
        quote: terms.sign(&key(HOLDER), &CHAIN),
        footprint: path,
        ticket: Signed::new(ticket, &key(issuer), &CHAIN),
    }
}

fn honest(request: &PlacementRequest) -> Offered {
    let path = path(request, &[1, VILLAIN], HOLDER);
    let terms = terms(request, &path);
    offered(request, path, terms)
}

fn found(offered: Offered) -> FromNeighbour {
    FromNeighbour::Found(Box::new(offered))
}

fn sought() -> FromNeighbour {
    FromNeighbour::Sought(SeekDone::default())
}

/// What an owner at the honest node gets when the villain answers its seek so, and how the villain's connection ended.
async fn told(answers: impl FnOnce(&PlacementRequest) -> Vec<FromNeighbour>) -> (Offers, Option<Refusal>) {
    let town = beside_a_villain();
    let villain = Villain::neighbour_of(&town, 1).await;
    let owner = town.owner(1).await;
    let placed = async { owner.place(sign(placement(OWNER, 1, 1), OWNER)).await.unwrap().collect().await.unwrap() };
    let lies = async {
        let mut asked = villain.connection.accept_bi().await.unwrap();
        let ToNeighbour::Seek(seek) = read_frame_within(&mut asked.recv, PATIENCE).await.unwrap() else {
            panic!("a neighbour is asked for holders")
        };
        assert_eq!(seek.path[0].node, id(1));
        for answer in answers(&seek.request.statement) {
            // The neighbour may have heard enough.
            if write_frame(&mut asked.send, &answer, PATIENCE).await.is_err() {
                break;
            }
        }
        asked
    };
    let (offers, _open) = tokio::join!(placed, lies);
    (offers, villain.closed().await)
}

/// Nothing of these answers reaches the owner, and the villain is left.
async fn nothing_comes_of(answers: impl FnOnce(&PlacementRequest) -> Vec<FromNeighbour>) {
    let (offers, ended) = told(answers).await;
    assert!(offers.offers.is_empty() && offers.dropped.is_empty(), "the parent passed it on: {offers:?}");
    assert_eq!((offers.done.heavy_asked, offers.done.heavy_silent), (1, 1));
    assert_eq!(ended.expect("the villain is left").code, RefusalCode::Malformed);
}

#[tokio::test(start_paused = true)]
async fn the_same_node_when_honest_is_believed() {
    let (offers, ended) = told(|request| vec![found(honest(request)), sought()]).await;
    assert_eq!((offers.offers.len(), offers.done.heavy_silent), (1, 0));
    assert_eq!(ended, None, "and kept");
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_drops_itself_is_refused() {
    nothing_comes_of(|request| {
        let path = path(request, &[1], VILLAIN);
        let terms = terms(request, &path);
        vec![found(Offered { footprint: path, ..offered(request, self::path(request, &[1, VILLAIN], HOLDER), terms) })]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_inserts_a_friend_after_the_holder_spoke_is_refused() {
    nothing_comes_of(|request| {
        let spoken = terms(request, &path(request, &[1, VILLAIN], HOLDER));
        vec![found(offered(request, path(request, &[1, VILLAIN, FRIEND], HOLDER), spoken))]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_forges_another_is_refused_wherever_it_stands() {
    for forged in 0..3u8 {
        nothing_comes_of(|request| {
            let (nodes, around) = ([1, VILLAIN, FRIEND], [OWNER, 1, VILLAIN, FRIEND, HOLDER]);
            let mut hops = path(request, &nodes, HOLDER).into_inner();
            let place = usize::from(forged);
            hops[place] = hop(request, forged, nodes[place], (around[place], around[place + 2]), 99);
            let forged = Bounded::new(hops).unwrap();
            let terms = terms(request, &forged);
            vec![found(offered(request, forged, terms))]
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_replays_the_path_of_another_request_is_refused() {
    nothing_comes_of(|request| {
        let other = PlacementRequest { request: RequestId::new([9; 16]), ..request.clone() };
        let replayed = path(&other, &[1, VILLAIN], HOLDER);
        let terms = terms(request, &replayed);
        vec![found(offered(request, replayed, terms))]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_answers_with_another_owners_quote_is_refused() {
    nothing_comes_of(|request| {
        let path = path(request, &[1, VILLAIN], HOLDER);
        let terms = QuoteTerms { owner: id(9), ..terms(request, &path) };
        vec![found(offered(request, path, terms))]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ticket_of_somebody_off_the_path_is_refused() {
    nothing_comes_of(|request| {
        let honest = honest(request);
        let ticket = Ticket { issuer: id(FRIEND), ..honest.ticket.statement.clone() };
        vec![found(Offered { ticket: Signed::new(ticket, &key(FRIEND), &CHAIN), ..honest })]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_the_ledger_does_not_know_earns_nothing() {
    let (offers, _) = told(|request| {
        let path = path(request, &[1, VILLAIN, 68], HOLDER);
        let terms = terms(request, &path);
        vec![found(offered(request, path, terms)), sought()]
    })
    .await;
    assert!(offers.offers.is_empty() && offers.dropped.is_empty(), "{offers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_floods_is_left() {
    let (offers, ended) = told(|request| vec![found(honest(request)); 100]).await;
    assert_eq!(offers.offers.len(), 1, "one holder, however often");
    assert_eq!(ended.expect("the villain is left").code, RefusalCode::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_answers_what_was_not_asked_is_left() {
    nothing_comes_of(|_| vec![FromNeighbour::There(Bounded::empty())]).await;
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_never_ends_costs_its_share_of_the_time() {
    let started = tokio::time::Instant::now();
    let (offers, ended) = told(|request| vec![found(honest(request))]).await;
    assert_eq!((offers.offers.len(), offers.done.heavy_silent), (1, 1), "what it had said counts");
    assert_eq!(ended, None, "silence is no crime");
    assert!(started.elapsed() < Duration::from_secs(10) + PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn numbers_that_a_neighbour_makes_up_stay_small_and_possible() {
    let tag = |number: u8| format!("topic-{number}").parse().unwrap();
    let (offers, _) = told(|_| {
        let done = PlacementDone {
            offered: u32::MAX,
            asked: u32::MAX,
            refused: Bounded::new(vec![(RefusalKind::TooDear, u32::MAX); 14]).unwrap(),
            cheapest: Some(Amount::grains(1)),
            roomiest: Some(u32::MAX),
            longest_rounds: Some(u32::MAX),
            topics: Bounded::new((0..16).map(tag).collect()).unwrap(),
            heavy_asked: u32::MAX,
            heavy_silent: u32::MAX,
            ..PlacementDone::default()
        };
        vec![FromNeighbour::Sought(SeekDone { seen: false, done })]
    })
    .await;
    let done = offers.done;
    assert_eq!((done.offered, done.cheapest, done.roomiest, done.longest_rounds), (0, None, None, None));
    assert!(done.asked < 100_000 && done.heavy_asked < 1_000 && done.heavy_silent < 1_000, "{done:?}");
    assert!(done.refused.iter().all(|(_, count)| *count < 100_000), "{done:?}");
}

/// A seek as the villain may send it: from the owner over node 1, who passed it on to the villain.
fn seek(request: Signed<PlacementRequest>, path: Footprint) -> Seek {
    Seek { request, path, wanted: 4, within_ms: 5_000 }
}

/// Node 2 with a holder, beside the villain, and node 1 somewhere else.
async fn beyond_a_villain() -> (Town, Villain) {
    let town = Town::apart(&[1, 2], &[]);
    town.ledger.heavy.lock().unwrap().extend([id(VILLAIN), id(FRIEND), id(3), id(4)]);
    town.holder(2, HOLDER, 10, None).await;
    let villain = Villain::neighbour_of(&town, 2).await;
    (town, villain)
}

#[tokio::test(start_paused = true)]
async fn seeks_that_do_not_hold_are_refused_with_their_code_and_trouble_nobody() {
    let request = || placement(OWNER, 1, 1);
    let signed = || sign(request(), OWNER);
    let fine = || path(&request(), &[1, VILLAIN], 2);
    let changed = PlacementRequest { price_max: Amount::grains(9_999), ..request() };
    let near = PlacementRequest { hops_max: 2, ..request() };
    let expired = PlacementRequest { expires: TimeMs::new(START_MS), ..request() };
    let endless = PlacementRequest { expires: TimeMs::new(u64::MAX), ..request() };
    let mut swapped = path(&request(), &[1, FRIEND, VILLAIN], 2).into_inner();
    swapped.swap(0, 1);
    let cases = [
        ("changes the request", Signed { statement: changed, ..signed() }, fine(), RefusalCode::BadSignature),
        ("exceeds the owner's hops", sign(near.clone(), OWNER), path(&near, &[1, VILLAIN], 2), RefusalCode::BadPath),
        ("comes too late", sign(expired, OWNER), fine(), RefusalCode::Expired),
        ("would be remembered for ever", sign(endless, OWNER), fine(), RefusalCode::Expired),
        ("has no path", signed(), Bounded::empty(), RefusalCode::BadPath),
        ("drops the first hop", signed(), path(&request(), &[VILLAIN], 2), RefusalCode::BadPath),
        ("drops itself", signed(), path(&request(), &[1], 2), RefusalCode::BadPath),
        ("comes through me", signed(), path(&request(), &[1, 2, VILLAIN], 2), RefusalCode::BadPath),
        ("repeats a hop", signed(), path(&request(), &[1, VILLAIN, VILLAIN], 2), RefusalCode::BadPath),
        ("swaps hops", signed(), Bounded::new(swapped).unwrap(), RefusalCode::BadPath),
        ("was meant for another", signed(), path(&request(), &[1, VILLAIN], 3), RefusalCode::BadPath),
        ("is of five hops", signed(), path(&request(), &[1, 3, 4, VILLAIN], 2), RefusalCode::BadPath),
        ("names a stranger", signed(), path(&request(), &[1, 69, VILLAIN], 2), RefusalCode::NotWelcome),
    ];
    for (what, request, path, code) in cases {
        // Each its own town: who does it again and again is left.
        let (town, villain) = beyond_a_villain().await;
        assert_eq!(villain.is_refused(seek(request, path)).await, code, "a seek that {what}");
        assert!(town.asked().is_empty());
    }
    let (town, villain) = beyond_a_villain().await;
    let answers = villain.asks(&ToNeighbour::Seek(Box::new(seek(signed(), fine())))).await;
    assert!(matches!(&answers[..], [FromNeighbour::Found(_), FromNeighbour::Sought(_)]), "{answers:?}");
    assert_eq!(town.asked().len(), 1, "the honest one is answered");
}

#[tokio::test(start_paused = true)]
async fn who_sends_what_does_not_hold_again_and_again_is_left_and_not_let_in_again_at_once() {
    let (town, villain) = beyond_a_villain().await;
    let request = placement(OWNER, 1, 1);
    for _ in 0..8 {
        villain.asks(&ToNeighbour::Seek(Box::new(seek(sign(request.clone(), OWNER), Bounded::empty())))).await;
    }
    assert_eq!(villain.closed().await.expect("it is left").code, RefusalCode::BadPath);
    let (_endpoint, again) = knock(&town, VILLAIN, 2).await;
    let reason = again.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::NotWelcome.number()), "{reason}");
    tokio::time::sleep(Duration::from_secs(61)).await;
    Villain::neighbour_of(&town, 2).await;
}

/// Five hops, every one of them signed: the message itself is none.
#[tokio::test(start_paused = true)]
async fn a_path_of_five_is_no_message() {
    let (_town, villain) = beyond_a_villain().await;
    let request = placement(OWNER, 1, 1);
    let honest = ToNeighbour::Seek(Box::new(seek(sign(request.clone(), OWNER), path(&request, &[1, VILLAIN], 2))));
    let short = borsh::to_vec(&path(&request, &[1, VILLAIN], 2)).unwrap();
    let hops: Vec<FootprintHop> = (0..5).map(|index| hop(&request, index, VILLAIN, (1, 2), VILLAIN)).collect();
    let mut body = borsh::to_vec(&honest).unwrap();
    let place = body.windows(short.len()).position(|window| window == short).unwrap();
    body.splice(place..place + short.len(), borsh::to_vec(&hops).unwrap());
    let frame = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
    assert!(villain.sends(&frame).await.is_empty());
    assert_eq!(villain.closed().await.expect("it is left").code, RefusalCode::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_seek_that_goes_round_and_round_troubles_the_holder_once() {
    let (town, villain) = beyond_a_villain().await;
    let request = placement(OWNER, 1, 1);
    for round in 0..20 {
        let nodes: &[u8] = if round % 2 == 0 { &[1, VILLAIN] } else { &[1, FRIEND, VILLAIN] };
        let again = seek(sign(request.clone(), OWNER), path(&request, nodes, 2));
        let answers = villain.asks(&ToNeighbour::Seek(Box::new(again))).await;
        let Some(FromNeighbour::Sought(done)) = answers.last() else { panic!("{answers:?}") };
        assert_eq!(done.seen, round > 0);
    }
    assert_eq!(town.asked().into_values().collect::<Vec<_>>(), [1]);
}

#[tokio::test(start_paused = true)]
async fn strangers_and_nodes_of_another_chain_are_turned_away() {
    let town = beside_a_villain();
    let (_endpoint, stranger) = knock(&town, 77, 1).await;
    let reason = stranger.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::NotWelcome.number()), "{reason}");
    let (_endpoint, foreign) = knock(&town, VILLAIN, 1).await;
    let mut stream = foreign.open_bi().await.unwrap();
    let hello = ToNeighbour::Hello { version: HEAVY_VERSION, chain: ChainId::new([8; 32]) };
    write_frame(&mut stream.send, &hello, PATIENCE).await.unwrap();
    let reason = foreign.closed().await;
    assert!(matches!(reason, CloseReason::Remote { code, .. } if code == RefusalCode::WrongChain.number()), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_says_garbage_is_left_and_the_others_go_on() {
    let (town, villain) = beyond_a_villain().await;
    villain.sends(&[5, 0, 0, 0, 99, 1, 2, 3, 4]).await;
    assert_eq!(villain.closed().await.expect("it is left").code, RefusalCode::Malformed);
    let owner = town.owner(2).await;
    let offers = owner.place(sign(placement(OWNER, 2, 1), OWNER)).await.unwrap().collect().await.unwrap();
    assert_eq!(offers.offers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_says_something_else_after_its_hello_is_left() {
    let (_town, mut villain) = beyond_a_villain().await;
    let hello = ToNeighbour::Hello { version: HEAVY_VERSION, chain: CHAIN };
    write_frame(&mut villain.first.send, &hello, PATIENCE).await.unwrap();
    assert_eq!(villain.closed().await.expect("it is left").code, RefusalCode::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_pest_among_neighbours_is_told_so() {
    let (town, villain) = beyond_a_villain().await;
    let request = placement(OWNER, 1, 1);
    let again = ToNeighbour::Seek(Box::new(seek(sign(request.clone(), OWNER), path(&request, &[1, VILLAIN], 2))));
    let mut refused = 0;
    for _ in 0..4_000 {
        match villain.asks(&again).await.last() {
            Some(FromNeighbour::Sought(_)) => {}
            Some(FromNeighbour::Refused(refusal)) if refusal.code == RefusalCode::Busy => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0, "no more than twice the quota of a minute passes");
    assert_eq!(town.asked().into_values().collect::<Vec<_>>(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_introduces_to_whom_it_does_not_know_is_left() {
    let ticket = |issuer: u8, holder: Address, signer: u8| {
        let ticket = Ticket {
            issuer: id(issuer),
            client: id(OWNER),
            holder,
            holder_addr: bare(HOLDER),
            request: RequestId::ZERO,
            direction: Direction::Read,
            bytes_max: 1,
            expires: TimeMs::new(START_MS + 600_000),
        };
        Signed::new(ticket, &key(signer), &CHAIN)
    };
    for (lie, is_villainy) in [
        (ticket(1, id(HOLDER), VILLAIN), true),
        (ticket(VILLAIN, id(31), VILLAIN), true),
        (ticket(99, id(HOLDER), 99), false),
    ] {
        let town = beside_a_villain();
        let villain = Villain::neighbour_of(&town, 1).await;
        let reader = town.owner(1).await;
        let asked = async { reader.locate(&[id(HOLDER)]).await.unwrap() };
        let lies = async {
            let mut asked = villain.connection.accept_bi().await.unwrap();
            let _question: ToNeighbour = read_frame_within(&mut asked.recv, PATIENCE).await.unwrap();
            let there = FromNeighbour::There(Bounded::new(vec![lie]).unwrap());
            write_frame(&mut asked.send, &there, PATIENCE).await.unwrap();
            asked
        };
        let (located, _open) = tokio::join!(asked, lies);
        assert_eq!(located[0].ticket, None);
        assert_eq!(villain.closed().await.is_some(), is_villainy);
    }
}
