//! What storing costs, in bytes: duplicates, small files, compressible files; and in memory, whatever a file's size.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use holdfast_parcel::limits::READ_AHEAD_BYTES;
use holdfast_parcel::{
    Catalog, FileMeta, Layout, MemorySpace, PackError, PackedSegment, Packer, SegmentSink, SegmentSpace,
};
use holdfast_primitives::TimeMs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use support::{Owner, noise, path_of};

const MIB: usize = 1 << 20;

#[test]
fn an_image_stored_again_costs_what_changed_and_little_more() {
    let mut image = noise(21, 64 * MIB);
    let mut owner = Owner::new();
    let (first, _) = owner.store(&[("vm.img", &image)]);
    assert!(first[0].stored_bytes < 64 * MIB as u64 * 101 / 100, "noise costs itself and the tags: {first:?}");

    let changed = 30 * MIB + 777..31 * MIB + 777;
    image[changed.clone()].copy_from_slice(&noise(22, changed.len()));
    let (again, _) = owner.store(&[("vm.img", &image)]);
    let (changed, allowed) = (changed.len() as f64, 0.025 * image.len() as f64);
    assert!(again[0].stored_bytes as f64 <= changed + allowed, "{again:?}");
    assert_eq!(owner.read(&owner.catalog(), "vm.img"), image);

    let (copy, _) = owner.store(&[("copy.img", &image)]);
    assert_eq!((copy[0].new_chunks, copy[0].stored_bytes), (0, 0), "a copy costs nothing");
}

#[test]
fn an_insertion_near_the_front_moves_only_the_cuts_around_it() {
    let image = noise(23, 16 * MIB);
    let grown = [&image[..100_000], b"inserted", &image[100_000..]].concat();
    let mut owner = Owner::new();
    owner.store(&[("v1", &image)]);
    let (added, _) = owner.store(&[("v2", &grown)]);
    assert!(added[0].stored_bytes < 2 * MIB as u64, "{added:?}");
}

#[test]
fn a_thousand_small_files_cost_their_bytes_a_tenth_and_one_padding() {
    let contents: Vec<Vec<u8>> = (0..1_000).map(|index| noise(1_000 + index, 10 * 1024)).collect();
    let names: Vec<String> = (0..1_000).map(|index| format!("photos/2024/IMG_{index:04}.jpg")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
    let mut owner = Owner::new();
    let (_, stats) = owner.store(&files);
    let plain = 1_000 * 10 * 1024;
    assert_eq!((stats.files, stats.plain_bytes), (1_000, plain));
    assert!(stats.stored_bytes + stats.catalog_bytes <= plain * 11 / 10, "{stats:?}");
    let data_bytes = owner.layout.data_bytes();
    assert!(stats.segments * data_bytes <= plain * 11 / 10 + data_bytes, "{stats:?}");
    assert_eq!(stats.stored_bytes + stats.catalog_bytes + stats.padding_bytes, stats.segments * data_bytes);
    let catalog = owner.catalog();
    assert_eq!(owner.read(&catalog, "photos/2024/IMG_0815.jpg"), contents[815]);
}

#[test]
fn text_is_compressed_and_noise_is_not_blown_up() {
    let text = "All happy families are alike; every unhappy family is unhappy in its own way.\n".repeat(40_000);
    let noisy = noise(24, 700_000);
    let mut owner = Owner::new();
    let (added, _) = owner.store(&[("text", text.as_bytes()), ("noise", &noisy)]);
    assert!(added[0].stored_bytes * 20 < text.len() as u64, "{:?}", added[0]);
    assert_eq!(added[1].stored_bytes, 700_000 + 16 * added[1].new_chunks, "one tag a chunk");
    let numbers = owner.catalog().chunks().map(|chunk| chunk.frames.len()).collect::<Vec<_>>();
    assert!(numbers.contains(&0), "noise has no table of frames: {numbers:?}");
    let catalog = owner.catalog();
    assert_eq!(owner.read(&catalog, "text"), text.as_bytes());
}

/// Room in a file, as a wallet gives it to large batches.
struct FileSpace(std::fs::File);

impl SegmentSpace for FileSpace {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

/// Hands out spaces by `new_space` and keeps the batches.
struct KeepBatches<S> {
    new_space: fn() -> S,
    batches: Vec<Vec<Vec<u8>>>,
}

impl<S: SegmentSpace> SegmentSink for KeepBatches<S> {
    type Space = S;

    fn open(&mut self, _: u32, _: &Layout) -> io::Result<S> {
        Ok((self.new_space)())
    }

    fn ship(&mut self, segment: PackedSegment<S>) -> io::Result<Vec<[u8; 32]>> {
        let mut batches = vec![Vec::new(); segment.layout().batches()];
        segment.write_batches(&mut batches)?;
        let mut part = vec![0; 1_000];
        segment.read_batch(2, 60_000, &mut part)?;
        assert_eq!(part, &batches[2][60_000..61_000], "a part of a parity batch");
        self.batches.push(batches);
        Ok(Vec::new())
    }
}

/// Stores 10 MB in segments of 2 x 4 MiB + 1; the chunk keys are random, so only lengths can be compared between runs.
fn stored_through<S: SegmentSpace>(new_space: fn() -> S) {
    let content = noise(26, 10_000_000);
    let owner = Owner::with_layout((2, 1, 22));
    let mut packer =
        Packer::new(owner.layout, 0, Catalog::new(), owner.keys(), KeepBatches { new_space, batches: Vec::new() });
    packer.add_file(path_of("f"), support::meta_of(&content), content.as_slice()).unwrap();
    let finish = packer.finish(TimeMs::new(1)).unwrap();
    let catalog = finish.catalog;
    let mut restored = Vec::new();
    for record in catalog.chunks_of(catalog.file("f").unwrap()) {
        let batches = &finish.sink.batches[record.at.segment as usize];
        let data = batches[..2].concat();
        let stored = data[record.at.offset as usize..record.at.end() as usize].to_vec();
        restored.extend(holdfast_parcel::decode_chunk(record, stored).unwrap());
    }
    assert!(restored == content, "the file came back through its data batches");
    for batches in &finish.sink.batches {
        assert!(batches.iter().all(|batch| batch.len() == 4 * MIB));
        let [first, second, parity] = batches.as_slice() else { panic!("three batches") };
        // With two data batches the classic code's first parity row is (3, 2), see the textbook oracle.
        let double = |byte: u8| (byte << 1) ^ if byte & 0x80 == 0 { 0 } else { 29 };
        let agrees = |place: usize| parity[place] == double(first[place]) ^ first[place] ^ double(second[place]);
        assert!((0..4 * MIB).step_by(997).all(agrees));
    }
}

#[test]
fn a_segment_packed_in_a_file_yields_the_same_batches_as_one_in_memory() {
    stored_through(MemorySpace::new);
    stored_through(|| FileSpace(tempfile::tempfile().unwrap()));
}

#[test]
fn a_sink_that_fails_breaks_the_packer_for_good() {
    struct FullDisk;
    impl SegmentSink for FullDisk {
        type Space = MemorySpace;
        fn open(&mut self, _: u32, _: &Layout) -> io::Result<MemorySpace> {
            Ok(MemorySpace::new())
        }
        fn ship(&mut self, _: PackedSegment<MemorySpace>) -> io::Result<Vec<[u8; 32]>> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
    }
    let owner = Owner::new();
    let mut packer = Packer::new(owner.layout, 3, Catalog::new(), owner.keys(), FullDisk);
    let content = noise(27, 5_000_000);
    let failed = packer.add_file(path_of("f"), support::meta_of(&content), content.as_slice()).unwrap_err();
    assert!(matches!(failed, PackError::Segment { ordinal: 3, .. }), "{failed}");
    let again = packer.add_file(path_of("g"), support::meta_of(b"x"), b"x".as_slice()).unwrap_err();
    assert!(matches!(again, PackError::Broken), "{again}");
    assert!(matches!(packer.finish(TimeMs::new(1)).err().unwrap(), PackError::Broken));
}

/// A space that counts the bytes of all spaces alive, as the caller's own accounting would.
struct CountedSpace {
    memory: MemorySpace,
    bytes: u64,
    alive: Arc<Alive>,
}

#[derive(Default)]
struct Alive {
    bytes: AtomicU64,
    most: AtomicU64,
    spaces: AtomicU64,
    spaces_most: AtomicU64,
}

impl SegmentSpace for CountedSpace {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let grown = (offset + bytes.len() as u64).saturating_sub(self.bytes);
        self.bytes += grown;
        self.alive.most.fetch_max(self.alive.bytes.fetch_add(grown, SeqCst) + grown, SeqCst);
        self.memory.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.memory.read_at(offset, buffer)
    }
}

impl Drop for CountedSpace {
    fn drop(&mut self) {
        self.alive.bytes.fetch_sub(self.bytes, SeqCst);
        self.alive.spaces.fetch_sub(1, SeqCst);
    }
}

/// Takes segments and only counts the bytes of their batches.
struct Counter {
    alive: Arc<Alive>,
    batch_bytes: u64,
}

impl SegmentSink for Counter {
    type Space = CountedSpace;

    fn open(&mut self, _: u32, _: &Layout) -> io::Result<CountedSpace> {
        self.alive.spaces_most.fetch_max(self.alive.spaces.fetch_add(1, SeqCst) + 1, SeqCst);
        Ok(CountedSpace { memory: MemorySpace::new(), bytes: 0, alive: Arc::clone(&self.alive) })
    }

    fn ship(&mut self, segment: PackedSegment<CountedSpace>) -> io::Result<Vec<[u8; 32]>> {
        let mut stripes = segment.stripes();
        while let Some(stripe) = stripes.next_stripe()? {
            let columns = stripe.data.into_iter().chain(stripe.parity.iter().map(Vec::as_slice));
            self.batch_bytes += columns.map(|column| column.len() as u64).sum::<u64>();
        }
        Ok(Vec::new())
    }
}

/// Yields `left` bytes made as they are asked for: a block of noise over and over, each time with another stamp.
struct Endless {
    block: Vec<u8>,
    left: u64,
    stamp: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.left.min(buffer.len() as u64).min(self.block.len() as u64) as usize;
        if length == 0 {
            return Ok(0);
        }
        self.stamp += 1;
        for place in (0..self.block.len()).step_by(16 * 1024) {
            self.block[place..place + 8].copy_from_slice(&(self.stamp << 20 | place as u64).to_le_bytes());
        }
        buffer[..length].copy_from_slice(&self.block[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

#[test]
fn half_a_gibibyte_passes_through_a_few_megabytes_of_memory() {
    let alive = Arc::new(Alive::default());
    let owner = Owner::with_layout((4, 2, 20));
    let sink = Counter { alive: Arc::clone(&alive), batch_bytes: 0 };
    let mut packer = Packer::new(owner.layout, 0, Catalog::new(), owner.keys(), sink);
    let size = 512 * MIB as u64;
    let endless = Endless { block: noise(25, MIB), left: size, stamp: 0 };
    let meta = FileMeta { size, modified: TimeMs::new(0), mode: 0o600 };
    let added = packer.add_file(path_of("endless"), meta, endless).unwrap();
    assert_eq!(added.deduped_bytes, 0, "every chunk is new: {added:?}");
    let finish = packer.finish(TimeMs::new(1)).unwrap();

    assert_eq!(finish.sink.batch_bytes, finish.stats.segments * owner.layout.data_bytes() / 4 * 6);
    assert!(finish.stats.segments >= 128, "{:?}", finish.stats);
    let (buffered, spaces) = (finish.stats.buffered_bytes_max, alive.most.load(SeqCst));
    assert!(buffered <= 2 * READ_AHEAD_BYTES as u64 + MIB as u64, "{buffered} bytes buffered");
    assert!(spaces <= 2 * owner.layout.data_bytes() && alive.spaces_most.load(SeqCst) <= 2, "{spaces} bytes in spaces");
    assert_eq!(alive.bytes.load(SeqCst), 0);
}

#[test]
fn what_lies_in_an_avoided_segment_is_packed_anew_for_every_file_that_uses_it() {
    let content = noise(27, 6 * MIB);
    let mut owner = Owner::new();
    owner.store(&[("old", &content)]);
    let before: Vec<u32> = owner.catalog().segments().map(|segment| segment.ordinal).collect();
    let mut added = None;
    owner.session(|packer| {
        packer.avoid(before.iter().copied().collect());
        added = Some(packer.add_file(path_of("copy"), support::meta_of(&content), content.as_slice()).unwrap());
    });
    let added = added.unwrap();
    assert_eq!((added.deduped_bytes, added.new_chunks), (0, added.chunks), "{added:?}");
    let catalog = owner.catalog();
    assert!(catalog.chunks().all(|chunk| !before.contains(&chunk.at.segment)), "the old file moved along");
    assert!(before.iter().all(|ordinal| catalog.dead_segments().contains(ordinal)), "nothing lives where it lay");
    assert_eq!((owner.read(&catalog, "old"), owner.read(&catalog, "copy")), (content.clone(), content));

    let (again, _) = owner.store(&[("third", &owner.read(&catalog, "copy"))]);
    assert_eq!(again[0].new_chunks, 0, "what is not avoided is built on");
}
