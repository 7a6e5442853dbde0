//! `holdfast audit`: verify what the network claims, from public data, on this machine.

use crate::commands::hold::holder_ref;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{percent, table};
use clap::Subcommand;
use holdfast_primitives::RoundNo;
use holdfast_wallet::{Auditor, Link, RoundVerdict, Session, WalletError, load_catalog};
use std::collections::BTreeSet;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify one settled round: seed, lists, every opening, every payment
    Round {
        /// Its number, `latest`, or `all`
        round: String,
    },
    /// Verify one holder's part in a round
    Holder {
        /// Its number or address
        holder: String,
        /// The round; the latest unless said otherwise
        #[arg(long)]
        round: Option<u64>,
    },
    /// Show where a stored file's pieces are and how many of each segment are sound
    File {
        /// Its name, as `holdfast ls` shows it
        name: String,
    },
}

pub async fn run(context: &Context, command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::Round { round } => rounds(context, &round).await,
        AuditCommand::Holder { holder, round } => one_holder(context, &holder, round).await,
        AuditCommand::File { name } => file(context, &name).await,
    }
}

async fn rounds(context: &Context, which: &str) -> Outcome {
    let auditor = Auditor::connect(context.rpc_url(), None).await?;
    let latest = auditor.latest().await?.ok_or_else(no_round)?;
    match which {
        "latest" => show(context, &auditor.round(latest, None).await?),
        "all" => {
            for round in 0..=latest.get() {
                let verdict = auditor.round(RoundNo::new(round), None).await?;
                let faults = verdict.holders.iter().filter(|holder| holder.missing > 0).count();
                let text = format!(
                    "round {round}: holds; {} batches, {} holders, {faults} with something missing, {} paid",
                    verdict.batches,
                    verdict.holders.len(),
                    verdict.paid
                );
                context.output.item(text, &verdict);
            }
        }
        number => {
            let round = number
                .parse()
                .map_err(|_| Failure::usage(format!("{number} is no round: write a number, latest or all")))?;
            show(context, &auditor.round(RoundNo::new(round), None).await?);
        }
    }
    Ok(())
}

async fn one_holder(context: &Context, holder: &str, round: Option<u64>) -> Outcome {
    let number = context.rpc()?.market_holder(holder_ref(holder)?).await?.number;
    let auditor = Auditor::connect(context.rpc_url(), None).await?;
    let round = match round {
        Some(round) => RoundNo::new(round),
        None => auditor.latest().await?.ok_or_else(no_round)?,
    };
    let verdict = auditor.round(round, Some(number)).await?;
    if verdict.holders.is_empty() {
        return Err(Failure::new(
            Exit::NotFound,
            "not-in-round",
            format!("holder {number} had nothing to prove in round {round}"),
        ));
    }
    show(context, &verdict);
    Ok(())
}

fn show(context: &Context, verdict: &RoundVerdict) {
    let rows = verdict.holders.iter().map(|holder| {
        let what = match (holder.missed, holder.missing) {
            (true, _) => "no proof came".to_owned(),
            (false, 0) => "proved".to_owned(),
            (false, _) => format!("{} batches newly faulty", holder.lost.len()),
        };
        vec![
            holder.holder.clone(),
            holder.batches.to_string(),
            holder.challenges.to_string(),
            holder.missing.to_string(),
            holder.paid.to_string(),
            what,
        ]
    });
    let mut text = format!(
        "round {} holds (record proven in certified block {})\n\n{}\n",
        verdict.round,
        verdict.proven_at,
        table(&["HOLDER", "BATCHES", "CHALLENGES", "MISSING", "PAID", "WHAT HAPPENED"], &[1, 2, 3, 4], rows)
    );
    for (address, amount) in &verdict.heavy_nodes {
        text +=
            &format!("\nheavy node {address} earned {amount} ({} of what was paid)", percent(*amount, verdict.paid));
    }
    text += &format!("\npaid {}, verification {}, fines {}", verdict.paid, verdict.proof_fees, verdict.fines);
    context.output.result(text, verdict);
}

async fn file(context: &Context, name: &str) -> Outcome {
    let session = Session::connect(context.rpc_url(), &context.unlock()?).await?;
    let link = Link::connect(&session).await?;
    let catalog = load_catalog(&session, &link).await;
    link.close().await;
    let catalog = catalog?;
    let record = catalog.file(name).map_err(WalletError::from)?;
    let ordinals: BTreeSet<u32> = catalog.chunks_of(record).map(|chunk| chunk.at.segment).collect();
    let (mut rows, mut value, mut worst) = (Vec::new(), Vec::new(), None);
    for ordinal in ordinals {
        let ask = holdfast_rpc::PageAsk::from(u64::from(ordinal)).limit(1);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let segment =
            page.rows.into_iter().next().ok_or_else(|| WalletError::unreadable(format!("no segment {ordinal}")))?;
        let sound = segment
            .members
            .iter()
            .filter(|member| member.stored.as_ref().is_some_and(|stored| stored.faulty_since.is_none()))
            .count();
        let spare = sound as i64 - i64::from(segment.data);
        worst = Some(worst.map_or(spare, |worst: i64| worst.min(spare)));
        rows.push(vec![
            ordinal.to_string(),
            segment.members.len().to_string(),
            sound.to_string(),
            segment.data.to_string(),
        ]);
        value.push(segment);
    }
    let verdict = match worst {
        None => "the file is empty: nothing to hold".to_owned(),
        Some(spare) if spare < 0 => format!("too few sound pieces: {} are missing in the worst segment", -spare),
        Some(spare) => format!("readable; {spare} more pieces of the worst segment may fail"),
    };
    let text =
        format!("{name}\n\n{}\n\n{verdict}", table(&["SEGMENT", "PIECES", "SOUND", "NEEDED"], &[0, 1, 2, 3], rows));
    context.output.result(text, &serde_json::json!({ "name": name, "segments": value, "verdict": verdict }));
    Ok(())
}

fn no_round() -> Failure {
    Failure::new(Exit::NotFound, "no-round", "no round is settled yet")
        .hint("holdfast status says when the next one is due")
}
