//! `holdfast hold`: run a holder, or look after one.

mod audits;
mod earnings;
mod leave;
mod profile;

use crate::commands::heavy::{stdin_closed, terminated};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::bytes;
use crate::services::holder::{HoldOptions, remembered, run as start};
use crate::services::logging;
use clap::{Args, Subcommand};
use holdfast_holder::HolderNews;
use holdfast_node::load_or_create_identity;
use holdfast_primitives::Amount;
use holdfast_rpc::market::ProfileView;
use holdfast_wallet::urls_of;
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
    #[command(flatten)]
    profile: profile::ProfileArgs,
    /// Deposit, if other than what covers the whole quota
    #[arg(long, value_name = "AMOUNT")]
    deposit: Option<String>,
    /// Take new batches again after `hold exit`
    #[arg(long)]
    rejoin: bool,
    /// UDP socket
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// End when standard input closes: for whoever starts this as a process of its own
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
enum HoldCommand {
    /// Print the address of a holder's key, making the key if it is missing
    Address {
        /// The holder's folder
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// What a holder earned: paid, to come, locked, at risk
    Earnings {
        /// Its number, address, or the beginning of its address
        holder: String,
    },
    /// How a holder did in past rounds, why rounds failed, and what the next failure would cost
    Audits {
        /// Its number, address, or the beginning of its address
        holder: String,
        /// Only rounds with something missing
        #[arg(long)]
        failed: bool,
        /// How many rounds to look back
        #[arg(long, value_name = "ROUNDS", default_value_t = 1_000)]
        last: u64,
    },
    /// Leave: take nothing new, keep what is held until the terms are over, take the deposit out
    Exit(leave::ExitArgs),
    /// Send money of the holder's account elsewhere
    Withdraw(leave::WithdrawArgs),
}

pub async fn run(context: &Context, args: HoldArgs) -> Outcome {
    match args.command {
        Some(HoldCommand::Address { ref dir }) => address(context, dir).await,
        Some(HoldCommand::Earnings { ref holder }) => earnings::run(context, holder).await,
        Some(HoldCommand::Audits { ref holder, failed, last }) => audits::run(context, holder, failed, last).await,
        Some(HoldCommand::Exit(ref args)) => leave::exit(context, args).await,
        Some(HoldCommand::Withdraw(ref args)) => leave::withdraw(context, args).await,
        None => hold(context, args).await,
    }
}

async fn hold(context: &Context, args: HoldArgs) -> Outcome {
    logging::init(context.verbose, true);
    let dir = args.dir.ok_or_else(|| Failure::usage("say where batches go with --dir DIR"))?;
    let key = load_or_create_identity(&dir.join("keys/identity.key")).map_err(Failure::other)?;
    let rpc = context.rpc()?;
    // The heavy node that the operator once named may be gone for good.
    rpc.learn(&urls_of(&remembered(&dir).read()));
    let prefix = rpc.chain_status().await?.network;
    let pricing = rpc.market_params().await?;
    let profile = args.profile.profile(pricing.round_ms, pricing.contract_rounds_max)?;
    let address = key.address().to_text(prefix);
    let told = profile::words(&profile, pricing.round_ms);
    let shown = ProfileView::of(&profile);
    let options = HoldOptions {
        dir,
        key,
        quota_bytes: args.quota.as_u64(),
        price: args.price.parse()?,
        profile,
        deposit: args.deposit.map(|text| text.parse::<Amount>()).transpose()?,
        rejoin: args.rejoin,
        bind: vec![args.listen],
    };
    let (mut handle, price) = start(rpc, options).await?;
    if !handle.accepting {
        context.output.note("this holder is leaving: it takes nothing new (`--rejoin` changes that)");
    }
    let value = serde_json::json!({
        "holder": handle.number, "address": address, "quota_bytes": args.quota.as_u64(),
        "price_per_mib_round": price.get(), "accepting": handle.accepting,
        "profile": shown,
    });
    let held = bytes(args.quota.as_u64());
    context.output.item(format!("holder {} ({address}) holds up to {held}, {told}", handle.number), &value);
    let orphaned = stdin_closed();
    tokio::pin!(orphaned);
    loop {
        tokio::select! {
            news = handle.news.recv() => match news {
                Some(news) => tell(context, &news),
                None => return Err(Failure::other("the holder's tasks ended")),
            },
            () = terminated() => { handle.shutdown().await; return Ok(()); }
            () = &mut orphaned, if args.until_stdin_closes => { handle.shutdown().await; return Ok(()); }
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
        HolderNews::Connected { parents } => {
            let ids: Vec<String> = parents.iter().map(|node| node.id().to_string()).collect();
            let backups = ids.get(1..).unwrap_or_default().join(" ");
            let text = format!("child of {}, backups: {backups}", ids.first().map_or("nobody", String::as_str));
            (text, serde_json::json!({ "connected": true, "parents": ids }))
        }
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
