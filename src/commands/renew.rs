//! `holdfast renew`: pay for what is stored for longer, with the holders and at the prices that it has.

use crate::cli::Spending;
use crate::commands::put::{affordable, rounds_for};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::holdings::Holdings;
use crate::output::{counted, per_gib_30_days, when};
use crate::services::outbox;
use clap::Args;
use holdfast_ledger::TxBody;
use holdfast_primitives::limits::EXTEND_CONTRACTS_MAX;
use holdfast_primitives::{Amount, Bounded, ContractNo, RoundNo, TimeMs, TxId};
use holdfast_rpc::market::ContractView;
use holdfast_wallet::{Catalog, Link, Session, WalletError, load_catalog_placed};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Files and folders; everything that is stored unless some are named
    names: Vec<String>,
    /// For how long from now, for example 90d
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    term: humantime::Duration,
    /// Print the last transaction's id instead of waiting until it is final
    #[arg(long = "async")]
    no_wait: bool,
    #[command(flatten)]
    spending: Spending,
}

/// What is to be extended, and what that comes to.
#[derive(Debug, Serialize)]
struct Plan {
    /// Contracts by the round to which each is extended.
    extend: BTreeMap<RoundNo, Vec<ContractNo>>,
    /// Pieces in them.
    pieces: u64,
    /// Contracts that stay as they are, and why.
    stays: BTreeMap<ContractNo, String>,
    /// Goes into escrow.
    storage: Amount,
    /// Fees of the transactions.
    fee: Amount,
    /// Storage and fees.
    total: Amount,
    /// Per GiB at the holders and 30 days.
    price: Amount,
    /// Until when everything named can be read now, about.
    paid_until_before_ms: Option<TimeMs>,
    /// And afterwards.
    paid_until_ms: Option<TimeMs>,
}

pub async fn run(context: &Context, args: RenewArgs) -> Outcome {
    let session = context.session().await?;
    let link = Link::connect(&session).await?;
    let loaded = load_catalog_placed(&session, &link).await;
    link.close().await;
    let (catalog, own) = loaded?;
    if own.is_empty() {
        return Err(WalletError::NoCatalog.into());
    }
    let segments: BTreeSet<u32> = segments_of(&catalog, &args.names)?.union(&own).copied().collect();
    let rounds = rounds_for(args.term, session.params().round_ms);
    let plan = plan(&session, &segments, rounds).await?;
    if plan.extend.is_empty() {
        let until = plan.paid_until_ms.map_or_else(|| "no time".to_owned(), when);
        context.output.result(format!("nothing to extend: paid until {until}{}", stays_text(&plan)), &plan);
        return Ok(());
    }
    let balance = session.balance().await?;
    context.output.note(quote_text(&plan, balance));
    affordable(&args.spending, plan.total, balance)?;
    if args.spending.dry_run || !(args.spending.yes || context.agree("Pay for it?")?) {
        context.output.result("nothing was extended", &serde_json::json!({ "quote": plan, "balance": balance }));
        return Ok(());
    }
    extend(context, &session, &plan, args.no_wait).await
}

/// The segments of these files, or of all files.
fn segments_of(catalog: &Catalog, names: &[String]) -> Result<BTreeSet<u32>, Failure> {
    let everything = [String::new()];
    let names = if names.is_empty() { &everything } else { names };
    let mut segments = BTreeSet::new();
    for name in names {
        let mut files = catalog.list(name).peekable();
        if files.peek().is_none() && !name.is_empty() {
            return Err(Failure::new(Exit::NotFound, "no-such-file", format!("{name} is not stored"))
                .hint("holdfast ls shows what is stored"));
        }
        segments.extend(files.flat_map(|(_, file)| catalog.chunks_of(file).map(|chunk| chunk.at.segment)));
    }
    Ok(segments)
}

async fn plan(session: &Session, segments: &BTreeSet<u32>, rounds: u32) -> Result<Plan, Failure> {
    let mut holdings = Holdings::load(session).await?;
    let before = holdings.paid_until(segments.iter().copied());
    // The running round may be frozen already, so the term begins with the next one, as a new contract's does.
    let wanted = holdings.round().saturating_add(u64::from(rounds) + 1);
    let (mut extend, mut stays) = (BTreeMap::<RoundNo, Vec<ContractNo>>::new(), BTreeMap::new());
    let (mut pieces, mut storage, mut byte_rounds) = (0, Amount::ZERO, 0u128);
    for contract in holdings.contracts_of(segments.iter().copied()) {
        let end_round = wanted.min(contract.end_round_max);
        if let Some(reason) = why_it_stays(&holdings, &contract, wanted) {
            stays.insert(contract.number, reason);
        }
        if end_round <= contract.end_round || !holdings.accepts(contract.holder) {
            continue;
        }
        let further = end_round.since(contract.end_round);
        storage =
            storage.checked_add(contract.price.checked_mul(u64::from(contract.batches))?.checked_mul(further)?)?;
        byte_rounds += (u128::from(contract.batches) << contract.batch_log2) * u128::from(further);
        pieces += u64::from(contract.batches);
        extend.entry(end_round).or_default().push(contract.number);
        holdings.extend(contract.number, end_round);
    }
    let mut fee = Amount::ZERO;
    for body in bodies(&extend) {
        fee = fee.checked_add(session.prepare(body).await?.fee())?;
    }
    Ok(Plan {
        extend,
        pieces,
        stays,
        storage,
        fee,
        total: storage.checked_add(fee)?,
        price: per_gib_30_days(storage, byte_rounds * u128::from(session.params().round_ms)),
        paid_until_before_ms: before,
        paid_until_ms: holdings.paid_until(segments.iter().copied()),
    })
}

/// Why a contract will not reach the round that is wanted.
fn why_it_stays(holdings: &Holdings, contract: &ContractView, wanted: RoundNo) -> Option<String> {
    if contract.end_round >= wanted {
        return None;
    }
    if !holdings.accepts(contract.holder) {
        return Some(format!("holder {} takes nothing new", contract.holder));
    }
    let offered = when(holdings.time_of(contract.end_round_max));
    (contract.end_round_max < wanted).then(|| format!("holder {} offered no term beyond {offered}", contract.holder))
}

fn bodies(extend: &BTreeMap<RoundNo, Vec<ContractNo>>) -> Vec<TxBody> {
    let of_round = |(end_round, contracts): (&RoundNo, &Vec<ContractNo>)| {
        let body = |chunk: &[ContractNo]| TxBody::Extend {
            contracts: Bounded::new(chunk.to_vec()).expect("chunks are cut to the limit"),
            end_round: *end_round,
        };
        contracts.chunks(EXTEND_CONTRACTS_MAX).map(body).collect::<Vec<_>>()
    };
    extend.iter().flat_map(of_round).collect()
}

async fn extend(context: &Context, session: &Session, plan: &Plan, no_wait: bool) -> Outcome {
    let bodies = bodies(&plan.extend);
    let (count, mut sent) = (bodies.len(), Vec::<TxId>::new());
    for (index, body) in bodies.into_iter().enumerate() {
        let prepared = session.prepare(body).await?;
        match no_wait && index + 1 == count {
            true => outbox::hand_in(context, session, &prepared).await.map(|_| ())?,
            false => session.submit_and_wait(&prepared).await.map(|_| ())?,
        }
        sent.push(prepared.id());
    }
    let until = plan.paid_until_ms.map_or_else(String::new, |until| format!(" until {}", when(until)));
    let text = match (no_wait, sent.last()) {
        (true, Some(id)) => id.to_string(),
        _ => format!(
            "paid {} for storage and {} in fees{until}: {} with {}{}",
            plan.storage,
            plan.fee,
            counted(plan.extend.values().map(Vec::len).sum::<usize>() as u64, "contract"),
            counted(plan.pieces, "piece"),
            stays_text(plan)
        ),
    };
    context.output.result(text, &serde_json::json!({ "renewed": plan, "transactions": sent, "tx": sent.last() }));
    Ok(())
}

fn quote_text(plan: &Plan, balance: Amount) -> String {
    let at = |until: Option<TimeMs>| match until {
        Some(until) if until.get() > 0 => when(until),
        _ => "over".to_owned(),
    };
    format!(
        "extends     {} with {}, each as a whole\nprice       {} per GiB at the holders per 30 days\nstorage     {}\nfee         {}\ntotal       {}\npaid until  {}, now {}\nbalance     {}, {} after\n{}{}",
        counted(plan.extend.values().map(Vec::len).sum::<usize>() as u64, "contract"),
        counted(plan.pieces, "piece"),
        plan.price,
        plan.storage,
        plan.fee,
        plan.total,
        at(plan.paid_until_ms),
        at(plan.paid_until_before_ms),
        balance,
        balance.saturating_sub(plan.total),
        crate::commands::put::GIVEN_BACK,
        stays_text(plan)
    )
}

fn stays_text(plan: &Plan) -> String {
    let lines = plan.stays.iter().map(|(contract, reason)| format!("\ncontract {contract}: {reason}"));
    lines.collect()
}
