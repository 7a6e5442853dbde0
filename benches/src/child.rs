//! Other processes: this program again with a hidden argument, or the program that is measured.

use anyhow::{Context as _, Result, ensure};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{self, ChildStdout, Command, Stdio};

/// A process that ends when this is dropped.
pub struct Child {
    process: process::Child,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// This program with other arguments.
    pub fn of_this_program(arguments: &[&str]) -> Result<Self> {
        Self::start(std::env::current_exe()?, arguments)
    }

    /// Another program.
    pub fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("its output is piped")?;
        Ok(Self { process, output: BufReader::new(output) })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the process ended without a word");
        Ok(line.trim_end().to_owned())
    }

    /// Waits for its end; gives all that it printed.
    pub fn last_words(mut self) -> Result<String> {
        let mut words = String::new();
        self.output.read_to_string(&mut words)?;
        let status = self.process.wait()?;
        ensure!(status.success(), "the process ended with {status}");
        Ok(words)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program `holdfast` that was built together with this one.
pub fn holdfast() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("holdfast");
    ensure!(path.exists(), "{} is missing: build the whole workspace", path.display());
    Ok(path)
}
