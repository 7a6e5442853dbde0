//! The footprint: whoever tampers with a path of heavy nodes gets no larger share of the relay fee (DESIGN section 7).
//!
//! Three signatures hold a path together: the owner's, who asked the first hop and signs for no other; each hop's, which
//! names its neighbours and its place; the holder's, whose quote names the last hop.

use crate::market::{HEAVY, Market, address, key};
use crate::signing::Deal;
use holdfast_ledger::statement::{Footprint, FootprintHop, hop_payload};
use holdfast_ledger::{Event, Register, TxBody};
use holdfast_primitives::{Address, Amount, Bounded, Purpose};
use proptest::prelude::*;

/// What a cheater may do to a signed path; it can sign for itself only.
#[derive(Clone, Debug)]
enum Tampering {
    Insert { at: usize, node: usize },
    Delete { at: usize },
    Repeat { at: usize, of: usize },
    Swap { one: usize, other: usize },
    Forge { at: usize },
    Replace { at: usize, by: usize },
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let (at, node) = (0usize..5, 0usize..5);
    prop_oneof![
        (at.clone(), node.clone()).prop_map(|(at, node)| Tampering::Insert { at, node }),
        at.clone().prop_map(|at| Tampering::Delete { at }),
        (at.clone(), at.clone()).prop_map(|(at, of)| Tampering::Repeat { at, of }),
        (at.clone(), at.clone()).prop_map(|(one, other)| Tampering::Swap { one, other }),
        at.clone().prop_map(|at| Tampering::Forge { at }),
        (at, node).prop_map(|(at, by)| Tampering::Replace { at, by }),
    ]
}

/// Heavy nodes, and one who is none.
const SIGNERS: [&str; 5] = [HEAVY[0], HEAVY[1], HEAVY[2], HEAVY[3], "mallory"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tampering_never_raises_the_cheaters_share(
        path in Just(HEAVY.to_vec()).prop_shuffle(),
        hops in 1usize..=4,
        cheater in prop::sample::select(SIGNERS.to_vec()),
        tamperings in prop::collection::vec(tampering(), 1..4),
    ) {
        let path: Vec<&'static str> = path[..hops].to_vec();
        let mut market = Market::stored();
        let deal = Deal { path: path.clone(), ..Deal::with("carol") };
        let honest = market.registration("alice", 20, 1, &[deal]);
        let mut forged = honest.clone();
        let hops = tamper(&market, &honest, cheater, &tamperings);
        prop_assume!(hops.len() <= 4);
        let mut placements = forged.placements.to_vec();
        placements[0].footprint = Bounded::new(hops).unwrap();
        forged.placements = Bounded::new(placements).unwrap();
        let fair = share(&market, &honest, path[0], cheater).expect("an honest path is accepted");
        if let Some(tampered) = share(&market, &forged, path[0], cheater) {
            prop_assert!(tampered <= fair, "{cheater} on {path:?} gets {tampered} instead of {fair} by {tamperings:?}");
        }
    }
}

/// Applies the tamperings, then lets the cheater sign its own hops anew where they stand.
fn tamper(market: &Market, honest: &Register, cheater: &str, tamperings: &[Tampering]) -> Vec<FootprintHop> {
    let placement = &honest.placements[0];
    let mut hops = placement.footprint.to_vec();
    let stranger = |node: usize| FootprintHop { node: address(SIGNERS[node]), signature: hops_signature(market) };
    for tampering in tamperings {
        let len = hops.len();
        match *tampering {
            Tampering::Insert { at, node } => hops.insert(at.min(len), stranger(node)),
            Tampering::Delete { at } if at < len => drop(hops.remove(at)),
            Tampering::Repeat { at, of } if of < len => hops.insert(at.min(len), hops[of].clone()),
            Tampering::Swap { one, other } if one < len && other < len => hops.swap(one, other),
            Tampering::Forge { at } if at < len => hops[at].signature = hops_signature(market),
            Tampering::Replace { at, by } if at < len => hops[at].node = address(SIGNERS[by]),
            _ => {}
        }
    }
    sign_own(market, honest, cheater, &mut hops);
    hops
}

fn hops_signature(market: &Market) -> holdfast_primitives::Signature {
    key("mallory").sign(Purpose::FootprintHop, &market.state.chain().chain, b"made up")
}

fn sign_own(market: &Market, honest: &Register, cheater: &str, hops: &mut [FootprintHop]) {
    let terms = &honest.placements[0].quote.terms;
    let nodes: Vec<Address> = hops.iter().map(|hop| hop.node).collect();
    for (index, hop) in hops.iter_mut().enumerate().filter(|(_, hop)| hop.node == address(cheater)) {
        let previous = if index == 0 { terms.owner } else { nodes[index - 1] };
        let next = nodes.get(index + 1).copied().unwrap_or(terms.holder);
        let payload = hop_payload(&terms.request, &terms.owner, u8::try_from(index).unwrap(), &previous, &next);
        hop.signature = key(cheater).sign(Purpose::FootprintHop, &market.state.chain().chain, &payload);
    }
}

/// What a node of the footprint gets of a fee of 10,007 grains; `None` when the registration is refused. Alice, who asked
/// `first`, signs for every path that starts there.
fn share(market: &Market, register: &Register, first: &str, name: &str) -> Option<u64> {
    if register.placements[0].footprint.first()?.node != address(first) {
        return None;
    }
    let tx = market.tx("alice", TxBody::Register(register.clone()));
    market.admit(&tx).ok()?;
    let footprint: &Footprint = &register.placements[0].footprint;
    let (each, rest) = (10_007 / footprint.len() as u64, 10_007 % footprint.len() as u64);
    let place = footprint.iter().position(|hop| hop.node == address(name));
    Some(place.map_or(0, |place| each + if place == 0 { rest } else { 0 }))
}

#[test]
fn the_fee_is_split_equally_and_the_first_gets_what_does_not_divide() {
    let mut market = Market::open();
    let join = market.join("carol");
    market.block(vec![join]);
    let path = vec![HEAVY[3], HEAVY[1], HEAVY[2]];
    // 1.5 % of 67,000 are 1,005: 335 each; of 67,100 they are 1,006: one is left over.
    let deal = Deal { price: Amount::grains(67_100), rounds: 1, path, ..Deal::with("carol") };
    let register = market.register("alice", 20, 1, &[deal]);
    market.block(vec![register]);
    let before: Vec<u64> = HEAVY.iter().map(|name| market.balance(name).get()).collect();
    let events = market.round(&["carol"]);
    let gained: Vec<u64> = HEAVY.iter().zip(before).map(|(name, before)| market.balance(name).get() - before).collect();
    let proof_fees = 10 * 7;
    assert_eq!(gained, [proof_fees, 335, 335, 336]);
    let paid = events.iter().find_map(|event| match event {
        Event::Paid(payments) => Some(payments[0]),
        _ => None,
    });
    let paid = paid.unwrap();
    assert_eq!((paid.batches, paid.paid.get(), paid.relay_fee.get()), (1, 67_100, 1_006));
}
