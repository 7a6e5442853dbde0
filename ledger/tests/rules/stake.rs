//! Bonds, the election, turns and contradictions, rule by rule.

use crate::market::{BLOCK_MS, HEAVY, Market, address, key, params, vrf};
use holdfast_ledger::{Event, StakeRule, Standing, Tx, TxBody, TxEnvelope, TxError, Upgrade, ValidatorRecord};
use holdfast_primitives::limits::UNBONDINGS_MAX;
use holdfast_primitives::{
    Address, Amount, BlockHash, Height, Misbehaviour, Purpose, RoundNo, Schedule, SecretKey, SignedProposal,
    SignedVote, VrfPublicKey, proposal_payload, vote_payload,
};

/// Alice and Bob have money and no beacon key yet; each name grows its own.
fn bond(market: &Market, name: &str, amount: Amount) -> TxEnvelope {
    market.tx(name, TxBody::Bond { amount, vrf: vrf(name).public() })
}

/// Time passes until a new round opens.
fn next_round(market: &mut Market) {
    let round = market.state.chain().running.round;
    while market.state.chain().running.round == round {
        let due = market.state.chain().running.due.get().max(market.time + BLOCK_MS);
        market.block_at(due, HEAVY[0], Vec::new());
    }
}

fn unbond(market: &Market, name: &str, amount: Amount) -> TxEnvelope {
    market.tx(name, TxBody::Unbond { amount })
}

pub fn record<'a>(market: &'a Market, name: &str) -> &'a ValidatorRecord {
    market.state.validator_by_address(&address(name)).unwrap().1
}

fn powers(market: &Market) -> Vec<(Address, u64)> {
    market.state.chain().validators.iter().map(|validator| (validator.address, validator.power)).collect()
}

fn power(market: &Market, name: &str) -> u64 {
    market.state.chain().validators.get(&address(name)).map_or(0, |validator| validator.power)
}

pub fn refusal(market: &Market, envelope: &TxEnvelope) -> StakeRule {
    match market.refusal(envelope) {
        TxError::Stake(rule) => rule,
        other => panic!("{other}"),
    }
}

/// Whoever's turn it is in `round` of the next height.
fn turn(market: &Market, round: u32) -> &'static str {
    let set = &market.state.chain().validators;
    let place = Schedule::of(set).turn(market.next_height(), round);
    let due = set.iter().nth(place).unwrap().address;
    ["alice", "bob"].into_iter().chain(HEAVY).find(|name| address(name) == due).unwrap()
}

/// A block by whoever's turn it is.
fn block_in_turn(market: &mut Market, txs: Vec<TxEnvelope>) -> Vec<Event> {
    let (time, proposer) = (market.time + BLOCK_MS, turn(market, 0));
    let (events, skipped) = market.block_at(time, proposer, market.admit_all(txs));
    assert_eq!(skipped, []);
    events
}

fn vote(by: &SecretKey, market: &Market, height: Height, block: u8) -> SignedVote {
    let block = Some(BlockHash::new([block; 32]));
    let payload = vote_payload(true, height, 0, block.as_ref());
    let signature = by.sign(Purpose::Vote, &market.state.chain().chain, &payload);
    SignedVote { precommit: true, height, round: 0, block, signature }
}

pub fn double_vote(market: &Market, name: &str, height: Height) -> Misbehaviour {
    let by = key(name);
    let (first, second) = (vote(&by, market, height, 1), vote(&by, market, height, 2));
    Misbehaviour::DoubleVote { validator: by.address(), first, second }
}

fn double_proposal(market: &Market, name: &str, height: Height) -> Misbehaviour {
    let by = key(name);
    let propose = |block: u8| {
        let block = BlockHash::new([block; 32]);
        let payload = proposal_payload(height, 3, None, &block);
        let signature = by.sign(Purpose::Proposal, &market.state.chain().chain, &payload);
        SignedProposal { height, round: 3, valid_round: None, block, signature }
    };
    Misbehaviour::DoubleProposal { validator: by.address(), first: propose(1), second: propose(2) }
}

pub fn accusation(market: &Market, by: &str, misbehaviour: Misbehaviour) -> TxEnvelope {
    let body = TxBody::Accuse { misbehaviour };
    let tx = Tx { sender: address(by), sequence: 0, fee: Amount::ZERO, expires: Height::new(u64::MAX), body };
    TxEnvelope::bare(market.sign(by, tx))
}

#[test]
fn whoever_bonds_decides_from_the_next_round_on_and_both_sets_stand_in_the_header() {
    let mut market = Market::open();
    let (balance, tx) = (market.balance("alice"), bond(&market, "alice", Amount::hold(5)));
    let fee = tx.signed.tx.fee;
    market.block(vec![tx]);
    assert_eq!(market.balance("alice").get(), balance.get() - fee.get() - Amount::hold(5).get());
    let before = market.state.chain().validators.digest();
    // A key that is new in this round could have been chosen for this round's beacons.
    let due = market.state.chain().running.due.get();
    while market.time + BLOCK_MS < due {
        market.block(Vec::new());
        assert_eq!((power(&market, "alice"), market.state.chain().validators.digest()), (0, before));
    }
    let (applied, _) = market.build(due, HEAVY[0], Vec::new());
    let header = applied.full.block.header.clone();
    market.commit(applied).unwrap();

    let after = market.state.chain().validators.digest();
    assert_eq!((header.validators, header.next_validators), (before, after));
    assert_ne!(before, after);
    assert_eq!(power(&market, "alice"), 5);
    // She builds the next block, with her own beacon key.
    let (time, by) = (market.time + BLOCK_MS, "alice");
    market.block_at(time, by, Vec::new());
    assert_eq!(record(&market, "alice").proposed, 1);
    assert_eq!(market.reloaded().root(), market.state.root());
}

#[test]
fn weight_is_whole_hold_and_the_seats_go_to_the_largest_bonds() {
    let mut market = Market::with(holdfast_ledger::Params { validators_max: 5, ..params() });
    let txs = vec![bond(&market, "alice", Amount::grains(7_999_999_999)), bond(&market, "bob", Amount::hold(3))];
    market.block(txs);
    next_round(&mut market);
    assert_eq!((power(&market, "alice"), power(&market, "bob")), (7, 3));
    assert_eq!(powers(&market).len(), 5, "one of the four who bonded 1 HOLD has lost its seat");
    let seats: Vec<Address> = powers(&market).iter().map(|(address, _)| *address).collect();
    let last = HEAVY.iter().map(|name| address(name)).max().unwrap();
    assert!(!seats.contains(&last), "of equal bonds the smaller addresses stay");
    let heavy: Vec<Address> =
        market.state.chain().heavy_nodes.iter().map(|number| market.state.account(*number).unwrap().address).collect();
    assert!(seats.iter().all(|seat| heavy.contains(seat)) && heavy.len() == 5, "footprints follow the set");

    // Bonding more brings the seat back to whoever does.
    let loser = HEAVY.into_iter().find(|name| address(name) == last).unwrap();
    let money = market.transfer("alice", loser, Amount::hold(3).get());
    market.block_at(market.time + BLOCK_MS, "alice", market.admit_all(vec![money]));
    let more = bond(&market, loser, Amount::hold(1));
    market.block_at(market.time + BLOCK_MS, "alice", market.admit_all(vec![more]));
    assert_eq!(power(&market, loser), 2);
    assert_eq!(powers(&market).len(), 5);
}

#[test]
fn bonds_have_rules() {
    let mut market = Market::open();
    assert_eq!(refusal(&market, &bond(&market, "alice", Amount::ZERO)), StakeRule::Nothing);
    let little = Amount::grains(999_999_999);
    let too_small = StakeRule::BondTooSmall { bond: little, least: Amount::hold(1) };
    assert_eq!(refusal(&market, &bond(&market, "alice", little)), too_small);
    for keyless in [[0; 32], [0xff; 32]] {
        let body = TxBody::Bond { amount: Amount::hold(1), vrf: VrfPublicKey::new(keyless) };
        assert_eq!(refusal(&market, &market.tx("alice", body)), StakeRule::BeaconKey);
    }
    let first = bond(&market, "alice", Amount::hold(1));
    market.block(vec![first]);
    let other_key = TxBody::Bond { amount: Amount::hold(1), vrf: vrf("bob").public() };
    assert_eq!(refusal(&market, &market.tx("alice", other_key)), StakeRule::OtherBeaconKey);
    let rich = bond(&market, "bob", Amount::hold(5_000));
    assert!(matches!(market.refusal(&rich), TxError::BalanceTooLow { .. }));
    for body in [
        TxBody::Unbond { amount: Amount::hold(1) },
        TxBody::Unjail,
        TxBody::Ready { upgrade: Upgrade { version: 2, height: Height::new(99) } },
    ] {
        let nobody = StakeRule::NotAValidator { address: address("bob") };
        assert_eq!(refusal(&market, &market.tx("bob", body)), nobody);
    }
}

#[test]
fn what_is_taken_back_stays_liable_and_comes_back_when_its_rounds_are_over() {
    let mut market = Market::open();
    let tx = bond(&market, "alice", Amount::hold(10));
    market.block(vec![tx]);
    next_round(&mut market);
    let round = market.state.chain().running.round;
    let tx = unbond(&market, "alice", Amount::hold(4));
    let events = market.block(vec![tx]);
    let until = round.saturating_add(4);
    let (number, _) = market.state.validator_by_address(&address("alice")).unwrap();
    assert!(events.contains(&Event::Unbonding { validator: number, amount: Amount::hold(4), until }));
    assert_eq!((power(&market, "alice"), record(&market, "alice").liable()), (6, Amount::hold(10)));

    let balance = market.balance("alice");
    while market.state.chain().running.round < until {
        assert_eq!(market.balance("alice"), balance, "not before its round");
        let due = market.state.chain().running.due.get();
        market.block_at(due, HEAVY[0], Vec::new());
    }
    assert_eq!(market.balance("alice").get(), balance.get() + Amount::hold(4).get());
    assert_eq!(record(&market, "alice").liable(), Amount::hold(6));
    assert_eq!(market.reloaded().root(), market.state.root());
}

#[test]
fn taking_back_has_rules() {
    let mut market = Market::open();
    let tx = bond(&market, "alice", Amount::hold(100));
    market.block(vec![tx]);
    assert_eq!(refusal(&market, &unbond(&market, "alice", Amount::ZERO)), StakeRule::Nothing);
    let too_much = StakeRule::UnbondTooMuch { amount: Amount::hold(101), bonded: Amount::hold(100) };
    assert_eq!(refusal(&market, &unbond(&market, "alice", Amount::hold(101))), too_much);
    let left = StakeRule::BondTooSmall { bond: Amount::grains(1), least: Amount::hold(1) };
    let almost = Amount::grains(Amount::hold(100).get() - 1);
    assert_eq!(refusal(&market, &unbond(&market, "alice", almost)), left);
    for _ in 0..UNBONDINGS_MAX {
        let tx = unbond(&market, "alice", Amount::hold(1));
        market.block(vec![tx]);
    }
    let many = StakeRule::TooManyUnbondings { limit: UNBONDINGS_MAX };
    assert_eq!(refusal(&market, &unbond(&market, "alice", Amount::hold(1))), many);
}

#[test]
fn the_last_validator_cannot_leave_not_even_together_with_the_last_but_one() {
    let mut market = Market::open();
    let give = HEAVY.map(|name| market.tx("alice", transfer_to(name))).to_vec();
    for (index, mut envelope) in give.into_iter().enumerate() {
        envelope.signed.tx.sequence = index as u64;
        let signed = market.sign("alice", envelope.signed.tx);
        market.block(vec![TxEnvelope::bare(signed)]);
    }
    let all = HEAVY.map(|name| unbond(&market, name, Amount::hold(1)));
    let admitted = all.iter().map(|tx| market.admit(tx).unwrap()).collect();
    let (_, skipped) = market.block_of(admitted);
    let reasons: Vec<_> = skipped.into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, [TxError::Stake(StakeRule::LastValidator)], "three leave, the fourth stays");
    assert_eq!(powers(&market).len(), 1);
}

pub fn transfer_to(name: &str) -> TxBody {
    TxBody::Transfer { to: address(name), amount: Amount::hold(1), memo: holdfast_primitives::Bounded::empty() }
}

#[test]
fn a_block_out_of_turn_counts_as_missed_for_everyone_before_its_builder() {
    let mut market = Market::open();
    let (first, second, third) = (turn(&market, 0), turn(&market, 1), turn(&market, 2));
    market.block_at(market.time + BLOCK_MS, third, Vec::new());
    for (name, missed, proposed) in [(first, 1, 0), (second, 1, 0), (third, 0, 1)] {
        let found = record(&market, name);
        assert_eq!((found.missed, found.missed_in_row, found.proposed), (missed, missed as u32, proposed), "{name}");
    }
    // A block of its own and the row is over, but what was missed stays on record.
    while turn(&market, 0) != first {
        block_in_turn(&mut market, Vec::new());
    }
    block_in_turn(&mut market, Vec::new());
    let found = record(&market, first);
    assert_eq!((found.missed, found.missed_in_row, found.proposed), (1, 0, 1));
}

/// Blocks by the next in turn whenever it would be `away`'s turn; until something happens.
fn without(market: &mut Market, away: &str, until: impl Fn(&Event) -> bool) -> Vec<Event> {
    for _ in 0..200 {
        let by = if turn(market, 0) == away { turn(market, 1) } else { turn(market, 0) };
        let (events, _) = market.block_at(market.time + BLOCK_MS, by, Vec::new());
        if events.iter().any(&until) {
            return events;
        }
    }
    panic!("nothing happened in 200 blocks");
}

#[test]
fn who_is_away_too_long_is_jailed_and_may_come_back_later() {
    let mut market = Market::with(holdfast_ledger::Params { missed_turns_max: 3, ..params() });
    let give = market.tx(
        "alice",
        TxBody::Transfer { to: address("vera"), amount: Amount::hold(1), memo: holdfast_primitives::Bounded::empty() },
    );
    block_in_turn(&mut market, vec![give]);
    let events = without(&mut market, "vera", |event| matches!(event, Event::Jailed { .. }));
    assert!(events.iter().any(|event| matches!(event, Event::ValidatorsChanged { .. })));
    assert_eq!((power(&market, "vera"), powers(&market).len()), (0, 3));
    let Standing::Jailed { until } = record(&market, "vera").standing else { panic!("not jailed") };

    let early = market.tx("vera", TxBody::Unjail);
    let round = market.state.chain().running.round;
    assert_eq!(refusal(&market, &early), StakeRule::StillJailed { until, round });
    assert_eq!(refusal(&market, &market.tx("walter", TxBody::Unjail)), StakeRule::NotJailed);
    while market.state.chain().running.round < until {
        let (due, by) = (market.state.chain().running.due.get().max(market.time + BLOCK_MS), turn(&market, 0));
        market.block_at(due, by, Vec::new());
    }
    let back = market.tx("vera", TxBody::Unjail);
    block_in_turn(&mut market, vec![back]);
    assert_eq!((power(&market, "vera"), record(&market, "vera").standing), (1, Standing::Good));
    assert_eq!(record(&market, "vera").missed, 3, "the record remembers");
}

#[test]
fn a_contradiction_costs_a_part_of_the_bond_and_the_seat_for_good() {
    for proposal in [false, true] {
        let mut market = Market::open();
        let tx = bond(&market, "alice", Amount::hold(100));
        market.block(vec![tx]);
        let tx = unbond(&market, "alice", Amount::hold(40));
        market.block(vec![tx]);
        let height = market.state.chain().height;
        let proof = if proposal { double_proposal } else { double_vote };
        let misbehaviour = proof(&market, "alice", height);
        let (reserve, accuser) = (market.state.chain().reserve, market.balance("mallory"));
        let events = market.block(vec![accusation(&market, "mallory", misbehaviour.clone())]);

        let slashed = Amount::hold(5);
        assert!(events.iter().any(
            |event| matches!(event, Event::Slashed { amount, height: of, .. } if (*amount, *of) == (slashed, height))
        ));
        let found = record(&market, "alice").clone();
        assert_eq!((found.standing, found.slashed), (Standing::Banned, slashed));
        assert_eq!((found.bonded, found.liable()), (Amount::hold(55), Amount::hold(95)));
        assert_eq!(market.state.chain().reserve.get(), reserve.get() + slashed.get());
        assert_eq!(market.balance("mallory"), accuser, "accusing is free and brings nothing");
        assert_eq!(power(&market, "alice"), 0);

        let banned = StakeRule::Banned { address: address("alice") };
        assert_eq!(refusal(&market, &accusation(&market, "trudy", misbehaviour)), banned, "once is enough");
        assert_eq!(refusal(&market, &bond(&market, "alice", Amount::hold(100))), banned);
        assert_eq!(refusal(&market, &market.tx("alice", TxBody::Unjail)), banned);
        // What is left is hers, after its time.
        let rest = unbond(&market, "alice", Amount::hold(55));
        market.block(vec![rest]);
    }
}

#[test]
fn a_slash_larger_than_the_bond_reaches_what_is_on_its_way_back() {
    let mut market = Market::with(holdfast_ledger::Params { slash_bps: 10_000, ..params() });
    let tx = bond(&market, "alice", Amount::hold(10));
    market.block(vec![tx]);
    let tx = unbond(&market, "alice", Amount::hold(9));
    market.block(vec![tx]);
    let height = market.state.chain().height;
    let accused = accusation(&market, "bob", double_vote(&market, "alice", height));
    market.block(vec![accused]);
    assert_eq!(record(&market, "alice").liable(), Amount::ZERO);
    assert!(record(&market, "alice").unbonding.is_empty());
}

#[test]
fn framing_an_honest_validator_fails() {
    let market = Market::open();
    let (height, chain) = (Height::new(1), market.state.chain().chain);
    let walter = address("walter");
    let honest = vote(&key("walter"), &market, height, 1);

    // Mallory signs the second vote herself.
    let forged = vote(&key("mallory"), &market, height, 2);
    let framed = Misbehaviour::DoubleVote { validator: walter, first: honest, second: forged };
    let bad = TxError::BadSignature { signer: walter, role: "accused" };
    assert_eq!(market.refusal(&accusation(&market, "mallory", framed)), bad);

    // The same vote twice, votes of two heights, votes of two rounds, a prevote beside a precommit.
    let later = vote(&key("walter"), &market, Height::new(2), 2);
    let prevote = SignedVote {
        precommit: false,
        block: Some(BlockHash::new([2; 32])),
        signature: key("walter").sign(
            Purpose::Vote,
            &chain,
            &vote_payload(false, height, 0, Some(&BlockHash::new([2; 32]))),
        ),
        ..honest
    };
    for second in [honest, later, prevote, SignedVote { round: 1, ..later }] {
        let fits = Misbehaviour::DoubleVote { validator: walter, first: honest, second };
        let envelope = accusation(&market, "mallory", fits);
        assert_eq!(refusal(&market, &envelope), StakeRule::NoContradiction { accused: walter });
    }
    // A contradiction on another chain.
    let mut elsewhere = Market::with(holdfast_ledger::Params { slash_bps: 1, ..params() });
    elsewhere.block(Vec::new());
    let foreign = double_vote(&elsewhere, "walter", height);
    assert_eq!(market.refusal(&accusation(&market, "mallory", foreign)), bad);
    // A contradiction by somebody who never bonded costs nobody anything.
    let nobody = StakeRule::NotAValidator { address: address("trudy") };
    assert_eq!(refusal(&market, &accusation(&market, "mallory", double_vote(&market, "trudy", height))), nobody);
    // An accusation is free; one that wants a fee or a place is none.
    let mut paid = accusation(&market, "mallory", double_vote(&market, "walter", height)).signed.tx;
    paid.fee = Amount::grains(1);
    assert_eq!(market.refusal(&TxEnvelope::bare(market.sign("mallory", paid.clone()))).code(), "proof_fee");
    (paid.fee, paid.sequence) = (Amount::ZERO, 1);
    assert_eq!(market.refusal(&TxEnvelope::bare(market.sign("mallory", paid))).code(), "proof_sequence");
}

#[test]
fn only_what_bonds_still_answer_for_can_be_accused() {
    let mut market = Market::open();
    let ahead = accusation(&market, "bob", double_vote(&market, "vera", Height::new(2)));
    let rule = StakeRule::AccusationAhead { height: Height::new(2), block: Height::new(1) };
    assert_eq!(refusal(&market, &ahead), rule);
    market.block(Vec::new());
    let old = accusation(&market, "bob", double_vote(&market, "vera", Height::new(1)));
    for _ in 0..4 {
        market.admit(&old).unwrap();
        let due = market.state.chain().running.due.get();
        market.block_at(due, HEAVY[0], Vec::new());
    }
    let oldest = market.state.round(RoundNo::new(0)).unwrap().settle_height;
    let rule = StakeRule::AccusationTooOld { height: Height::new(1), oldest };
    assert_eq!(refusal(&market, &old), rule);
}

#[test]
fn one_block_takes_one_accusation_of_a_validator() {
    let mut market = Market::open();
    market.block(Vec::new());
    let proofs = [double_vote(&market, "vera", Height::new(1)), double_proposal(&market, "vera", Height::new(1))];
    let admitted = proofs.map(|misbehaviour| market.admit(&accusation(&market, "bob", misbehaviour)).unwrap()).to_vec();
    let (events, skipped) = market.block_of(admitted);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Slashed { .. })).count(), 1);
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].1, TxError::Stake(StakeRule::Banned { address: address("vera") }));
}
