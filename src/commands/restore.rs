//! `holdfast restore`: bring a wallet and its files back from 24 words.

use crate::commands::get::{lost_names, partial, write_all};
use crate::commands::wallet::{import_words, read_words};
use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{bytes, counted};
use crate::progress::ProgressArgs;
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
    let place = |name: &str| args.to.as_ref().map_or_else(PathBuf::new, |to| to.join(name));
    let files: Vec<(String, PathBuf, u64)> =
        catalog.list("").map(|(path, file)| (path.as_str().to_owned(), place(path.as_str()), file.meta.size)).collect();
    let total: u64 = files.iter().map(|(_, _, size)| size).sum();
    let lost = match &args.to {
        Some(_) => write_all(context, args.progress, (session, link, &catalog), &files).await,
        None => Vec::new(),
    };
    let verb = if args.to.is_some() { "restored" } else { "found" };
    let text =
        format!("wallet  {}\n{verb} {}, {}", context.wallet_name(), counted(files.len() as u64, "file"), bytes(total));
    let listed = |(name, _, size): &(String, PathBuf, u64)| serde_json::json!({ "name": name, "bytes": size });
    let value = serde_json::json!({
        "wallet": context.wallet_name(), "address": session.address_text(),
        "files": files.iter().map(listed).collect::<Vec<_>>(), "lost": lost_names(&lost),
    });
    context.output.result(text, &value);
    partial(&lost, files.len())
}
