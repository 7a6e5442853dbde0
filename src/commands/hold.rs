//! `holdfast hold`: run a holder, or look after one.

use crate::commands::heavy::terminated;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{bytes, table};
use crate::services::holder::{HoldOptions, run as start};
use crate::services::logging;
use clap::{Args, Subcommand};
use holdfast_holder::HolderNews;
use holdfast_node::load_or_create_identity;
use holdfast_primitives::Amount;
use holdfast_rpc::PageAsk;
use holdfast_rpc::market::HolderRef;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct HoldArgs {
    #[command(subcommand)]
    command: Option<HoldCommand>,
    /// Folder of the batches and the holder's key
    #[arg(long, value_name = "DIR", required = true)]
    dir: Option<PathBuf>,
    /// Space offered, for example 10GiB
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    quota: bytesize::ByteSize,
    /// Asking price in HOLD per GiB per 30 days, for example 1.5HOLD
    #[arg(long, value_name = "AMOUNT", default_value = "1HOLD")]
    price: String,
    /// Deposit, if other than what covers the whole quota
    #[arg(long, value_name = "AMOUNT")]
    deposit: Option<String>,
    /// UDP socket
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Print the address of a holder's key, making the key if it is missing
    Address {
        /// The holder's folder
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// What a holder earned: paid, locked, at risk
    Earnings {
        /// Its number or address
        holder: String,
    },
    /// How a holder did in past rounds
    Audits {
        /// Its number or address
        holder: String,
        /// Only rounds with something missing
        #[arg(long)]
        failed: bool,
    },
}

pub async fn run(context: &Context, args: HoldArgs) -> Outcome {
    match args.command {
        Some(HoldCommand::Address { ref dir }) => address(context, dir).await,
        Some(HoldCommand::Earnings { ref holder }) => earnings(context, holder).await,
        Some(HoldCommand::Audits { ref holder, failed }) => audits(context, holder, failed).await,
        None => hold(context, args).await,
    }
}

async fn hold(context: &Context, args: HoldArgs) -> Outcome {
    logging::init(context.verbose, true);
    let dir = args.dir.ok_or_else(|| Failure::usage("say where batches go with --dir DIR"))?;
    let key = load_or_create_identity(&dir.join("keys/identity.key")).map_err(Failure::other)?;
    let rpc = context.rpc()?;
    let prefix = rpc.chain_status().await?.network;
    let address = key.address().to_text(prefix);
    let options = HoldOptions {
        dir,
        key,
        quota_bytes: args.quota.as_u64(),
        price: args.price.parse()?,
        deposit: args.deposit.map(|text| text.parse::<Amount>()).transpose()?,
        bind: vec![args.listen],
    };
    let (mut handle, price) = start(rpc, options).await?;
    let value = serde_json::json!({ "holder": handle.number, "address": address, "quota_bytes": args.quota.as_u64(), "price_per_mib_round": price.get() });
    context
        .output
        .item(format!("holder {} ({address}) holds up to {}", handle.number, bytes(args.quota.as_u64())), &value);
    loop {
        tokio::select! {
            news = handle.news.recv() => match news {
                Some(news) => tell(context, &news),
                None => return Err(Failure::other("the holder's tasks ended")),
            },
            () = terminated() => { handle.shutdown().await; return Ok(()); }
        }
    }
}

fn tell(context: &Context, news: &HolderNews) {
    let (text, value) = match news {
        HolderNews::Proven(proven) => (
            format!(
                "round {}: {} leaves proved, {} missing",
                proven.round,
                proven.challenges - proven.unreadable,
                proven.unreadable
            ),
            serde_json::json!({ "proven": proven }),
        ),
        HolderNews::Swept(sweep) => (
            format!("{} unpaid batches removed, {} broken ones declared", sweep.removed.len(), sweep.declared.len()),
            serde_json::json!({ "swept": sweep }),
        ),
        HolderNews::Connected => ("connected to the heavy node".to_owned(), serde_json::json!({ "connected": true })),
        HolderNews::Away(reason) => (format!("away: {reason}"), serde_json::json!({ "away": reason })),
    };
    context.output.item(text, &value);
}

async fn address(context: &Context, dir: &std::path::Path) -> Outcome {
    let key = load_or_create_identity(&dir.join("keys/identity.key")).map_err(Failure::other)?;
    let prefix = match context.prefix() {
        Some(prefix) => prefix,
        None => context.rpc()?.chain_status().await?.network,
    };
    let address = key.address().to_text(prefix);
    context.output.result(&address, &serde_json::json!({ "address": address }));
    Ok(())
}

/// A holder by number or address.
pub fn holder_ref(text: &str) -> Result<HolderRef, Failure> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| {
        Failure::usage(format!("{text} is neither a holder's number nor an address"))
            .hint("holdfast status lists the holders")
    })
}

async fn earnings(context: &Context, holder: &str) -> Outcome {
    let view = context.rpc()?.market_holder(holder_ref(holder)?).await?;
    let batches: u64 = view.lists.iter().map(|list| list.batches).sum();
    let text = format!(
        "holder {} ({})\nearned     {}\nfined      {}\ndeposit    {} ({} secures batches)\nholds      {} in {batches} batches, {} of them faulty\nrounds     {} proved, {} missed",
        view.number,
        view.address,
        view.earned,
        view.fined,
        view.deposit,
        view.locked,
        bytes(view.used_bytes),
        view.faulty,
        view.rounds_proved,
        view.rounds_missed
    );
    context.output.result(text, &view);
    Ok(())
}

async fn audits(context: &Context, holder: &str, failed: bool) -> Outcome {
    let rpc = context.rpc()?;
    let view = rpc.market_holder(holder_ref(holder)?).await?;
    let Some(latest) = rpc.round_latest().await? else {
        context.output.note("no round is settled yet");
        return Ok(());
    };
    let mut rows = Vec::new();
    for round in 0..=latest.round.get() {
        let page =
            rpc.round_results(holdfast_primitives::RoundNo::new(round), Some(PageAsk::from(0).limit(1_000))).await?;
        rows.extend(
            page.rows
                .into_iter()
                .filter(|row| row.holder == view.address && (!failed || row.missing > 0))
                .map(|row| (round, row)),
        );
    }
    let lines = rows
        .iter()
        .map(|(round, row)| vec![round.to_string(), row.challenges.to_string(), row.missing.to_string(), reason(row)]);
    let text = table(&["ROUND", "CHALLENGES", "MISSING", "WHAT HAPPENED"], &[0, 1, 2], lines);
    let value: Vec<_> = rows.iter().map(|(round, row)| serde_json::json!({ "round": round, "result": row })).collect();
    context.output.result(text, &value);
    Ok(())
}

fn reason(row: &holdfast_rpc::round::ResultView) -> String {
    if row.proof_digest == holdfast_primitives::Digest::ZERO && row.challenges > 0 {
        return "no proof came".to_owned();
    }
    if row.missing > 0 { "leaves failed: their batches are faulty and unpaid".to_owned() } else { "proved".to_owned() }
}
