//! `holdfast ls`: list stored files.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{bytes, table, time};
use clap::Args;
use holdfast_wallet::{Link, Session, load_catalog};

#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only files below this folder
    #[arg(default_value = "")]
    folder: String,
}

pub async fn run(context: &Context, args: LsArgs) -> Outcome {
    let session = Session::connect(context.rpc_url(), &context.unlock()?).await?;
    let link = Link::connect(&session).await?;
    let catalog = load_catalog(&session, &link).await;
    link.close().await;
    let catalog = catalog?;
    let files: Vec<_> = catalog.list(&args.folder).collect();
    let rows = files
        .iter()
        .map(|(path, file)| vec![bytes(file.meta.size), time(file.meta.modified), printable(path.as_str())]);
    let value: Vec<_> = files
        .iter()
        .map(|(path, file)| serde_json::json!({ "name": path.as_str(), "bytes": file.meta.size, "modified_ms": file.meta.modified, "mode": file.meta.mode }))
        .collect();
    if files.is_empty() {
        context.output.note("nothing is stored there");
    }
    context.output.result(table(&["SIZE", "MODIFIED", "NAME"], &[0], rows), &value);
    Ok(())
}

/// A name on one line: control characters are escaped.
fn printable(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
