//! Paying contracts for longer. Takes effect at once, also while a round is pending: lists and challenges stay as they are,
//! and a round pays what its contracts owe when it is settled.

use crate::block::Event;
use crate::check::added;
use crate::execute::Execution;
use crate::execute::ledger::{debit, plus};
use holdfast_primitives::{AccountNo, ContractNo, RoundNo};

pub(super) fn execute(execution: &mut Execution, owner: AccountNo, contracts: &[ContractNo], end_round: RoundNo) {
    for &number in contracts {
        let contract = execution.state.contract_mut(number);
        let added = added(contract, end_round).expect("the check computed the prepayment");
        contract.escrow = plus(contract.escrow, added);
        contract.end_round = end_round;
        debit(&mut execution.state, owner, added);
        execution.events.push(Event::ContractExtended { contract: number, end_round, added });
    }
}
