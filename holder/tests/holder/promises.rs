//! What was promised is kept, and nothing is promised twice: whatever owners ask for, in whatever order, and however
//! often the process dies in between.

use crate::batch::{Batch, MIB};
use crate::chain::{PRICE, address};
use crate::desk::{CHAIN, Desk, HOLDER, promises_folder, request};
use holdfast_holder::{NotPromised, Promises, RESERVED_MS};
use holdfast_ledger::statement::{QuoteTerms, path_digest};
use holdfast_network::wire::{QuoteRefusal, RefusalCode};
use holdfast_primitives::{Height, TimeMs};
use holdfast_store::BatchTag;
use proptest::prelude::*;
use std::collections::BTreeMap;

const OWNERS: [&str; 3] = ["alice", "bob", "mallory"];

fn terms(owner: usize, number: u8, batches_max: u32, expires: u64) -> QuoteTerms {
    QuoteTerms {
        request: request(number),
        owner: address(OWNERS[owner]),
        holder: address(HOLDER),
        batch_log2: 20,
        batches_max,
        price: PRICE,
        rounds_max: 10,
        path: path_digest([&address("walter")]),
        expires: Height::new(expires),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Promise { owner: usize, number: u8, batches: u32, blocks: u64 },
    Begin { owner: usize, number: u8 },
    GiveBack { owner: usize, number: u8 },
    Minutes(u64),
    Blocks(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let who = (0..OWNERS.len(), 0..3u8);
    prop_oneof![
        3 => (who.clone(), 1..5u32, 0..40u64)
            .prop_map(|((owner, number), batches, blocks)| Step::Promise { owner, number, batches, blocks }),
        5 => who.clone().prop_map(|(owner, number)| Step::Begin { owner, number }),
        1 => who.prop_map(|(owner, number)| Step::GiveBack { owner, number }),
        2 => (1..12u64).prop_map(Step::Minutes),
        1 => (1..20u64).prop_map(Step::Blocks),
        1 => Just(Step::Restart),
    ]
}

/// A promise as a clerk with pen and paper would note it.
#[derive(Clone, Debug)]
struct Noted {
    batches: u64,
    begun: u64,
    last_height: u64,
    /// When it last counted as young, and what a restart goes back to.
    young_since: u64,
    made: u64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// The promises agree with the clerk's notes after every step: how much is reserved, which batch may be begun, what is
    /// still known.
    #[test]
    fn promises_are_what_a_clerk_would_have_noted(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut promises = Promises::open(folder.path(), std::iter::empty()).unwrap();
        let mut notes: BTreeMap<(usize, u8), Noted> = BTreeMap::new();
        let (mut minutes, mut height) = (0u64, 10u64);
        let free = 2 * MIB;
        for step in steps {
            let now = TimeMs::new(minutes * 60_000);
            match step {
                Step::Promise { owner, number, batches, blocks } => {
                    promises.make(terms(owner, number, batches, height + blocks), now).unwrap();
                    let (batches, last_height) = (u64::from(batches), height + blocks);
                    let same = notes.get(&(owner, number)).filter(|noted| noted.last_height == last_height);
                    let begun = same.map_or(0, |noted| noted.begun);
                    let noted = Noted { batches, begun, last_height, young_since: minutes, made: minutes };
                    notes.insert((owner, number), noted);
                }
                Step::Begin { owner, number } => {
                    // A third of all callers finds less room than a batch.
                    let free = if number == 2 { MIB - 1 } else { free };
                    let answer = promises.begin(&request(number), &address(OWNERS[owner]), now, free);
                    let expected = match notes.get_mut(&(owner, number)) {
                        None => Err(NotPromised::Unknown),
                        Some(noted) if noted.begun >= noted.batches => {
                            Err(NotPromised::UsedUp { batches_max: noted.batches as u32 })
                        }
                        Some(noted) if minutes - noted.young_since < 10 => {
                            noted.young_since = minutes;
                            noted.begun += 1;
                            Ok(())
                        }
                        Some(_) if free < MIB => Err(NotPromised::NoRoom { wanted: MIB, free }),
                        Some(noted) => {
                            noted.begun += 1;
                            Ok(())
                        }
                    };
                    prop_assert_eq!(answer.map(|_| ()), expected);
                }
                Step::GiveBack { owner, number } => {
                    promises.not_begun(&request(number), &address(OWNERS[owner]));
                    if let Some(noted) = notes.get_mut(&(owner, number)) {
                        noted.begun = noted.begun.saturating_sub(1);
                    }
                }
                Step::Minutes(passed) => minutes += passed,
                Step::Blocks(passed) => {
                    height += passed;
                    promises.expire(Height::new(height)).unwrap();
                    notes.retain(|_, noted| noted.last_height >= height);
                }
                Step::Restart => {
                    let begun = notes.iter().flat_map(|((owner, number), noted)| {
                        let owner = address(OWNERS[*owner]);
                        let expires = Height::new(noted.last_height);
                        let tag = BatchTag { owner, request: request(*number), expires };
                        std::iter::repeat_n(tag, noted.begun as usize)
                    });
                    promises = Promises::open(folder.path(), begun).unwrap();
                    notes.values_mut().for_each(|noted| noted.young_since = noted.made);
                }
            }
            let young = notes.values().filter(|noted| minutes - noted.young_since < 10);
            let reserved: u64 = young.map(|noted| noted.batches.saturating_sub(noted.begun) * MIB).sum();
            prop_assert_eq!(promises.reserved_bytes(TimeMs::new(minutes * 60_000)), reserved);
            for (owner, name) in OWNERS.into_iter().enumerate() {
                for number in 0..3 {
                    let known = promises.terms(&request(number), &address(name)).is_some();
                    prop_assert_eq!(known, notes.contains_key(&(owner, number)));
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Turn {
    Ask { owner: usize, number: u8, batches: u32 },
    Upload { owner: usize, number: u8 },
    Remove(prop::sample::Index),
    Minutes(u64),
    Restart,
}

fn turn() -> impl Strategy<Value = Turn> {
    let who = (0..OWNERS.len(), 0..3u8);
    prop_oneof![
        3 => (who.clone(), 1..5u32)
            .prop_map(|((owner, number), batches)| Turn::Ask { owner, number, batches }),
        5 => who.prop_map(|(owner, number)| Turn::Upload { owner, number }),
        1 => any::<prop::sample::Index>().prop_map(Turn::Remove),
        1 => (1..12u64).prop_map(Turn::Minutes),
        1 => Just(Turn::Restart),
    ]
}

/// What an owner was promised, seen from outside.
#[derive(Clone, Copy, Debug)]
struct Word {
    left: u64,
    young_since: u64,
    made: u64,
}

const QUOTA_BATCHES: u64 = 8;

/// What young words bind.
fn bound(words: &BTreeMap<(usize, u8), Word>, minutes: u64) -> u64 {
    words.values().filter(|word| minutes - word.young_since < 10).map(|word| word.left).sum()
}

async fn live_through(turns: Vec<Turn>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(folder.path(), QUOTA_BATCHES * MIB);
    let mut words: BTreeMap<(usize, u8), Word> = BTreeMap::new();
    let mut stored: Vec<Batch> = Vec::new();
    let (mut minutes, mut made, mut height) = (0u64, 0u64, 0u64);
    for turn in turns {
        match turn {
            Turn::Ask { owner, number, batches } => {
                let free = QUOTA_BATCHES - stored.len() as u64 - bound(&words, minutes);
                let answer = desk.quote(OWNERS[owner], request(number), batches).await;
                if u64::from(batches) > free {
                    let refusal = QuoteRefusal::NoRoom { batches_free: free as u32 };
                    prop_assert_eq!(answer.unwrap_err(), refusal, "no more is promised than there is");
                    continue;
                }
                let quote = answer.unwrap();
                prop_assert!(quote.verify(&CHAIN).is_ok());
                let tag = BatchTag { owner: quote.terms.owner, request: request(number), expires: quote.terms.expires };
                let before = desk.vault.list().iter().filter(|batch| batch.tag == tag).count() as u64;
                let left = u64::from(batches).saturating_sub(before);
                words.insert((owner, number), Word { left, young_since: minutes, made: minutes });
            }
            Turn::Upload { owner, number } => {
                made += 1;
                let batch = Batch::new(made);
                let answer = desk.begin(OWNERS[owner], request(number), &batch).await;
                let free = QUOTA_BATCHES - stored.len() as u64 - bound(&words, minutes);
                match words.get_mut(&(owner, number)).filter(|word| word.left > 0) {
                    None => prop_assert_eq!(answer.unwrap_err().code, RefusalCode::UnknownRequest),
                    Some(word) if minutes - word.young_since < 10 => {
                        prop_assert!(answer.is_ok(), "a young promise is kept: {:?}", answer);
                        (word.left, word.young_since) = (word.left - 1, minutes);
                        stored.push(batch);
                    }
                    Some(_) if free == 0 => prop_assert_eq!(answer.unwrap_err().code, RefusalCode::NoRoom),
                    Some(word) => {
                        prop_assert!(answer.is_ok(), "there is room for an old one: {:?}", answer);
                        word.left -= 1;
                        stored.push(batch);
                    }
                }
            }
            Turn::Remove(which) if !stored.is_empty() => {
                // As housekeeping does once the words over a batch have ended.
                let batch = stored.swap_remove(which.index(stored.len()));
                let tag = desk.vault.get(&batch.root()).unwrap().tag;
                desk.vault.remove(&batch.root()).unwrap();
                for other in stored.extract_if(.., |other| desk.vault.get(&other.root()).unwrap().tag == tag) {
                    desk.vault.remove(&other.root()).unwrap();
                }
                height += 20_001;
                desk.service.0.learn(Height::new(height), u64::MAX, 0, true);
                desk.promises.expire(Height::new(height)).unwrap();
                words.clear();
            }
            Turn::Remove(_) => {}
            Turn::Minutes(passed) => {
                minutes += passed;
                desk.pass(passed * 60_000);
            }
            Turn::Restart => {
                let now = desk.now();
                drop(desk);
                desk = Desk::open(folder.path(), QUOTA_BATCHES * MIB, now);
                desk.service.0.learn(Height::new(height), u64::MAX, 0, true);
                words.values_mut().for_each(|word| word.young_since = word.made);
            }
        }
        let (used, bound) = (stored.len() as u64, bound(&words, minutes));
        prop_assert_eq!(desk.vault.used_bytes(), used * MIB);
        prop_assert!(used + bound <= QUOTA_BATCHES, "{} used and {} promised of {}", used, bound, QUOTA_BATCHES);
        prop_assert_eq!(desk.free_batches(), QUOTA_BATCHES - used - bound);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over a real vault: what is used and what young promises bind never exceed the quota together, and a young promise is
    /// kept whatever others ask for.
    #[test]
    fn the_quota_is_never_sold_twice(turns in prop::collection::vec(turn(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live_through(turns))?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_ask_at_once_are_not_promised_the_same_room() {
    let folder = tempfile::tempdir().unwrap();
    let desk = std::sync::Arc::new(Desk::new(folder.path(), QUOTA_BATCHES * MIB));
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..32 {
        let desk = std::sync::Arc::clone(&desk);
        asking.spawn(async move { desk.quote("alice", request(number), 1).await });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count() as u64, QUOTA_BATCHES);
    assert!(
        answers
            .iter()
            .flat_map(|answer| answer.as_ref().err())
            .all(|refusal| { *refusal == QuoteRefusal::NoRoom { batches_free: 0 } })
    );
}

/// Mallory learns the number of Alice's request and asks under the same.
#[tokio::test]
async fn another_owners_request_of_the_same_number_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path(), QUOTA_BATCHES * MIB);
    desk.quote("alice", request(1), 2).await.unwrap();
    desk.quote("mallory", request(1), 1).await.unwrap();
    let batches = [1, 2, 3].map(Batch::new);
    for batch in &batches[..2] {
        desk.begin("alice", request(1), batch).await.unwrap();
        desk.send_all("alice", request(1), batch).await.unwrap();
    }
    assert_eq!(desk.begin("alice", request(1), &batches[2]).await.unwrap_err().code, RefusalCode::UnknownRequest);
    desk.begin("mallory", request(1), &batches[2]).await.unwrap();
}

#[tokio::test]
async fn a_restart_hands_out_no_batch_twice() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path(), QUOTA_BATCHES * MIB);
    desk.quote("alice", request(1), 2).await.unwrap();
    let batches = [1, 2, 3].map(Batch::new);
    desk.begin("alice", request(1), &batches[0]).await.unwrap();
    desk.begin("alice", request(1), &batches[1]).await.unwrap();
    let now = desk.now();
    drop(desk);
    let desk = Desk::open(folder.path(), QUOTA_BATCHES * MIB, now);
    assert_eq!(desk.begin("alice", request(1), &batches[2]).await.unwrap_err().code, RefusalCode::UnknownRequest);
    desk.begin("alice", request(1), &batches[1]).await.expect("what was begun goes on");
    assert_eq!(desk.free_batches(), QUOTA_BATCHES - 2);
}

#[tokio::test]
async fn a_batch_of_another_size_uses_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path(), QUOTA_BATCHES * MIB);
    desk.quote("alice", request(1), 1).await.unwrap();
    let mut large = Batch::new(1);
    large.meta.batch_log2 = 21;
    assert_eq!(desk.begin("alice", request(1), &large).await.unwrap_err().code, RefusalCode::BadBatch);
    desk.begin("alice", request(1), &Batch::new(2)).await.unwrap();
}

#[tokio::test]
async fn the_deposit_is_not_promised_twice_either() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path(), QUOTA_BATCHES * MIB);
    desk.service.0.learn(Height::new(1), 3 * MIB, 0, true);
    desk.quote("alice", request(1), 2).await.unwrap();
    let refused = desk.quote("bob", request(1), 2).await.unwrap_err();
    assert_eq!(refused, QuoteRefusal::NoRoom { batches_free: 1 });
    let batch = Batch::new(1);
    desk.begin("alice", request(1), &batch).await.unwrap();
    desk.pass(RESERVED_MS);
    assert_eq!(desk.free_batches(), 2, "what lies here unregistered needs collateral as well");
    desk.service.0.learn(Height::new(2), 2 * MIB, MIB, true);
    assert_eq!(desk.free_batches(), 2, "once it is registered, its collateral is locked");
}

#[test]
fn files_that_are_no_promises_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = promises_folder(folder.path());
    let promises = Promises::open(&path, std::iter::empty()).unwrap();
    promises.make(terms(0, 1, 3, 100), TimeMs::new(5)).unwrap();
    let whole = std::fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(path.join("torn"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(path.join("copied"), &bytes).unwrap();
    std::fs::write(whole.with_extension("tmp"), &bytes).unwrap();
    std::fs::write(path.join("large"), vec![0; 5_000]).unwrap();
    let promises = Promises::open(&path, std::iter::empty()).unwrap();
    assert_eq!(promises.terms(&request(1), &address("alice")), Some(terms(0, 1, 3, 100)));
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
}
