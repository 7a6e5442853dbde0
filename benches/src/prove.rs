//! Proving and verifying k = 459 openings over 400,000 batches.
//!
//! The list is 400,000 batches long; 64 different batches of 1 MiB lie on the disk and stand in its slots in turn, so
//! that reads go to real files while the list needs no 400 GB.

use crate::harness::{RUNS, Report, interleave, measure, noise};
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
const PROOFS: usize = 40;
const VERIFICATIONS: usize = 400;
const MEBIBYTE: f64 = 1_048_576.0;

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
    let metas: Vec<BatchMeta> = disk.batches.iter().map(|(meta, ..)| *meta).collect();
    let meta_of = |_: u8, slot: u64| Some(metas[(slot % DIFFERENT) as usize]);
    let runs = interleave(report, "prove", RUNS, || {
        let (prove, proved) = measure(|| {
            let mut last = None;
            for _ in 0..PROOFS {
                last = Some(prove_part(&challenge, 0, OPENINGS, &mut disk)?);
            }
            last.context("at least one run")
        })?;
        let (verify, failed) = measure(|| {
            let mut failed = 0;
            for _ in 0..VERIFICATIONS {
                failed += verify_part(&challenge, &part, &proved.openings, meta_of)?.len();
            }
            Ok(failed)
        })?;
        anyhow::ensure!(failed == 0 && proved.unreadable.is_empty(), "every opening holds");
        Ok((prove / PROOFS as f64, verify / VERIFICATIONS as f64))
    })?;
    let figure = |name: &str, of: fn(&(f64, f64)) -> f64| {
        let ratio = runs.median(|run| of(&run.sides) / run.sha256(MEBIBYTE));
        report.figure(name, runs.median(|run| of(&run.sides) * 1e3), "CPU-ms", Some(ratio), "SHA-256 of 1 MiB");
    };
    figure("prove k=459 over 400,000 batches", |sides| sides.0);
    figure("verify k=459", |sides| sides.1);
    Ok(())
}
