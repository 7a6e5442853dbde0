//! Grants as files: what was written comes back, what was altered is refused, and no bytes whatever make a reader panic.

use crate::common::{CHAIN, START_MS, id, key};
use holdfast_network::wire::{Capability, Scope, Signed};
use holdfast_parcel::limits::CHUNK_BYTES_MAX;
use holdfast_parcel::{ChunkId, ChunkKey, ChunkRecord, Excerpt, FilePath, Layout, Locator, SegmentShape};
use holdfast_por::BatchMeta;
use holdfast_primitives::{Address, Bounded, GrantId, TimeMs, sha256};
use holdfast_wallet::share::{BearerSecret, Grant, GrantBook, GrantError, GrantNote, GrantReader, Shared, SharedBatch};
use holdfast_wallet::{Keystore, KeystoreError};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

const OWNER: u8 = 2;
const READER: u8 = 4;
const HEAD_BYTES: usize = 9;

fn chunk(segment: u32, raw_len: u32, frames: Vec<u16>, stored_len: u32) -> ChunkRecord {
    let at = Locator { segment, offset: 77, stored_len };
    let frames = Bounded::new(frames).unwrap();
    ChunkRecord { id: ChunkId::new([3; 32]), key: ChunkKey::generate(), raw_len, frames, at }
}

fn file() -> Excerpt {
    let layout = Layout::from_record(4, 2, 1, 20).unwrap();
    let shape = |ordinal| SegmentShape { ordinal, layout, roots_digest: Some([ordinal as u8; 32]) };
    Excerpt {
        size: 300,
        chunks: Bounded::new(vec![chunk(7, 100, vec![], 116), chunk(9, 200, vec![50], 66)]).unwrap(),
        segments: Bounded::new(vec![shape(7), shape(9)]).unwrap(),
    }
}

fn permission(reader: Address) -> Capability {
    let roots = Bounded::new((0..12).map(|root| [root; 32]).collect()).unwrap();
    Capability {
        grant: GrantId::new([8; 16]),
        owner: id(OWNER),
        reader,
        holder: None,
        scope: Scope::Batches(roots),
        expires: TimeMs::new(START_MS + 1_000),
    }
}

fn grant_with(reader: GrantReader, shared: Shared, permission: Capability, signer: u8) -> Grant {
    let said = permission.clone();
    Grant {
        chain: CHAIN,
        owner: id(OWNER),
        id: GrantId::new([8; 16]),
        expires: TimeMs::new(START_MS + 1_000),
        reader,
        name: FilePath::new("letter").unwrap(),
        shared,
        capabilities: Bounded::new(vec![Signed::new(said, &key(signer), &CHAIN)]).unwrap(),
    }
}

fn named() -> Grant {
    grant_with(GrantReader::Named(id(READER)), Shared::File(file()), permission(id(READER)), OWNER)
}

fn bearer() -> Grant {
    let secret = BearerSecret::generate();
    let reader = secret.key().address();
    let meta = BatchMeta { scheme: 1, batch_log2: 20, leaf_log2: 10, inner_code: 0, root: [1; 32] };
    let shared = Shared::Batch(SharedBatch { ordinal: 7, index: 1, meta });
    grant_with(GrantReader::Bearer(secret), shared, permission(reader), OWNER)
}

/// Bytes with a checksum that fits, as somebody writes them who knows the format.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = sha256(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

#[test]
fn what_was_written_comes_back_and_begins_as_drawn() {
    for grant in [named(), bearer()] {
        let bytes = grant.to_bytes();
        assert_eq!(bytes[..HEAD_BYTES], *b"HFGRANT\0\x01");
        assert_eq!(Grant::from_bytes(&bytes).unwrap(), grant);
    }
    assert_eq!((named().size(), named().batches(), bearer().size()), (300, 12, 1 << 20));
}

#[test]
fn a_flipped_bit_or_a_missing_end_is_noticed() {
    let bytes = named().to_bytes();
    for at in 0..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[at] ^= 1;
        assert!(Grant::from_bytes(&altered).is_err(), "byte {at}");
        assert!(Grant::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(Grant::from_bytes(b"PK\x03\x04"), Err(GrantError::NotAGrant));
    assert_eq!(Grant::from_bytes(b"HFGRANT\0\x02"), Err(GrantError::UnknownVersion { version: 2 }));
}

#[test]
fn a_permission_for_something_else_is_refused() {
    let right = permission(id(READER));
    let cases = [
        Capability { grant: GrantId::new([9; 16]), ..right.clone() },
        Capability { owner: id(READER), ..right.clone() },
        Capability { reader: id(OWNER), ..right.clone() },
        Capability { holder: Some(id(9)), ..right.clone() },
        Capability { scope: Scope::All, ..right.clone() },
        Capability { expires: TimeMs::new(START_MS + 2_000), ..right.clone() },
    ];
    for said in cases {
        let grant = grant_with(GrantReader::Named(id(READER)), Shared::File(file()), said, OWNER);
        assert_eq!(Grant::from_bytes(&grant.to_bytes()), Err(GrantError::Foreign { index: 0 }));
    }
    let forged = grant_with(GrantReader::Named(id(READER)), Shared::File(file()), right, READER);
    assert_eq!(Grant::from_bytes(&forged.to_bytes()), Err(GrantError::NotSigned { index: 0 }));
}

#[test]
fn a_name_that_leads_elsewhere_and_a_file_that_is_none_are_refused() {
    let mut grant = named();
    grant.name = FilePath::new("folder/letter").unwrap();
    assert!(matches!(Grant::from_bytes(&grant.to_bytes()), Err(GrantError::Name { .. })));
    let files = [
        Excerpt { size: 299, ..file() },
        Excerpt { segments: Bounded::new(vec![file().segments[0]]).unwrap(), ..file() },
        Excerpt { segments: Bounded::new(vec![file().segments[1], file().segments[0]]).unwrap(), ..file() },
        Excerpt { size: 100, chunks: Bounded::new(vec![chunk(7, 100, vec![], u32::MAX)]).unwrap(), ..file() },
    ];
    for file in files {
        let grant = grant_with(GrantReader::Named(id(READER)), Shared::File(file), permission(id(READER)), OWNER);
        assert!(matches!(Grant::from_bytes(&grant.to_bytes()), Err(GrantError::Excerpt(_))));
    }
}

#[test]
fn an_owner_finds_again_what_it_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let book: GrantBook = Keystore::new(folder.path()).grants("alice").unwrap();
    assert!(book.list().unwrap().is_empty());
    let day = 24 * 3_600 * 1_000;
    let note = |until: u64, made: u64| {
        let grant = Grant { expires: TimeMs::new(until), ..named() };
        GrantNote::of(&grant, "letters/letter", None, TimeMs::new(made))
    };
    book.add(note(day, 0)).unwrap();
    book.add(note(40 * day, 2 * day)).unwrap();
    assert_eq!(book.list().unwrap(), [note(day, 0), note(40 * day, 2 * day)], "the one that ended is still shown");
    assert_eq!(std::fs::metadata(book.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Keystore::new(folder.path()).list().unwrap().is_empty(), "it is no wallet");
    book.add(note(80 * day, 35 * day)).unwrap();
    assert_eq!(book.list().unwrap().len(), 2, "what ended a month ago is forgotten");
    std::fs::write(book.path(), "{\"version\":2,\"grants\":[]}").unwrap();
    assert!(matches!(book.list(), Err(KeystoreError::Corrupt { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_of_grants_panic(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Grant::from_bytes(&body);
        let _ = Grant::from_bytes(&sealed([b"HFGRANT\0\x01".as_slice(), &body].concat()));
    }

    /// Whoever alters a grant and mends its checksum can change what it says of itself, never what the owner signed.
    #[test]
    fn an_altered_grant_never_gives_more(at in any::<prop::sample::Index>(), to in any::<u8>(), whose in any::<bool>()) {
        let grant = if whose { named() } else { bearer() };
        let mut bytes = grant.to_bytes().to_vec();
        bytes.truncate(bytes.len() - 32);
        let at = HEAD_BYTES + at.index(bytes.len() - HEAD_BYTES);
        bytes[at] = to;
        if let Ok(altered) = Grant::from_bytes(&sealed(bytes)) {
            prop_assert_eq!(&altered.capabilities, &grant.capabilities);
            let of = |grant: &Grant| (grant.chain, grant.owner, grant.id, grant.expires, grant.reader());
            prop_assert_eq!(of(&altered), of(&grant));
        }
    }

    /// Records that a villain wrote: whatever they claim, reading by them ends in bytes or in an error.
    #[test]
    fn hostile_chunks_end_in_errors(
        raw_len in 0u32..2 * CHUNK_BYTES_MAX as u32,
        frames in proptest::collection::vec(any::<u16>(), 0..16),
        stored_len in 0u32..200_000,
        stored in proptest::collection::vec(any::<u8>(), 0..400),
        range in (any::<u32>(), any::<u32>()),
        vouched in any::<bool>(),
    ) {
        let layout = Layout::from_record(4, 2, 1, 20).unwrap();
        let file = Excerpt {
            size: raw_len.into(),
            chunks: Bounded::new(vec![chunk(0, raw_len, frames, stored_len)]).unwrap(),
            segments: Bounded::new(vec![SegmentShape { ordinal: 0, layout, roots_digest: None }]).unwrap(),
        };
        let checked = file.check();
        let (from, to) = (u64::from(range.0.min(range.1)), u64::from(range.0.max(range.1)));
        for piece in file.pieces(from.min(file.size)..to.min(file.size)).unwrap() {
            if let Ok(read) = piece.read(vouched) && checked.is_ok() {
                let mut bytes = stored.clone();
                bytes.resize(read.at().stored_len as usize, 7);
                let _ = read.decode(bytes);
                let _ = read.decode(stored.clone());
            }
        }
    }
}
