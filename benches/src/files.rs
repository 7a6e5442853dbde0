//! Storing and fetching, per CPU-second, against `restic backup` and `restic restore` of the same data.
//!
//! Store is everything a wallet computes: cutting, keyed hashing, compression, sealing, packing, the 4+2 code and all six
//! batches' roots; the batches go where a socket would take them. Fetch is everything a reader computes: verifying every
//! leaf that arrives against its root, opening and checking chunks. What neither side's figure has is a network; restic's repository lies on the local disk.

use crate::harness::{RUNS, Report, interleave, measure, noise};
use anyhow::{Context as _, Result, ensure};
use holdfast_parcel::{
    Catalog, ChunkRecord, FileMeta, FilePath, Finish, Layout, MemorySpace, OwnerKeys, PackedSegment, Packer,
    SegmentSink, decode_chunk,
};
use holdfast_por::{GROUP_LEAVES, Tagged, Tagger, range_proof, verify_range};
use holdfast_primitives::TimeMs;
use rayon::prelude::*;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const BYTES: usize = 512 << 20;

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("data");
    let data = noise(BYTES, 11);
    std::fs::write(&file, &data)?;
    let restic = Restic::new(folder.path())?;
    let runs = interleave(report, "files", RUNS, || {
        let (packing, _) = measure(|| pack(&data, false))?;
        let stored = pack(&data, true)?;
        let (reading, bytes) = measure(|| read(&stored))?;
        ensure!(bytes == data.len() as u64, "everything came back");
        let others = restic.as_ref().map(|restic| restic.round(&file)).transpose()?;
        Ok(Sides { packing, reading, others })
    })?;
    let (backup, restore) = match restic {
        Some(_) => ("restic backup", "restic restore"),
        None => ("one SHA-256 stream", "one SHA-256 stream"),
    };
    let bytes = BYTES as f64;
    let ratio = runs.median(|run| run.sides.others.map_or(run.sha256(bytes), |(backup, _)| backup) / run.sides.packing);
    report.figure(
        "store 512 MiB of noise",
        runs.median(|run| bytes / 1e6 / run.sides.packing),
        "MB/CPU-s",
        Some(ratio),
        backup,
    );
    let ratio =
        runs.median(|run| run.sides.others.map_or(run.sha256(bytes), |(_, restore)| restore) / run.sides.reading);
    report.figure(
        "fetch 512 MiB of noise",
        runs.median(|run| bytes / 1e6 / run.sides.reading),
        "MB/CPU-s",
        Some(ratio),
        restore,
    );
    Ok(())
}

/// CPU seconds of storing and fetching, and of restic's backup and restore.
struct Sides {
    packing: f64,
    reading: f64,
    others: Option<(f64, f64)>,
}

/// What a wallet would have uploaded.
struct Stored {
    catalog: Catalog,
    sink: Sink,
}

#[derive(Default)]
struct Sink {
    /// Whether batches are kept to be read back; otherwise their bytes go where a socket would take them.
    keeps: bool,
    /// Per segment, its data batches with their trees.
    segments: Vec<Vec<(Tagged, Vec<u8>)>>,
}

struct Batch {
    tagger: Tagger,
    bytes: Option<Vec<u8>>,
}

impl Write for Batch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tagger.update(bytes).map_err(io::Error::other)?;
        if let Some(kept) = &mut self.bytes {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentSink for Sink {
    type Space = MemorySpace;

    fn open(&mut self, _: u32, layout: &Layout) -> io::Result<MemorySpace> {
        Ok(MemorySpace::with_capacity(usize::try_from(layout.data_bytes()).map_err(io::Error::other)?))
    }

    fn ship(&mut self, segment: PackedSegment<MemorySpace>) -> io::Result<Vec<[u8; 32]>> {
        let layout = segment.layout();
        let batch = |_| -> io::Result<Batch> {
            let tagger = Tagger::new(layout.batch_log2()).map_err(io::Error::other)?;
            Ok(Batch { tagger, bytes: self.keeps.then(|| Vec::with_capacity(1 << layout.batch_log2())) })
        };
        let mut writers = (0..layout.batches()).map(batch).collect::<io::Result<Vec<_>>>()?;
        segment.write_batches(&mut writers)?;
        let made: Vec<(Tagged, Option<Vec<u8>>)> =
            writers.into_iter().map(|batch| (batch.tagger.finish(), batch.bytes)).collect();
        let roots = made.iter().map(|(tagged, _)| tagged.meta.root).collect();
        let kept = made.into_iter().take(layout.data()).filter_map(|(tagged, bytes)| Some((tagged, bytes?)));
        self.segments.push(kept.collect());
        Ok(roots)
    }
}

fn pack(data: &[u8], keeps: bool) -> Result<Stored> {
    let keys = OwnerKeys::derive(&[5; 32]);
    let mut packer = Packer::new(Layout::new(4, 2, 20)?, 0, Catalog::new(), keys, Sink { keeps, ..Sink::default() });
    let meta = FileMeta { size: data.len() as u64, modified: TimeMs::new(0), mode: 0o644 };
    packer.add_file(FilePath::new("data")?, meta, data)?;
    let Finish { catalog, sink, .. } = packer.finish(TimeMs::new(0))?;
    Ok(Stored { catalog, sink })
}

/// Verifies every leaf of every data batch and opens every chunk.
fn read(stored: &Stored) -> Result<u64> {
    let file = stored.catalog.file("data")?;
    let segments = &stored.sink.segments;
    segments.par_iter().flatten().try_for_each(|(tagged, bytes)| -> Result<()> {
        let count = bytes.len() / 1024;
        ensure!(count.is_multiple_of(GROUP_LEAVES), "batches are whole groups");
        let unread = |_: u32, _: &mut [u8]| Err(io::Error::other("whole groups need no reading"));
        let proof = range_proof(&tagged.meta, &tagged.layers, 0, count as u32, unread)?;
        Ok(verify_range(&tagged.meta, 0, bytes, &proof)?)
    })?;
    let chunks: Vec<&ChunkRecord> = stored.catalog.chunks_of(file).collect();
    let sizes = chunks.par_iter().map(|chunk| -> Result<u64> {
        let mut sealed = Vec::with_capacity(chunk.at.stored_len as usize);
        for span in chunk.at.spans(&Layout::new(4, 2, 20)?)? {
            let (_, bytes) = &segments[span.segment as usize][usize::from(span.batch)];
            sealed.extend_from_slice(&bytes[span.from as usize..span.to as usize]);
        }
        Ok(decode_chunk(chunk, sealed)?.len() as u64)
    });
    sizes.try_reduce(|| 0, |a, b| Ok(a + b))
}

struct Restic {
    folder: std::path::PathBuf,
}

impl Restic {
    /// `None` where restic is not installed.
    fn new(folder: &Path) -> Result<Option<Self>> {
        let found =
            Command::new("restic").arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        Ok(found.then(|| Self { folder: folder.to_owned() }))
    }

    /// CPU-seconds of a first backup of `file` and of restoring it.
    fn round(&self, file: &Path) -> Result<(f64, f64)> {
        let repository = self.folder.join("repository");
        let target = self.folder.join("restored");
        self.restic(&repository, &["init"])?;
        let file = file.to_str().context("a temporary path is text")?;
        let (backup, ()) = measure(|| self.restic(&repository, &["backup", file]))?;
        let target_text = target.to_str().context("a temporary path is text")?;
        let (restore, ()) = measure(|| self.restic(&repository, &["restore", "latest", "--target", target_text]))?;
        std::fs::remove_dir_all(&repository)?;
        std::fs::remove_dir_all(&target)?;
        Ok((backup, restore))
    }

    fn restic(&self, repository: &Path, words: &[&str]) -> Result<()> {
        let status = Command::new("restic")
            .arg("--quiet")
            .arg("--no-cache")
            .arg("--repo")
            .arg(repository)
            .args(words)
            .env("RESTIC_PASSWORD", "bench")
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "restic {words:?} failed");
        Ok(())
    }
}
