//! The round's clock: freeze, seed, settle. Every block takes this step before its transactions, from its height, time
//! and beacon alone, so a round needs no message.
//!
//! Why first in the block: a freeze takes the lists exactly as the parent block left and sealed them, and every
//! transaction of the freezing block already finds them frozen. The seed is the beacon of a block `seed_delay_blocks`
//! later, which nobody could know who could still change a list. A block at or after the deadline settles before it
//! looks at its transactions, so no proof is late by its place in a block.
//!
//! Freezes are planned `round_ms` apart. Each takes the next round number, so numbers are dense; plans that a long
//! standstill passed by are skipped. A round in which nobody has anything to prove is settled in the block that opened it:
//! an idle chain stays idle.

mod freeze;
mod payment;
mod settle;

pub(crate) use payment::payment;

use crate::execute::Execution;
use crate::records::Phase;
use crate::state::State;
use holdfast_primitives::{HeightDelta, TimeMs};

/// A pause between two blocks that is never taken for a standstill.
const PAUSE_MS_MAX: u64 = 10_000;

/// Moves the running round as far as the block's height and time allow.
pub(crate) fn step(execution: &mut Execution) {
    forgive_standstill(execution);
    let (context, running) = (execution.context, &execution.state.chain().running);
    let is_due = context.time >= running.due;
    match running.phase {
        Phase::Open if is_due => freeze::freeze(execution),
        Phase::Open => {}
        Phase::AwaitingSeed => {
            let delay = HeightDelta::new(execution.state.params().seed_delay_blocks);
            if context.height >= running.freeze_height.saturating_add(delay) {
                freeze::seed(execution);
            }
        }
        Phase::Proving { .. } if is_due => settle::settle(execution),
        Phase::Proving { .. } => {}
    }
}

/// While a round is pending the chain makes blocks without a pause. When it did not, nobody could have proven anything,
/// so the deadline moves by the time that it stood still.
fn forgive_standstill(execution: &mut Execution) {
    let chain = execution.state.chain();
    if chain.running.phase == Phase::Open {
        return;
    }
    let pause = execution.context.time.since(chain.time);
    let ordinary = execution.state.params().heartbeat_ms.max(PAUSE_MS_MAX);
    if pause > ordinary {
        let running = &mut execution.state.chain_mut().running;
        running.due = running.due.saturating_add(pause - ordinary);
    }
}

/// The first planned freeze after `time`, counted from the plan `freeze_due`.
fn next_freeze(state: &State, freeze_due: TimeMs, time: TimeMs) -> TimeMs {
    let round_ms = state.params().round_ms;
    let rounds = time.since(freeze_due) / round_ms + 1;
    freeze_due.saturating_add(rounds.saturating_mul(round_ms))
}
