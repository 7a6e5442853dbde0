//! What storing and reading a large file takes of memory: the real commands, as processes, on a real devnet.
//!
//! The peak is the kernel's own (`VmHWM`), read while the process lives. Twice: in batches of 1 MiB, which a wallet keeps
//! in memory on their way, and of 256 MiB, which it does not.

use crate::harness::Report;
use anyhow::{Context as _, Result, ensure};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const GIB: u64 = 1 << 30;
const PIECE: usize = 1 << 20;
const SEED: u64 = 23;

pub fn run(report: &Report) -> Result<()> {
    for (bytes, batch) in [(4 * GIB, "1MiB"), (2 * GIB, "256MiB")] {
        let folder = tempfile::tempdir()?;
        let network = Network::start(folder.path(), batch)?;
        let file = folder.path().join("data");
        write_noise(&file, bytes)?;
        let data = file.to_str().context("a temporary path is text")?;
        network.import_wallet()?;
        let name = format!("{} GiB in batches of {batch}", bytes / GIB);
        let stored = network.watch(&["put", data, "--for", "1h", "--yes"], |mut out| {
            Ok(std::io::copy(&mut out, &mut std::io::sink()).map(drop)?)
        })?;
        std::fs::remove_file(&file)?;
        let read = network.watch(&["get", "data", "--out", "-"], |out| compare(out, bytes))?;
        for (verb, Watched { peak_bytes, wall }) in [("put", stored), ("get", read)] {
            report.figure(format!("{verb} {name}, peak memory"), peak_bytes as f64 / 1e6, "MB", None, "");
            report.figure(format!("{verb} {name}, wall"), bytes as f64 / 1e6 / wall.as_secs_f64(), "MB/s", None, "");
        }
    }
    Ok(())
}

fn noise() -> impl FnMut(&mut [u8]) {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    move |piece| random.fill_bytes(piece)
}

fn write_noise(path: &Path, bytes: u64) -> Result<()> {
    let (mut file, mut fill, mut piece) = (File::create(path)?, noise(), vec![0; PIECE]);
    for _ in 0..bytes / PIECE as u64 {
        fill(&mut piece);
        file.write_all(&piece)?;
    }
    Ok(file.sync_all()?)
}

/// Whether what comes is the same noise, so long and no longer.
fn compare(mut found: impl Read, bytes: u64) -> Result<()> {
    let (mut fill, mut expected, mut piece) = (noise(), vec![0; PIECE], vec![0; PIECE]);
    for _ in 0..bytes / PIECE as u64 {
        fill(&mut expected);
        found.read_exact(&mut piece)?;
        ensure!(piece == expected, "the file came back altered");
    }
    ensure!(found.read(&mut piece)? == 0, "more came back than was stored");
    Ok(())
}

/// What a command took.
struct Watched {
    peak_bytes: u64,
    wall: Duration,
}

/// A devnet, and someone who types commands.
struct Network {
    devnet: Child,
    said: Value,
    folder: PathBuf,
}

impl Network {
    fn start(folder: &Path, batch: &str) -> Result<Self> {
        let dir = folder.join("net");
        let words = ["devnet", "--holders", "6", "--quota", "4GiB", "--batch", batch, "--rpc-listen", "127.0.0.1:0"];
        let mut devnet = program()?
            .args(words)
            .arg("--json")
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut reader = BufReader::new(devnet.stdout.take().context("the output is a pipe")?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        std::fs::write(folder.join("password"), "bench\n")?;
        Ok(Self { devnet, said: serde_json::from_str(&line)?, folder: folder.to_owned() })
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = program()?;
        command
            .args(words)
            .args(["--json", "--network", "devnet", "--rpc", self.said["rpc"].as_str().context("a devnet has a URL")?])
            .arg("--data-dir")
            .arg(self.folder.join("wallet"))
            .arg("--password-file")
            .arg(self.folder.join("password"));
        Ok(command)
    }

    fn import_wallet(&self) -> Result<()> {
        let path = self.folder.join("words");
        std::fs::write(&path, self.said["words"].as_str().context("a devnet says its words")?)?;
        let output = self.command(&["wallet", "import"])?.stdin(File::open(path)?).output()?;
        ensure!(output.status.success(), "wallet import: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs a command, hands its output to `take`, and looks at its memory all the while.
    fn watch(
        &self,
        words: &[&str],
        take: impl FnOnce(std::process::ChildStdout) -> Result<()> + Send,
    ) -> Result<Watched> {
        let started = Instant::now();
        let mut child = self.command(words)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("the output is a pipe")?;
        let mut peak_bytes = 0;
        let taken = std::thread::scope(|scope| -> Result<()> {
            let taking = scope.spawn(move || take(out));
            while child.try_wait()?.is_none() {
                peak_bytes = peak_bytes.max(peak_of(child.id()).unwrap_or(0));
                std::thread::sleep(Duration::from_millis(5));
            }
            taking.join().map_err(|_| anyhow::anyhow!("the reader of {words:?} panicked"))?
        });
        let mut errors = String::new();
        child.stderr.take().context("the errors are a pipe")?.read_to_string(&mut errors)?;
        ensure!(child.wait()?.success(), "{words:?}: {errors}");
        taken?;
        Ok(Watched { peak_bytes, wall: started.elapsed() })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.devnet.kill();
        let _ = self.devnet.wait();
    }
}

/// The program that was built beside this one.
fn program() -> Result<Command> {
    let path = std::env::current_exe()?.with_file_name("holdfast");
    ensure!(path.exists(), "{} is not built: ./dev bench builds it", path.display());
    Ok(Command::new(path))
}

/// The most memory a process had so far.
pub fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
