//! `holdfast quote`: what storing something would cost.

use crate::commands::put::{files_of, rounds_for};
use crate::context::Context;
use crate::failure::Outcome;
use crate::output::bytes;
use clap::Args;
use holdfast_rpc::market::QuoteAsk;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// Files and folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// For how long, for example 90d
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
}

pub async fn run(context: &Context, args: QuoteArgs) -> Outcome {
    let collected = files_of(context, &args.paths, None)?;
    let rpc = context.rpc()?;
    let rounds = rounds_for(args.term, rpc.market_params().await?.round_ms);
    let size = collected.bytes();
    let quote =
        rpc.market_quote(QuoteAsk { bytes: size.max(1), rounds, batch_log2: None, data: None, parity: None }).await?;
    let text = format!(
        "size        {} in {} files\nstored as   {} segments of {} batches of {}, any {} of which rebuild one\nprice       {} per GiB per 30 days\nstorage     {} for {rounds} rounds ({}), relay fee {} included\nfee         {} at most\ntotal       {}\nfailed rounds are not paid; what they would have cost comes back at the end of the term",
        bytes(size),
        collected.files.len(),
        quote.segments,
        quote.data + quote.parity,
        bytes(1 << quote.batch_log2),
        quote.data,
        quote.per_gib_30_days,
        quote.storage,
        crate::output::duration_ms(quote.term_ms),
        quote.relay_fee,
        quote.tx_fee,
        quote.total
    );
    context.output.result(text, &quote);
    Ok(())
}
