//! `./dev bench [NAME] [--json]`: measures what `docs/benchmarks.md` states.
//!
//! It must never assert a time: it asserts that what it timed was done right, and prints figures.

mod bare;
mod child;
mod children;
mod clock;
mod files;
mod grown;
mod harness;
mod join;
mod load;
mod memory;
mod network;
mod prove;
mod put;
mod rpc;
mod settle;
mod tag;
mod transfers;
mod withholding;

use anyhow::{Result, bail};
use harness::Report;
use std::io::Write as _;

type Bench = fn(&Report) -> Result<()>;

const BENCHES: &[(&str, Bench)] = &[
    ("tag", tag::run),
    ("prove", prove::run),
    ("settle", settle::run),
    ("files", files::run),
    ("rpc", rpc::run),
    ("memory", memory::run),
    ("put", put::run),
    ("join", join::run),
    ("network", network::run),
    ("transfers", transfers::run),
    ("withholding", withholding::run),
    ("children", children::run),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [bare::SERVE_BARE] => bare::serve(),
        [children::CHILDREN, ref words @ ..] => children::serve(words),
        [memory::COLD_START, folder] => Ok(std::io::stdout().write_all(memory::cold_start(folder)?.as_bytes())?),
        _ => measure(words),
    }
}

fn measure(words: Vec<String>) -> Result<()> {
    let (flags, names): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.starts_with("--"));
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
