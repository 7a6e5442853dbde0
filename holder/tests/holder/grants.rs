//! Who may store and read: what the operator offers its disk for, whom the grid admits, and what owners took back.

use crate::chain::{address, params};
use crate::desk::{Desk, Signboard, request};
use async_trait::async_trait;
use holdfast_holder::{AccountView, ChainView, Ledger, LedgerError};
use holdfast_ledger::{Genesis, Holder, Params, Profile, Revoked, Slot, TxEnvelope};
use holdfast_network::parents::HeavyNode;
use holdfast_network::transfer::BatchService;
use holdfast_network::wire::{Capability, PlacementRequest, QuoteRefusal, RefusalCode, Scope};
use holdfast_primitives::{Address, Amount, Bounded, GrantId, Height, HolderNo, Tag, TimeMs, TxId};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A ledger that knows what owners took back, and counts how often it is asked.
#[derive(Default)]
pub struct Grants {
    taken_back: Mutex<Vec<GrantId>>,
    asked: AtomicU32,
    away: AtomicBool,
}

fn away() -> LedgerError {
    LedgerError::Unavailable { reason: "gone fishing".to_owned() }
}

#[async_trait]
impl Ledger for Grants {
    async fn genesis(&self) -> Result<Genesis, LedgerError> {
        Err(away())
    }

    async fn chain(&self) -> Result<ChainView, LedgerError> {
        Err(away())
    }

    async fn chain_after(&self, _: Height) -> Result<ChainView, LedgerError> {
        Err(away())
    }

    async fn account(&self, _: &Address) -> Result<Option<AccountView>, LedgerError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(away());
        }
        let revoked = |grant: &GrantId| Revoked { grant: *grant, until: TimeMs::new(u64::MAX) };
        let revoked = self.taken_back.lock().unwrap().iter().map(revoked).collect();
        Ok(Some(AccountView { balance: Amount::ZERO, sequence: 0, holder: None, revoked }))
    }

    async fn holder(&self, _: HolderNo) -> Result<Holder, LedgerError> {
        Err(away())
    }

    async fn slots(&self, _: HolderNo, _: u8) -> Result<Vec<Slot>, LedgerError> {
        Err(away())
    }

    async fn heavies(&self) -> Result<Vec<HeavyNode>, LedgerError> {
        Err(away())
    }

    async fn submit(&self, _: TxEnvelope) -> Result<TxId, LedgerError> {
        Err(away())
    }

    async fn wait_final(&self, _: &TxEnvelope) -> Result<Height, LedgerError> {
        Err(away())
    }
}

const GRANT: GrantId = GrantId::new([7; 16]);
const QUOTA: u64 = 16 << 20;

fn tags<const MAX: usize>(words: &[&str]) -> Bounded<Tag, MAX> {
    Bounded::new(words.iter().map(|word| word.parse().unwrap()).collect()).unwrap()
}

fn desk(folder: &tempfile::TempDir, board: Signboard) -> Desk {
    Desk::open_as(folder.path(), QUOTA, TimeMs::new(1_700_000_000_000), board)
}

/// Alice's permission for `reader`.
fn permission(reader: &str) -> Capability {
    Capability {
        grant: GRANT,
        owner: address("alice"),
        reader: address(reader),
        holder: None,
        scope: Scope::All,
        expires: TimeMs::new(u64::MAX),
    }
}

async fn may_read(desk: &Desk, reader: &str) -> Result<(), RefusalCode> {
    desk.service.may_read(&permission(reader)).await.map_err(|refusal| refusal.code)
}

fn at_height(desk: &Desk, height: u64) {
    desk.service.0.learn(Height::new(height), u64::MAX, 0, true);
}

#[tokio::test]
async fn a_disk_is_quoted_for_what_it_is_for_and_where_it_is() {
    type Wish = fn(&mut PlacementRequest);
    let here = QuoteRefusal::OtherRegion { region: Some("eu-west".parse().unwrap()) };
    let photos = QuoteRefusal::OtherTopic { topics: tags(&["photos", "music"]) };
    let rows: [(&str, Wish, Option<QuoteRefusal>); 9] = [
        ("one topic in common", |wish| wish.topics = tags(&["films", "photos"]), None),
        ("no topic in common", |wish| wish.topics = tags(&["films"]), Some(photos.clone())),
        ("no topic at all", |_| (), Some(photos)),
        (
            "a region of several",
            |wish| (wish.topics, wish.regions) = (tags(&["music"]), tags(&["us", "eu-west"])),
            None,
        ),
        ("elsewhere", |wish| (wish.topics, wish.regions) = (tags(&["music"]), tags(&["us", "eu"])), Some(here)),
        (
            "named",
            |wish| (wish.topics, wish.only) = (tags(&["music"]), Bounded::new(vec![address("carol")]).unwrap()),
            None,
        ),
        (
            "another is named",
            |wish| (wish.topics, wish.only) = (tags(&["music"]), Bounded::new(vec![address("dave")]).unwrap()),
            Some(QuoteRefusal::NotNamed),
        ),
        ("as long as offered", |wish| (wish.topics, wish.rounds) = (tags(&["music"]), 500), None),
        (
            "for longer",
            |wish| (wish.topics, wish.rounds) = (tags(&["music"]), 501),
            Some(QuoteRefusal::TermTooLong { rounds_max: 500 }),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let profile = Profile {
        rounds_max: 500,
        region: Some("eu-west".parse().unwrap()),
        operator: None,
        topics: tags(&["photos", "music"]),
    };
    let desk = desk(&folder, Signboard { profile, ..Signboard::default() });
    for (number, (what, wish, refusal)) in (0..).zip(rows) {
        let answer = desk.quote_as("alice", request(number), 1, wish).await;
        assert_eq!(answer.err(), refusal, "{what}");
    }
}

#[tokio::test]
async fn a_disk_for_anything_takes_what_has_no_topic_and_says_where_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(&folder, Signboard::default());
    desk.quote("alice", request(1), 1).await.unwrap();
    let films = desk.quote_as("alice", request(2), 1, |wish| wish.topics = tags(&["films"])).await;
    assert_eq!(films.unwrap_err(), QuoteRefusal::OtherTopic { topics: Bounded::empty() });
    let placed = desk.quote_as("alice", request(3), 1, |wish| wish.regions = tags(&["us"])).await;
    assert_eq!(placed.unwrap_err(), QuoteRefusal::OtherRegion { region: None });
}

#[tokio::test]
async fn a_private_grid_stores_for_its_members_and_lets_only_them_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut grid = vec![address("alice"), address("bob")];
    grid.sort();
    let params = Params { grid: Bounded::new(grid).unwrap(), ..params() };
    let desk = desk(&folder, Signboard { params, ..Signboard::default() });
    desk.quote("alice", request(1), 1).await.unwrap();
    assert_eq!(desk.quote("mallory", request(2), 1).await.unwrap_err(), QuoteRefusal::BadRequest);
    assert_eq!(may_read(&desk, "alice").await, Ok(()));
    assert_eq!(may_read(&desk, "bob").await, Ok(()));
    assert_eq!(may_read(&desk, "mallory").await, Err(RefusalCode::NotWelcome), "whatever Alice signed for her");
}

#[tokio::test]
async fn what_alice_takes_back_counts_from_the_next_block_and_costs_one_question_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(&folder, Signboard::default());
    let asked = || desk.grants.asked.load(Ordering::SeqCst);
    at_height(&desk, 10);
    for _ in 0..50 {
        assert_eq!(may_read(&desk, "bob").await, Ok(()));
    }
    assert_eq!(asked(), 1);
    desk.grants.taken_back.lock().unwrap().push(GRANT);
    at_height(&desk, 11);
    for _ in 0..50 {
        assert_eq!(may_read(&desk, "bob").await, Err(RefusalCode::Revoked));
    }
    assert_eq!(asked(), 2);
    assert_eq!(may_read(&desk, "alice").await, Ok(()), "an owner needs nobody's permission");
}

#[tokio::test]
async fn while_the_ledger_is_away_known_readers_read_on_and_nobody_new_begins() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk(&folder, Signboard::default());
    at_height(&desk, 10);
    assert_eq!(may_read(&desk, "bob").await, Ok(()));
    desk.grants.away.store(true, Ordering::SeqCst);
    assert_eq!(may_read(&desk, "bob").await, Ok(()), "no block is known in which it was taken back");
    let carol = Capability { owner: address("carol"), ..permission("bob") };
    assert_eq!(desk.service.may_read(&carol).await.unwrap_err().code, RefusalCode::Busy);
    assert_eq!(may_read(&desk, "alice").await, Ok(()));
}
