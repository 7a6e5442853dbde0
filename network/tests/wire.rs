//! Messages: every decoder is total, every cap is wide enough for the largest honest message, texts come back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use borsh::BorshDeserialize;
use common::*;
use holdfast_ledger::statement::{FootprintHop, Receipt, path_digest};
use holdfast_network::NodeAddr;
use holdfast_network::address::{DIRECT_ADDRS_MAX, NodeAddrError, RELAY_URL_BYTES_MAX};
use holdfast_network::wire::*;
use holdfast_por::BatchMeta;
use holdfast_primitives::{Address, Amount, Bounded, GrantId, Height, RequestId, Signature, Tag, TimeMs, decode_exact};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Invariants: (1) decoding never panics; (2) whatever decodes encodes to the same bytes.
fn total<T: BorshDeserialize + borsh::BorshSerialize>(bytes: &[u8]) {
    if let Ok(value) = decode_exact::<T>(bytes, bytes.len()) {
        assert_eq!(borsh::to_vec(&value).unwrap(), bytes);
    }
}

#[test]
fn any_bytes_give_an_answer_from_every_decoder() {
    bolero::check!().with_iterations(20_000).with_max_len(600).for_each(|bytes: &[u8]| {
        total::<ToParent>(bytes);
        total::<FromParent>(bytes);
        total::<ToHolder>(bytes);
        total::<FromHolder>(bytes);
        total::<FromPeer>(bytes);
        total::<ToNeighbour>(bytes);
        total::<FromNeighbour>(bytes);
        let _ = decode_frame::<ToNeighbour>(bytes);
        let _ = decode_frame::<FromNeighbour>(bytes);
        let _ = decode_frame::<FromPeer>(bytes);
        total::<ToSource>(bytes);
        total::<FromSource>(bytes);
        let _ = decode_frame::<FromSource>(bytes);
        total::<TransferRequest>(bytes);
        total::<TransferReply>(bytes);
        total::<NodeAddr>(bytes);
        total::<GroupSet>(bytes);
        total::<Signed<Ticket>>(bytes);
        total::<Signed<Capability>>(bytes);
        total::<Signed<PlacementRequest>>(bytes);
        total::<Refusal>(bytes);
        let _ = decode_frame::<ToParent>(bytes);
        let _ = decode_frame::<TransferRequest>(bytes);
        let _ = std::str::from_utf8(bytes).map(str::parse::<NodeAddr>);
    });
}

#[test]
fn a_length_that_lies_reserves_nothing() {
    // A locate request (kind 4) that announces four billion holders.
    let mut bytes = vec![4];
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(decode_frame::<ToParent>(&bytes), Err(FrameError::Malformed { .. })));
}

fn largest_addr() -> NodeAddr {
    let socket = SocketAddr::from(([0xff; 16], u16::MAX));
    NodeAddr::new(id(1), vec![socket; DIRECT_ADDRS_MAX], Some(&"x".repeat(RELAY_URL_BYTES_MAX))).unwrap()
}

fn largest_ticket() -> Signed<Ticket> {
    let ticket = Ticket {
        issuer: id(1),
        client: id(2),
        holder: id(3),
        holder_addr: largest_addr(),
        request: RequestId::new([1; 16]),
        direction: Direction::Read,
        bytes_max: u64::MAX,
        expires: TimeMs::new(u64::MAX),
    };
    Signed::new(ticket, &key(1), &CHAIN)
}

fn full<T: Clone, const MAX: usize>(item: T) -> Bounded<T, MAX> {
    Bounded::new(vec![item; MAX]).unwrap()
}

fn largest_request() -> Signed<PlacementRequest> {
    let request = PlacementRequest {
        exclude: full(id(9)),
        only: full(id(9)),
        topics: full(tag()),
        regions: full(tag()),
        ..placement(2, 1, 1)
    };
    sign(request, 2)
}

fn tag() -> Tag {
    "x".repeat(Tag::BYTES_MAX).parse().unwrap()
}

fn largest_refusal() -> Refusal {
    Refusal::new(RefusalCode::Busy, "x".repeat(1_000))
}

fn hop() -> FootprintHop {
    FootprintHop { node: id(1), signature: Signature::new([1; 64]) }
}

fn quote() -> holdfast_ledger::statement::Quote {
    let wanted = placement(2, 1, 1);
    holdfast_ledger::statement::QuoteTerms {
        request: wanted.request,
        owner: wanted.owner,
        holder: id(3),
        batch_log2: 20,
        batches_max: 1,
        price: Amount::grains(1),
        rounds_max: 1,
        path: path_digest([&id(1)]),
        expires: Height::new(1),
    }
    .sign(&key(3), &CHAIN)
}

fn largest_offered() -> Offered {
    Offered { quote: quote(), footprint: full(hop()), ticket: largest_ticket() }
}

fn largest_done() -> PlacementDone {
    PlacementDone {
        refused: Bounded::new(RefusalKind::ALL.map(|kind| (kind, u32::MAX)).to_vec()).unwrap(),
        cheapest: Some(Amount::grains(1)),
        roomiest: Some(1),
        longest_rounds: Some(1),
        topics: full(tag()),
        regions: full(tag()),
        ..PlacementDone::default()
    }
}

fn meta() -> BatchMeta {
    BatchMeta { scheme: 1, batch_log2: 28, leaf_log2: 10, inner_code: 0, root: [9; 32] }
}

/// Each message fits its cap and goes there and back; together they are all kinds.
fn fits<M: Message + PartialEq + std::fmt::Debug>(messages: Vec<M>) {
    assert_eq!(messages.len(), M::CAPS.len(), "one message of each kind of {}", M::NAME);
    for (kind, message) in messages.into_iter().enumerate() {
        let frame = encode_frame(&message).unwrap();
        assert_eq!(frame[4] as usize, kind);
        assert_eq!(decode_frame::<M>(&frame[4..]).unwrap(), message);
    }
}

#[test]
fn the_largest_message_of_every_kind_fits_its_cap() {
    let hello = ChildHello { version: CONTROL_VERSION, chain: CHAIN, role: Role::Holder, addr: largest_addr() };
    let offer = HolderOffer { classes: full(28), ..offer(1) };
    fits(vec![
        ToParent::Hello(hello),
        ToParent::Offer(offer),
        ToParent::Moved(largest_addr()),
        ToParent::Place(largest_request()),
        ToParent::Locate(full(id(3))),
        ToParent::Ping(u32::MAX),
    ]);
    let relay_url = Some(Text::new(&"x".repeat(RELAY_URL_BYTES_MAX)).unwrap());
    let located = LocatedHolder { holder: id(3), ticket: Some(largest_ticket()) };
    fits(vec![
        FromParent::Welcome(Welcome {
            height: Height::new(1),
            you: id(2),
            observed: Some(([255; 16], 1).into()),
            relay_url,
        }),
        FromParent::Refused(largest_refusal()),
        FromParent::Offered(Box::new(largest_offered())),
        FromParent::Done(largest_done()),
        FromParent::Located(Located { holders: full(located) }),
        FromParent::Pong(u32::MAX),
    ]);
    fits(vec![ToHolder::Quote(QuoteRequest { placement: largest_request(), footprint: full(hop()) })]);
    let refusal = QuoteRefusal::OtherTopic { topics: full(tag()) };
    fits(vec![FromHolder::Quoted(quote()), FromHolder::Declined(refusal)]);
}

#[test]
fn the_largest_message_of_every_kind_among_heavy_nodes_fits_its_cap() {
    let (path, request) = (full(hop()), largest_request());
    let seek = Seek { request, path, wanted: u32::MAX, within_ms: u32::MAX };
    let (ask, reader) = (RequestId::ZERO, id(2));
    fits(vec![
        ToNeighbour::Hello { version: HEAVY_VERSION, chain: CHAIN },
        ToNeighbour::Seek(Box::new(seek)),
        ToNeighbour::Whereis(Whereis { ask, reader, holders: full(id(3)), hops_left: 3, within_ms: u32::MAX }),
        ToNeighbour::Online(full((id(3), 3))),
    ]);
    fits(vec![
        FromNeighbour::Hello { version: HEAVY_VERSION, chain: CHAIN },
        FromNeighbour::Refused(largest_refusal()),
        FromNeighbour::Found(Box::new(largest_offered())),
        FromNeighbour::Sought(SeekDone { seen: true, done: largest_done() }),
        FromNeighbour::There(full(largest_ticket())),
        FromNeighbour::Online(full((id(3), 3))),
    ]);
}

#[test]
fn the_largest_message_of_every_kind_of_a_transfer_fits_its_cap() {
    let capability = Capability {
        grant: GrantId::ZERO,
        owner: id(1),
        reader: id(2),
        holder: Some(id(3)),
        scope: Scope::Batches(full([7; 32])),
        expires: TimeMs::new(1),
    };
    let access = Access::Read { capability: Signed::new(capability, &key(1), &CHAIN), ticket: Some(largest_ticket()) };
    fits(vec![
        TransferRequest::Hello(Box::new(TransferHello { version: TRANSFER_VERSION, chain: CHAIN, access })),
        TransferRequest::Begin(meta()),
        TransferRequest::Put { root: [1; 32], first_leaf: 0, count: 64 },
        TransferRequest::Finish { root: [1; 32] },
        TransferRequest::Receipt(ReceiptRequest {
            request: RequestId::ZERO,
            metas: full(meta()),
            expires: Height::new(1),
        }),
        TransferRequest::Get { meta: meta(), first_leaf: 0, count: 64 },
    ]);
    fits(vec![
        TransferReply::Welcome { put_leaves_max: 1, streams_max: 1 },
        TransferReply::Refused(largest_refusal()),
        TransferReply::Have(GroupSet::full(GROUPS_MAX)),
        TransferReply::Stored { first_leaf: 0, count: 1 },
        TransferReply::Finished,
        TransferReply::Receipt(Receipt { expires: Height::new(1), signature: Signature::new([1; 64]) }),
        TransferReply::Piece { first_leaf: 0, count: 1 },
        TransferReply::End,
    ]);
}

#[test]
fn the_largest_message_of_every_kind_of_a_join_fits_its_cap() {
    let height = Height::new(u64::MAX);
    fits(vec![
        ToSource::Hello { version: JOIN_VERSION, chain: CHAIN },
        ToSource::Offer,
        ToSource::Steps { after: height },
        ToSource::At { height },
        ToSource::Manifest { height },
        ToSource::Chunk { height, ask: full(1) },
    ]);
    let offer = SourceOffer {
        tip: height,
        blocks_from: height,
        follow_from: height,
        snapshots: full(height),
        peers: full(largest_addr()),
        consensus: full(Text::new(&"x".repeat(MULTIADDR_BYTES_MAX)).unwrap()),
    };
    fits(vec![
        FromSource::Hello { version: JOIN_VERSION, chain: CHAIN },
        FromSource::Offer(offer),
        FromSource::Data(full(7)),
        FromSource::Refused(largest_refusal()),
    ]);
}

#[test]
fn refusal_codes_and_numbers_go_there_and_back() {
    let codes: Vec<RefusalCode> = (0..=u32::from(u8::MAX) + 1).filter_map(RefusalCode::from_number).collect();
    assert_eq!(codes.len(), 29);
    for code in codes {
        assert_eq!(RefusalCode::from_number(code.number()), Some(code));
    }
}

#[test]
fn texts_that_are_no_address_say_what_is_wrong() {
    let node = id(1).to_string();
    let parse = |text: String| text.parse::<NodeAddr>().unwrap_err();
    assert!(matches!(parse("127.0.0.1:1".into()), NodeAddrError::NoIdentity { .. }));
    assert!(matches!(parse("abc@127.0.0.1:1".into()), NodeAddrError::BadIdentity { .. }));
    assert!(matches!(parse(format!("{node}@127.0.0.1")), NodeAddrError::BadPart { .. }));
    assert!(matches!(parse(format!("{node}@relay=http://a/,relay=http://b/")), NodeAddrError::BadRelay { .. }));
    assert!(matches!(parse(format!("{node}@{}", "1.2.3.4:5,".repeat(17))), NodeAddrError::TooMany { found: 17 }));
    assert!(matches!(NodeAddr::new(id(1), vec![], Some("http://a b/")), Err(NodeAddrError::BadRelay { .. })));
}

#[tokio::test]
async fn frames_are_read_one_after_another_and_a_cut_one_is_an_error() {
    let (one, two) = (TransferReply::Finished, TransferReply::Stored { first_leaf: 1, count: 2 });
    let mut bytes = encode_frame(&one).unwrap();
    bytes.extend(encode_frame(&two).unwrap());
    let mut stream = &bytes[..];
    assert_eq!(read_frame(&mut stream).await.unwrap(), Some(one));
    assert_eq!(read_frame(&mut stream).await.unwrap(), Some(two));
    assert_eq!(read_frame::<TransferReply>(&mut stream).await.unwrap(), None);
    let mut cut = &bytes[..bytes.len() - 1];
    read_frame::<TransferReply>(&mut cut).await.unwrap();
    assert!(matches!(read_frame::<TransferReply>(&mut cut).await, Err(FrameError::Stream { .. })));
}

#[tokio::test]
async fn a_frame_over_its_cap_is_refused_before_it_is_read() {
    for (length, kind) in [(0u32, 0u8), (65, 1), (u32::MAX, 4), (5, 6), (5, 255)] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.push(kind);
        let refused = read_frame::<TransferRequest>(&mut &bytes[..]).await.unwrap_err();
        assert!(refused.is_garbage(), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn addresses_come_back_from_text_and_bytes(
        seed: u8,
        v4 in proptest::collection::vec(any::<([u8; 4], u16)>(), 0..8),
        v6 in proptest::collection::vec(any::<([u8; 16], u16)>(), 0..8),
        relay in proptest::option::of("https?://[a-z0-9.:/-]{1,40}"),
    ) {
        let direct = v4.into_iter().map(SocketAddr::from).chain(v6.into_iter().map(SocketAddr::from)).collect();
        let addr = NodeAddr::new(id(seed), direct, relay.as_deref()).unwrap();
        prop_assert_eq!(addr.to_string().parse::<NodeAddr>().unwrap(), addr.clone());
        prop_assert_eq!(borsh::from_slice::<NodeAddr>(&borsh::to_vec(&addr).unwrap()).unwrap(), addr);
    }

    /// The oracle is a plain set of numbers.
    #[test]
    fn a_group_set_is_a_set(
        groups in 1u32..200,
        changes in proptest::collection::vec((any::<bool>(), 0u32..220, 0u32..40), 0..20),
        longest in 1u32..20,
    ) {
        let (mut set, mut oracle) = (GroupSet::empty(groups), BTreeSet::new());
        for (insert, from, length) in changes {
            if insert {
                set.insert(from..from + length);
                oracle.extend((from..from + length).filter(|group| *group < groups));
            } else {
                set.remove(from..from + length);
                oracle.retain(|group| !(from..from + length).contains(group));
            }
        }
        prop_assert_eq!(set.count() as usize, oracle.len());
        prop_assert!((0..220).all(|group| set.contains(group) == oracle.contains(&group)));
        let missing: Vec<u32> = set.missing(longest).into_iter().flatten().collect();
        let expected: Vec<u32> = (0..groups).filter(|group| !oracle.contains(group)).collect();
        prop_assert_eq!(missing, expected);
        for range in set.missing(longest) {
            prop_assert!(range.end - range.start <= longest && range.start / longest == (range.end - 1) / longest);
        }
        prop_assert_eq!(borsh::from_slice::<GroupSet>(&borsh::to_vec(&set).unwrap()).unwrap(), set);
    }

    #[test]
    fn a_statement_counts_for_its_signer_chain_and_words_only(price: u64, other in 1u64..u64::MAX) {
        let request = PlacementRequest { price_max: Amount::grains(price), ..placement(2, 1, 1) };
        let signed = sign(request.clone(), 2);
        prop_assert!(signed.verify(&CHAIN).is_ok());
        prop_assert!(signed.verify(&holdfast_primitives::ChainId::new([1; 32])).is_err());
        let changed = PlacementRequest { price_max: Amount::grains(price.wrapping_add(other)), ..request.clone() };
        let changed = Signed { statement: changed, ..signed.clone() };
        prop_assert!(changed.verify(&CHAIN).is_err());
        let stolen = PlacementRequest { owner: Address::new([3; 32]), ..request };
        let stolen = Signed { statement: stolen, ..signed };
        prop_assert!(stolen.verify(&CHAIN).is_err());
    }
}
