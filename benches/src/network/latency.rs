//! How soon a verified kilobyte is there, on a session that stands; beside it a kilobyte sent and sent back on a bare stream.

use super::ends::{ECHO, Ends, Path};
use crate::harness::Report;
use anyhow::{Result, ensure};
use holdfast_network::BiStream;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

const READS: usize = 2_000;
const LOG2: u8 = 26;
const KIB: u64 = 1_024;
/// Reads that are not counted: the first ones find cold caches and a narrow congestion window.
const WARM_UP: usize = 50;

pub fn run(report: &Report, runtime: &Runtime) -> Result<()> {
    for (path, name) in [(Path::Direct, "direct"), (Path::Relayed, "relayed")] {
        let (mut ranges, mut echoes) = runtime.block_on(both(path))?;
        let yardstick = percentile(&mut echoes, 0.5);
        for (share, word) in [(0.5, "p50"), (0.99, "p99")] {
            let (range, echo) = (percentile(&mut ranges, share), percentile(&mut echoes, share));
            let ratio = Some(range / yardstick);
            report.figure(format!("network: {name}, 1 KiB range verified, {word}"), range, "us", ratio, "echo p50");
            report.figure(format!("network: {name}, 1 KiB echoed on a bare stream, {word}"), echo, "us", None, "");
        }
    }
    Ok(())
}

/// Times of ranges and of echoes, taken in turns.
async fn both(path: Path) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let ends = Ends::meet(path, LOG2).await?;
    let (reader, bare) = (ends.reader().await?, ends.bare().await?);
    let mut stream = bare.open_bi().await?;
    stream.send.write_u8(ECHO).await?;
    let (mut ranges, mut echoes) = (Vec::with_capacity(READS), Vec::with_capacity(READS));
    let leaves = ends.bytes.len() as u64 / KIB;
    for number in 0..READS + WARM_UP {
        // A prime stride visits leaves all over the batch.
        let offset = number as u64 * 7_919 % leaves * KIB;
        let began = Instant::now();
        let bytes = reader.read_range(&ends.meta, offset, KIB).await?;
        let ranged = began.elapsed();
        let expected = &ends.bytes[offset as usize..(offset + KIB) as usize];
        ensure!(bytes == expected, "other bytes came");
        let echoed = echo(&mut stream, expected).await?;
        if number >= WARM_UP {
            ranges.push(ranged);
            echoes.push(echoed);
        }
    }
    reader.close().await;
    Ok((ranges, echoes))
}

async fn echo(stream: &mut BiStream, bytes: &[u8]) -> Result<Duration> {
    let mut back = [0; KIB as usize];
    let began = Instant::now();
    stream.send.write_all(bytes).await?;
    stream.recv.read_exact(&mut back).await?;
    let took = began.elapsed();
    ensure!(back == bytes, "other bytes came back");
    Ok(took)
}

/// In microseconds.
fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let place = ((times.len() - 1) as f64 * share).round() as usize;
    times[place].as_secs_f64() * 1e6
}
