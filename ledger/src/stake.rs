//! Who decides blocks, by which rule book: bonds, turns that were missed, the election, and the way to another version.
//!
//! Every block counts whose turn it was and pays out what has waited long enough, before its transactions; after them, if
//! anything changed, it elects who decides the next block. So the set may change at any height, always from the next
//! one on, and both sets stand in the header. Only a newcomer waits for the next round: see [`ValidatorRecord::since`].
//!
//! A turn counts as missed when a block was decided that somebody whose turn came later in the same height had built.
//! Only more than two thirds of the weight together can bring that about, by waiting out the propose timeout.

use crate::block::Event;
use crate::check::stake::others_may_decide;
use crate::execute::Execution;
use crate::execute::ledger::{credit, minus, plus};
use crate::records::{Standing, Unbonding, Upgrade, ValidatorRecord};
use crate::state::State;
use holdfast_primitives::{
    AccountNo, Amount, Bounded, Height, Misbehaviour, RoundNo, Schedule, Validator, ValidatorNo, ValidatorSet,
    VrfPublicKey,
};
use std::cmp::Reverse;

/// The newest rule book that this code knows.
pub const PROTOCOL_VERSION_MAX: u32 = 1;

impl State {
    /// The version of the rule book that rules the block at `height`, the next or one soon after.
    pub fn protocol_at(&self, height: Height) -> u32 {
        let chain = self.chain();
        match chain.upgrade {
            Some(upgrade) if upgrade.height <= height => upgrade.version,
            _ => chain.protocol,
        }
    }
}

/// Whether a validator could be elected.
pub(crate) fn may_decide(state: &State, record: &ValidatorRecord) -> bool {
    let is_due = record.since <= state.chain().running.round;
    is_due && record.standing == Standing::Good && record.bonded >= state.params().validator_bond_min
}

/// The first height for whose misdeeds bonds are still liable: what was taken back since is not paid out yet.
pub(crate) fn oldest_liable(state: &State) -> Height {
    let rounds = u64::from(state.params().unbond_rounds);
    let first = state.chain().running.round.get().checked_sub(rounds + 1);
    let settled = first.and_then(|round| state.round(RoundNo::new(round)));
    settled.map_or(Height::GENESIS, |record| record.settle_height)
}

/// Moves the chain to the rule book that is due, and counts the turns of this height.
pub(crate) fn begin(execution: &mut Execution) {
    let height = execution.context.height;
    if let Some(upgrade) = execution.state.chain().upgrade.filter(|upgrade| upgrade.height <= height) {
        let chain = execution.state.chain_mut();
        (chain.protocol, chain.upgrade) = (upgrade.version, None);
        execution.events.push(Event::Upgraded { version: upgrade.version });
    }
    count_turns(execution);
}

/// A block by somebody who is no validator comes from no network; then there is nothing to count.
fn count_turns(execution: &mut Execution) {
    let set = &execution.state.chain().validators;
    let members: Vec<_> = set.iter().map(|validator| validator.address).collect();
    let Some(proposer) = members.iter().position(|address| *address == execution.context.proposer) else { return };
    let mut missed = Vec::new();
    if members.len() > 1 {
        let schedule = Schedule::of(set);
        let turns = (0..schedule.turns()).map(|round| schedule.turn(execution.context.height, round));
        missed.extend(turns.take_while(|&turn| turn != proposer));
    }
    let number_of = |state: &State, place: usize| state.validator_by_address(&members[place]).map(|(number, _)| number);
    for place in missed {
        if let Some(number) = number_of(&execution.state, place) {
            miss(execution, number);
        }
    }
    if let Some(number) = number_of(&execution.state, proposer) {
        let record = execution.state.validator_mut(number);
        record.proposed += 1;
        record.missed_in_row = 0;
    }
}

fn miss(execution: &mut Execution, number: ValidatorNo) {
    let limit = execution.state.params().missed_turns_max;
    let record = execution.state.validator_mut(number);
    record.missed += 1;
    record.missed_in_row = record.missed_in_row.saturating_add(1);
    let is_due = record.missed_in_row >= limit && record.standing == Standing::Good;
    if is_due && others_may_decide(&execution.state, number) {
        let rounds = u64::from(execution.state.params().jail_rounds);
        let until = execution.state.chain().running.round.saturating_add(rounds);
        let record = execution.state.validator_mut(number);
        (record.standing, record.missed_in_row) = (Standing::Jailed { until }, 0);
        execution.stake_changed = true;
        execution.events.push(Event::Jailed { validator: number, until });
    }
}

/// Pays out what is due in the running round, and lets in who bonded in the one before. Called whenever a round opens.
pub(crate) fn open_round(execution: &mut Execution) {
    let round = execution.state.chain().running.round;
    execution.stake_changed |= execution.state.iter_validators().any(|(_, record)| record.since == round);
    let is_due = |unbonding: &Unbonding| unbonding.until <= round;
    let due: Vec<ValidatorNo> = execution
        .state
        .iter_validators()
        .filter(|(_, record)| record.unbonding.iter().any(is_due))
        .map(|(number, _)| number)
        .collect();
    for number in due {
        let record = execution.state.validator_mut(number);
        let account = record.account;
        let (paid, waits): (Vec<_>, Vec<_>) =
            std::mem::take(&mut record.unbonding).into_inner().into_iter().partition(is_due);
        record.unbonding = Bounded::new(waits).expect("a part of a bounded list");
        for Unbonding { amount, .. } in paid {
            credit(&mut execution.state, account, amount);
            execution.events.push(Event::Unbonded { validator: number, amount });
        }
    }
}

/// The validators with the largest bonds decide from the next block on. Should nobody be left, those who decide now go on:
/// a chain that stands still helps nobody.
pub(crate) fn elect(execution: &mut Execution) {
    let state = &execution.state;
    let mut seats: Vec<Validator> = state
        .iter_validators()
        .filter(|(_, record)| may_decide(state, record))
        .map(|(_, record)| {
            let account = state.account(record.account).expect("a validator's account exists");
            Validator { address: account.address, vrf: record.vrf, power: record.power() }
        })
        .collect();
    seats.sort_by_key(|seat| (Reverse(seat.power), seat.address));
    seats.truncate(usize::from(state.params().validators_max));
    let Some(elected) = ValidatorSet::new(seats) else { return };
    if elected == state.chain().validators {
        return;
    }
    let mut heavy_nodes: Vec<_> =
        elected.iter().filter_map(|seat| state.account_by_address(&seat.address)).map(|(number, _)| number).collect();
    heavy_nodes.sort_unstable();
    execution.events.push(Event::ValidatorsChanged { validators: elected.digest() });
    let chain = execution.state.chain_mut();
    chain.heavy_nodes = Bounded::new(heavy_nodes).expect("as many as there are validators");
    chain.validators = elected;
}

/// Takes the slash out of all that is liable, the bond first, into the reserve, and bans the validator.
pub(crate) fn slash(execution: &mut Execution, number: ValidatorNo, misbehaviour: &Misbehaviour) {
    let bps = u128::from(execution.state.params().slash_bps);
    let record = execution.state.validator_mut(number);
    let due = (u128::from(record.liable().get()) * bps).div_ceil(10_000);
    let due =
        Amount::grains(u64::try_from(due).expect("a part of a 64-bit amount: a genesis allows at most the whole"));
    let from_bond = due.min(record.bonded);
    record.bonded = minus(record.bonded, from_bond);
    let mut left = minus(due, from_bond);
    let mut unbonding = std::mem::take(&mut record.unbonding).into_inner();
    for part in &mut unbonding {
        let taken = left.min(part.amount);
        (part.amount, left) = (minus(part.amount, taken), minus(left, taken));
    }
    unbonding.retain(|part| !part.amount.is_zero());
    record.unbonding = Bounded::new(unbonding).expect("no longer than it was");
    record.slashed = plus(record.slashed, due);
    record.standing = Standing::Banned;
    let chain = execution.state.chain_mut();
    chain.reserve = plus(chain.reserve, due);
    execution.stake_changed = true;
    execution.events.push(Event::Slashed { validator: number, amount: due, height: misbehaviour.height() });
}

/// Agrees on a rule book once validators with more than two thirds of the power are ready for the same.
pub(crate) fn agree(execution: &mut Execution, upgrade: Upgrade) {
    let state = &execution.state;
    let set = &state.chain().validators;
    let is_ready = |validator: &&Validator| {
        state.validator_by_address(&validator.address).is_some_and(|(_, record)| record.ready == Some(upgrade))
    };
    let ready: u128 = set.iter().filter(is_ready).map(|validator| u128::from(validator.power)).sum();
    let agreed = ready * 3 > u128::from(set.total_power()) * 2;
    if agreed && state.chain().upgrade != Some(upgrade) {
        execution.state.chain_mut().upgrade = Some(upgrade);
        execution.events.push(Event::UpgradeAgreed(upgrade));
    }
}

/// A record of somebody who bonds for the first time, and may decide from round `since` on.
pub(crate) fn newcomer(account: AccountNo, vrf: VrfPublicKey, since: RoundNo) -> ValidatorRecord {
    ValidatorRecord {
        account,
        vrf,
        bonded: Amount::ZERO,
        unbonding: Bounded::empty(),
        since,
        standing: Standing::Good,
        missed_in_row: 0,
        missed: 0,
        proposed: 0,
        slashed: Amount::ZERO,
        ready: None,
    }
}
