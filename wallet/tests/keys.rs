//! Words, derivation and keystore, against the official vectors and against people's mistakes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_wallet::{Keystore, KeystoreCost as Cost, KeystoreError, Words, WordsError, derive_ed25519};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

/// So cheap that tests can open many; never used by the program.
const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

#[test]
fn derivation_matches_slip_0010_test_vector_1_for_ed25519() {
    let seed = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
    let steps = [0u32, 1, 2, 2, 1_000_000_000];
    let keys = [
        "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
        "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
        "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
        "92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9",
        "30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662",
        "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
    ];
    for (depth, key) in keys.iter().enumerate() {
        assert_eq!(hex::encode(derive_ed25519(&seed, &steps[..depth]).as_slice()), *key, "depth {depth}");
    }
}

#[test]
fn words_match_the_bip_39_vectors() {
    let cases = [
        ([0u8; 32], format!("{} art", ["abandon"; 23].join(" "))),
        ([0xff; 32], format!("{} vote", ["zoo"; 23].join(" "))),
    ];
    for (entropy, words) in cases {
        assert_eq!(*Words::from_entropy(entropy).reveal(), words);
        assert_eq!(Words::parse(&words.to_uppercase()).unwrap().entropy(), &entropy);
    }
}

#[test]
fn wrong_words_are_told_apart() {
    let good = ["abandon"; 23].join(" ") + " art";
    let count = Words::parse("abandon art").unwrap_err();
    assert_eq!(count, WordsError::Count { found: 2 });
    let typo = Words::parse(&good.replacen("abandon", "abandom", 1)).unwrap_err();
    assert_eq!(typo, WordsError::UnknownWord { position: 1, word: "abandom".to_owned() });
    assert_eq!(Words::parse(&good.replace("art", "zoo")).unwrap_err(), WordsError::Checksum);
}

#[test]
fn signing_and_data_keys_differ_per_account_and_purpose() {
    let words = Words::from_entropy([7; 32]);
    let keys =
        [words.signing_key(0).to_seed(), words.signing_key(1).to_seed(), *words.data_master(0), *words.data_master(1)];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key));
    }
    assert_eq!(format!("{words:?}"), "Words(hidden)");
}

#[test]
fn a_keystore_opens_with_its_password_only_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::new(folder.path());
    let words = Words::generate();
    keystore.create("alice", "dhf1xyz", &words, "correct horse", CHEAP).unwrap();
    assert_eq!(keystore.open("alice", "correct horse").unwrap().entropy(), words.entropy());
    assert!(matches!(keystore.open("alice", "wrong"), Err(KeystoreError::WrongPassword { .. })));
    assert!(matches!(keystore.open("bob", "x"), Err(KeystoreError::NotFound { .. })));
    let again = keystore.create("alice", "dhf1xyz", &Words::generate(), "x", CHEAP);
    assert!(matches!(again, Err(KeystoreError::Exists { .. })));
    assert_eq!(keystore.open("alice", "correct horse").unwrap().entropy(), words.entropy());
    let file = folder.path().join("alice.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(keystore.list().unwrap().len(), 1);
}

#[test]
fn corrupt_keystores_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::new(folder.path());
    keystore.create("alice", "dhf1xyz", &Words::generate(), "pw", CHEAP).unwrap();
    let path = folder.path().join("alice.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let edits = [
        good[..good.len() / 2].to_owned(),
        good.replace("\"version\": 1", "\"version\": 9"),
        good.replace("\"memory_kib\": 64", "\"memory_kib\": 4000000000"),
        good.replace("\"name\"", "\"nome\""),
        "x".repeat(100_000),
    ];
    for edit in edits {
        std::fs::write(&path, &edit).unwrap();
        assert!(matches!(keystore.open("alice", "pw"), Err(KeystoreError::Corrupt { .. })), "{}", &edit[..40]);
    }
    std::fs::write(&path, good.replace("dhf1xyz", "dhf1abc")).unwrap();
    assert!(
        matches!(keystore.open("alice", "pw"), Err(KeystoreError::WrongPassword { .. })),
        "the address is bound in"
    );
}

/// A keystore file of Alice's, her words, and the file's bytes.
fn sealed() -> (tempfile::TempDir, Keystore, Words, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let keystore = Keystore::new(folder.path());
    let words = Words::from_entropy([0x5a; 32]);
    keystore.create("alice", "dhf1xyz", &words, "correct horse", CHEAP).unwrap();
    let bytes = std::fs::read(folder.path().join("alice.json")).unwrap();
    (folder, keystore, words, bytes)
}

/// Damage that changes nothing of what the file says (`a` and `A` are one hexadecimal digit) opens to the same words; any
/// other is named. No damage opens to other words.
fn opens_to_the_same_words_or_to_none(
    folder: &tempfile::TempDir,
    keystore: &Keystore,
    words: &Words,
    bytes: &[u8],
) -> bool {
    std::fs::write(folder.path().join("alice.json"), bytes).unwrap();
    match keystore.open("alice", "correct horse") {
        Ok(opened) => {
            assert_eq!(opened.entropy(), words.entropy(), "other words out of {:?}", String::from_utf8_lossy(bytes));
            true
        }
        Err(KeystoreError::WrongPassword { .. } | KeystoreError::Corrupt { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn no_flipped_bit_of_a_keystore_opens_to_other_words() {
    let (folder, keystore, words, honest) = sealed();
    assert!(opens_to_the_same_words_or_to_none(&folder, &keystore, &words, &honest));
    let mut harmless = Vec::new();
    for bit in 0..honest.len() * 8 {
        let mut bent = honest.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        if opens_to_the_same_words_or_to_none(&folder, &keystore, &words, &bent) {
            harmless.push((honest[bit / 8], bent[bit / 8]));
        }
    }
    let other_case = |(before, after): &(u8, u8)| before.eq_ignore_ascii_case(after) && before.is_ascii_hexdigit();
    assert!(harmless.iter().all(other_case), "{harmless:?}");
}

#[test]
fn a_keystore_that_is_cut_short_or_goes_on_is_named_as_corrupt() {
    let (folder, keystore, _, honest) = sealed();
    let path = folder.path().join("alice.json");
    for length in 0..honest.len() {
        std::fs::write(&path, &honest[..length]).unwrap();
        let error = keystore.open("alice", "correct horse").unwrap_err();
        assert!(matches!(error, KeystoreError::Corrupt { .. }), "{length} bytes: {error}");
    }
    std::fs::write(&path, [&honest[..], b"{}"].concat()).unwrap();
    assert!(matches!(keystore.open("alice", "correct horse"), Err(KeystoreError::Corrupt { .. })));
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    let keystore = Keystore::new("/nonexistent");
    for name in ["", "../alice", "a/b", "a.b", "über", &"x".repeat(65)] {
        assert!(matches!(keystore.open(name, "pw"), Err(KeystoreError::BadName { .. })), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn words_read_back(entropy in any::<[u8; 32]>()) {
        let words = Words::from_entropy(entropy);
        let read = Words::parse(&words.reveal()).unwrap();
        prop_assert_eq!(read.entropy(), &entropy);
    }

    #[test]
    fn no_damage_to_a_keystore_opens_to_other_words(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (folder, keystore, words, honest) = sealed();
        let mut bent = honest;
        for (at, byte) in damage {
            let at = at.index(bent.len());
            bent[at] = byte;
        }
        opens_to_the_same_words_or_to_none(&folder, &keystore, &words, &bent);
    }

    #[test]
    fn any_text_is_words_or_an_error(text in ".{0,300}") {
        let _ = Words::parse(&text);
    }
}
