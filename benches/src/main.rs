//! `./dev bench [NAME] [--json]`: measures what `docs/benchmarks.md` states.
//!
//! It must never assert a time: it asserts that what it timed was done right, and prints figures.

mod files;
mod harness;
mod prove;
mod put;
mod settle;
mod tag;

use anyhow::{Result, bail};
use harness::Report;

type Bench = fn(&Report) -> Result<()>;

const BENCHES: &[(&str, Bench)] =
    &[("tag", tag::run), ("prove", prove::run), ("settle", settle::run), ("files", files::run), ("put", put::run)];

fn main() -> Result<()> {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--json") {
        bail!("unknown option {unknown}; usage: ./dev bench [NAME...] [--json]");
    }
    let known: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no bench named {unknown:?}; there are: {}", known.join(", "));
    }
    let report = Report::new(flags.iter().any(|flag| flag == "--json"));
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            report.remark(name);
            bench(&report)?;
        }
    }
    Ok(())
}
