//! `holdfast status`: how the network and the node are doing.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output::{bytes, table};
use clap::Args;
use holdfast_rpc::PageAsk;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Leave the holders out
    #[arg(long)]
    short: bool,
}

pub async fn run(context: &Context, args: StatusArgs) -> Outcome {
    let rpc = context.rpc()?;
    let status = rpc.chain_status().await?;
    let latest = rpc.round_latest().await?;
    let holders =
        if args.short { Vec::new() } else { rpc.market_holders(Some(PageAsk::from(0).limit(1_000))).await?.rows };
    let mut text = format!(
        "network   {} ({})\nchain     {}\nheight    {} at {}\nround     {} {:?}, next step due {}",
        status.network,
        status.name,
        status.chain,
        status.height,
        status.time.rfc3339,
        status.round,
        status.phase,
        status.due.rfc3339
    );
    if let Some(record) = &latest {
        text += &format!(
            "\nsettled   round {}: {} batches, {} holders, {} missed, {} newly faulty, {} paid, {} of it to heavy nodes",
            record.round,
            record.batches,
            record.holders,
            record.missed,
            record.newly_faulty,
            record.paid,
            record.relay_fees
        );
    }
    if !holders.is_empty() {
        let rows = holders.iter().map(|holder| {
            let state = if holder.online { "online" } else { "away" };
            vec![
                holder.number.to_string(),
                holder.address.to_string(),
                state.to_owned(),
                bytes(holder.used_bytes),
                bytes(holder.quota_bytes),
                holder.faulty.to_string(),
                holder.earned.to_string(),
            ]
        });
        text += &format!(
            "\n\n{}",
            table(&["HOLDER", "ADDRESS", "STATE", "USED", "OFFERED", "FAULTY", "EARNED"], &[0, 3, 4, 5, 6], rows)
        );
    }
    let value = serde_json::json!({ "chain": status, "settled": latest, "holders": holders });
    context.output.result(text, &value);
    Ok(())
}
