//! `holdfast hold audits`: how a holder did round by round, why a round went wrong, and what the next failure would cost.

use super::earnings::{self, Earnings};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ids;
use crate::output::{counted, table, thousands};
use holdfast_primitives::Amount;
use holdfast_rpc::market::HolderRef;
use holdfast_rpc::round::HolderRoundView;
use holdfast_rpc::{PAGE_ROWS, PageAsk, RpcClient};
use serde::Serialize;

/// What one more missed round would mean. There is no grace: every failure is fined in its own round.
#[derive(Debug, Serialize)]
struct Penalty {
    /// Its fine.
    missed_round_fine: Amount,
    /// How many more the deposit bears before it is too small for new batches.
    before_no_new_batches: Option<u64>,
    /// How many more before the deposit is used up.
    before_deposit_is_gone: Option<u64>,
}

pub async fn run(context: &Context, holder: &str, failed: bool, last: u64) -> Outcome {
    let rpc = context.rpc()?;
    let view = ids::holder(&rpc, holder).await?;
    let rows = rows(&rpc, HolderRef::Number(view.number), failed, last).await?;
    let penalty = penalty(&earnings::of(&rpc, view).await?);
    if rows.is_empty() {
        context.output.note(match failed {
            true => "nothing failed",
            false => "no settled round had anything to prove for it",
        });
    }
    let lines = rows.iter().map(|row| {
        vec![
            row.round.to_string(),
            row.frozen.rfc3339.clone(),
            row.challenges.to_string(),
            row.missing.to_string(),
            row.paid.to_string(),
            row.fined.to_string(),
            reason(row),
        ]
    });
    let heads = ["ROUND", "FROZEN", "CHALLENGES", "MISSING", "PAID", "FINED", "WHAT HAPPENED"];
    let text = format!("{}\n\n{}", table(&heads, &[0, 2, 3, 4, 5], lines), text(&penalty));
    let rounds: Vec<_> = rows.iter().map(|row| serde_json::json!({ "result": row, "reason": reason(row) })).collect();
    context.output.result(text, &serde_json::json!({ "rounds": rounds, "penalty": penalty }));
    Ok(())
}

/// The rows of the newest `last` rounds, oldest first.
async fn rows(rpc: &RpcClient, holder: HolderRef, failed: bool, last: u64) -> Result<Vec<HolderRoundView>, Failure> {
    let (mut rows, mut first) = (Vec::new(), 0);
    while first < last {
        let limit = u32::try_from(last - first).unwrap_or(PAGE_ROWS).min(PAGE_ROWS);
        let page = rpc.round_of_holder(holder, Some(PageAsk::from(first).limit(limit))).await?;
        rows.extend(page.rows.into_iter().filter(|row| !failed || row.missing > 0));
        match page.next {
            Some(next) => first = next,
            None => break,
        }
    }
    rows.reverse();
    Ok(rows)
}

fn reason(row: &HolderRoundView) -> String {
    let leaves = format!("{} of {} leaves failed", row.missing, row.challenges);
    match (row.missed, row.missing, row.faults.len()) {
        (true, ..) => "no proof came: nothing was paid".to_owned(),
        (false, 0, _) => "proved".to_owned(),
        (false, _, 0) => format!("{leaves}, all in batches known to be faulty: these stay unpaid"),
        (false, _, faults) => format!("{leaves}: {} found faulty and unpaid", counted(faults as u64, "batch")),
    }
}

fn penalty(earnings: &Earnings) -> Penalty {
    let fine = earnings.missed_round_fine;
    let within = |amount: Amount| amount.get().checked_div(fine.get());
    Penalty {
        missed_round_fine: fine,
        before_no_new_batches: within(earnings.free),
        before_deposit_is_gone: within(earnings.holder.deposit),
    }
}

fn text(penalty: &Penalty) -> String {
    let (Some(new), Some(all)) = (penalty.before_no_new_batches, penalty.before_deposit_is_gone) else {
        return "a missed round would cost nothing: it holds nothing that is paid".to_owned();
    };
    format!(
        "0 failures remain before a penalty: each is fined in its own round. A missed round would cost {}; the deposit bears {} of them\nbefore it is too small for new batches, {} before it is used up.",
        penalty.missed_round_fine,
        thousands(new),
        thousands(all)
    )
}
