//! Progress, on stderr: a bar for people on a terminal, one JSON document per line for programs, nothing elsewhere.

use crate::context::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two lines of one step; the last line of a step is always written.
const LINES_EVERY: Duration = Duration::from_millis(200);

/// How progress is asked for.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ProgressArgs {
    /// Report progress on stderr, one JSON document per line; implies --json
    #[arg(long)]
    pub json_progress: bool,
}

/// Batches of a file: how many lie at their holders, and how many must, as far as is known.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    /// Lie there.
    pub stored: u64,
    /// Must lie there in the end. An estimate until everything is packed.
    pub needed: u64,
}

/// One step of a command, and how it is shown.
pub struct Progress {
    shown: Shown,
    step: &'static str,
    bytes_total: u64,
    started: Instant,
    told: Mutex<Option<Instant>>,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines,
}

/// What one line says.
#[derive(Debug, Serialize)]
struct Line {
    step: &'static str,
    bytes: u64,
    bytes_total: u64,
    /// Since the step began.
    bytes_per_second: u64,
    /// At this rate; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces_stored: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces_needed: Option<u64>,
    done: bool,
}

impl Progress {
    /// Begins `step`, which will move `bytes_total` bytes.
    pub fn begin(context: &Context, args: ProgressArgs, step: &'static str, bytes_total: u64) -> Self {
        let shown = match args.json_progress {
            true => Shown::Lines,
            false if context.output.quiet || context.output.json => Shown::Nothing,
            // Off a terminal indicatif draws nothing.
            false => Shown::Bar(bar(bytes_total)),
        };
        Self { shown, step, bytes_total, started: Instant::now(), told: Mutex::new(None) }
    }

    /// Tells how far it is.
    pub fn at(&self, bytes: u64, pieces: Option<Pieces>) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_position(bytes);
                if let Some(Pieces { stored, needed }) = pieces {
                    bar.set_message(format!("{stored}/{needed} pieces stored"));
                }
            }
            Shown::Lines if self.is_time() => self.line(bytes, pieces, false),
            Shown::Lines => {}
        }
    }

    /// Tells that the step is done.
    pub fn done(&self, pieces: Option<Pieces>) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.finish_and_clear(),
            Shown::Lines => self.line(self.bytes_total, pieces, true),
        }
    }

    fn is_time(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = told.is_none_or(|at| at.elapsed() >= LINES_EVERY);
        if due {
            *told = Some(Instant::now());
        }
        due
    }

    fn line(&self, bytes: u64, pieces: Option<Pieces>, done: bool) {
        let bytes_per_second = rate(bytes, self.started.elapsed());
        let line = Line {
            step: self.step,
            bytes,
            bytes_total: self.bytes_total,
            bytes_per_second,
            seconds_left: self.bytes_total.saturating_sub(bytes).checked_div(bytes_per_second),
            pieces_stored: pieces.map(|pieces| pieces.stored),
            pieces_needed: pieces.map(|pieces| pieces.needed),
            done,
        };
        let text = serde_json::to_string(&line).expect("a line is plain JSON");
        // Whoever closed the pipe has read enough.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1_000 / milliseconds).unwrap_or(u64::MAX)
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left {msg}",
    );
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
