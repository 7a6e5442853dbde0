//! Preparing a batch: one streaming pass to its root, against one SHA-256 stream over the same bytes.

use crate::harness::{Report, measure, median, noise, sha256_stream};
use anyhow::Result;
use holdfast_por::Tagger;

const PAIRS: usize = 5;

/// 256 MiB, the largest batch, read in pieces of 1 MiB.
pub fn run(report: &Report) -> Result<()> {
    let batch = noise(1 << 28, 1);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let yardstick = sha256_stream(&batch)?;
        let (cpu, _, tagged) = measure(|| {
            let mut tagger = Tagger::new(28)?;
            for piece in batch.chunks(1 << 20) {
                tagger.update(piece)?;
            }
            Ok(tagger.finish())
        })?;
        anyhow::ensure!(tagged.meta.check().is_ok() && tagged.layers.top() != [0; 32], "the batch has a root");
        rates.push(batch.len() as f64 / 1e9 / cpu);
        ratios.push(yardstick / cpu);
    }
    report.figure("tag a 256 MiB batch", median(rates), "GB/CPU-s", Some(median(ratios)), "one SHA-256 stream");
    Ok(())
}
