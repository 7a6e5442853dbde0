//! Freezing all lists, and taking the seed that was unknown when they froze.

use crate::block::Event;
use crate::execute::Execution;
use crate::execute::ledger::plus;
use crate::records::{Frozen, FrozenHolder, Holder, Phase};
use crate::round::settle;
use crate::state::State;
use crate::trees::rows_root;
use holdfast_por::{ClassList, challenge_count, set_root};
use holdfast_primitives::{Amount, Bounded, HolderNo, RoundNo};

/// Binds every holder that has batches to its lists as the parent block sealed them.
pub(super) fn freeze(execution: &mut Execution) {
    let rows = rows(&execution.state);
    let (context, window) = (execution.context, execution.state.params().proof_window_ms);
    let running = &mut execution.state.chain_mut().running;
    running.phase = Phase::AwaitingSeed;
    running.freeze_height = context.height;
    running.freeze_time = context.time;
    running.due = context.time.saturating_add(window);
    running.frozen_root = rows_root(&rows);
    let frozen = Event::RoundFrozen { round: running.round, deadline: running.due, frozen_root: running.frozen_root };
    let nobody = rows.is_empty();
    for row in rows {
        execution.state.holder_mut(row.number).frozen = Some(row.frozen.clone());
        execution.events.push(Event::HolderFrozen(row));
    }
    execution.events.push(frozen);
    if nobody {
        settle_empty(execution);
    }
}

/// Takes this block's beacon as the seed. At least half of the proof window is left to the holders, even if blocks were
/// so slow that the deadline came first.
pub(super) fn seed(execution: &mut Execution) {
    let (context, window) = (execution.context, execution.state.params().proof_window_ms);
    let running = &mut execution.state.chain_mut().running;
    running.phase = Phase::Proving { seed_height: context.height, seed: context.beacon };
    running.due = running.due.max(context.time.saturating_add(window / 2));
    execution.events.push(Event::RoundSeeded { round: running.round, seed: context.beacon });
}

/// Nothing is challenged, so the record's seed decides nothing: it is the freezing block's own beacon.
fn settle_empty(execution: &mut Execution) {
    let context = execution.context;
    let running = &mut execution.state.chain_mut().running;
    running.phase = Phase::Proving { seed_height: context.height, seed: context.beacon };
    settle::settle(execution);
}

fn rows(state: &State) -> Vec<FrozenHolder> {
    let round = state.chain().running.round;
    let revenues = revenues(state, round);
    let row = |(number, holder): (HolderNo, &Holder)| {
        let frozen = bind(state, holder, round, revenues[number.index()])?;
        let account = state.account(holder.account).expect("a holder has an account");
        Some(FrozenHolder { number, holder: account.address, frozen })
    };
    state.iter_holders().filter_map(row).collect()
}

/// What each holder would be paid, relay fee included, if everything passed; by holder number.
fn revenues(state: &State, round: RoundNo) -> Vec<Amount> {
    let mut revenues = vec![Amount::ZERO; state.holders()];
    for (_, contract) in state.iter_contracts() {
        if contract.pays_for(round) {
            let revenue = &mut revenues[contract.holder.index()];
            *revenue = plus(*revenue, contract.due_per_round());
        }
    }
    revenues
}

/// `None` for a holder without batches.
fn bind(state: &State, holder: &Holder, round: RoundNo, revenue: Amount) -> Option<Frozen> {
    let classes: Vec<ClassList> = holder.lists.iter().filter(|class| class.batches > 0).copied().collect();
    let batches = classes.iter().map(|class| class.batches).sum();
    let challenges = challenge_count(batches, &state.params().challenge);
    if challenges == 0 {
        return None;
    }
    let set_root = set_root(&classes);
    let classes = Bounded::new(classes).expect("a holder's lists are as few as the batch sizes");
    Some(Frozen { round, set_root, classes, challenges, revenue })
}
