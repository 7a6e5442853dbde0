//! How things are measured here: CPU-seconds of this process and its ended children, sides of a comparison interleaved,
//! the median of pairwise ratios, and a yardstick of the same run beside each figure.

use anyhow::{Context as _, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::time::Instant;

/// Clock ticks per second in `/proc/self/stat`: fixed at 100 on Linux for all programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// In proportion to the yardstick, where there is one.
    pub ratio: Option<f64>,
    /// What the ratio is taken to.
    pub yardstick: &'static str,
}

/// Where figures go.
pub struct Report {
    json: bool,
}

impl Report {
    /// Lines for people, or JSON lines.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one figure.
    pub fn figure(
        &self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        ratio: Option<f64>,
        yardstick: &'static str,
    ) {
        let figure = Figure { name: name.into(), value, unit, ratio, yardstick };
        let line = if self.json {
            serde_json::to_string(&figure).expect("a figure is plain JSON")
        } else {
            let ratio = ratio.map_or_else(String::new, |ratio| format!("  {ratio:.3} x {yardstick}"));
            format!("{:<46} {:>14.4} {:<10}{ratio}", figure.name, figure.value, figure.unit)
        };
        anstream_line(&line);
    }

    /// Prints a remark (nothing in JSON).
    pub fn remark(&self, text: &str) {
        if !self.json {
            anstream_line(&format!("# {text}"));
        }
    }
}

#[expect(clippy::print_stdout, reason = "printing figures is what this program is for")]
fn anstream_line(line: &str) {
    println!("{line}");
}

/// CPU-seconds spent so far by all threads of this process and by children that ended.
pub fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("/proc/self/stat has a name in parentheses")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14 to 17 of the line; the name was field 2.
    let ticks: f64 =
        fields.get(11..15).context("/proc/self/stat is short")?.iter().filter_map(|t| t.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

/// CPU-seconds and wall seconds that `work` takes, and what it returns.
pub fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, f64, T)> {
    let (cpu, wall) = (cpu_seconds()?, Instant::now());
    let value = work()?;
    Ok((cpu_seconds()? - cpu, wall.elapsed().as_secs_f64(), value))
}

/// The middle of an odd number of values (the upper middle of an even one).
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One SHA-256 stream over `bytes`, in CPU-seconds: the yardstick of everything that hashes.
pub fn sha256_stream(bytes: &[u8]) -> Result<f64> {
    let (cpu, _, digest) = measure(|| Ok(Sha256::digest(bytes)))?;
    anyhow::ensure!(digest.iter().any(|byte| *byte != 0), "a hash of something is not zero");
    Ok(cpu)
}

/// Bytes that do not compress, from a seed.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    use rand::{Rng as _, SeedableRng as _};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut buffer = vec![0; bytes];
    random.fill_bytes(&mut buffer);
    buffer
}
