//! Bonding, taking back, being let in again, accusing, and being ready for another rule book.

use crate::block::Event;
use crate::execute::Execution;
use crate::execute::ledger::{debit, minus, plus};
use crate::records::{Standing, Unbonding, Upgrade};
use crate::stake::{agree, newcomer, slash};
use crate::tx::TxBody;
use holdfast_primitives::{AccountNo, Amount, Bounded, Misbehaviour, ValidatorNo, VrfPublicKey};

pub(super) fn execute(execution: &mut Execution, sender: AccountNo, body: &TxBody) {
    match body {
        TxBody::Bond { amount, vrf } => bond(execution, sender, *amount, vrf),
        TxBody::Unbond { amount } => unbond(execution, sender, *amount),
        TxBody::Unjail => unjail(execution, sender),
        TxBody::Ready { upgrade } => ready(execution, sender, *upgrade),
        _ => unreachable!("the caller matched what is about stake"),
    }
}

/// Costs the accuser nothing, and brings it nothing: whoever sees a contradiction has reason enough.
pub(super) fn accuse(execution: &mut Execution, misbehaviour: &Misbehaviour) {
    let found = execution.state.validator_by_address(misbehaviour.validator());
    let (number, _) = found.expect("the check found the accused");
    slash(execution, number, misbehaviour);
}

fn bond(execution: &mut Execution, account: AccountNo, amount: Amount, vrf: &VrfPublicKey) {
    let state = &mut execution.state;
    debit(state, account, amount);
    let known = state.account(account).and_then(|account| account.validator);
    let since = state.chain().running.round.next();
    let number = known.unwrap_or_else(|| state.create_validator(newcomer(account, *vrf, since)));
    let record = state.validator_mut(number);
    record.bonded = plus(record.bonded, amount);
    execution.stake_changed = true;
    execution.events.push(Event::Bonded { validator: number, account, amount });
}

fn unbond(execution: &mut Execution, account: AccountNo, amount: Amount) {
    let number = validator_of(execution, account);
    let rounds = u64::from(execution.state.params().unbond_rounds);
    // One more than the rounds that are over by then: the running one is only partly left.
    let until = execution.state.chain().running.round.saturating_add(rounds + 1);
    let record = execution.state.validator_mut(number);
    record.bonded = minus(record.bonded, amount);
    let mut unbonding = std::mem::take(&mut record.unbonding).into_inner();
    unbonding.push(Unbonding { amount, until });
    record.unbonding = Bounded::new(unbonding).expect("the check made sure that there is room");
    execution.stake_changed = true;
    execution.events.push(Event::Unbonding { validator: number, amount, until });
}

fn unjail(execution: &mut Execution, account: AccountNo) {
    let number = validator_of(execution, account);
    let record = execution.state.validator_mut(number);
    (record.standing, record.missed_in_row) = (Standing::Good, 0);
    execution.stake_changed = true;
    execution.events.push(Event::Unjailed { validator: number });
}

fn ready(execution: &mut Execution, account: AccountNo, upgrade: Upgrade) {
    let number = validator_of(execution, account);
    let takes_back = upgrade.version == execution.state.chain().protocol;
    execution.state.validator_mut(number).ready = (!takes_back).then_some(upgrade);
    if !takes_back {
        agree(execution, upgrade);
    }
}

fn validator_of(execution: &Execution, account: AccountNo) -> ValidatorNo {
    let account = execution.state.account(account).expect("the sender has an account");
    account.validator.expect("the check made sure that the sender has bonded")
}
