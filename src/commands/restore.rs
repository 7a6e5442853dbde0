//! `holdfast restore`: bring a wallet and its files back from 24 words.

use crate::commands::get::{Source, write_whole};
use crate::commands::wallet::{import_words, read_words};
use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{bytes, counted};
use crate::progress::{Progress, ProgressArgs};
use clap::Args;
use holdfast_wallet::{Link, Session, WalletError, load_catalog};
use std::path::PathBuf;

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
    let session = Session::connect(context.rpc_url(), &words).await?;
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
    if let Some(to) = &args.to {
        let progress = Progress::begin(context, args.progress, "restoring", total);
        let source = Source { session, link, catalog: &catalog };
        let mut before = 0;
        for (name, size) in &files {
            let path = to.join(name);
            let folder = path.parent().unwrap_or(to);
            std::fs::create_dir_all(folder).map_err(|source| WalletError::File { path: folder.to_owned(), source })?;
            write_whole(&source, name, 0..*size, &path, &|written| progress.at(before + written, None)).await?;
            before += size;
        }
        progress.done(None);
    }
    let verb = if args.to.is_some() { "restored" } else { "found" };
    let text =
        format!("wallet  {}\n{verb} {}, {}", context.wallet_name(), counted(files.len() as u64, "file"), bytes(total));
    let value = serde_json::json!({ "wallet": context.wallet_name(), "address": session.address_text(), "files": files.iter().map(|(name, size)| serde_json::json!({ "name": name, "bytes": size })).collect::<Vec<_>>() });
    context.output.result(text, &value);
    Ok(())
}
