//! A ceremony between people who do not trust each other: what holds goes in, what was changed, copied or meant for another
//! network is named.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_genesis::{
    Collected, Draft, DraftError, Entry, EntryError, EntryKeys, FileError, GenesisFile, Peers, PeersError, PlaceError,
    Stake, preset, to_genesis,
};
use holdfast_ledger::GenesisError;
use holdfast_primitives::limits::VALIDATORS_MAX;
use holdfast_primitives::{
    Address, Amount, ChainId, Digest, NetworkPrefix, SecretKey, Signature, TimeMs, VrfPublicKey, VrfSecretKey,
};
use proptest::prelude::*;

const NETWORK: NetworkPrefix = NetworkPrefix::Testnet;

/// An operator, all of whose secrets grow from one number.
struct Operator {
    identity: SecretKey,
    beacon: VrfSecretKey,
    number: u8,
}

impl Operator {
    fn new(number: u8) -> Self {
        Self { identity: SecretKey::from_seed([number; 32]), beacon: VrfSecretKey::from_seed([number; 32]), number }
    }

    fn stake(&self) -> Stake {
        let ip = format!("192.0.2.{}", self.number);
        Stake {
            name: format!("operator-{}", self.number),
            address: self.identity.address(),
            vrf: self.beacon.public(),
            bond: Amount::hold(20_000 + u64::from(self.number)),
            node: vec![format!("{ip}:7451").parse().unwrap()],
            consensus: format!("/ip4/{ip}/tcp/7452").parse().unwrap(),
        }
    }

    fn sign(&self, stake: &Stake, draft: &Draft) -> Entry {
        let keys = EntryKeys { identity: &self.identity, beacon: &self.beacon };
        Entry::sign(stake, &draft.id().unwrap(), draft.network, keys)
    }

    fn entry(&self, draft: &Draft) -> Entry {
        self.sign(&self.stake(), draft)
    }
}

fn funded(amounts: &[Amount]) -> Draft {
    let address = |index: usize| SecretKey::from_seed([100 + index as u8; 32]).address();
    let mut accounts: Vec<(Address, Amount)> = amounts.iter().enumerate().map(|(i, a)| (address(i), *a)).collect();
    accounts.sort_by_key(|(address, _)| *address);
    Draft::new("mine", &preset(NETWORK), &accounts, Digest::new([9; 32])).unwrap()
}

fn draft() -> Draft {
    funded(&[Amount::hold(5_000), Amount::hold(7_000)])
}

/// The one outcome of one entry.
fn collect(draft: &mut Draft, entry: &Entry) -> Result<Collected, EntryError> {
    let before = draft.clone();
    let outcome = draft.collect(std::slice::from_ref(entry)).unwrap().pop().unwrap();
    assert_eq!(outcome == Ok(Collected::Added), *draft != before, "only a new entry changes the draft");
    outcome
}

#[test]
fn entries_go_into_the_draft_through_their_files_and_come_out_as_a_chain() {
    let operators = [3, 1, 2].map(Operator::new);
    let handed_out = draft().to_text();
    let mut founders = Draft::parse(&handed_out).unwrap();
    for operator in &operators {
        let file = operator.entry(&Draft::parse(&handed_out).unwrap()).to_text();
        assert_eq!(collect(&mut founders, &Entry::parse(&file).unwrap()), Ok(Collected::Added));
        founders = Draft::parse(&founders.to_text()).unwrap();
    }
    let (genesis, peers) = founders.finalize(TimeMs::new(1_790_000_000_000)).unwrap();
    assert_eq!(genesis.validators.len(), 3);
    for operator in &operators {
        let stake = operator.stake();
        let found = genesis.validators.iter().find(|validator| validator.address == stake.address).unwrap();
        assert_eq!(found.vrf, stake.vrf);
    }
    let file = GenesisFile::from_genesis(&genesis).to_text().unwrap();
    assert_eq!(to_genesis(&GenesisFile::parse(&file).unwrap()).unwrap().chain_id(), genesis.chain_id());
    assert_eq!(Peers::parse(&peers.to_text(), &genesis.chain_id()), Ok(peers));
}

#[test]
fn the_order_of_collecting_and_collecting_twice_change_nothing() {
    let entries = [1, 2, 3].map(|number| Operator::new(number).entry(&draft()));
    let (mut one, mut other) = (draft(), draft());
    one.collect(&entries).unwrap();
    for entry in [&entries[2], &entries[0], &entries[1], &entries[0]] {
        let known = other.validators.contains(entry);
        assert_eq!(collect(&mut other, entry).unwrap(), if known { Collected::Known } else { Collected::Added });
    }
    let start = TimeMs::new(1_790_000_000_000);
    let chain = |draft: &Draft| draft.finalize(start).unwrap().0.chain_id();
    assert_eq!(chain(&one), chain(&other));
    assert_ne!(chain(&one), one.finalize(TimeMs::new(1_790_000_000_001)).unwrap().0.chain_id());
}

#[test]
fn an_entry_that_was_changed_anywhere_is_refused() {
    let (draft, other) = (draft(), Operator::new(2));
    let entry = Operator::new(1).entry(&draft);
    type Change = fn(&mut Entry, &Entry);
    let changes: [(&str, Change); 10] = [
        ("draft", |entry, _| entry.draft = Digest::new([1; 32])),
        ("name", |entry, _| entry.name = "mallory".to_owned()),
        ("address", |entry, other| entry.address = other.address.clone()),
        ("beacon_key", |entry, other| entry.beacon_key = other.beacon_key),
        ("bond", |entry, _| entry.bond = "20001.000000001 HOLD".to_owned()),
        ("node", |entry, other| entry.node = other.node.clone()),
        ("another socket", |entry, other| entry.node.extend(other.node.clone())),
        ("consensus", |entry, other| entry.consensus = other.consensus.clone()),
        ("beacon_proof", |entry, other| entry.beacon_proof = other.beacon_proof.clone()),
        ("signature", |entry, other| entry.signature = other.signature),
    ];
    let others = other.entry(&draft);
    for (field, change) in changes {
        let mut changed = entry.clone();
        change(&mut changed, &others);
        let error = collect(&mut draft.clone(), &changed).unwrap_err();
        match field {
            "draft" => assert!(matches!(error, EntryError::OtherDraft { .. }), "{field}: {error}"),
            _ => assert_eq!(error, EntryError::Signature, "{field}"),
        }
    }
    assert_eq!(collect(&mut draft.clone(), &entry), Ok(Collected::Added));
}

#[test]
fn an_entry_means_nothing_for_other_rules_other_funds_or_another_network() {
    let entry = Operator::new(1).entry(&draft());
    let mut drafts = vec![funded(&[Amount::hold(5_000), Amount::hold(7_001)]), funded(&[Amount::hold(5_000)])];
    for change in [
        |draft: &mut Draft| draft.rules.round_ms += 1_000,
        |draft: &mut Draft| draft.name = "yours".to_owned(),
        |draft: &mut Draft| draft.seed = Digest::new([10; 32]),
        |draft: &mut Draft| draft.rules.fee_per_byte = "0 HOLD".to_owned(),
    ] {
        let mut changed = draft();
        change(&mut changed);
        drafts.push(changed);
    }
    drafts.push(Draft::new("mine", &preset(NetworkPrefix::Devnet), &[], Digest::new([9; 32])).unwrap());
    for mut other in drafts {
        assert!(matches!(collect(&mut other, &entry), Err(EntryError::OtherDraft { .. })));
        // Nor when the entry is made to name the other draft.
        let renamed = Entry { draft: other.id().unwrap(), ..entry.clone() };
        let error = collect(&mut other, &renamed).unwrap_err();
        assert!(matches!(error, EntryError::Signature | EntryError::Address(_)), "{error}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_an_error_in_every_file() {
    let mut draft = draft();
    let entry = Operator::new(1).entry(&draft);
    let unknown = |text: &str| format!("surprise = 1\n{text}");
    let refused = Entry::parse(&unknown(&entry.to_text())).unwrap_err().to_string();
    assert!(refused.contains("surprise"), "{refused}");
    collect(&mut draft, &entry).unwrap();
    let refused = Draft::parse(&unknown(&draft.to_text())).unwrap_err().to_string();
    assert!(refused.contains("surprise"), "{refused}");
    let (genesis, peers) = draft.finalize(TimeMs::new(1)).unwrap();
    let refused = Peers::parse(&unknown(&peers.to_text()), &genesis.chain_id()).unwrap_err().to_string();
    assert!(refused.contains("surprise"), "{refused}");
}

#[test]
fn a_draft_written_otherwise_is_the_same_draft() {
    let draft = draft();
    let text = draft.to_text().replace("\"5000 HOLD\"", "\"5000.0hold\"").replace(" = ", "=");
    let mut reversed = Draft::parse(&text).unwrap();
    reversed.accounts.reverse();
    assert_ne!(reversed, draft);
    assert_eq!(reversed.id().unwrap(), draft.id().unwrap());
}

#[test]
fn a_validator_that_could_be_taken_for_another_is_refused_and_the_other_named() {
    let (first, second) = (Operator::new(1), Operator::new(2));
    let mut draft = draft();
    let entry = first.entry(&draft);
    collect(&mut draft, &entry).unwrap();
    let name = "operator-1".to_owned();
    let with = |change: fn(&mut Stake, &Stake)| {
        let mut stake = second.stake();
        change(&mut stake, &first.stake());
        second.sign(&stake, &draft)
    };
    let node = "192.0.2.1:7451".to_owned();
    let wrong = [
        (with(|stake, first| stake.name = first.name.clone()), EntryError::KnownName { name: name.clone() }),
        (
            with(|stake, first| stake.node.extend(first.node.clone())),
            EntryError::KnownPlace { name: name.clone(), place: node },
        ),
        (
            with(|stake, first| stake.consensus = first.consensus.clone()),
            EntryError::KnownPlace { name: name.clone(), place: first.stake().consensus.to_string() },
        ),
        // It claims the key of another, but cannot show that it holds it.
        (with(|stake, first| stake.vrf = first.vrf), EntryError::BeaconProof),
    ];
    for (entry, error) in wrong {
        assert_eq!(collect(&mut draft.clone(), &entry), Err(error));
    }
    let twice = Stake { bond: Amount::hold(30_000), ..first.stake() };
    let again = first.sign(&twice, &draft);
    let address = first.identity.address().to_text(NETWORK);
    assert_eq!(collect(&mut draft.clone(), &again), Err(EntryError::KnownAddress { address, name: name.clone() }));
    // Two accounts of one operator with one beacon key: both proofs hold, and still it is one validator too many.
    let shared = Operator { beacon: VrfSecretKey::from_seed([1; 32]), ..Operator::new(2) };
    assert_eq!(collect(&mut draft.clone(), &shared.entry(&draft)), Err(EntryError::KnownBeaconKey { name }));
}

#[test]
fn what_nobody_could_dial_or_weigh_or_call_by_name_is_refused() {
    let operator = Operator::new(1);
    let draft = draft();
    let refusal = |change: &dyn Fn(&mut Stake)| {
        let mut stake = operator.stake();
        change(&mut stake);
        collect(&mut draft.clone(), &operator.sign(&stake, &draft)).unwrap_err()
    };
    for bond in [Amount::ZERO, Amount::grains(999_999_999)] {
        assert!(matches!(refusal(&|stake| stake.bond = bond), EntryError::BondTooSmall { .. }));
    }
    for name in ["", "Alice", "a b", "ä", &"a".repeat(33)] {
        assert!(matches!(refusal(&|stake| stake.name = name.to_owned()), EntryError::Name { .. }), "{name}");
    }
    let place = |error| match error {
        EntryError::Place(place) => place,
        other => panic!("{other}"),
    };
    for socket in ["0.0.0.0:7451", "[::]:7451", "224.0.0.1:7451", "255.255.255.255:7451"] {
        let socket = socket.parse().unwrap();
        assert!(matches!(place(refusal(&|stake| stake.node = vec![socket])), PlaceError::NotOne { .. }), "{socket}");
    }
    let loopback = "127.0.0.1:7451".parse().unwrap();
    assert!(matches!(place(refusal(&|stake| stake.node = vec![loopback])), PlaceError::Loopback { .. }));
    assert_eq!(place(refusal(&|stake| stake.node = Vec::new())), PlaceError::Count { found: 0 });
    let many = |stake: &mut Stake| stake.node = (1..=17).map(|port| ([192, 0, 2, 1], port).into()).collect();
    assert_eq!(place(refusal(&many)), PlaceError::Count { found: 17 });
    let consensus = |text: &str| place(refusal(&|stake| stake.consensus = text.parse().unwrap()));
    assert_eq!(consensus("/ip4/192.0.2.1/tcp/0"), PlaceError::NoPort);
    assert!(matches!(consensus("/ip6/::/tcp/7452"), PlaceError::NotOne { .. }));
    assert!(matches!(consensus("/ip4/127.0.0.1/tcp/7452"), PlaceError::Loopback { .. }));
}

#[test]
fn addresses_of_consensus_are_written_in_one_way_only() {
    let good =
        ["/ip4/192.0.2.1/tcp/7452", "/ip6/2001:db8::7/tcp/1", "/dns/alice.example.org/tcp/65535", "/dns4/a/tcp/9"];
    for text in good {
        let address: holdfast_genesis::ConsensusAddr = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }
    for text in [
        "",
        "/",
        "ip4/192.0.2.1/tcp/1",
        "/ip4/192.0.2.1/tcp",
        "/ip4/192.0.2.1/tcp/1/",
        "/ip4/192.0.2.1/udp/1",
        "/ip4/::1/tcp/1",
        "/ip6/192.0.2.1/tcp/1",
        "/ip4/192.0.2.1/tcp/01",
        "/ip4/192.0.2.1/tcp/+1",
        "/ip4/192.0.2.1/tcp/65536",
        "/dns//tcp/1",
        "/dns/A.example/tcp/1",
        "/dns/a b/tcp/1",
        "/unix/x/tcp/1",
    ] {
        assert!(text.parse::<holdfast_genesis::ConsensusAddr>().is_err(), "{text}");
    }
}

#[test]
fn a_draft_starts_no_chain_without_validators_or_with_more_than_can_be() {
    let nobody = draft().finalize(TimeMs::new(1)).unwrap_err();
    assert!(matches!(nobody, DraftError::Content(FileError::Rule(GenesisError::NoValidators))), "{nobody}");
    let mut full = draft();
    let most = usize::from(preset(NETWORK).validators_max);
    let many: Vec<Entry> = (0..=most as u16)
        .map(|number| {
            let seed = |kind: u8| {
                let mut seed = [kind; 32];
                seed[..2].copy_from_slice(&number.to_le_bytes());
                seed
            };
            let operator = Operator {
                identity: SecretKey::from_seed(seed(1)),
                beacon: VrfSecretKey::from_seed(seed(2)),
                number: 0,
            };
            let port = 1_000 + number;
            let stake = Stake {
                name: format!("v{number}"),
                node: vec![([192, 0, 2, 1], port).into()],
                consensus: format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap(),
                ..operator.stake()
            };
            operator.sign(&stake, &full)
        })
        .collect();
    let outcomes = full.collect(&many).unwrap();
    assert!(outcomes[..most].iter().all(|outcome| *outcome == Ok(Collected::Added)));
    assert_eq!(outcomes[most], Err(EntryError::TooMany { most }));
    assert_eq!(full.finalize(TimeMs::new(1)).unwrap().0.validators.len(), most);
}

#[test]
fn rules_and_funds_that_the_ledger_refuses_make_no_draft() {
    let text = draft().to_text();
    for (from, to) in [
        ("relay_fee_bps = 150", "relay_fee_bps = 900"),
        ("\"5000 HOLD\"", "\"5000\""),
        ("\"5000 HOLD\"", "\"18446744073 HOLD\""),
        ("validator_bond_min = \"10000 HOLD\"", "validator_bond_min = \"0.5 HOLD\""),
        ("validators_max = 100", "validators_max = 0"),
        ("round_ms", "round_millis"),
        ("network = \"testnet\"", "network = \"devnet\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(Draft::parse(&text.replacen(from, to, 1)).is_err(), "{to}");
    }
    let twice = text.clone() + &text[text.find("[[accounts]]").unwrap()..];
    assert!(matches!(Draft::parse(&twice), Err(DraftError::Content(_))));
}

#[test]
fn an_entry_in_a_draft_that_was_changed_by_hand_is_named() {
    let mut draft = draft();
    for number in [1, 2] {
        let entry = Operator::new(number).entry(&draft);
        collect(&mut draft, &entry).unwrap();
    }
    let text = draft.to_text().replace("20002 HOLD", "90002 HOLD");
    match Draft::parse(&text) {
        Err(DraftError::Entry { number: 2, name, source: EntryError::Signature }) => assert_eq!(name, "operator-2"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_of_peers_is_for_one_chain_and_says_what_the_flags_would() {
    let mut draft = draft();
    let operator = Operator::new(1);
    let entry = operator.entry(&draft);
    collect(&mut draft, &entry).unwrap();
    let (genesis, peers) = draft.finalize(TimeMs::new(1)).unwrap();
    let chain = genesis.chain_id();
    assert_eq!(peers.peers[0].node, format!("{}@192.0.2.1:7451", operator.identity.address()));
    assert_eq!(peers.peers[0].consensus.to_string(), "/ip4/192.0.2.1/tcp/7452");
    let found = Peers::parse(&peers.to_text(), &ChainId::new([1; 32]));
    assert_eq!(found, Err(PeersError::OtherChain { expected: ChainId::new([1; 32]), found: chain }));
    let many = Peers { chain, peers: vec![peers.peers[0].clone(); VALIDATORS_MAX + 1] };
    assert_eq!(Peers::parse(&many.to_text(), &chain), Err(PeersError::TooMany { found: VALIDATORS_MAX + 1 }));
    let unknown = peers.to_text().replace("consensus =", "multiaddr =");
    assert!(matches!(Peers::parse(&unknown, &chain), Err(PeersError::Toml { .. })));
}

/// Texts as people might have them in an editor, more or less broken.
fn broken(text: String) -> impl Strategy<Value = String> {
    let chars: Vec<char> = text.chars().collect();
    let length = chars.len();
    prop_oneof![
        (0..length, any::<char>()).prop_map({
            let chars = chars.clone();
            move |(at, to)| chars[..at].iter().chain([&to]).chain(&chars[at + 1..]).collect()
        }),
        (0..length, 0..length).prop_map({
            let chars = chars.clone();
            move |(one, other)| chars[..one.min(other)].iter().chain(&chars[one.max(other)..]).collect()
        }),
        ".{0,200}".prop_map(|text| text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_entry_is_refused_or_says_the_same(text in broken(Operator::new(1).entry(&draft()).to_text())) {
        let draft = draft();
        if let Ok(entry) = Entry::parse(&text)
            && let Ok(stake) = entry.check(&draft.id().unwrap(), &preset(NETWORK)) {
            prop_assert_eq!(stake, Operator::new(1).stake());
        }
    }

    #[test]
    fn a_broken_draft_is_refused_or_all_in_it_holds(text in broken({
        let mut draft = draft();
        let entry = Operator::new(1).entry(&draft);
        draft.collect(&[entry]).unwrap();
        draft.to_text()
    })) {
        if let Ok(read) = Draft::parse(&text) {
            let stakes = read.stakes().unwrap();
            prop_assert!(stakes.is_empty() || stakes == [Operator::new(1).stake()]);
            prop_assert!(read.id().unwrap() == draft().id().unwrap() || stakes.is_empty());
        }
    }

    #[test]
    fn only_the_right_key_signs(number in 2u8..100, flipped in 0usize..512) {
        let (draft, operator) = (draft(), Operator::new(1));
        let honest = operator.entry(&draft);
        // Another key under this one's name.
        let forged = Operator { identity: Operator::new(number).identity, ..Operator::new(1) }.sign(&operator.stake(), &draft);
        prop_assert_eq!(collect(&mut draft.clone(), &forged), Err(EntryError::Signature));
        let mut bytes = *honest.signature.as_bytes();
        bytes[flipped / 8] ^= 1 << (flipped % 8);
        let flipped = Entry { signature: Signature::new(bytes), ..honest };
        prop_assert_eq!(collect(&mut draft.clone(), &flipped), Err(EntryError::Signature));
    }

    #[test]
    fn no_beacon_key_but_ones_own_is_shown_to_be_held(bytes in any::<[u8; 32]>()) {
        let (draft, operator) = (draft(), Operator::new(1));
        let claimed = Stake { vrf: VrfPublicKey::new(bytes), ..operator.stake() };
        prop_assert_eq!(collect(&mut draft.clone(), &operator.sign(&claimed, &draft)), Err(EntryError::BeaconProof));
    }
}
