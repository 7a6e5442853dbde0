//! `holdfast get`: read a file back, a slice of it, a whole folder, or what somebody shared.

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{bytes, counted, table};
use crate::progress::{Progress, ProgressArgs};
use clap::Args;
use holdfast_wallet::share::{Grant, GrantError, GrantReader, GrantReading};
use holdfast_wallet::{Catalog, HolderReport, Link, ReadReport, Session, WalletError, load_catalog, read_file};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct GetArgs {
    /// The file's name, as `holdfast ls` shows it; a folder's for all files below it
    #[arg(required_unless_present = "grant")]
    name: Option<String>,
    /// Read what somebody shared, by the grant in this file; no wallet is needed unless it was made for one
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    grant: Option<PathBuf>,
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

/// Where a file's bytes come from.
pub enum Source<'a> {
    /// The wallet's own catalog.
    Stored { session: &'a Session, link: &'a Link, catalog: &'a Catalog, name: &'a str },
    /// What somebody shared.
    Granted(&'a GrantReading),
}

pub async fn run(context: &Context, args: GetArgs) -> Outcome {
    if let Some(path) = &args.grant {
        return by_grant(context, path, &args).await;
    }
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let outcome = stored(context, &session, &link, &args).await;
    link.close().await;
    outcome
}

async fn stored(context: &Context, session: &Session, link: &Link, args: &GetArgs) -> Outcome {
    let catalog = load_catalog(session, link).await?;
    let name = args.name.as_deref().unwrap_or_default();
    if catalog.file(name).is_err() && catalog.list(name).next().is_some() {
        return folder(context, (session, link, &catalog), name, args).await;
    }
    let size = catalog.file(name).map_err(WalletError::from)?.meta.size;
    get(context, &Source::Stored { session, link, catalog: &catalog, name }, (name, size), args).await
}

/// Writes all files below a folder, below the output folder.
async fn folder(
    context: &Context,
    (session, link, catalog): (&Session, &Link, &Catalog),
    name: &str,
    args: &GetArgs,
) -> Outcome {
    let folder = name.trim_end_matches('/');
    let out = args.out.clone().unwrap_or_else(|| default_out(folder));
    if args.range.is_some() || out.as_os_str() == "-" {
        return Err(Failure::usage(format!(
            "{name} is a folder: it has no range, and needs a folder to be written to"
        )));
    }
    if out.exists() && !args.force {
        return Err(exists(&out));
    }
    let below = |path: &str| path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/')).to_owned();
    let files: Vec<(String, PathBuf, u64)> = catalog
        .list(folder)
        .map(|(path, file)| (path.as_str().to_owned(), out.join(below(path.as_str())), file.meta.size))
        .collect();
    let lost = write_all(context, args.progress, (session, link, catalog), &files).await;
    let total = files.iter().map(|(_, _, size)| size).sum();
    let text =
        format!("{name}: {}, {} written below {}", counted(files.len() as u64, "file"), bytes(total), out.display());
    let value = serde_json::json!({ "name": name, "out": out, "bytes": total, "files": files.len(), "lost": lost_names(&lost) });
    context.output.result(text, &value);
    partial(&lost, files.len())
}

async fn by_grant(context: &Context, path: &Path, args: &GetArgs) -> Outcome {
    let grant = read_grant(path)?;
    let (key, _turn) = match &grant.reader {
        GrantReader::Bearer(_) => (None, None),
        GrantReader::Named(_) => {
            let words = context.unlock()?;
            (Some(words.signing_key(0)), Some(context.turn().await?))
        }
    };
    let reading = GrantReading::open(context.rpc()?, grant, key).await?;
    let (name, size) = (reading.grant().name.as_str().to_owned(), reading.grant().size());
    let outcome = get(context, &Source::Granted(&reading), (&name, size), args).await;
    reading.close().await;
    outcome
}

fn read_grant(path: &Path) -> Result<Grant, Failure> {
    let failed = |source| WalletError::File { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(failed)?.len();
    if found > Grant::BYTES_MAX as u64 {
        return Err(WalletError::Grant(GrantError::TooLong { found }).into());
    }
    let bytes = zeroize::Zeroizing::new(std::fs::read(path).map_err(failed)?);
    Ok(Grant::from_bytes(&bytes).map_err(WalletError::from)?)
}

async fn get(context: &Context, source: &Source<'_>, (name, size): (&str, u64), args: &GetArgs) -> Outcome {
    let range = match &args.range {
        Some(text) => parse_range(text, size)?,
        None => 0..size,
    };
    let length = range.end - range.start;
    let progress = Progress::begin(context, args.progress, "reading", length);
    let tell = |written| progress.at(written, None);
    let out = args.out.clone().unwrap_or_else(|| default_out(name));
    if out.as_os_str() == "-" {
        let mut stdout = std::io::stdout();
        source.read(range, &mut stdout, &tell).await?;
        progress.done(None);
        return Ok(stdout.flush()?);
    }
    if out.exists() && !args.force {
        return Err(exists(&out));
    }
    let read = write_whole(source, range, &out, &tell).await?;
    progress.done(None);
    report(context, name, &out, length, &read);
    Ok(())
}

fn exists(out: &Path) -> Failure {
    Failure::new(Exit::Failed, "exists", format!("{} exists already", out.display()))
        .hint("choose another with --out, or overwrite it with --force")
}

impl Source<'_> {
    async fn read(
        &self,
        range: Range<u64>,
        out: &mut (impl Write + Send),
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<ReadReport, WalletError> {
        match self {
            Self::Stored { session, link, catalog, name } => {
                read_file(session, link, catalog, name, range, out, tell).await
            }
            Self::Granted(reading) => reading.read(range, out, tell).await,
        }
    }
}

/// Writes files, each to its own place, and says which could not be had.
pub async fn write_all(
    context: &Context,
    progress: ProgressArgs,
    (session, link, catalog): (&Session, &Link, &Catalog),
    files: &[(String, PathBuf, u64)],
) -> Vec<(String, Failure)> {
    let progress = Progress::begin(context, progress, "restoring", files.iter().map(|(_, _, size)| size).sum());
    let (mut lost, mut before) = (Vec::new(), 0);
    for (name, path, size) in files {
        let tell = |written| progress.at(before + written, None);
        let source = Source::Stored { session, link, catalog, name };
        if let Err(failure) = write_below(&source, *size, path, &tell).await {
            context.output.note(format!("{name}: {}", failure.message));
            lost.push((name.clone(), failure));
        }
        before += size;
    }
    progress.done(None);
    lost
}

async fn write_below(source: &Source<'_>, size: u64, path: &Path, tell: &(dyn Fn(u64) + Send + Sync)) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| WalletError::File { path: folder.to_owned(), source })?;
    write_whole(source, 0..size, path, tell).await.map(|_| ())
}

/// The files that could not be had, for machines.
pub fn lost_names(lost: &[(String, Failure)]) -> Vec<serde_json::Value> {
    lost.iter().map(|(name, failure)| serde_json::json!({ "name": name, "reason": failure.message })).collect()
}

/// Nothing lost is a success, all lost is the first failure, anything between is partial.
pub fn partial(lost: &[(String, Failure)], files: usize) -> Outcome {
    let Some((name, first)) = lost.first() else { return Ok(()) };
    let exit = if lost.len() < files { Exit::Partial } else { first.exit };
    let message =
        format!("{} of {} could not be restored; {name}: {}", lost.len(), counted(files as u64, "file"), first.message);
    Err(Failure::new(exit, "partial", message).hint("run it again later: holders that are away may come back"))
}

/// Writes a file beside `out` and renames it: what stands under the final name is always whole.
async fn write_whole(
    source: &Source<'_>,
    range: Range<u64>,
    out: &Path,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<ReadReport, Failure> {
    let beside = out.with_file_name(format!(".{}.part", out.file_name().unwrap_or_default().to_string_lossy()));
    let mut file = File::create(&beside).map_err(|source| WalletError::File { path: beside.clone(), source })?;
    let read = match source.read(range, &mut file, tell).await {
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
