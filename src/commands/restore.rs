//! `holdfast restore`: bring a wallet and its files back from 24 words.

use crate::commands::get::{Source, write_whole};
use crate::commands::wallet::{import_words, read_words};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{bytes, counted};
use crate::progress::{Progress, ProgressArgs};
use clap::Args;
use holdfast_wallet::{Link, Session, WalletError, load_catalog};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Write all files below this folder; without it only the wallet and its list of files come back
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

pub async fn run(context: &Context, args: RestoreArgs) -> Outcome {
    let words = match context.keystore().show(context.wallet_name()) {
        Ok(_) => context.unlock()?,
        Err(_) => {
            let words = read_words()?;
            import_words(context, &words).await?;
            words
        }
    };
    let session = context.session_of(&words).await?;
    let link = Link::connect(&session).await?;
    let outcome = restore(context, &session, &link, &args).await;
    link.close().await;
    outcome
}

async fn restore(context: &Context, session: &Session, link: &Link, args: &RestoreArgs) -> Outcome {
    if session.account().await?.is_none_or(|account| account.catalog_head.0.is_empty()) {
        return Err(WalletError::NoCatalog.into());
    }
    let catalog = load_catalog(session, link).await?;
    let files: Vec<(String, u64)> =
        catalog.list("").map(|(path, file)| (path.as_str().to_owned(), file.meta.size)).collect();
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    let source = Source { session, link, catalog: &catalog };
    let lost = match &args.to {
        Some(to) => write_all(context, args, &source, &files, to).await,
        None => Vec::new(),
    };
    let verb = if args.to.is_some() { "restored" } else { "found" };
    let text =
        format!("wallet  {}\n{verb} {}, {}", context.wallet_name(), counted(files.len() as u64, "file"), bytes(total));
    let value = serde_json::json!({ "wallet": context.wallet_name(), "address": session.address_text(), "files": files.iter().map(|(name, size)| serde_json::json!({ "name": name, "bytes": size })).collect::<Vec<_>>(), "lost": lost.iter().map(|(name, failure)| serde_json::json!({ "name": name, "reason": failure.message })).collect::<Vec<_>>() });
    context.output.result(text, &value);
    partial(&lost, files.len())
}

/// Writes every file that can be read, and says which could not.
async fn write_all(
    context: &Context,
    args: &RestoreArgs,
    source: &Source<'_>,
    files: &[(String, u64)],
    to: &Path,
) -> Vec<(String, Failure)> {
    let progress = Progress::begin(context, args.progress, "restoring", files.iter().map(|(_, size)| size).sum());
    let (mut lost, mut before) = (Vec::new(), 0);
    for (name, size) in files {
        let tell = |written| progress.at(before + written, None);
        if let Err(failure) = write_one(source, name, *size, &to.join(name), &tell).await {
            context.output.note(format!("{name}: {}", failure.message));
            lost.push((name.clone(), failure));
        }
        before += size;
    }
    progress.done(None);
    lost
}

async fn write_one(
    source: &Source<'_>,
    name: &str,
    size: u64,
    path: &Path,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|source| WalletError::File { path: folder.to_owned(), source })?;
    write_whole(source, name, 0..size, path, tell).await.map(|_| ())
}

/// Nothing lost is a success, all lost is the first failure, anything between is partial.
fn partial(lost: &[(String, Failure)], files: usize) -> Outcome {
    let Some((name, first)) = lost.first() else { return Ok(()) };
    let exit = if lost.len() < files { Exit::Partial } else { first.exit };
    let message =
        format!("{} of {} could not be restored; {name}: {}", lost.len(), counted(files as u64, "file"), first.message);
    Err(Failure::new(exit, "partial", message).hint("run it again later: holders that are away may come back"))
}
