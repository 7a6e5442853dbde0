//! Preparing a batch: one streaming pass to its root, against one SHA-256 stream over as many bytes.

use crate::harness::{RUNS, Report, interleave, measure, noise};
use anyhow::{Result, ensure};
use holdfast_por::Tagger;

/// 256 MiB, the largest batch, read in pieces of 1 MiB.
pub fn run(report: &Report) -> Result<()> {
    let batch = noise(1 << 28, 1);
    let bytes = batch.len() as f64;
    let runs = interleave(report, "tag", RUNS, || {
        let (cpu, tagged) = measure(|| {
            let mut tagger = Tagger::new(28)?;
            for piece in batch.chunks(1 << 20) {
                tagger.update(piece)?;
            }
            Ok(tagger.finish())
        })?;
        ensure!(tagged.meta.check().is_ok() && tagged.layers.top() != [0; 32], "the batch has a root");
        Ok(cpu)
    })?;
    let rate = runs.median(|run| bytes / 1e9 / run.sides);
    let ratio = runs.median(|run| run.sha256(bytes) / run.sides);
    report.figure("tag a 256 MiB batch", rate, "GB/CPU-s", Some(ratio), "one SHA-256 stream");
    Ok(())
}
