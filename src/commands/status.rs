//! `holdfast status`: how the network and the node are doing.

mod light;

use crate::context::Context;
use crate::failure::Outcome;
use crate::ids;
use crate::output::{bytes, counted, duration_ms, table, when};
use clap::Args;
use holdfast_primitives::Height;
use holdfast_rpc::RpcClient;
use holdfast_rpc::chain::ChainStatus;
use holdfast_rpc::round::PhaseName;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// How often the live line is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Leave the holders out
    #[arg(long)]
    short: bool,
    /// Go on telling: a live line on a terminal, a line per block elsewhere
    #[arg(long, short)]
    watch: bool,
    /// Believe the node nothing: verify certificates from a trusted block to the newest, and records by their proofs
    #[arg(long, conflicts_with_all = ["short", "watch"])]
    light: bool,
    #[command(flatten)]
    anchor: light::AnchorArgs,
}

pub async fn run(context: &Context, args: StatusArgs) -> Outcome {
    if args.light {
        return light::run(context, args.anchor).await;
    }
    let rpc = context.rpc()?;
    if args.watch {
        return watch(context, &rpc).await;
    }
    let status = rpc.chain_status().await?;
    let latest = rpc.round_latest().await?;
    let holders = if args.short { Vec::new() } else { ids::all_holders(&rpc).await? };
    let mut text = format!(
        "network   {} ({})\nchain     {}\nheight    {} at {}\nround     {} {}, next step due {}",
        status.network,
        status.name,
        status.chain,
        status.height,
        status.time.rfc3339,
        status.round,
        phase_text(status.phase),
        when(status.due.time())
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

/// Tells of every block until interrupted.
async fn watch(context: &Context, rpc: &RpcClient) -> Outcome {
    let live = !context.output.json && std::io::stdout().is_terminal();
    let mut told = Height::GENESIS;
    loop {
        let status = rpc.chain_status().await?;
        let is_new = status.height > told;
        if live {
            // The line is cleared to its end: the one before may have been longer.
            print_live(&format!("\r{}\x1b[K", line(&status)));
        } else if is_new {
            context.output.item(line(&status), &status);
        }
        told = status.height;
        tokio::time::sleep(REDRAW).await;
    }
}

fn print_live(text: &str) {
    let mut stdout = anstream::stdout().lock();
    // A terminal that is gone ends the program by a signal.
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn line(status: &ChainStatus) -> String {
    let now = holdfast_node::now();
    let due = match status.due.time().since(now) {
        0 => "due now".to_owned(),
        left => format!("in {}", duration_ms(left)),
    };
    let next = match status.phase {
        PhaseName::Open => "freezes",
        PhaseName::AwaitingSeed | PhaseName::Proving => "settles",
    };
    format!(
        "height {}, {} old  round {} {}, {next} {due}  {}  {}{}",
        status.height,
        duration_ms(now.since(status.time.time())),
        status.round,
        phase_text(status.phase),
        counted(u64::from(status.holders), "holder"),
        counted(u64::from(status.validators), "validator"),
        if status.synced { "" } else { "  catching up" }
    )
}

const fn phase_text(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Open => "open",
        PhaseName::AwaitingSeed => "awaiting its seed",
        PhaseName::Proving => "proving",
    }
}
