//! What kinds of threads of another process spent, by their names: together they are all that the process spent.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;

/// What a thread does, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The runtime's workers: HTTP, JSON, hexadecimal, gossip, the engine's actors.
    Worker,
    /// Threads for what blocks: the mempool, building and checking blocks, writing them.
    Blocking,
    /// Rayon's: signatures, hashes over many records.
    Shared,
    /// The database's own: sorting fresh writes into files, merging files.
    Database,
}

/// Threads of the runtime have one name; the workers are made first.
const RUNTIME: &str = "tokio-rt-worker";

/// CPU seconds of every living thread by kind.
pub struct Threads(BTreeMap<u32, (Kind, u64)>);

impl Threads {
    pub fn of(pid: u32, workers: usize) -> Result<Self> {
        let mut threads = BTreeMap::new();
        let mut runtime = 0;
        let mut ids: Vec<u32> = fs::read_dir(format!("/proc/{pid}/task"))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort_unstable();
        for id in ids {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/task/{id}/{file}"));
            // A thread may end between being listed and being read.
            let (Ok(name), Ok(schedstat)) = (read("comm"), read("schedstat")) else { continue };
            let ran = schedstat.split_whitespace().next().context("schedstat is empty")?.parse()?;
            let kind = match name.trim() {
                RUNTIME => {
                    runtime += 1;
                    if runtime <= workers { Kind::Worker } else { Kind::Blocking }
                }
                name if name.starts_with("rocksdb") => Kind::Database,
                name if id == pid || name.starts_with("holdfast") && runtime == 0 => Kind::Worker,
                _ => Kind::Shared,
            };
            threads.insert(id, (kind, ran));
        }
        Ok(Self(threads))
    }

    /// CPU seconds since `before`, by kind.
    pub fn since(&self, before: &Self) -> BTreeMap<Kind, f64> {
        let mut sums = BTreeMap::new();
        for (id, (kind, ran)) in &self.0 {
            let earlier = before.0.get(id).map_or(0, |(_, ran)| *ran);
            *sums.entry(*kind).or_default() += ran.saturating_sub(earlier) as f64 / 1e9;
        }
        sums
    }
}
