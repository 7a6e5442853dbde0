//! The one binary: a command tree over the rooms below.

mod cli;
mod commands;
mod context;
mod failure;
mod holdings;
mod ids;
mod output;
mod progress;
mod services;
#[cfg(test)]
mod units;
mod wishes;

fn main() -> std::process::ExitCode {
    cli::run()
}
