//! `holdfast restore`: bring a wallet and its files back from 24 words.

use crate::commands::wallet::{import_words, read_words};
use crate::context::Context;
use crate::failure::Outcome;
use crate::output::bytes;
use clap::Args;
use holdfast_wallet::{Link, Session, WalletError, load_catalog, read_file};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Write all files below this folder; without it only the wallet and its list of files come back
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
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
    let outcome = restore(context, &session, &link, args.to).await;
    link.close().await;
    outcome
}

async fn restore(context: &Context, session: &Session, link: &Link, to: Option<PathBuf>) -> Outcome {
    if session.account().await?.is_none_or(|account| account.catalog_head.0.is_empty()) {
        return Err(WalletError::NoCatalog.into());
    }
    let catalog = load_catalog(session, link).await?;
    let files: Vec<(String, u64)> =
        catalog.list("").map(|(path, file)| (path.as_str().to_owned(), file.meta.size)).collect();
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    for (name, size) in files.iter().filter(|_| to.is_some()) {
        let path = to.as_ref().expect("only asked for with a folder").join(name);
        let io = |source| WalletError::File { path: path.clone(), source };
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(io)?;
        let mut file = std::fs::File::create(&path).map_err(io)?;
        read_file(session, link, &catalog, name, 0..*size, &mut file, &|_| {}).await?;
        file.sync_all().map_err(io)?;
    }
    let verb = if to.is_some() { "restored" } else { "found" };
    let text = format!("wallet  {}\n{verb} {} files, {}", context.wallet_name(), files.len(), bytes(total));
    let value = serde_json::json!({ "wallet": context.wallet_name(), "address": session.address_text(), "files": files.iter().map(|(name, size)| serde_json::json!({ "name": name, "bytes": size })).collect::<Vec<_>>() });
    context.output.result(text, &value);
    Ok(())
}
