//! `holdfast get`: read a file back, or a slice of it.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{bytes, counted, table};
use crate::progress::{Progress, ProgressArgs};
use clap::Args;
use holdfast_wallet::{Catalog, HolderReport, Link, ReadReport, Session, WalletError, load_catalog, read_file};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct GetArgs {
    /// The file's name, as `holdfast ls` shows it
    name: String,
    /// Where to write it; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only these bytes, for example 0-1023 (both ends included)
    #[arg(long, value_name = "A-B")]
    range: Option<String>,
    /// Overwrite the output file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// A catalog and the way to what it names.
pub struct Source<'a> {
    pub session: &'a Session,
    pub link: &'a Link,
    pub catalog: &'a Catalog,
}

pub async fn run(context: &Context, args: GetArgs) -> Outcome {
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let outcome = get(context, &session, &link, &args).await;
    link.close().await;
    outcome
}

async fn get(context: &Context, session: &Session, link: &Link, args: &GetArgs) -> Outcome {
    let catalog = load_catalog(session, link).await?;
    let size = catalog.file(&args.name).map_err(WalletError::from)?.meta.size;
    let range = match &args.range {
        Some(text) => parse_range(text, size)?,
        None => 0..size,
    };
    let length = range.end - range.start;
    let progress = Progress::begin(context, args.progress, "reading", length);
    let tell = |written| progress.at(written, None);
    let out = args.out.clone().unwrap_or_else(|| default_out(&args.name));
    if out.as_os_str() == "-" {
        let mut stdout = std::io::stdout();
        read_file(session, link, &catalog, &args.name, range, &mut stdout, &tell).await?;
        progress.done(None);
        return Ok(stdout.flush()?);
    }
    if out.exists() && !args.force {
        return Err(Failure::new(Exit::Failed, "exists", format!("{} exists already", out.display()))
            .hint("choose another with --out, or overwrite it with --force"));
    }
    let source = Source { session, link, catalog: &catalog };
    let read = write_whole(&source, &args.name, range, &out, &tell).await?;
    progress.done(None);
    report(context, &args.name, &out, length, &read);
    Ok(())
}

/// Writes a file beside `out` and renames it: what stands under the final name is always whole.
pub async fn write_whole(
    source: &Source<'_>,
    name: &str,
    range: Range<u64>,
    out: &Path,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<ReadReport, Failure> {
    let beside = out.with_file_name(format!(".{}.part", out.file_name().unwrap_or_default().to_string_lossy()));
    let mut file = File::create(&beside).map_err(|source| WalletError::File { path: beside.clone(), source })?;
    let read = read_file(source.session, source.link, source.catalog, name, range, &mut file, tell).await;
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            let _ = std::fs::remove_file(&beside);
            return Err(error.into());
        }
    };
    file.sync_all()?;
    std::fs::rename(&beside, out)?;
    Ok(read)
}

fn report(context: &Context, name: &str, out: &Path, length: u64, read: &ReadReport) {
    let mut text = format!("{name}: {} written to {}", bytes(length), out.display());
    if context.verbose > 0 || read.dropped().next().is_some() {
        text += &format!("\n{}", from_whom(read));
    }
    if read.rebuilt_ranges > 0 {
        text += &format!("\n{} rebuilt from other holders' batches", counted(read.rebuilt_ranges, "range"));
    }
    let value = serde_json::json!({ "name": name, "out": out, "bytes": length, "read": read });
    context.output.result(text, &value);
}

/// Who served how much, and who was dropped for what.
fn from_whom(read: &ReadReport) -> String {
    let row = |holder: &HolderReport| {
        let dropped = holder.dropped.as_ref().map_or_else(|| "-".to_owned(), |dropped| dropped.code.clone());
        vec![bytes(holder.bytes), holder.path.to_owned(), dropped, holder.holder.clone()]
    };
    let mut text = table(&["SERVED", "PATH", "DROPPED", "HOLDER"], &[0], read.holders.iter().map(row));
    for (holder, dropped) in read.dropped() {
        text += &format!("\n{}: {}", holder.holder, dropped.reason);
    }
    text
}

fn default_out(name: &str) -> PathBuf {
    PathBuf::from(name.rsplit('/').next().unwrap_or(name))
}

/// `A-B`, both ends included; `A-` to the end, if the file has one there. An empty file has no bytes to name.
fn parse_range(text: &str, size: u64) -> Result<Range<u64>, Failure> {
    let malformed = || Failure::usage(format!("--range {text}: write A-B, for example 0-1023"));
    let (from, to) = text.split_once('-').ok_or_else(malformed)?;
    let from: u64 = from.parse().map_err(|_| malformed())?;
    let to: u64 = match to {
        "" => size.max(from),
        to => to.parse::<u64>().map_err(|_| malformed())?.checked_add(1).ok_or_else(malformed)?,
    };
    if from > to {
        return Err(malformed());
    }
    if to > size || from > size {
        return Err(WalletError::OutOfFile { from, to, size }.into());
    }
    Ok(from..to)
}
