//! How things are measured here: CPU seconds, sides of a comparison interleaved, the median of pairwise ratios, and a
//! yardstick of the same run beside each figure. Wall time is nowhere judged by.

use crate::clock::CpuClock;
use anyhow::{Result, ensure};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Runs of a comparison unless it is too long for that.
pub const RUNS: usize = 5;
/// A run whose yardstick is further from the median of all is repeated.
const YARDSTICK_DRIFT_MAX: f64 = 0.15;
/// Bytes that the yardstick hashes each time.
const YARDSTICK_BYTES: usize = 256 << 20;

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
            format!("{:<46} {:>14.4} {:<12}{ratio}", figure.name, figure.value, figure.unit)
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

/// One run of a comparison: what its sides took, and how fast the machine was meanwhile.
#[derive(Clone, Debug)]
pub struct Run<T> {
    /// CPU seconds of one SHA-256 stream per byte: the mean of just before and just after.
    yardstick: f64,
    /// What was measured.
    pub sides: T,
}

/// All runs of a comparison.
pub struct Runs<T>(Vec<Run<T>>);

impl<T> Run<T> {
    /// CPU seconds that hashing `bytes` bytes would have taken in this run.
    pub fn sha256(&self, bytes: f64) -> f64 {
        self.yardstick * bytes
    }
}

impl<T> Runs<T> {
    /// The median of one figure over all runs; for a ratio, the median of the pairwise ratios.
    pub fn median(&self, of: impl Fn(&Run<T>) -> f64) -> f64 {
        median(self.0.iter().map(of).collect())
    }
}

/// Runs `run` `runs` times. It measures all sides, one after the other, so that they are interleaved. Runs during which
/// the machine was more than 15 % faster or slower than in the middle one are repeated, as many in all as there are runs;
/// the yardstick and how many runs were repeated are printed.
pub fn interleave<T>(report: &Report, name: &str, runs: usize, mut run: impl FnMut() -> Result<T>) -> Result<Runs<T>> {
    let yardstick = Yardstick::new();
    let mut before = yardstick.seconds_per_byte()?;
    let mut measured = || -> Result<Run<T>> {
        let sides = run()?;
        let after = yardstick.seconds_per_byte()?;
        let mean = (before + after) / 2.0;
        before = after;
        Ok(Run { yardstick: mean, sides })
    };
    let mut kept = (0..runs).map(|_| measured()).collect::<Result<Vec<_>>>()?;
    let mut repeated = 0;
    while repeated < runs
        && let Some(place) = unsteady(&kept).first().copied()
    {
        kept[place] = measured()?;
        repeated += 1;
    }
    let left = unsteady(&kept).len();
    let kept = Runs(kept);
    let hashed = kept.median(|run| 1e-9 / run.yardstick);
    report.figure(format!("{name}: yardstick, one SHA-256 stream"), hashed, "GB/CPU-s", None, "");
    report.figure(format!("{name}: runs repeated of {runs}"), repeated as f64, "runs", None, "");
    if left > 0 {
        report.figure(format!("{name}: runs still off by > 15 %"), left as f64, "runs", None, "");
    }
    Ok(kept)
}

/// The places of runs whose yardstick is too far from the median.
fn unsteady<T>(runs: &[Run<T>]) -> Vec<usize> {
    let middle = median(runs.iter().map(|run| run.yardstick).collect());
    let is_off = |run: &Run<T>| (run.yardstick / middle - 1.0).abs() > YARDSTICK_DRIFT_MAX;
    (0..runs.len()).filter(|place| is_off(&runs[*place])).collect()
}

/// One SHA-256 stream: what this machine hashes per CPU second just now.
struct Yardstick(Vec<u8>);

impl Yardstick {
    fn new() -> Self {
        Self(noise(16 << 20, 77))
    }

    fn seconds_per_byte(&self) -> Result<f64> {
        let (cpu, digest) = measure(|| {
            let mut hasher = Sha256::new();
            (0..YARDSTICK_BYTES / self.0.len()).for_each(|_| hasher.update(&self.0));
            Ok(hasher.finalize())
        })?;
        ensure!(digest.iter().any(|byte| *byte != 0), "a hash of something is not zero");
        Ok(cpu / YARDSTICK_BYTES as f64)
    }
}

/// CPU seconds that `work` takes in this process and in children that end meanwhile, and what it returns.
pub fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let before = CpuClock::now()?;
    let value = work()?;
    Ok((CpuClock::now()?.since(&before), value))
}

/// The middle of an odd number of values (the upper middle of an even one).
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Bytes that do not compress, from a seed.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    use rand::{Rng as _, SeedableRng as _};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut buffer = vec![0; bytes];
    random.fill_bytes(&mut buffer);
    buffer
}

#[cfg(test)]
mod tests {
    use super::{Run, Runs, unsteady};

    fn runs(yardsticks: &[f64]) -> Vec<Run<f64>> {
        yardsticks.iter().map(|yardstick| Run { yardstick: *yardstick, sides: 2.0 * yardstick }).collect()
    }

    #[test]
    fn only_runs_whose_yardstick_drifted_are_repeated() {
        assert_eq!(unsteady(&runs(&[1.0, 1.1, 0.9, 1.2, 0.8])), [3, 4]);
        assert_eq!(unsteady(&runs(&[1.0, 1.14, 0.86])).len(), 0);
    }

    #[test]
    fn the_ratio_is_the_median_of_pairs_not_the_ratio_of_medians() {
        let runs = Runs(runs(&[1.0, 5.0, 3.0]));
        assert_eq!(runs.median(|run| run.sides), 6.0);
        assert_eq!(runs.median(|run| run.sides / run.sha256(1.0)), 2.0);
    }
}
