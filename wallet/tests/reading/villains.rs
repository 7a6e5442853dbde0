//! Villains by name: the read succeeds without them and says what each did; with one too many it fails and names them all.

use crate::common::id;
use crate::stage::{Part, Stage, dropped, holder_seed};
use holdfast_parcel::Locator;
use holdfast_primitives::NetworkPrefix;
use holdfast_wallet::WalletError;
use holdfast_wallet::reading::ReadRight;
use std::time::Duration;

const MIB: usize = 1 << 20;
const READER: u8 = 4;

/// Reads all of a 4 + 2 segment of which the holder of batch 1 plays `part`; the word for which it was dropped.
async fn read_past(part: Part) -> String {
    let mut parts = [Part::Honest; 6];
    parts[1] = part;
    let stage = Stage::new(4, 2, &parts);
    let (read, report) = stage.read(0, 4 * MIB as u32).await;
    assert!(read.unwrap() == stage.space, "byte for byte");
    let dropped = dropped(&report);
    assert_eq!(dropped.keys().collect::<Vec<_>>(), [&1], "{report:?}");
    assert!(report.rebuilt_ranges > 0, "batch 1 was rebuilt from others");
    dropped[&1].clone()
}

#[tokio::test(start_paused = true)]
async fn the_falsifier_is_caught_with_bad_data() {
    assert_eq!(read_past(Part::Falsifier).await, "bad-data");
}

#[tokio::test(start_paused = true)]
async fn the_impostor_is_caught_with_another_batch() {
    assert_eq!(read_past(Part::Impostor).await, "other-batch");
}

#[tokio::test(start_paused = true)]
async fn the_sleeper_is_left_behind() {
    assert_eq!(read_past(Part::Sleeper).await, "stalled");
}

#[tokio::test(start_paused = true)]
async fn the_trickler_is_left_behind() {
    assert_eq!(read_past(Part::Trickler).await, "slow");
}

#[tokio::test(start_paused = true)]
async fn the_refuser_is_named_with_its_own_word() {
    assert_eq!(read_past(Part::Refuser).await, "refused-not-welcome");
}

#[tokio::test(start_paused = true)]
async fn the_babbler_is_caught_with_garbage() {
    assert_eq!(read_past(Part::Babbler).await, "garbage");
}

#[tokio::test(start_paused = true)]
async fn bad_data_is_named_by_holder_batch_and_leaf() {
    let stage = Stage::new(1, 1, &[Part::Falsifier, Part::Falsifier]);
    let (read, _) = stage.read(0, 300_000).await;
    let error = read.unwrap_err().to_string();
    for batch in 0..2 {
        assert!(error.contains(&id(holder_seed(batch)).to_text(NetworkPrefix::Devnet)), "{error}");
    }
    assert!(error.contains("leaves 0 to 63"), "the group with the flipped bit: {error}");
}

#[tokio::test(start_paused = true)]
async fn with_one_villain_too_many_the_error_names_them_all() {
    let parts = [Part::Falsifier, Part::Honest, Part::Sleeper, Part::Honest, Part::Refuser, Part::Impostor];
    let stage = Stage::new(4, 2, &parts);
    let (read, report) = stage.read(0, MIB as u32).await;
    let error = read.unwrap_err();
    assert!(matches!(error, WalletError::NotEnoughBatches { needed: 4, .. }), "{error}");
    let dropped = dropped(&report);
    for (batch, word) in [(0, "bad-data"), (4, "refused-not-welcome"), (5, "other-batch")] {
        assert_eq!(dropped[&batch], word, "{report:?}");
        assert!(error.to_string().contains(&id(holder_seed(batch)).to_text(NetworkPrefix::Devnet)), "{error}");
    }
    assert!(error.to_string().contains("batch 2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_range_fetches_only_the_leaves_that_it_touches() {
    let stage = Stage::new(4, 2, &[Part::Honest; 6]);
    let (read, report) = stage.read(MIB as u64 - 10, 20).await;
    assert_eq!(read.unwrap(), stage.space[MIB - 10..MIB + 10]);
    assert_eq!((report.fetched_bytes, stage.served()), (2_048, 2_048), "one leaf of each of two batches");
    assert_eq!(report.holders.len(), 2, "{report:?}");
    assert!(report.holders.iter().all(|holder| holder.path == "direct" && holder.bytes == 1_024));
}

#[tokio::test(start_paused = true)]
async fn among_honest_holders_nothing_is_fetched_twice() {
    let stage = Stage::new(4, 2, &[Part::Honest; 6]);
    let (read, report) = stage.read(0, 4 * MIB as u32).await;
    assert!(read.unwrap() == stage.space);
    assert_eq!((report.fetched_bytes, report.rebuilt_ranges), (4 * MIB as u64, 0));
    assert_eq!(stage.served(), 4 * MIB as u64);
}

#[tokio::test(start_paused = true)]
async fn whoever_failed_once_is_remembered_for_the_session() {
    let mut parts = [Part::Honest; 6];
    parts[0] = Part::Falsifier;
    let stage = Stage::new(4, 2, &parts);
    let sessions = stage.sessions();
    for _ in 0..3 {
        let reader = stage.reader(&sessions);
        let at = Locator { segment: 0, offset: 0, stored_len: 5_000 };
        let read = reader.stored(&[at], |_| Some(stage.shape)).await.unwrap();
        assert_eq!(read[0], stage.space[..5_000]);
    }
    // Two questions of the first read: the range, and the group elsewhere that told bad data from another batch; the rest
    // narrowed it down. Afterwards only the four that rebuild it were asked.
    let later = stage.reader(&sessions);
    let before = stage.served();
    later.stored(&[Locator { segment: 0, offset: 0, stored_len: 5_000 }], |_| Some(stage.shape)).await.unwrap();
    assert_eq!(stage.served() - before, 4 * 5 * 1_024);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lists_other_roots_than_the_owner_noted_is_found_out() {
    let mut stage = Stage::new(4, 2, &[Part::Honest; 6]);
    stage.list_wrongly(0, 1);
    let (read, report) = stage.read(0, 5_000).await;
    assert!(matches!(read.unwrap_err(), WalletError::OtherRoots { ordinal: 0 }));
    assert_eq!(report.fetched_bytes, 0, "nobody was asked");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_idle_for_long_is_opened_again() {
    let stage = Stage::new(4, 2, &[Part::Honest; 6]);
    let sessions = stage.sessions();
    let reader = stage.reader(&sessions);
    let at = Locator { segment: 0, offset: 0, stored_len: 5_000 };
    for _ in 0..3 {
        let read = reader.stored(&[at], |_| Some(stage.shape)).await.unwrap();
        assert_eq!(read[0], stage.space[..5_000]);
        // Holders end a session in which nothing was asked for two minutes.
        tokio::time::sleep(Duration::from_secs(300)).await;
    }
    assert_eq!((reader.report().dropped().count(), reader.report().rebuilt_ranges), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn each_batch_is_read_by_the_permission_that_covers_it() {
    let stage = Stage::new(4, 2, &[Part::Honest; 6]);
    let both = ReadRight::Granted(vec![stage.permission(READER, 0..2), stage.permission(READER, 2..6)]);
    let sessions = stage.sessions_of(READER, both);
    let whole = Locator { segment: 0, offset: 0, stored_len: 4 * MIB as u32 };
    let read = stage.reader(&sessions).stored(&[whole], |_| Some(stage.shape)).await.unwrap();
    assert!(read[0] == stage.space);
    let sessions = stage.sessions_of(READER, ReadRight::Granted(vec![stage.permission(READER, 0..2)]));
    let reader = stage.reader(&sessions);
    let at = |offset| Locator { segment: 0, offset, stored_len: 100 };
    assert!(reader.stored(&[at(0)], |_| Some(stage.shape)).await.is_ok());
    let refused = reader.stored(&[at(3 * MIB as u64)], |_| Some(stage.shape)).await.unwrap_err();
    assert!(refused.to_string().contains("the grant does not cover this batch"), "{refused}");
}
