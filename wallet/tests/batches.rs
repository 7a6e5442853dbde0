//! A packed segment on its way out: the batches are those of the erasure code, and no byte of data lies on disk twice.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use holdfast_network::transfer::UploadSource;
use holdfast_parcel::{Catalog, FileMeta, FilePath, Layout, OwnerKeys, PackedSegment, Packer, SegmentSink};
use holdfast_por::{BatchMeta, Tagger};
use holdfast_primitives::TimeMs;
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_wallet::{Space, make_batches};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DATA: u8 = 3;
const PARITY: u8 = 2;

/// Keeps the batches of all segments, and beside them what an independent pass over the segment says they are.
struct Shelf {
    folder: PathBuf,
    batches: Vec<Vec<Arc<dyn UploadSource>>>,
    expected: Vec<Vec<(BatchMeta, Vec<u8>)>>,
    /// Bytes of files in the folder, right after a segment's batches were made.
    on_disk: u64,
    data_bytes: u64,
}

impl SegmentSink for Shelf {
    type Space = Space;

    fn open(&mut self, _ordinal: u32, layout: &Layout) -> io::Result<Space> {
        Space::open(layout, &self.folder)
    }

    fn ship(&mut self, segment: PackedSegment<Space>) -> io::Result<Vec<[u8; 32]>> {
        let layout = *segment.layout();
        self.expected.push((0..layout.batches()).map(|batch| whole(&segment, batch as u8)).collect());
        self.data_bytes += segment.used_bytes();
        let batches = make_batches(segment, &self.folder)?;
        let roots = batches.iter().map(|batch| batch.meta().root).collect();
        self.batches.push(batches);
        self.on_disk = open_bytes(&self.folder);
        Ok(roots)
    }
}

/// One batch as `PackedSegment::read_batch` recomputes it.
fn whole(segment: &PackedSegment<Space>, batch: u8) -> (BatchMeta, Vec<u8>) {
    let layout = segment.layout();
    let mut bytes = vec![0; layout.batch_bytes() as usize];
    segment.read_batch(batch, 0, &mut bytes).unwrap();
    (Tagger::read(layout.batch_log2(), &mut &bytes[..]).unwrap().meta, bytes)
}

/// Bytes of all files below `folder` that this process has open; temporary files have no name to be found by.
fn open_bytes(folder: &Path) -> u64 {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let ours = descriptors.filter(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.starts_with(folder)));
    // A file that two descriptors share would be counted twice; here each has one.
    ours.map(|entry| fs::metadata(entry.path()).unwrap().len()).sum()
}

/// Packs so many bytes that do not compress.
fn packed(bytes: u64, batch_log2: u8, folder: &Path) -> Shelf {
    let shelf =
        Shelf { folder: folder.to_owned(), batches: Vec::new(), expected: Vec::new(), on_disk: 0, data_bytes: 0 };
    let layout = Layout::new(DATA, PARITY, batch_log2).unwrap();
    let mut packer = Packer::new(layout, 0, Catalog::new(), OwnerKeys::derive(&[7; 32]), shelf);
    let meta = FileMeta { size: bytes, modified: TimeMs::new(0), mode: 0o644 };
    let mut state = 9_u64;
    let noise = std::iter::repeat_with(move || {
        // splitmix64, Steele, Lea and Flood 2014
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    });
    let noise: Vec<u8> = noise.take(bytes.div_ceil(8) as usize).flat_map(u64::to_le_bytes).collect();
    packer.add_file(FilePath::new("noise").unwrap(), meta, io::Cursor::new(noise).take(bytes)).unwrap();
    packer.finish(TimeMs::new(1)).unwrap().sink
}

fn assert_all_as_expected(shelf: &Shelf) {
    for (segment, expected) in shelf.batches.iter().zip(&shelf.expected) {
        for (batch, (meta, bytes)) in segment.iter().zip(expected) {
            assert_eq!(batch.meta(), *meta);
            let leaves = meta.leaves() as u32;
            for first in (0..leaves).step_by(512) {
                let (range, proof) = batch.range(first, 512.min(leaves - first)).unwrap();
                let from = first as usize * LEAF_BYTES;
                assert!(range[..] == bytes[from..from + range.len()], "leaves from {first}");
                holdfast_por::verify_range(meta, first, &range, &proof).unwrap();
            }
        }
    }
}

#[test]
fn a_segment_of_large_batches_lies_on_disk_once_and_its_parity_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let batch_bytes = 1_u64 << 22;
    // More than two data batches of three, so that the last one is partly and the next segment's are wholly empty.
    let shelf = packed(2 * batch_bytes + 700_000, 22, folder.path());
    assert_eq!(shelf.batches.len(), 1);
    assert_all_as_expected(&shelf);
    let most = shelf.data_bytes + u64::from(PARITY) * batch_bytes;
    assert!(shelf.on_disk <= most, "{} bytes on disk, {most} are enough", shelf.on_disk);
    assert!(shelf.on_disk > u64::from(PARITY) * batch_bytes, "nothing was counted");
}

#[test]
fn what_is_left_of_a_segment_is_zero() {
    for batch_log2 in [20, 22] {
        let folder = tempfile::tempdir().unwrap();
        let shelf = packed(100_000, batch_log2, folder.path());
        assert_all_as_expected(&shelf);
        assert!(shelf.expected[0][1].1.iter().all(|byte| *byte == 0), "the second data batch is empty");
    }
}

#[test]
fn small_batches_never_see_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = packed(7 << 20, 21, folder.path());
    assert!(shelf.batches.len() > 1);
    assert_all_as_expected(&shelf);
    assert_eq!(shelf.on_disk, 0);
}

#[test]
fn temporary_files_go_with_the_last_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = packed(9 << 20, 22, folder.path());
    let last = shelf.batches[0].pop();
    shelf.batches.clear();
    assert_eq!(open_bytes(folder.path()), 1 << 22, "one batch of parity is left");
    drop(last);
    assert_eq!(open_bytes(folder.path()), 0);
}
