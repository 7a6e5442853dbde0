//! A part of a devnet that runs as a process of its own: this program again, ending with the one that started it.

use crate::failure::{DIR_IN_USE, Exit, Failure};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How long a part may take to end once it is told to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a folder is tried again that a part of a devnet that was killed just now still has.
const RETRY: Duration = Duration::from_millis(100);

/// A running part. Dropping it kills the process.
pub struct Part {
    child: Child,
    /// Closed, it tells the process to end; so does the death of this one.
    stdin: Option<ChildStdin>,
    /// The first document that it printed.
    pub said: Value,
}

impl Part {
    /// Runs this program with `words`, `--json` and `--until-stdin-closes`, and waits for its first document. Its log and its
    /// errors go to `dir/log`.
    ///
    /// # Errors
    /// It ended before it said anything; the error carries its own code when it gave one.
    pub async fn start<S: AsRef<OsStr>>(dir: &Path, words: &[S]) -> Result<Self, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::spawn(dir, words).await {
                Err(failure) if failure.code == DIR_IN_USE && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await
                }
                started => return started,
            }
        }
    }

    async fn spawn<S: AsRef<OsStr>>(dir: &Path, words: &[S]) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir)?;
        let log = dir.join("log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(words)
            .args(["--json", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, out) = (child.stdin.take(), child.stdout.take());
        let mut lines = BufReader::new(out.expect("the output is a pipe")).lines();
        let Some(line) = lines.next_line().await? else { return Err(failed(dir, &log)) };
        // Whoever reads no further would block the process once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let said = serde_json::from_str(&line).map_err(Failure::other)?;
        Ok(Self { child, stdin, said })
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) {
        // A process that cannot be waited for is as good as gone.
        let _ = self.child.wait().await;
    }

    /// Tells it to end and waits for that.
    pub async fn shutdown(mut self) {
        drop(self.stdin.take());
        // One that does not listen is killed when `child` is dropped.
        let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
    }
}

/// What the last error document in the log says.
fn failed(dir: &Path, log: &Path) -> Failure {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let error = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let error = error.and_then(|document| document.get("error").cloned());
    let field = |name: &str| error.as_ref().and_then(|error| error[name].as_str()).map(str::to_owned);
    let reason = field("message").unwrap_or_else(|| "it ended before it said anything".to_owned());
    let message = format!("the process for {} did not start: {reason}", dir.display());
    let code = field("code").unwrap_or_else(|| "part".to_owned());
    Failure::new(Exit::Failed, &code, message).hint(format!("{} says more", log.display()))
}
