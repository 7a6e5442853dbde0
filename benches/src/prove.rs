//! Proving and verifying k = 459 openings over 400,000 batches.
//!
//! The list is 400,000 batches long; 64 different batches of 1 MiB lie on the disk and stand in its slots in turn, so
//! that reads go to real files while the list needs no 400 GB.

use crate::harness::{Report, measure, median, noise, sha256_stream};
use anyhow::{Context as _, Result};
use holdfast_por::{
    BatchMeta, ClassCount, GROUP_BYTES, HolderChallenge, Layers, PROOF_VERSION, ProofPart, RoundSeed, Tagger,
    prove_part, verify_part,
};
use holdfast_primitives::{Address, ChainId, RoundNo};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const BATCHES: u64 = 400_000;
const DIFFERENT: u64 = 64;
const OPENINGS: u32 = 459;
const RUNS: usize = 40;

struct Disk {
    batches: Vec<(BatchMeta, File, Layers)>,
}

impl holdfast_por::BatchSource for Disk {
    fn read_group(&mut self, _: u8, slot: u64, group: u32, out: &mut [u8]) -> io::Result<()> {
        self.batches[(slot % DIFFERENT) as usize].1.read_exact_at(out, u64::from(group) * GROUP_BYTES as u64)
    }

    fn read_path(&mut self, _: u8, slot: u64, group: u32, out: &mut [[u8; 32]]) -> io::Result<()> {
        out.copy_from_slice(&self.batches[(slot % DIFFERENT) as usize].2.path(group));
        Ok(())
    }
}

pub fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut disk = Disk { batches: Vec::new() };
    for index in 0..DIFFERENT {
        let bytes = noise(1 << 20, index);
        let mut tagger = Tagger::new(20)?;
        tagger.update(&bytes)?;
        let tagged = tagger.finish();
        let path = folder.path().join(index.to_string());
        std::fs::write(&path, &bytes)?;
        disk.batches.push((tagged.meta, File::open(path)?, tagged.layers));
    }
    let of = RoundSeed {
        chain: ChainId::new([1; 32]),
        round: RoundNo::new(1),
        seed: [2; 32],
        holder: Address::new([3; 32]),
        set_root: [4; 32],
    };
    let challenge = HolderChallenge::new(of, &[ClassCount { batch_log2: 20, batches: BATCHES }], OPENINGS)?;
    let part = ProofPart {
        version: PROOF_VERSION,
        round: of.round,
        holder: of.holder,
        set_root: of.set_root,
        first_j: 0,
        count: OPENINGS,
    };
    let mebibyte = noise(1 << 20, 99);
    let (mut prove_ms, mut prove_ratio) = (Vec::new(), Vec::new());
    let (mut verify_ms, mut verify_ratio) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let yardstick = sha256_stream(&mebibyte.repeat(512))? / 512.0;
        let (cpu, _, proved) = measure(|| {
            let mut last = None;
            for _ in 0..RUNS {
                last = Some(prove_part(&challenge, 0, OPENINGS, &mut disk)?);
            }
            last.context("at least one run")
        })?;
        let metas: Vec<BatchMeta> = disk.batches.iter().map(|(meta, ..)| *meta).collect();
        let meta_of = |_: u8, slot: u64| Some(metas[(slot % DIFFERENT) as usize]);
        let verify_runs = RUNS * 10;
        let (verify_cpu, _, failed) = measure(|| {
            let mut failed = 0;
            for _ in 0..verify_runs {
                failed += verify_part(&challenge, &part, &proved.openings, meta_of)?.len();
            }
            Ok(failed)
        })?;
        anyhow::ensure!(failed == 0 && proved.unreadable.is_empty(), "every opening holds");
        prove_ms.push(cpu * 1e3 / RUNS as f64);
        prove_ratio.push(cpu / RUNS as f64 / yardstick);
        verify_ms.push(verify_cpu * 1e3 / verify_runs as f64);
        verify_ratio.push(verify_cpu / verify_runs as f64 / yardstick);
    }
    report.figure(
        "prove k=459 over 400,000 batches",
        median(prove_ms),
        "CPU-ms",
        Some(median(prove_ratio)),
        "SHA-256 of 1 MiB",
    );
    report.figure("verify k=459", median(verify_ms), "CPU-ms", Some(median(verify_ratio)), "SHA-256 of 1 MiB");
    Ok(())
}
