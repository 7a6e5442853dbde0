//! Paying: one pass over the contracts, sums per holder and per account, then the sums.

use crate::block::{Event, PAYMENTS_PER_EVENT, Payment};
use crate::execute::Execution;
use crate::execute::ledger::{credit, minus, plus};
use crate::records::Contract;
use crate::round::payment;
use crate::round::settle::judge::Verdict;
use holdfast_primitives::{AccountNo, Amount, Bounded, ContractNo, RoundNo};

/// What a round's payments come to.
pub(super) struct Payroll {
    /// By holder number, after relay fees.
    pub(super) holders: Vec<Amount>,
    /// Out of escrows in all.
    pub(super) paid: Amount,
    /// The part of it that went to footprints.
    pub(super) relay_fees: Amount,
    /// Contracts that pay for no further round, ascending.
    pub(super) ended: Vec<ContractNo>,
    /// By account number: shares of relay fees.
    shares: Vec<Amount>,
    payments: Vec<Payment>,
    round: RoundNo,
    relay_fee_bps: u16,
}

/// Takes this round's payments out of all escrows and credits the footprints; holders are paid by the caller.
pub(super) fn pay_contracts(execution: &mut Execution, verdicts: &[Verdict]) -> Payroll {
    let state = &mut execution.state;
    let mut proved = vec![false; state.holders()];
    for verdict in verdicts {
        proved[verdict.number.index()] = !verdict.missed;
    }
    let mut payroll = Payroll {
        holders: vec![Amount::ZERO; state.holders()],
        paid: Amount::ZERO,
        relay_fees: Amount::ZERO,
        ended: Vec::new(),
        shares: vec![Amount::ZERO; state.accounts()],
        payments: Vec::new(),
        round: state.chain().running.round,
        relay_fee_bps: state.params().relay_fee_bps,
    };
    state.contracts_for_each_mut(|number, contract| {
        let changed = proved[contract.holder.index()] && payroll.pay(number, contract);
        if contract.batches > 0 && contract.end_round <= payroll.round.next() {
            payroll.ended.push(number);
        }
        changed
    });
    for (account, share) in (0..).map(AccountNo::new).zip(&payroll.shares) {
        if !share.is_zero() {
            credit(state, account, *share);
        }
    }
    for page in std::mem::take(&mut payroll.payments).chunks(PAYMENTS_PER_EVENT) {
        let page = Bounded::new(page.to_vec()).expect("a chunk is as long as a page at most");
        execution.events.push(Event::Paid(page));
    }
    payroll
}

/// Splits the proof fees among the proposers that verified, by openings; what does not divide goes to the first.
pub(super) fn pay_verifiers(execution: &mut Execution, pot: Amount) {
    let counts = execution.state.chain().running.verified_by.clone();
    let total: u64 = counts.iter().map(|(_, openings)| openings).sum();
    let Some(&(first, _)) = counts.first() else { return };
    let mut rest = pot;
    for (proposer, openings) in counts.iter() {
        let share = pot.share(*openings, total);
        rest = minus(rest, share);
        credit(&mut execution.state, *proposer, share);
    }
    credit(&mut execution.state, first, rest);
}

impl Payroll {
    /// Takes one contract's payment out of its escrow and splits it; whether anything was due.
    fn pay(&mut self, number: ContractNo, contract: &mut Contract) -> bool {
        let Some(payment) = payment(number, contract, self.round, self.relay_fee_bps) else { return false };
        let Payment { paid, relay_fee, .. } = payment;
        contract.escrow = minus(contract.escrow, paid);
        self.split(relay_fee, &contract.footprint);
        let pay = &mut self.holders[contract.holder.index()];
        *pay = plus(*pay, minus(paid, relay_fee));
        self.paid = plus(self.paid, paid);
        self.relay_fees = plus(self.relay_fees, relay_fee);
        self.payments.push(payment);
        true
    }

    /// Equal shares for all hops; what does not divide goes to the first.
    fn split(&mut self, fee: Amount, footprint: &[AccountNo]) {
        let share = fee.share(1, footprint.len() as u64);
        let mut rest = fee;
        for hop in footprint {
            rest = minus(rest, share);
            self.shares[hop.index()] = plus(self.shares[hop.index()], share);
        }
        let first = &mut self.shares[footprint[0].index()];
        *first = plus(*first, rest);
    }
}
