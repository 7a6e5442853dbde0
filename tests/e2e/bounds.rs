//! What storing is billed (DESIGN section 9 and the bounds), over a live network: with quotes, padding and catalog.

use crate::common::{Person, devnet, grains, noise};
use serde_json::Value;
use std::path::Path;

const MIB: usize = 1 << 20;
/// An image so large that a whole segment more (six batches) is still within 2.5 %.
const IMAGE_MIB: usize = 384;

/// What a put cost, by its own report and counted again in the wallet.
#[derive(Debug)]
struct Bill {
    segments: u64,
    batches: u64,
    /// Storage and fees, in grains.
    storage: u64,
    fees: u64,
}

fn put(alice: &Person, path: &Path) -> Bill {
    let before = alice.balance();
    let report = alice.ask(&["put", path.to_str().unwrap(), "--yes", "--for", "1h"]);
    let count = |name: &str| report["cost"][name].as_u64().unwrap();
    let bill = Bill {
        segments: count("segments"),
        batches: count("batches"),
        storage: grains(&report["cost"]["storage"]),
        fees: grains(&report["fees"]),
    };
    assert_eq!(before - alice.balance(), bill.storage + bill.fees, "what was taken is what was said: {report}");
    bill
}

/// The network's segment: data batches, all batches, bytes of data.
struct Segment {
    batches: u64,
    data_bytes: u64,
}

fn segment(alice: &Person, path: &Path) -> Segment {
    let quote: Value = alice.ask(&["quote", path.to_str().unwrap(), "--for", "1h"]);
    let count = |name: &str| quote[name].as_u64().unwrap();
    Segment { batches: count("data") + count("parity"), data_bytes: count("data") << count("batch_log2") }
}

/// A machine's disk: mostly noise, some text that compresses, some of it empty.
fn image() -> Vec<u8> {
    let text = (0..)
        .map(|line| format!("{line} All happy families are alike; every unhappy family is unhappy in its own way.\n"));
    let mut image = noise((IMAGE_MIB - 32) * MIB, 11);
    image.extend(text.flat_map(String::into_bytes).take(16 * MIB));
    image.resize(IMAGE_MIB * MIB, 0);
    image
}

#[test]
fn an_image_stored_again_with_one_percent_changed_is_billed_at_most_a_fortieth() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let (path, mut image) = (folder.path().join("vm.img"), image());
    std::fs::write(&path, &image).unwrap();
    let first = put(&alice, &path);
    let shape = segment(&alice, &path);
    assert_eq!(first.batches, first.segments * shape.batches);
    assert!(first.segments * shape.data_bytes > (IMAGE_MIB as u64 - 40) << 20, "noise does not compress: {first:?}");

    // One percent in runs of 1 MiB, at odd places.
    let runs = IMAGE_MIB.div_ceil(100);
    for run in 0..runs {
        let at = (run * IMAGE_MIB / runs + 7) * MIB + 12_345 * run;
        image[at..at + MIB].copy_from_slice(&noise(MIB, 100 + run as u64));
    }
    std::fs::write(&path, &image).unwrap();
    let again = put(&alice, &path);
    assert!(again.batches > 0 && again.batches * 40 <= first.batches, "{again:?} after {first:?}");
    assert!((again.storage + again.fees) * 40 <= first.storage + first.fees, "{again:?} after {first:?}");

    // What was billed so little is whole: a slice around a changed run, from both puts' segments.
    let (from, to) = (6 * MIB, 9 * MIB - 1);
    let out = folder.path().join("slice");
    alice.ask(&["get", "vm.img", "--range", &format!("{from}-{to}"), "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out).unwrap(), image[from..=to]);
}

#[test]
fn storing_again_builds_on_what_is_paid_for_long_enough_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let path = folder.path().join("diary");
    std::fs::write(&path, noise(2 * MIB, 3)).unwrap();
    let put = |term: &str| {
        let report = alice.ask(&["put", path.to_str().unwrap(), "--yes", "--for", term]);
        let until = report["paid_until_ms"].as_u64().unwrap();
        (report["deduped_bytes"].as_u64().unwrap(), report["released_segments"].as_array().unwrap().len(), until)
    };
    let (_, _, hour) = put("1h");
    let (deduped, released, until) = put("1h");
    assert_eq!((deduped, released), (2 * MIB as u64, 0), "an hour is paid for already");
    // Not longer than the older pieces; a round of 4 s may have passed between the two looks at the clock.
    assert!(until <= hour + 4_000, "{until} is said, {hour} was paid for");
    let (deduped, released, until) = put("2h");
    assert_eq!(deduped, 0, "what ends sooner is stored anew");
    assert!(released > 0, "and the old pieces are let go");
    assert!(until > hour + 3_500_000, "{until} against {hour}");
    assert_eq!(alice.get("diary"), noise(2 * MIB, 3));

    // A copy under another name must not lean on what ends before it.
    let copy = alice.ask(&["put", path.to_str().unwrap(), "--as", "copy", "--yes", "--for", "4h"]);
    assert_eq!(copy["deduped_bytes"], 0, "{copy}");
    assert_eq!((alice.get("copy"), alice.get("diary")), (noise(2 * MIB, 3), noise(2 * MIB, 3)));
}

#[test]
fn a_thousand_small_files_are_billed_their_bytes_a_tenth_and_one_padding() {
    const FILES: u64 = 1_000;
    const FILE_BYTES: usize = 10 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let network = devnet(folder.path(), &["--holders", "6"]);
    let alice = Person::funded(&folder.path().join("alice"), &network);
    let one = folder.path().join("one");
    std::fs::write(&one, b"1").unwrap();
    let shape = segment(&alice, &one);
    let smallest = put(&alice, &one);
    assert_eq!((smallest.segments, smallest.batches), (1, shape.batches), "the price of one segment");

    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for index in 0..FILES {
        std::fs::write(photos.join(format!("IMG_{index:04}.jpg")), noise(FILE_BYTES, index)).unwrap();
    }
    let bill = put(&alice, &photos);
    let plain = FILES * FILE_BYTES as u64;
    let allowed = plain * 11 / 10 + shape.data_bytes;
    assert!(bill.segments * shape.data_bytes <= allowed, "{bill:?}, {allowed} bytes are allowed");
    assert!(bill.storage <= smallest.storage * (allowed / shape.data_bytes), "{bill:?} against {smallest:?}");
    assert_eq!(alice.ask(&["ls", "photos"]).as_array().unwrap().len() as u64, FILES);
    assert_eq!(alice.get("photos/IMG_0815.jpg"), noise(FILE_BYTES, 815));
}
