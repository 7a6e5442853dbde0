//! A holder's own transactions: joining, changing its offer, declaring batches faulty.

use crate::block::Event;
use crate::execute::Execution;
use crate::execute::ledger::{credit, debit, fine, minus, percent, plus};
use crate::records::Holder;
use crate::tx::TxBody;
use holdfast_primitives::{AccountNo, Amount, Bounded, HolderNo};

pub(super) fn join(execution: &mut Execution, account: AccountNo, body: &TxBody) {
    let TxBody::HolderJoin { quota_bytes, price, profile, deposit } = body else {
        unreachable!("the caller matched a joining");
    };
    let (quota_bytes, price, deposit) = (*quota_bytes, *price, *deposit);
    let state = &mut execution.state;
    debit(state, account, deposit);
    let holder = state.create_holder(Holder {
        account,
        quota_bytes,
        used_bytes: 0,
        price,
        accepting: true,
        profile: profile.clone(),
        deposit,
        locked: Amount::ZERO,
        lists: Bounded::empty(),
        frozen: None,
        faulty: 0,
        rounds_proved: 0,
        rounds_missed: 0,
        earned: Amount::ZERO,
        fined: Amount::ZERO,
    });
    state.account_mut(account).holder = Some(holder);
    execution.events.push(Event::HolderJoined { holder, account });
}

pub(super) fn update(execution: &mut Execution, account: AccountNo, body: &TxBody) {
    let TxBody::HolderUpdate { quota_bytes, price, accepting, profile, deposit_add, deposit_take } = body else {
        unreachable!("the caller matched an update");
    };
    let state = &mut execution.state;
    debit(state, account, *deposit_add);
    credit(state, account, *deposit_take);
    let number = holder_of(execution, account);
    let holder = execution.state.holder_mut(number);
    (holder.quota_bytes, holder.price, holder.accepting) = (*quota_bytes, *price, *accepting);
    holder.profile = profile.clone();
    holder.deposit = minus(plus(holder.deposit, *deposit_add), *deposit_take);
    execution.events.push(Event::HolderUpdated { holder: number });
}

/// The batches are faulty from the coming round on; each costs a part of its price, so that declaring is worth less
/// than keeping and more than being found out.
pub(super) fn declare(execution: &mut Execution, account: AccountNo, batches: &[(u8, u32)]) {
    let number = holder_of(execution, account);
    let mut fined = Amount::ZERO;
    for &(batch_log2, slot) in batches {
        let price = mark_faulty(execution, number, batch_log2, slot);
        let amount = percent(price, execution.state.params().declare_fine_percent);
        fined = plus(fined, fine(&mut execution.state, number, amount));
    }
    if !fined.is_zero() {
        execution.events.push(Event::Fined { holder: number, amount: fined });
    }
}

/// Marks a sound batch faulty from the running round on, and returns its price per round.
pub(crate) fn mark_faulty(execution: &mut Execution, holder: HolderNo, batch_log2: u8, slot: u32) -> Amount {
    let state = &mut execution.state;
    let round = state.chain().running.round;
    let entry = state.slot_mut(holder, batch_log2, slot);
    assert!(entry.faulty_since.is_none(), "the caller names a sound batch");
    entry.faulty_since = Some(round);
    let (contract, segment, index) = (entry.contract, entry.segment, entry.index);
    let contract = state.contract_mut(contract);
    contract.faulty += 1;
    let price = contract.price;
    state.holder_mut(holder).faulty += 1;
    execution.events.push(Event::BatchFaulty { holder, batch_log2, slot, segment, index });
    price
}

fn holder_of(execution: &Execution, account: AccountNo) -> HolderNo {
    let account = execution.state.account(account).expect("the sender has an account");
    account.holder.expect("the check made sure that the sender is a holder")
}
