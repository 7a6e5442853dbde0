//! `holdfast hold earnings`: what a holder was paid, what is still to come, and what of its deposit is locked or at risk.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ids;
use crate::output::{bytes, counted, when};
use holdfast_ledger::Params;
use holdfast_primitives::{Amount, RoundNo, TimeMs};
use holdfast_rpc::market::{ContractView, HolderRef, HolderView};
use holdfast_rpc::round::HolderRoundView;
use holdfast_rpc::{PAGE_ROWS_MAX, PageAsk, RpcClient};
use serde::Serialize;

/// What a holder's account of itself comes to.
#[derive(Debug, Serialize)]
pub struct Earnings {
    /// The holder's record.
    #[serde(flatten)]
    pub holder: HolderView,
    /// What it was paid in the newest settled round that it took part in.
    pub last_round: Option<HolderRoundView>,
    /// Contracts that keep it busy.
    pub contracts: usize,
    /// What its sound batches bring per round, after relay fees.
    pub per_round: Amount,
    /// What they bring until all terms are over, if every round is proved.
    pub to_come: Amount,
    /// When the last term is over, about.
    pub until_ms: Option<TimeMs>,
    /// The part of the deposit that is the bond: as long as it holds or takes anything.
    pub bond: Amount,
    /// The part of the deposit that could be taken out now.
    pub free: Amount,
    /// The part of the deposit that secures batches which are faulty now.
    pub at_risk: Amount,
    /// What missing the next round would cost.
    pub missed_round_fine: Amount,
}

pub async fn run(context: &Context, holder: &str) -> Outcome {
    let rpc = context.rpc()?;
    let view = ids::holder(&rpc, holder).await?;
    let earnings = of(&rpc, view).await?;
    context.output.result(text(&earnings), &earnings);
    Ok(())
}

/// Adds up what the ledger says of a holder.
pub async fn of(rpc: &RpcClient, holder: HolderView) -> Result<Earnings, Failure> {
    let params = rpc.chain_genesis().await?.raw.decode().map_err(Failure::other)?.params;
    let status = rpc.chain_status().await?;
    let contracts = contracts(rpc, &holder).await?;
    let by = HolderRef::Number(holder.number);
    let last_round = rpc.round_of_holder(by, Some(PageAsk::from(0))).await?.rows.into_iter().next();
    let (mut per_round, mut to_come) = (Amount::ZERO, Amount::ZERO);
    let (mut gross, mut at_risk, mut last) = (Amount::ZERO, Amount::ZERO, status.round);
    for contract in &contracts {
        let Pay { due, net, rounds } = pay(contract, &params, status.round)?;
        gross = gross.checked_add(due)?;
        per_round = per_round.checked_add(net)?;
        to_come = to_come.checked_add(net.checked_mul(rounds)?)?;
        at_risk = at_risk.checked_add(contract.collateral.checked_mul(u64::from(contract.faulty))?)?;
        last = last.max(contract.end_round);
    }
    let bond = if holder.accepting || holder.used_bytes > 0 { params.holder_bond } else { Amount::ZERO };
    let rounds_left = last.since(status.round);
    let until = status.time.time().saturating_add(params.round_ms.saturating_mul(rounds_left));
    Ok(Earnings {
        last_round,
        contracts: contracts.len(),
        per_round,
        to_come,
        until_ms: (rounds_left > 0).then_some(until),
        bond: bond.min(holder.deposit),
        free: holder.deposit.saturating_sub(holder.locked).saturating_sub(bond),
        at_risk,
        missed_round_fine: missed_round_fine(gross, &params),
        holder,
    })
}

/// What one contract brings.
struct Pay {
    /// Per round, relay fee included.
    due: Amount,
    /// Per round, to the holder.
    net: Amount,
    /// Rounds that it still pays for.
    rounds: u64,
}

fn pay(contract: &ContractView, params: &Params, running: RoundNo) -> Result<Pay, Failure> {
    let due = contract.price.checked_mul(u64::from(contract.batches - contract.faulty.min(contract.batches)))?;
    let net = due.saturating_sub(due.share(u64::from(params.relay_fee_bps), 10_000));
    Ok(Pay { due, net, rounds: contract.end_round.since(running.max(contract.first_round)) })
}

/// As settlement fines it: a part of what the round would have brought, relay fee included, rounded up.
fn missed_round_fine(revenue: Amount, params: &Params) -> Amount {
    let wide = (u128::from(revenue.get()) * u128::from(params.missed_round_fine_percent)).div_ceil(100);
    Amount::grains(u64::try_from(wide).unwrap_or(u64::MAX))
}

async fn contracts(rpc: &RpcClient, holder: &HolderView) -> Result<Vec<ContractView>, Failure> {
    let (mut contracts, mut first) = (Vec::new(), 0);
    loop {
        let ask = PageAsk::from(first).limit(PAGE_ROWS_MAX);
        let page = rpc.market_contracts(HolderRef::Number(holder.number), Some(ask)).await?;
        contracts.extend(page.rows);
        match page.next {
            Some(next) => first = next,
            None => return Ok(contracts),
        }
    }
}

fn text(earnings: &Earnings) -> String {
    let holder = &earnings.holder;
    let batches: u64 = holder.lists.iter().map(|list| list.batches).sum();
    let last = match &earnings.last_round {
        Some(row) => format!(", {} in round {}", row.paid, row.round),
        None => String::new(),
    };
    let until = match earnings.until_ms {
        Some(until) => format!(" until about {}, if every round is proved", when(until)),
        None => String::new(),
    };
    let state = match (holder.accepting, holder.used_bytes) {
        (true, _) => "takes new batches",
        (false, 0) => "has left",
        (false, _) => "is leaving: takes nothing new",
    };
    format!(
        "holder {} ({}), {state}\npaid       {} so far{last}\nto come    {} from {}{until}\nlocked     {} of the deposit of {} secures batches; {} is the bond, {} is free\nat risk    {} secures faulty batches; a missed round would cost {}\nfined      {} so far\nholds      {} in {}, {} of them faulty\nrounds     {} proved, {} missed",
        holder.number,
        holder.address,
        holder.earned,
        earnings.to_come,
        counted(earnings.contracts as u64, "contract"),
        holder.locked,
        holder.deposit,
        earnings.bond,
        earnings.free,
        earnings.at_risk,
        earnings.missed_round_fine,
        holder.fined,
        bytes(holder.used_bytes),
        counted(batches, "batch"),
        holder.faulty,
        holder.rounds_proved,
        holder.rounds_missed
    )
}
