//! Contracts whose term is over: their batches leave the lists, what is left in escrow returns. State never outlives its
//! payment.

use crate::execute::Execution;
use crate::execute::release::{end_contract, unlist};
use crate::state::State;
use holdfast_primitives::{ContractNo, HolderNo};
use std::collections::BTreeSet;

/// Ends contracts, given in ascending order. Contracts do not know their slots, so each list that loses some is walked
/// once, whatever the number of contracts that end in it.
pub(super) fn end_contracts(execution: &mut Execution, ended: &[ContractNo]) {
    if ended.is_empty() {
        return;
    }
    for (holder, batch_log2) in touched_lists(&execution.state, ended) {
        // From the back: what a removal moves into the gap comes from behind, where everything has been looked at.
        for slot in slots_of(&execution.state, holder, batch_log2, ended).into_iter().rev() {
            unlist(&mut execution.state, holder, batch_log2, slot);
        }
    }
    for &number in ended {
        let contract = execution.state.contract_mut(number);
        (contract.batches, contract.faulty) = (0, 0);
        end_contract(execution, number);
    }
}

fn touched_lists(state: &State, ended: &[ContractNo]) -> BTreeSet<(HolderNo, u8)> {
    let list = |number: &ContractNo| {
        let contract = state.contract(*number).expect("the payroll names contracts that exist");
        (contract.holder, contract.batch_log2)
    };
    ended.iter().map(list).collect()
}

fn slots_of(state: &State, holder: HolderNo, batch_log2: u8, ended: &[ContractNo]) -> Vec<u32> {
    let entries = (0..).zip(state.slots(holder, batch_log2));
    entries.filter(|(_, entry)| ended.binary_search(&entry.contract).is_ok()).map(|(slot, _)| slot).collect()
}
