//! `holdfast audit`: verify what the network claims, from public data, on this machine.

use crate::commands::genesis::read as read_genesis;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ids;
use crate::output::{bytes, counted, percent, table, thousands};
use clap::{Args, Subcommand};
use holdfast_primitives::{ChainId, Height, RoundNo};
use holdfast_wallet::{
    Auditor, Bundle, ChainVerdict, Link, NodeSource, Recorder, RoundSpan, RoundVerdict, SegmentVerdict, WalletError,
    load_catalog, replay_chain,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Contracts whose paths are printed.
const CONTRACTS_SHOWN: usize = 40;

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    trust: Trust,
    #[command(subcommand)]
    command: AuditCommand,
}

/// What the auditor knows beforehand.
#[derive(Clone, Debug, Args)]
struct Trust {
    /// The network's genesis file: refuse a node of any other chain
    #[arg(long, global = true, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The chain's id: refuse a node of any other chain
    #[arg(long, global = true, value_name = "ID")]
    chain: Option<ChainId>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Verify one settled round: seed, lists, every opening, every payment
    Round {
        /// Its number, `latest`, or `all`
        round: String,
        /// Write everything it was verified by into one file, for `audit bundle`
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    /// Verify a round again from an evidence bundle, with no node at hand
    Bundle {
        /// The file
        file: PathBuf,
    },
    /// Verify one holder's part in a round
    Holder {
        /// Its number, address, or the beginning of its address
        holder: String,
        /// The round; the latest unless said otherwise
        #[arg(long)]
        round: Option<u64>,
    },
    /// Apply every block again from the genesis on: every signature, root, payment and fine
    Chain {
        /// The last block to apply; the newest unless said otherwise
        #[arg(long, value_name = "HEIGHT")]
        to: Option<u64>,
    },
    /// Show where a stored file's pieces are and how many of each segment are sound
    File {
        /// Its name, as `holdfast ls` shows it
        name: String,
    },
}

pub async fn run(context: &Context, args: AuditArgs) -> Outcome {
    let trusted = args.trust.chain()?;
    match args.command {
        AuditCommand::Round { round, bundle } => rounds(context, trusted, &round, bundle.as_deref()).await,
        AuditCommand::Bundle { file } => from_bundle(context, trusted, &file).await,
        AuditCommand::Holder { holder, round } => one_holder(context, trusted, &holder, round).await,
        AuditCommand::Chain { to } => chain(context, trusted, to.map(Height::new)).await,
        AuditCommand::File { name } => file(context, trusted, &name).await,
    }
}

impl Trust {
    /// The chain that the caller names, in one way or two.
    fn chain(&self) -> Result<Option<ChainId>, Failure> {
        let Some(path) = &self.genesis else { return Ok(self.chain) };
        let found = read_genesis(path)?.chain_id();
        match self.chain.filter(|named| *named != found) {
            Some(named) => Err(Failure::usage(format!("--genesis is of chain {found}, --chain says {named}"))),
            None => Ok(Some(found)),
        }
    }
}

/// An auditor of what the node says.
async fn auditor(context: &Context, trusted: Option<ChainId>) -> Result<Auditor, Failure> {
    let auditor = Auditor::open(Arc::new(NodeSource::connect(context.rpc_url())?), trusted).await?;
    tell_unpinned(context, trusted, auditor.chain_id(), "node");
    Ok(auditor)
}

/// Says what the verdict hangs from when the caller named no chain.
fn tell_unpinned(context: &Context, trusted: Option<ChainId>, chain: ChainId, from: &str) {
    if trusted.is_none() {
        context
            .output
            .note(format!("the genesis was taken from the {from}: pin it with --chain {chain} or --genesis FILE"));
    }
}

async fn rounds(context: &Context, trusted: Option<ChainId>, which: &str, bundle: Option<&Path>) -> Outcome {
    if let Some(path) = bundle {
        return into_bundle(context, trusted, which, path).await;
    }
    let mut auditor = auditor(context, trusted).await?;
    let latest = auditor.latest().await?.ok_or_else(no_round)?;
    match which {
        "latest" => show(context, &auditor.round(latest, None).await?),
        "all" => {
            for round in (0..=latest.get()).map(RoundNo::new) {
                match auditor.round(round, None).await {
                    Ok(verdict) => show_line(context, &verdict),
                    Err(WalletError::ProofsPruned { .. }) => show_pruned(context, round),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        number => show(context, &auditor.round(parse_round(number)?, None).await?),
    }
    Ok(())
}

/// Verifies a round, then once more from what was recorded; only a bundle that comes to the same verdict is written.
async fn into_bundle(context: &Context, trusted: Option<ChainId>, which: &str, path: &Path) -> Outcome {
    let recorder = Arc::new(Recorder::of(Arc::new(NodeSource::connect(context.rpc_url())?)));
    let mut auditor = Auditor::open(recorder.clone(), trusted).await?;
    tell_unpinned(context, trusted, auditor.chain_id(), "node");
    let round = match which {
        "latest" => auditor.latest().await?.ok_or_else(no_round)?,
        "all" => return Err(Failure::usage("a bundle holds one round: write its number or latest")),
        number => parse_round(number)?,
    };
    let verdict = auditor.round(round, None).await?;
    let bundle = Arc::new(recorder.bundle(round)?);
    let again = Auditor::open(bundle.clone(), Some(verdict.chain)).await?.round(round, None).await?;
    if again != verdict {
        return Err(Failure::new(
            Exit::Unverifiable,
            "unverifiable",
            "the bundle comes to another verdict than the node",
        ));
    }
    let size = bundle.save(path)?;
    show(context, &verdict);
    context.output.note(format!("evidence in {}: {}", path.display(), bytes(size as u64)));
    Ok(())
}

async fn from_bundle(context: &Context, trusted: Option<ChainId>, path: &Path) -> Outcome {
    let bundle = Arc::new(Bundle::load(path)?);
    let round = bundle.round;
    let mut auditor = Auditor::open(bundle, trusted).await?;
    tell_unpinned(context, trusted, auditor.chain_id(), "bundle");
    show(context, &auditor.round(round, None).await?);
    Ok(())
}

fn parse_round(number: &str) -> Result<RoundNo, Failure> {
    let wrong = |_| Failure::usage(format!("{number} is no round: write a number, latest or all"));
    number.parse().map(RoundNo::new).map_err(wrong)
}

fn show_line(context: &Context, verdict: &RoundVerdict) {
    let faults = verdict.holders.iter().filter(|holder| holder.missing > 0).count();
    let text = format!(
        "round {}: holds; {} batches, {} holders, {faults} with something missing, {} paid",
        verdict.round,
        verdict.batches,
        verdict.holders.len(),
        verdict.paid
    );
    context.output.item(text, verdict);
}

fn show_pruned(context: &Context, round: RoundNo) {
    let text =
        format!("round {round}: its proofs are no longer kept; holdfast audit chain computes its payments again");
    context.output.item(text, &serde_json::json!({ "round": round, "proofs_pruned": true }));
}

async fn one_holder(context: &Context, trusted: Option<ChainId>, holder: &str, round: Option<u64>) -> Outcome {
    let number = ids::holder(&context.rpc()?, holder).await?.number;
    let mut auditor = auditor(context, trusted).await?;
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

async fn chain(context: &Context, trusted: Option<ChainId>, to: Option<Height>) -> Outcome {
    let node = NodeSource::connect(context.rpc_url())?;
    let bar = blocks_bar(context);
    let tell = |done: Height, of: Height| {
        bar.set_length(of.get());
        bar.set_position(done.get());
    };
    let verdict = replay_chain(&node, trusted, to, &tell).await;
    bar.finish_and_clear();
    let verdict = verdict?;
    tell_unpinned(context, trusted, verdict.chain, "node");
    context.output.result(chain_text(&verdict), &verdict);
    Ok(())
}

fn chain_text(verdict: &ChainVerdict) -> String {
    let mut text = format!(
        "chain {} holds up to block {}: applied again from its genesis, every block and certificate\n\n\
         transactions  {}\nrounds        {} settled, {} with something to prove\n\
         payments      {} computed again, {} in all, {} of it to heavy nodes\n\
         holders       paid {} for verification, {} in fines\nopenings      {} verified again\n\
         supply        {}, counted to the grain\nstate root    {}",
        verdict.chain,
        verdict.height,
        thousands(verdict.transactions),
        verdict.rounds,
        verdict.rounds_with_proofs,
        thousands(verdict.payments),
        verdict.paid,
        verdict.relay_fees,
        verdict.proof_fees,
        verdict.fines,
        thousands(verdict.openings),
        verdict.supply,
        verdict.state_root
    );
    if let Some(RoundSpan { first, last, parts }) = verdict.digests_only {
        text += &format!(
            "\n\nof rounds {first} to {last} the openings of {parts} proof parts are no longer kept, only their digests: \
             what failed in these was taken as the validators certified it; all that follows from it was computed again"
        );
    }
    text
}

/// A bar on a terminal; nothing elsewhere.
fn blocks_bar(context: &Context) -> ProgressBar {
    if context.output.quiet || context.output.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} block {human_pos} of {human_len} {per_sec} {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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
    text += &paths(verdict);
    text += &format!("\npaid {}, verification {}, fines {}", verdict.paid, verdict.proof_fees, verdict.fines);
    text += "\n\nevery payment was computed again from proven contracts, every holder's sum from its frozen row; fines, fees of \
             verification and how one holder's contracts share its sum are computed again by: holdfast audit chain";
    context.output.result(text, verdict);
}

/// Each contract's path and what every hop earned by it; beyond some dozens, how many more there are.
fn paths(verdict: &RoundVerdict) -> String {
    let mut text = String::from("\n");
    for contract in verdict.contracts.iter().take(CONTRACTS_SHOWN) {
        text += &format!(
            "\ncontract {} with {}: {} paid {}, {} of it to the heavy nodes on its path",
            contract.contract,
            contract.holder,
            counted(u64::from(contract.batches), "batch"),
            contract.paid,
            contract.relay_fee
        );
        for (hop, place) in contract.path.iter().zip(1..) {
            text += &format!("\n  hop {place}  {} earned {}", hop.node, hop.earned);
        }
    }
    let more = verdict.contracts.len().saturating_sub(CONTRACTS_SHOWN);
    if more > 0 {
        text += &format!("\nand {} more (--json has them all)", counted(more as u64, "contract"));
    }
    text + "\n"
}

async fn file(context: &Context, trusted: Option<ChainId>, name: &str) -> Outcome {
    let mut auditor = auditor(context, trusted).await?;
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let catalog = load_catalog(&session, &link).await;
    link.close().await;
    let catalog = catalog?;
    let record = catalog.file(name).map_err(WalletError::from)?;
    let ordinals: BTreeSet<u32> = catalog.chunks_of(record).map(|chunk| chunk.at.segment).collect();
    let (mut rows, mut segments, mut worst) = (Vec::new(), Vec::new(), None);
    for ordinal in ordinals {
        let ask = holdfast_rpc::PageAsk::from(u64::from(ordinal)).limit(1);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let named = page.rows.first().ok_or_else(|| WalletError::unreadable(format!("no segment {ordinal}")))?;
        let segment = auditor.segment(&session.address(), ordinal, named.number).await?;
        let spare = segment.sound as i64 - segment.needed as i64;
        worst = Some(worst.map_or(spare, |worst: i64| worst.min(spare)));
        let counts = [segment.pieces, segment.sound, segment.needed].map(|count| count.to_string());
        rows.push([vec![ordinal.to_string()], counts.to_vec()].concat());
        segments.push(segment);
    }
    let verdict = match worst {
        None => "the file is empty: nothing to hold".to_owned(),
        Some(spare) if spare < 0 => format!("too few sound pieces: {} are missing in the worst segment", -spare),
        Some(spare) => format!("readable; {spare} more pieces of the worst segment may fail"),
    };
    let text = format!(
        "{name}\n\n{}\n\n{}{verdict}",
        table(&["SEGMENT", "PIECES", "SOUND", "NEEDED"], &[0, 1, 2, 3], rows),
        ways(&segments)
    );
    context.output.result(text, &serde_json::json!({ "name": name, "segments": segments, "verdict": verdict }));
    Ok(())
}

/// By which ways the pieces came, and how many by each.
fn ways(segments: &[SegmentVerdict]) -> String {
    let mut ways: BTreeMap<&[String], u64> = BTreeMap::new();
    for place in segments.iter().flat_map(|segment| &segment.places) {
        *ways.entry(&place.path).or_default() += 1;
    }
    let line = |(path, count): (&&[String], &u64)| {
        let count = counted(*count, "piece");
        format!("{count} by way of {}\n", path.join(", then "))
    };
    let lines: String = ways.iter().map(line).collect();
    if lines.is_empty() { lines } else { lines + "\n" }
}

fn no_round() -> Failure {
    Failure::new(Exit::NotFound, "no-round", "no round is settled yet")
        .hint("holdfast status says when the next one is due")
}
