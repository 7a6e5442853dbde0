//! The address book and the placement machine, without a network.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::*;
use holdfast_ledger::Profile;
use holdfast_ledger::statement::{Footprint, FootprintHop, Quote, QuoteTerms, hop_payload, path_digest};
use holdfast_network::control::{CheckedOffer, CheckedQuoteRequest, OfferError, QuoteRequestError};
use holdfast_network::footprint::{FootprintError, check_footprint, first_hop};
use holdfast_network::heavy::{Seen, SeenFull, Sight};
use holdfast_network::lookup::{Directory, DirectoryFull, HolderStanding, Subtree};
use holdfast_network::placement::{Input, Output, Placement, PlacementLimits, QuoteError, Reach, Scope, check_quote};
use holdfast_network::wire::{
    Direction, HolderOffer, Offered, PlacementDone, PlacementRequest, QuoteRefusal, QuoteRequest, RefusalKind, Role,
    Signed, Ticket,
};
use holdfast_primitives::{Address, Amount, Bounded, Height, Purpose, RequestId, Tag, TimeMs};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: TimeMs = TimeMs::new(START_MS);

fn quote(request: &PlacementRequest, holder: u8, price: u64) -> Quote {
    let terms = QuoteTerms {
        request: request.request,
        owner: request.owner,
        holder: id(holder),
        batch_log2: request.batch_log2,
        batches_max: 4,
        price: Amount::grains(price),
        rounds_max: request.rounds,
        path: path_digest([&request.first_hop]),
        expires: Height::new(9),
    };
    terms.sign(&key(holder), &CHAIN)
}

#[test]
fn a_session_that_was_replaced_can_neither_leave_nor_offer_for_the_new_one() {
    let mut book = Directory::new(10);
    let (old, none) = book.join(Role::Holder, bare(3), "old").unwrap();
    let (new, replaced) = book.join(Role::Holder, bare(3), "new").unwrap();
    assert_eq!((none, replaced), (None, Some("old")));
    book.offer(id(3), old, offer(1));
    assert!(book.holders().all(|(_, child)| child.offer.is_none()));
    book.leave(id(3), Role::Holder, old);
    assert_eq!(book.len(), 1);
    book.leave(id(3), Role::Holder, new);
    assert!(book.is_empty());
}

#[test]
fn one_identity_may_be_owner_and_holder_and_only_the_holder_is_found() {
    let mut book = Directory::new(10);
    book.join(Role::Owner, bare(3), ()).unwrap();
    assert_eq!(book.locate(&id(3)), None);
    book.join(Role::Holder, bare(3), ()).unwrap();
    assert_eq!(book.locate(&id(3)), Some(&bare(3)));
    assert_eq!(book.len(), 2);
}

#[test]
fn a_full_book_takes_only_children_that_it_knows() {
    let mut book = Directory::new(1);
    book.join(Role::Owner, bare(3), ()).unwrap();
    assert_eq!(book.join(Role::Owner, bare(4), ()).unwrap_err(), DirectoryFull { limit: 1 });
    book.join(Role::Owner, bare(3), ()).unwrap();
}

#[test]
fn the_book_proposes_the_cheap_first_and_nobody_unfit() {
    let mut book = Directory::new(100);
    let request = PlacementRequest { exclude: Bounded::new(vec![id(10)]).unwrap(), ..placement(2, 1, 3) };
    let small = HolderOffer { free_bytes: (1 << 20) - 1, ..offer(1) };
    let closed = HolderOffer { accepting: false, ..offer(1) };
    let other_size = HolderOffer { classes: Bounded::new(vec![28]).unwrap(), ..offer(1) };
    for (holder, offered) in [
        (4, Some(offer(30))),
        (5, Some(offer(10))),
        (6, Some(offer(20))),
        (7, None),
        (8, Some(small)),
        (9, Some(closed)),
        (10, Some(offer(1))),
        (11, Some(other_size)),
        (2, Some(offer(1))),
        (12, Some(offer(1))),
    ] {
        let (session, _) = book.join(Role::Holder, bare(holder), ()).unwrap();
        if let Some(offered) = offered {
            book.offer(id(holder), session, offered);
        }
    }
    let on_ledger = |holder: &Address| (*holder != id(12)).then(standing);
    let found: Vec<Address> = book.subtree(&request, on_ledger).fit.into_iter().map(|found| found.holder).collect();
    assert_eq!(found, [id(5), id(6), id(4)]);
}

#[test]
fn the_book_says_of_everyone_unfit_what_would_do() {
    let mut book = Directory::new(100);
    let tag = |text: &str| -> Tag { text.parse().unwrap() };
    let tags = |tags: &[&str]| Bounded::new(tags.iter().map(|text| tag(text)).collect()).unwrap();
    let profile = |holder: &Address| match holder {
        _ if *holder == id(3) => {
            Profile { region: Some(tag("eu")), topics: tags(&["maps", "art"]), ..Profile::default() }
        }
        _ if *holder == id(4) => Profile { region: Some(tag("us")), topics: tags(&["maps"]), ..Profile::default() },
        _ if *holder == id(5) => Profile { region: Some(tag("eu")), topics: tags(&["music"]), ..Profile::default() },
        _ if *holder == id(6) => Profile { region: Some(tag("eu")), ..Profile::default() },
        _ if *holder == id(7) => Profile { topics: tags(&["maps"]), ..Profile::default() },
        _ => Profile { region: Some(tag("eu")), topics: tags(&["maps"]), rounds_max: 99, ..Profile::default() },
    };
    for holder in 3..=9 {
        let (session, _) = book.join(Role::Holder, bare(holder), ()).unwrap();
        book.offer(id(holder), session, offer(1));
    }
    let seen = |request: &PlacementRequest| {
        let standing = |holder: &Address| Some(HolderStanding { profile: profile(holder), ..standing() });
        let Subtree { fit, unfit } = book.subtree(request, standing);
        let mut unfit: Vec<String> = unfit.iter().map(|refusal| format!("{refusal:?}")).collect();
        unfit.sort_unstable();
        (fit.into_iter().map(|candidate| candidate.holder).collect::<BTreeSet<_>>(), unfit)
    };
    let (exclude, regions) = (Bounded::new(vec![id(9)]).unwrap(), Bounded::new(vec![tag("eu")]).unwrap());
    let request = PlacementRequest { topics: tags(&["maps"]), regions, exclude, ..placement(2, 1, 3) };
    let (fit, unfit) = seen(&request);
    assert_eq!(fit, BTreeSet::from([id(3)]));
    let expected: Vec<String> = [
        QuoteRefusal::OtherRegion { region: Some(tag("us")) },
        QuoteRefusal::OtherRegion { region: None },
        QuoteRefusal::OtherTopic { topics: tags(&["music"]) },
        QuoteRefusal::OtherTopic { topics: tags(&[]) },
        QuoteRefusal::TermTooLong { rounds_max: 99 },
    ]
    .iter()
    .map(|refusal| format!("{refusal:?}"))
    .collect();
    assert_eq!(unfit, sorted(expected));
    let plain = PlacementRequest { topics: Bounded::empty(), regions: Bounded::empty(), ..request.clone() };
    assert_eq!(seen(&plain).0, BTreeSet::from([id(6)]), "data without a topic goes to disks without one");
    let named = PlacementRequest { only: Bounded::new(vec![id(4)]).unwrap(), ..request };
    let (fit, unfit) = seen(&named);
    assert!(fit.is_empty());
    assert!(unfit.contains(&"NotNamed".to_owned()), "the one that would do otherwise: {unfit:?}");
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

#[test]
fn what_came_by_is_known_until_it_is_of_no_use_any_more() {
    let mut seen = Seen::new(2);
    let name = |number: u8| (id(1), RequestId::new([number; 16]));
    let at = |after: u64| TimeMs::new(START_MS + after);
    assert_eq!(seen.note(name(1), 3, at(100), at(0)), Ok(Sight::First));
    assert_eq!(seen.note(name(1), 3, at(100), at(1)), Ok(Sight::Again));
    assert_eq!(seen.note(name(1), 4, at(100), at(2)), Ok(Sight::Again));
    assert_eq!(seen.note(name(1), 2, at(100), at(3)), Ok(Sight::Nearer), "it can go further now");
    assert_eq!(seen.note(name(1), 2, at(100), at(4)), Ok(Sight::Again));
    assert_eq!(seen.note((id(2), name(1).1), 2, at(200), at(5)), Ok(Sight::First), "another owner's");
    assert_eq!(seen.note(name(2), 1, at(200), at(6)), Err(SeenFull { limit: 2 }));
    assert_eq!(seen.note(name(2), 1, at(200), at(100)), Ok(Sight::First), "the first is forgotten");
    assert_eq!(seen.len(), 2);
}

#[test]
fn equals_stand_in_another_order_for_another_request() {
    let mut book = Directory::new(100);
    for holder in 10..30 {
        let (session, _) = book.join(Role::Holder, bare(holder), ()).unwrap();
        book.offer(id(holder), session, offer(5));
    }
    let order = |owner: u8| -> Vec<Address> {
        book.subtree(&placement(owner, 1, 3), |_| Some(standing())).fit.into_iter().map(|found| found.holder).collect()
    };
    assert_eq!(order(2), order(2));
    assert_ne!(order(2), order(3));
}

/// The machine at the node that the owner asked, over these holders and no neighbour.
fn alone(request: &PlacementRequest, holders: &[Address], limits: PlacementLimits) -> Placement {
    let subtree = Some(holders.iter().map(|holder| (*holder, None)).collect());
    let reach = Reach { subtree, ..Reach::default() };
    Placement::new(request, reach, Scope::of_owner(request, &limits), limits, NOW)
}

#[test]
fn nobody_to_ask_is_the_end() {
    let mut machine = alone(&placement(2, 1, 3), &[], PlacementLimits::default());
    let done = PlacementDone { heavy_asked: 1, ..PlacementDone::default() };
    assert_eq!(machine.step(Input::Tick, NOW), [Output::Done(done)]);
    assert!(machine.step(Input::Tick, NOW).is_empty(), "nothing follows the end");
}

#[test]
fn the_deadline_is_the_end_whoever_is_still_thinking() {
    let mut machine = alone(&placement(2, 1, 2), &[id(3), id(4)], PlacementLimits::default());
    assert_eq!(machine.step(Input::Tick, NOW), [Output::Ask(id(3)), Output::Ask(id(4))]);
    let late = machine.deadline();
    let [Output::Done(done)] = &machine.step(Input::Tick, late)[..] else { panic!("it ends") };
    assert_eq!((done.asked, done.offered), (2, 0));
    let quoted = Input::Quoted(Box::new(quote(&placement(2, 1, 2), 3, 1)));
    assert!(machine.step(quoted, late).is_empty(), "a late answer changes nothing");
}

#[test]
fn a_request_that_expires_early_ends_early() {
    let request = PlacementRequest { expires: TimeMs::new(START_MS + 50), ..placement(2, 1, 2) };
    let machine = alone(&request, &[id(3)], PlacementLimits::default());
    assert_eq!(machine.deadline(), request.expires);
}

#[test]
fn quotes_that_are_not_what_was_asked_are_named() {
    let request = placement(2, 1, 1);
    let check = |quote: &Quote| check_quote(quote, &request, &id(3), &path_digest([&id(1)]), &CHAIN);
    let fine = quote(&request, 3, 10);
    assert_eq!(check(&fine), Ok(()));
    let with = |change: &dyn Fn(&mut QuoteTerms)| {
        let mut terms = fine.terms.clone();
        change(&mut terms);
        terms.sign(&key(3), &CHAIN)
    };
    assert!(matches!(check(&quote(&request, 4, 10)), Err(QuoteError::Foreign { .. })));
    assert!(matches!(check(&with(&|terms| terms.owner = id(9))), Err(QuoteError::Foreign { .. })));
    assert!(matches!(check(&with(&|terms| terms.batch_log2 = 21)), Err(QuoteError::Unfit { .. })));
    assert!(matches!(check(&with(&|terms| terms.rounds_max = 99)), Err(QuoteError::Unfit { .. })));
    assert!(matches!(check(&with(&|terms| terms.batches_max = 0)), Err(QuoteError::Unfit { .. })));
    assert!(matches!(check(&with(&|terms| terms.price = Amount::grains(1_001))), Err(QuoteError::TooDear { .. })));
    assert!(matches!(check(&with(&|terms| terms.path = path_digest([&id(9)]))), Err(QuoteError::OtherPath { .. })));
    let forged = Quote { signature: quote(&request, 4, 10).signature, ..fine.clone() };
    assert!(matches!(check(&forged), Err(QuoteError::BadSignature { .. })));
}

#[test]
fn footprints_that_were_tampered_with_are_named() {
    let request = placement(2, 1, 1).request;
    let ends = (&request, &id(2), &id(3));
    let sound = first_hop(&request, &id(2), &id(3), &key(1), &CHAIN);
    let check = |path: &Footprint, first: u8, last: u8| check_footprint(path, ends, &id(first), &id(last), &CHAIN);
    assert_eq!(check(&sound, 1, 1), Ok(()));
    assert_eq!(check(&Bounded::empty(), 1, 1), Err(FootprintError::Empty));
    assert!(matches!(check(&sound, 4, 1), Err(FootprintError::WrongFirst { .. })));
    assert!(matches!(check(&sound, 1, 4), Err(FootprintError::WrongLast { .. })));
    let twice = Bounded::new(vec![sound[0].clone(), sound[0].clone()]).unwrap();
    assert!(matches!(check(&twice, 1, 1), Err(FootprintError::Repeated { .. })));
    let for_another = first_hop(&request, &id(2), &id(4), &key(1), &CHAIN);
    assert!(matches!(check(&for_another, 1, 1), Err(FootprintError::BadSignature { index: 0, .. })));
}

#[test]
fn a_footprint_of_two_hops_holds_when_each_signed_its_neighbours() {
    let request = placement(2, 1, 1).request;
    let hop = |node: u8, index, previous: u8, next: u8| {
        let payload = hop_payload(&request, &id(2), index, &id(previous), &id(next));
        FootprintHop { node: id(node), signature: key(node).sign(Purpose::FootprintHop, &CHAIN, &payload) }
    };
    let path = Bounded::new(vec![hop(1, 0, 2, 8), hop(8, 1, 1, 3)]).unwrap();
    assert_eq!(check_footprint(&path, (&request, &id(2), &id(3)), &id(1), &id(8), &CHAIN), Ok(()));
}

#[derive(Clone, Debug)]
enum Answer {
    Quote,
    Decline(u64),
    NoRoom(u32),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the holders answer and in whatever order: nobody is asked twice, never too many at once, it ends exactly
    /// once, and the summary adds up (counted here by hand).
    #[test]
    fn every_placement_ends_and_adds_up(
        wanted in 1u16..6,
        at_once in 1u32..5,
        answers in proptest::collection::vec(
            prop_oneof![
                Just(Answer::Quote),
                (1_001u64..1_100).prop_map(Answer::Decline),
                (0u32..4).prop_map(Answer::NoRoom),
            ],
            0..30,
        ),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let request = placement(2, 1, wanted);
        let candidates: Vec<Address> = (0..answers.len() as u8).map(|n| Address::new([n + 1; 32])).collect();
        let limits = PlacementLimits { asks_at_once: at_once, ..PlacementLimits::default() };
        let mut machine = alone(&request, &candidates, limits);
        let (mut asked, mut open) = (BTreeSet::new(), Vec::new());
        let (mut offered, mut cheapest, mut roomiest, mut declined) = (0, None, None, 0);
        let mut ended = None;
        let mut input = Input::Tick;
        for pick in picks {
            for output in machine.step(input, NOW) {
                prop_assert!(ended.is_none());
                match output {
                    Output::Ask(holder) => {
                        prop_assert!(asked.insert(holder), "asked twice");
                        open.push(holder);
                    }
                    Output::Offer(_) => offered += 1,
                    Output::Done(done) => ended = Some(done),
                    other => prop_assert!(false, "no neighbour is there: {:?}", other),
                }
            }
            prop_assert!(open.len() as u32 <= at_once);
            if ended.is_some() || open.is_empty() {
                break;
            }
            let holder = open.swap_remove(pick.index(open.len()));
            let number = candidates.iter().position(|candidate| *candidate == holder).unwrap();
            input = match &answers[number] {
                Answer::Quote => {
                    let mut quote = quote(&request, 3, 1);
                    quote.terms.holder = holder;
                    Input::Quoted(Box::new(quote))
                }
                Answer::Decline(price) => {
                    declined += 1;
                    cheapest = Some(cheapest.map_or(*price, |found: u64| found.min(*price)));
                    Input::Declined { holder, refusal: QuoteRefusal::TooDear { price: Amount::grains(*price) } }
                }
                Answer::NoRoom(free) => {
                    declined += 1;
                    roomiest = roomiest.max(Some(*free));
                    Input::Declined { holder, refusal: QuoteRefusal::NoRoom { batches_free: *free } }
                }
            };
        }
        let done = ended.expect("it ends");
        prop_assert_eq!((done.offered, done.asked), (offered, asked.len() as u32));
        prop_assert!(done.offered <= 2 * u32::from(wanted));
        prop_assert_eq!(done.refused.iter().map(|(_, count)| *count).sum::<u32>(), declined);
        prop_assert_eq!(done.cheapest.map(Amount::get), cheapest);
        prop_assert_eq!(done.roomiest, roomiest);
        prop_assert!(done.refused.iter().all(|(kind, _)| [RefusalKind::TooDear, RefusalKind::NoRoom].contains(kind)));
        let all = answers.iter().filter(|answer| matches!(answer, Answer::Quote)).count() as u32;
        prop_assert_eq!(done.offered, all.min(2 * u32::from(wanted)), "as many as there are, up to the limit");
    }
}

/// What an honest parent would pass on, for villains to tamper with.
fn offered() -> Offered {
    let request = placement(2, 1, 1);
    let ticket = Ticket {
        issuer: id(1),
        client: id(2),
        holder: id(3),
        holder_addr: bare(3),
        request: request.request,
        direction: Direction::Write,
        bytes_max: 4 << 20,
        expires: TimeMs::new(START_MS + 1_000),
    };
    let footprint = first_hop(&request.request, &id(2), &id(3), &key(1), &CHAIN);
    Offered { quote: quote(&request, 3, 10), footprint, ticket: Signed::new(ticket, &key(1), &CHAIN) }
}

#[test]
fn an_owner_believes_no_offer_that_its_parent_made_up() {
    let check = |offered: Offered, request: &PlacementRequest| {
        CheckedOffer::check(offered, request, &id(1), &CHAIN, NOW).map(|offer| offer.holder_addr().clone())
    };
    let request = placement(2, 1, 1);
    assert_eq!(check(offered(), &request), Ok(bare(3)));
    let with_ticket = |change: &dyn Fn(&mut Ticket), by: u8| {
        let mut ticket = offered().ticket.statement;
        change(&mut ticket);
        check(Offered { ticket: Signed::new(ticket, &key(by), &CHAIN), ..offered() }, &request)
    };
    assert!(matches!(with_ticket(&|ticket| ticket.client = id(9), 1), Err(OfferError::Ticket { .. })));
    assert!(matches!(with_ticket(&|ticket| ticket.holder = id(9), 1), Err(OfferError::Ticket { .. })));
    assert!(matches!(with_ticket(&|ticket| ticket.holder_addr = bare(9), 1), Err(OfferError::Ticket { .. })));
    assert!(matches!(with_ticket(&|ticket| ticket.expires = NOW, 1), Err(OfferError::Ticket { .. })));
    assert!(matches!(with_ticket(&|ticket| ticket.direction = Direction::Read, 1), Err(OfferError::Ticket { .. })));
    assert!(matches!(with_ticket(&|_| {}, 9), Err(OfferError::BadTicketSignature { .. })));
    assert!(matches!(with_ticket(&|ticket| ticket.issuer = id(9), 9), Err(OfferError::BadTicketSignature { .. })));

    let dear = Offered { quote: quote(&request, 3, 2_000), ..offered() };
    assert!(matches!(check(dear, &request), Err(OfferError::Quote(QuoteError::TooDear { .. }))));
    let bare_path = Offered { footprint: Bounded::empty(), ..offered() };
    assert!(matches!(check(bare_path, &request), Err(OfferError::Quote(QuoteError::OtherPath { .. }))));
    let exclude = Bounded::new(vec![id(3)]).unwrap();
    let unwanted = PlacementRequest { exclude, ..request.clone() };
    assert!(matches!(check(offered(), &unwanted), Err(OfferError::Excluded { .. })));
}

#[test]
fn a_holder_answers_no_question_that_its_parent_made_up() {
    let question = |request: PlacementRequest, by: u8, path: &Footprint| QuoteRequest {
        placement: sign(request, by),
        footprint: path.clone(),
    };
    let check =
        |question| CheckedQuoteRequest::check(question, &id(3), &id(1), &CHAIN, NOW).map(|checked| checked.path());
    let (request, sound) = (placement(2, 1, 1), offered().footprint);
    assert_eq!(check(question(request.clone(), 2, &sound)), Ok(path_digest([&id(1)])));
    let forged = check(question(request.clone(), 9, &sound));
    assert!(matches!(forged, Err(QuoteRequestError::BadSignature { .. })));
    let late = PlacementRequest { expires: NOW, ..request.clone() };
    assert!(matches!(check(question(late, 2, &sound)), Err(QuoteRequestError::Expired { .. })));
    let for_another = first_hop(&request.request, &id(2), &id(4), &key(1), &CHAIN);
    assert!(matches!(check(question(request.clone(), 2, &for_another)), Err(QuoteRequestError::Footprint(_))));
    let elsewhere = PlacementRequest { first_hop: id(9), ..request };
    let wrong_first = check(question(elsewhere, 2, &sound));
    assert!(matches!(wrong_first, Err(QuoteRequestError::Footprint(FootprintError::WrongFirst { .. }))));
}
