//! Bytes that outlive the process, frozen. A change here is a new format version and a migration.

use crate::sample::{GROUPS, MIB, Sample, tag, vault};
use holdfast_primitives::sha256;
use std::fs;
use std::path::Path;

/// Magic, version and length of a sealed file, and its payload, after its checksum was recomputed here.
fn unseal(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let (sealed, seal) = bytes.split_at(bytes.len() - 32);
    assert_eq!(sha256(sealed), seal);
    (sealed[..16].to_vec(), sealed[16..].to_vec())
}

#[test]
fn the_vault_file_is_sixteen_bytes_and_a_seal() {
    let directory = tempfile::tempdir().unwrap();
    drop(vault(directory.path()));
    let (header, payload) = unseal(&directory.path().join("VAULT"));
    assert_eq!(header, b"hf-vault\x01\0\0\0\0\0\0\0");
    assert!(payload.is_empty());
}

#[test]
fn an_uploading_head_is_a_byte_a_meta_and_a_tag() {
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(1);
    let upload = vault(directory.path()).reserve(sample.meta, tag("alice")).unwrap();
    sample.send(&upload, 1..4).unwrap();
    sample.send(&upload, 9..10).unwrap();
    let (header, payload) = unseal(&sample.file(directory.path(), "head"));
    assert_eq!(header, b"hf-batch\x01\0\0\0\x5d\0\0\0");
    assert_eq!(payload, head(0, &[], &sample));
    assert_eq!(fs::read(sample.file(directory.path(), "have")).unwrap(), [0b1110, 0b10]);
    assert_eq!(fs::metadata(sample.file(directory.path(), "part")).unwrap().len(), MIB);
}

#[test]
fn a_stored_head_has_two_stamps_and_the_tree_is_pors() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let sample = Sample::new(1);
    sample.store(&vault(directory.path()));
    let stamps: Vec<u8> = ["batch", "tree"]
        .iter()
        .map(|extension| fs::metadata(sample.file(directory.path(), extension)).unwrap())
        .flat_map(|file| {
            [file.mtime().to_le_bytes().to_vec(), (file.mtime_nsec() as u32).to_le_bytes().to_vec()].concat()
        })
        .collect();
    let (_, payload) = unseal(&sample.file(directory.path(), "head"));
    assert_eq!(payload, head(1, &stamps, &sample));
    let tree = fs::read(sample.file(directory.path(), "tree")).unwrap();
    assert_eq!(tree, sample.layers.to_bytes());
    assert_eq!(tree.len(), 16 + 32 * (2 * GROUPS as usize - 1));
}

fn head(state: u8, stamps: &[u8], sample: &Sample) -> Vec<u8> {
    let tag = tag("alice");
    let meta = [&[1, 20, 10, 0], &sample.root()[..]].concat();
    let expires = tag.expires.get().to_le_bytes();
    [&[state], stamps, &meta, tag.owner.as_bytes(), tag.request.as_bytes(), &expires].concat()
}
