//! Settlement: judge every frozen holder, mark what was lost, pay contracts in one pass, fine, end what is over, run what
//! waited (DESIGN sections 5 and 8). Its cost grows with holders, contracts and faults, not with batches.

mod ending;
mod judge;
mod pay;

use crate::block::Event;
use crate::execute::Execution;
use crate::execute::holder::mark_faulty;
use crate::execute::ledger::{credit, fine, minus, plus};
use crate::execute::release::release_segment;
use crate::records::{Deferred, Holder, Phase, RoundRecord, RoundResult};
use crate::round::next_freeze;
use crate::trees::rows_root;
use holdfast_primitives::{Amount, Bounded, Digest};
use judge::Verdict;
use pay::Payroll;

/// What a round's record counts.
#[derive(Default)]
struct Totals {
    newly_faulty: u32,
    proof_fees: Amount,
    fines: Amount,
}

/// Settles the running round and opens the next.
pub(super) fn settle(execution: &mut Execution) {
    let verdicts = judge::judge_all(&execution.state);
    let mut totals = Totals::default();
    for verdict in &verdicts {
        mark_lost(execution, verdict, &mut totals);
    }
    let payroll = pay::pay_contracts(execution, &verdicts);
    for verdict in &verdicts {
        settle_holder(execution, verdict, &payroll, &mut totals);
    }
    pay::pay_verifiers(execution, totals.proof_fees);
    ending::end_contracts(execution, &payroll.ended);
    run_deferred(execution);
    close(execution, &verdicts, &payroll, &totals);
}

/// Lost batches are faulty from this round on, and so unpaid for it already.
fn mark_lost(execution: &mut Execution, verdict: &Verdict, totals: &mut Totals) {
    for &(batch_log2, slot) in &verdict.lost {
        mark_faulty(execution, verdict.number, batch_log2, slot);
    }
    totals.newly_faulty += u32::try_from(verdict.lost.len()).expect("no more batches are lost than challenges drawn");
}

/// Pays a holder, less the fee for verifying its proof; takes the fine. Who verified is paid before anyone is fined.
fn settle_holder(execution: &mut Execution, verdict: &Verdict, payroll: &Payroll, totals: &mut Totals) {
    let number = verdict.number;
    let pay = payroll.holders[number.index()];
    let fee_due = execution.state.params().proof_fee.get().saturating_mul(u64::from(verdict.verified));
    let fee_from_pay = pay.min(Amount::grains(fee_due));
    let fee_from_deposit = Amount::grains(fee_due - fee_from_pay.get());
    let holder = execution.state.holder_mut(number);
    let fee_from_deposit = fee_from_deposit.min(holder.deposit);
    holder.deposit = minus(holder.deposit, fee_from_deposit);
    count_round(holder, verdict, pay);
    let account = holder.account;
    credit(&mut execution.state, account, minus(pay, fee_from_pay));
    let fined = fine(&mut execution.state, number, verdict.fine);
    totals.proof_fees = plus(totals.proof_fees, plus(fee_from_pay, fee_from_deposit));
    totals.fines = plus(totals.fines, fined);
    execution.events.push(Event::HolderResult(verdict.result.clone()));
    if !fined.is_zero() {
        execution.events.push(Event::Fined { holder: number, amount: fined });
    }
}

fn count_round(holder: &mut Holder, verdict: &Verdict, pay: Amount) {
    holder.frozen = None;
    holder.earned = plus(holder.earned, pay);
    if verdict.missed {
        holder.rounds_missed += 1;
    } else {
        holder.rounds_proved += 1;
    }
}

fn run_deferred(execution: &mut Execution) {
    let unpaid = execution.state.chain().running.round.next();
    for deferred in execution.state.take_deferred() {
        let Deferred::Release { segment } = deferred;
        release_segment(execution, segment, unpaid);
    }
}

fn close(execution: &mut Execution, verdicts: &[Verdict], payroll: &Payroll, totals: &Totals) {
    let results: Vec<RoundResult> = verdicts.iter().map(|verdict| verdict.result.clone()).collect();
    let running = execution.state.chain().running.clone();
    let Phase::Proving { seed_height, seed } = running.phase else {
        unreachable!("only a round with a seed is settled");
    };
    let count = |number: usize| u32::try_from(number).expect("a table has fewer than 2^32 records");
    let record = RoundRecord {
        round: running.round,
        freeze_height: running.freeze_height,
        freeze_time: running.freeze_time,
        seed_height,
        seed,
        settle_height: execution.context.height,
        frozen_root: running.frozen_root,
        results_root: rows_root(&results),
        holders: count(verdicts.len()),
        missed: count(verdicts.iter().filter(|verdict| verdict.missed).count()),
        batches: verdicts.iter().map(|verdict| verdict.batches).sum(),
        newly_faulty: totals.newly_faulty,
        paid: payroll.paid,
        relay_fees: payroll.relay_fees,
        proof_fees: totals.proof_fees,
        fines: totals.fines,
    };
    let due = next_freeze(&execution.state, running.freeze_due, execution.context.time);
    execution.state.clear_progress();
    execution.state.push_round(record.clone());
    execution.events.push(Event::RoundSettled(record));
    let next = &mut execution.state.chain_mut().running;
    (next.round, next.phase) = (running.round.next(), Phase::Open);
    (next.due, next.freeze_due) = (due, due);
    (next.frozen_root, next.verified_by) = (Digest::ZERO, Bounded::empty());
}
