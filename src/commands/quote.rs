//! `holdfast quote`: what storing something would cost.

use crate::commands::put::{GIVEN_BACK, files_of, names, rounds_for};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{bytes, counted, when};
use crate::wishes::WishArgs;
use clap::Args;
use holdfast_primitives::{Amount, TimeMs};
use holdfast_rpc::market::{QuoteAsk, QuoteView};
use holdfast_rpc::{AddressText, RpcClient};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// Files and folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// For how long, for example 90d
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
    #[command(flatten)]
    wishes: WishArgs,
}

/// A quote as the caller's own.
#[derive(Debug, Serialize)]
struct Quoted {
    /// What the node estimates.
    #[serde(flatten)]
    quote: QuoteView,
    /// What is to be stored.
    file: String,
    /// Until when it would be paid, if it were stored now.
    paid_until_ms: TimeMs,
    /// What the wallet has; absent without a wallet.
    balance: Option<Amount>,
    /// What it would have afterwards.
    balance_after: Option<Amount>,
}

pub async fn run(context: &Context, args: QuoteArgs) -> Outcome {
    let collected = files_of(context, &args.paths, None)?;
    let rpc = context.rpc()?;
    let round_ms = rpc.market_params().await?.round_ms;
    let rounds = rounds_for(args.term, round_ms);
    let wishes = args.wishes.of_quote(&rpc).await?;
    let bytes = collected.bytes().max(1);
    let ask = QuoteAsk { bytes, rounds, batch_log2: None, data: None, parity: None, wishes };
    let quote = rpc.market_quote(ask).await?;
    let now = rpc.chain_status().await?.time.time();
    let balance = balance(context, &rpc).await?;
    let quoted = Quoted {
        file: names(&collected),
        // The round that is running does not count.
        paid_until_ms: now.saturating_add(round_ms.saturating_mul(u64::from(rounds) + 1)),
        balance_after: balance.map(|balance| balance.saturating_sub(quote.total)),
        balance,
        quote,
    };
    context.output.result(text(&quoted, collected.bytes()), &quoted);
    Ok(())
}

/// What the wallet has; nobody needs a wallet, or its password, to ask for a price.
async fn balance(context: &Context, rpc: &RpcClient) -> Result<Option<Amount>, Failure> {
    let Ok(wallet) = context.keystore().show(context.wallet_name()) else { return Ok(None) };
    let Ok(address) = AddressText::parse(&wallet.address) else { return Ok(None) };
    Ok(Some(rpc.find_account(address).await?.map_or(Amount::ZERO, |account| account.balance)))
}

fn text(quoted: &Quoted, size: u64) -> String {
    let quote = &quoted.quote;
    let balance = match (quoted.balance, quoted.balance_after) {
        (Some(balance), Some(after)) => format!("\nbalance     {balance}, {after} after"),
        _ => String::new(),
    };
    format!(
        "file        {}\nsize        {}\nstored as   {} of {} pieces of {}, any {} of which rebuild one; {} in all\nprice       {} per GiB per 30 days, spare pieces and padding included\nstorage     {} for {} ({}), relay fee {} included\nfee         {} at most\ntotal       {}\npaid until  {}{balance}\n{GIVEN_BACK}",
        quoted.file,
        bytes(size),
        counted(quote.segments, "segment"),
        quote.data + quote.parity,
        bytes(1 << quote.batch_log2),
        quote.data,
        counted(quote.batches, "piece"),
        quote.per_gib_30_days,
        quote.storage,
        counted(u64::from(quote.rounds), "round"),
        crate::output::duration_ms(quote.term_ms),
        quote.relay_fee,
        quote.tx_fee,
        quote.total,
        when(quoted.paid_until_ms)
    )
}
