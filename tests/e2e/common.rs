//! A network of real processes on loopback, for tests: started, killed and asked as a person would.

use crate::netns::Machine;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

/// A process that is killed when it goes out of scope.
pub struct Running {
    child: Child,
    /// The first line it printed, as JSON.
    pub said: Value,
}

impl Running {
    /// Starts `holdfast WORDS --json` and waits for its first line.
    pub fn start(words: &[&str]) -> Option<Self> {
        let mut command = Command::new(HOLDFAST);
        command.args(words).stderr(Stdio::null());
        Self::start_command(command)
    }

    /// As [`Running::start`], for a command that is told everything but `--json` and its standard output.
    pub fn start_command(mut command: Command) -> Option<Self> {
        let mut child = command.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            child.wait().unwrap();
            return None;
        }
        // Whoever reads no further would block the process once the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Some(Self { child, said: serde_json::from_str(&line).unwrap() })
    }

    /// Its number, as `/proc` and `kill` know it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts what must refuse to start: its exit code and its error document. The log stands on stderr, too.
    pub fn refused(words: &[&str]) -> (i32, Value) {
        let output = Command::new(HOLDFAST).args(words).arg("--json").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let error = told.lines().find(|line| line.starts_with("{\"error\"")).unwrap_or_else(|| panic!("{told}"));
        (output.status.code().unwrap(), serde_json::from_str::<Value>(error).unwrap()["error"].clone())
    }

    /// Its exit code, once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A devnet of its own below `folder`, on free ports.
pub fn devnet(folder: &Path, words: &[&str]) -> Running {
    let dir = folder.join("network").display().to_string();
    let start = ["devnet", "--rpc-listen", "127.0.0.1:0", "--dir", &dir, "--round", "4s"];
    Running::start(&[&start, words].concat()).unwrap()
}

/// Where a devnet or heavy node answers.
pub fn rpc(running: &Running) -> &str {
    running.said["rpc"].as_str().unwrap()
}

/// Someone who types commands: a data folder, a password, a node to ask.
pub struct Person {
    pub folder: PathBuf,
    pub rpc: String,
    /// Where the commands are typed, if not here.
    pub machine: Option<Machine>,
}

impl Person {
    pub fn new(folder: &Path, rpc: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("password"), "pw\n").unwrap();
        Self { folder: folder.to_owned(), rpc: rpc.to_owned(), machine: None }
    }

    /// The same person, typing on another machine.
    pub fn at(self, machine: &Machine) -> Self {
        Self { machine: Some(machine.clone()), ..self }
    }

    /// Someone with a wallet and what the faucet gives.
    pub fn funded(folder: &Path, network: &Running) -> Self {
        let person = Self::new(folder, rpc(network));
        person.ask(&["wallet", "new"]);
        person.ask(&["wallet", "faucet"]);
        person
    }

    /// A command as a person types it; add `--json` to read it as a script would.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = match &self.machine {
            Some(machine) => machine.command(HOLDFAST),
            None => Command::new(HOLDFAST),
        };
        command
            .args(words)
            .args(["--network", "devnet", "--rpc", &self.rpc, "--data-dir"])
            .arg(self.folder.join("data"))
            .arg("--password-file")
            .arg(self.folder.join("password"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    pub fn run_with(&self, words: &[&str], input: &str) -> Output {
        let mut child = self.command(words).arg("--json").spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The document a command prints; panics with its error if it fails.
    pub fn ask(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Writes a stored file to a place of its own and reads it.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let out = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        self.ask(&["get", name, "--force", "--out", out.path().to_str().unwrap()]);
        std::fs::read(out.path()).unwrap()
    }

    /// What the wallet has, in grains.
    pub fn balance(&self) -> u64 {
        grains(&self.ask(&["wallet", "balance"])["balance"])
    }

    /// A command that must fail: its exit code and its error document.
    pub fn fail(&self, words: &[&str]) -> (i32, Value) {
        Self::failure(&self.run(words), words)
    }

    pub fn failure(output: &Output, words: &[&str]) -> (i32, Value) {
        assert!(!output.status.success(), "{words:?} went well");
        let error: Value = serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), error["error"].clone())
    }

    /// A command that must fail with this exit code and this word for machines, and say what to do about it.
    pub fn refused(&self, words: &[&str], exit: i32, code: &str, hint: &str) {
        let (found, error) = self.fail(words);
        assert_eq!((found, error["code"].as_str().unwrap()), (exit, code), "{words:?}: {error}");
        assert!(error["hint"].as_str().is_some_and(|text| text.contains(hint)), "{words:?}: {error}");
    }
}

/// Waits for a condition; panics at the deadline.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_looking_every(Duration::from_millis(200), what, look)
}

/// The same for what is over in a moment.
pub fn wait_closely<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_looking_every(Duration::from_millis(1), what, look)
}

fn wait_looking_every<T>(pause: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(pause);
    }
}

/// Bytes that do not compress and are the same for the same seed (splitmix64, Steele, Lea and Flood 2014).
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mix = |state: u64| {
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    let (mut noise, mut state) = (Vec::with_capacity(bytes + 8), mix(seed.wrapping_add(1)));
    while noise.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        noise.extend_from_slice(&mix(state).to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// An amount in a document, in grains.
pub fn grains(value: &Value) -> u64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no amount")).parse().unwrap()
}
