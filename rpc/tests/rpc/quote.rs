//! Prices, against an oracle that tries every choice of holders.

use crate::common::records;
use holdfast_ledger::statement::{FootprintHop, QuoteTerms, Receipt, path_digest};
use holdfast_ledger::{NewBatch, NewSegment, Params, Placement, Profile, Register, Tx, TxBody};
use holdfast_primitives::{Amount, Bounded, Height, HolderNo, NetworkPrefix, RequestId, SecretKey, Signature};
use holdfast_rpc::AddressText;
use holdfast_rpc::error::Failure;
use holdfast_rpc::market::{Offer, QuoteAsk, QuoteView, QuoteWishes, estimate};
use proptest::prelude::*;

fn params() -> Params {
    records::genesis().params
}

fn offers(prices_and_room: &[(u64, u64)]) -> Vec<Offer> {
    let offer = |(number, (price, room)): (u32, &(u64, u64))| Offer {
        holder: HolderNo::new(number),
        address: AddressText::new(records::holder(number).address(), NetworkPrefix::Devnet),
        price: Amount::grains(*price),
        free_bytes: *room,
        profile: Profile::default(),
    };
    (0..).zip(prices_and_room).map(offer).collect()
}

/// The lowest sum of prices per MiB of any `needed` holders with room for `bytes`.
fn cheapest(offers: &[Offer], needed: u32, bytes: u64) -> Option<u64> {
    let with_room: Vec<_> = offers.iter().filter(|offer| offer.free_bytes >= bytes).collect();
    let choices = (0u32..1 << with_room.len()).filter(|choice| choice.count_ones() == needed);
    let sum = |choice: u32| {
        let chosen = with_room.iter().enumerate().filter(move |(place, _)| choice >> place & 1 == 1);
        chosen.map(|(_, offer)| offer.price.get()).sum::<u64>()
    };
    choices.map(sum).min()
}

proptest! {
    #[test]
    fn a_quote_takes_the_cheapest_holders_with_room_and_adds_up(
        market in proptest::collection::vec((1u64..1_000_000, 0u64..(64 << 20)), 0..9),
        bytes in 0u64..(64 << 20),
        rounds in 1u32..=1_000,
        data in 1u8..4,
        parity in 0u8..4,
        class in prop_oneof![Just(20u8), Just(24)],
    ) {
        let ask = QuoteAsk { bytes, rounds, batch_log2: Some(class), data: Some(data), parity: Some(parity), wishes: QuoteWishes::default() };
        let mut segments = 1;
        while segments * (u64::from(data) << class) < bytes {
            segments += 1;
        }
        let needed = u32::from(data + parity);
        let expected = cheapest(&offers(&market), needed, segments << class);
        match (estimate(&ask, &params(), offers(&market)), expected) {
            (Ok(quote), Some(per_mib)) => {
                let per_round = per_mib * (1 << (class - 20)) * segments;
                prop_assert_eq!((quote.segments, quote.batches), (segments, segments * u64::from(needed)));
                prop_assert_eq!(quote.per_round.get(), per_round);
                prop_assert_eq!(quote.storage.get(), per_round * u64::from(rounds));
                prop_assert_eq!(quote.total.get(), quote.storage.get() + quote.tx_fee.get());
                prop_assert_eq!(quote.relay_fee.get(), quote.storage.get() * 150 / 10_000);
                prop_assert_eq!(quote.stored_bytes, quote.batches << class);
            }
            (Err(Failure::HoldersTooFew { needed: said, .. }), None) => prop_assert_eq!(said as u32, needed),
            (found, expected) => prop_assert!(false, "{:?}, expected {:?}", found, expected),
        }
    }

    #[test]
    fn nothing_that_is_asked_makes_a_price_panic(
        bytes in any::<u64>(), rounds in any::<u32>(), class in any::<Option<u8>>(), data in any::<Option<u8>>(),
        parity in any::<Option<u8>>(), price in any::<u64>(),
    ) {
        let ask = QuoteAsk { bytes, rounds, batch_log2: class, data, parity, wishes: QuoteWishes::default() };
        let _ = estimate(&ask, &params(), offers(&[(price, u64::MAX); 8]));
    }

    #[test]
    fn the_chosen_batch_wastes_little_unless_it_is_the_smallest(bytes in 1u64..(1 << 34)) {
        let ask = QuoteAsk { bytes, rounds: 1, batch_log2: None, data: Some(2), parity: Some(0), wishes: QuoteWishes::default() };
        let quote: QuoteView = estimate(&ask, &params(), offers(&[(1, u64::MAX); 2])).unwrap();
        let padding = ((quote.segments * 2) << quote.batch_log2) - bytes;
        prop_assert!(quote.batch_log2 == 20 || padding <= bytes / 16);
        let larger = 2u64 << 24;
        prop_assert!(quote.batch_log2 == 24 || bytes.div_ceil(larger) * larger - bytes > bytes / 16);
    }
}

#[test]
fn the_fee_in_a_quote_covers_the_registration_to_the_byte() {
    let (data, parity, segments) = (2u8, 2u8, 7u64);
    let ask = QuoteAsk {
        bytes: (segments * 2) << 20,
        rounds: 1,
        batch_log2: Some(20),
        data: Some(data),
        parity: Some(parity),
        wishes: QuoteWishes::default(),
    };
    let quote = estimate(&ask, &params(), offers(&[(1, u64::MAX); 4])).unwrap();
    let signed = registration(data, parity, segments).sign(&records::owner(), &records::genesis().chain_id());
    assert_eq!(quote.tx_fee.get(), signed.to_bytes().len() as u64 * params().fee_per_byte.get());
}

#[test]
fn a_price_per_gib_and_30_days_is_what_it_says() {
    // One GiB for 30 days in rounds of a minute, on one holder at 3 grains per MiB and round.
    let rounds = 30 * 24 * 60;
    let ask = QuoteAsk {
        bytes: 1 << 30,
        rounds,
        batch_log2: None,
        data: Some(1),
        parity: Some(0),
        wishes: QuoteWishes::default(),
    };
    let params = Params { contract_rounds_max: rounds, ..params() };
    let quote = estimate(&ask, &params, offers(&[(3, u64::MAX)])).unwrap();
    assert_eq!(quote.per_gib_30_days.get(), 3 * 1_024 * u64::from(rounds));
    assert_eq!(quote.per_gib_30_days, quote.storage);
}

/// The largest registration of this shape: full footprints and a full catalog head.
fn registration(data: u8, parity: u8, segments: u64) -> Tx {
    let batches = (0..u16::from(data + parity)).map(|placement| NewBatch { root: [1; 32], placement }).collect();
    let segment = NewSegment { batch_log2: 20, data, parity, codec: 1, batches: Bounded::new(batches).unwrap() };
    let placements = (0..u32::from(data + parity)).map(placement).collect();
    let register = Register {
        first_ordinal: 0,
        segments: Bounded::new(vec![segment; segments as usize]).unwrap(),
        placements: Bounded::new(placements).unwrap(),
        catalog_head: Some(Bounded::new(vec![0; 1_024]).unwrap()),
    };
    let body = TxBody::Register(register);
    Tx { sender: records::owner().address(), sequence: 3, fee: Amount::ZERO, expires: Height::new(9), body }
}

fn placement(number: u32) -> Placement {
    let key: SecretKey = records::holder(number);
    let chain = records::genesis().chain_id();
    let terms = QuoteTerms {
        request: RequestId::new([7; 16]),
        owner: records::owner().address(),
        holder: key.address(),
        batch_log2: 20,
        batches_max: 7,
        price: Amount::grains(1),
        rounds_max: 1,
        path: path_digest([&records::validator().address()]),
        expires: Height::new(9),
    };
    let hop = FootprintHop { node: records::validator().address(), signature: Signature::new([0; 64]) };
    Placement {
        quote: terms.sign(&key, &chain),
        rounds: 1,
        footprint: Bounded::new(vec![hop; 4]).unwrap(),
        receipt: Receipt { expires: Height::new(9), signature: Signature::new([0; 64]) },
    }
}

#[test]
fn a_quote_counts_only_holders_that_are_what_the_owner_wishes_for() {
    let tag = |text: &str| text.parse().unwrap();
    let mut market = offers(&[(1, u64::MAX), (2, u64::MAX), (3, u64::MAX), (4, u64::MAX), (5, u64::MAX)]);
    for (offer, (region, operator, topic)) in market.iter_mut().zip([
        ("eu", "ann", None),
        ("eu", "ann", None),
        ("us", "bob", None),
        ("eu", "cy", Some("maps")),
        ("eu", "di", None),
    ]) {
        let topics = topic.map(tag).into_iter().collect();
        let topics = Bounded::new(topics).unwrap();
        offer.profile =
            Profile { region: Some(tag(region)), operator: Some(tag(operator)), topics, ..Profile::default() };
    }
    let quoted = |wishes: QuoteWishes, holders: u8| {
        let ask = QuoteAsk { bytes: 1, rounds: 1, batch_log2: Some(20), data: Some(holders), parity: Some(0), wishes };
        estimate(&ask, &params(), market.clone())
            .map(|quote| quote.holders.iter().map(|holder| holder.holder.get()).collect::<Vec<_>>())
    };
    let wishes = QuoteWishes::default;
    assert_eq!(quoted(wishes(), 4).unwrap(), [0, 1, 2, 4], "data without a topic");
    assert_eq!(quoted(QuoteWishes { topics: vec![tag("maps")], ..wishes() }, 1).unwrap(), [3]);
    assert_eq!(quoted(QuoteWishes { regions: vec![tag("us")], ..wishes() }, 1).unwrap(), [2]);
    assert_eq!(quoted(QuoteWishes { distinct_operators: true, ..wishes() }, 3).unwrap(), [0, 2, 4]);
    let named = vec![market[1].address, market[4].address];
    assert_eq!(quoted(QuoteWishes { only: named.clone(), ..wishes() }, 2).unwrap(), [1, 4]);
    assert_eq!(quoted(QuoteWishes { exclude: named, ..wishes() }, 2).unwrap(), [0, 2]);
    let too_few = quoted(QuoteWishes { topics: vec![tag("maps")], ..wishes() }, 2);
    assert!(matches!(too_few, Err(Failure::HoldersTooFew { found: 1, needed: 2 })), "{too_few:?}");
}
