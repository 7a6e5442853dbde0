//! From what arrived of a holder's proof to its verdict. Reads, never writes.

use crate::check::standing::{challenge, part_openings};
use crate::execute::ledger::percent;
use crate::records::{Frozen, Holder, PartOutcome, RoundResult};
use crate::state::State;
use holdfast_por::proof_digest;
use holdfast_primitives::{Address, Amount, Digest, HolderNo};
use std::collections::BTreeSet;

/// One frozen holder's outcome of the round.
pub(super) struct Verdict {
    pub(super) number: HolderNo,
    pub(super) result: RoundResult,
    /// Whether no part of its proof came.
    pub(super) missed: bool,
    /// Batches that it was challenged over.
    pub(super) batches: u64,
    /// Openings in the parts that came.
    pub(super) verified: u32,
    /// Sound batches of which an opening failed: size and slot, each once, ascending.
    pub(super) lost: Vec<(u8, u32)>,
    /// What it should be fined.
    pub(super) fine: Amount,
}

/// Judges every frozen holder, in order of number.
pub(super) fn judge_all(state: &State) -> Vec<Verdict> {
    let frozen = state.iter_holders().filter_map(|(number, holder)| Some((number, holder, holder.frozen.as_ref()?)));
    frozen.map(|(number, holder, frozen)| judge(state, number, holder, frozen)).collect()
}

fn judge(state: &State, number: HolderNo, holder: &Holder, frozen: &Frozen) -> Verdict {
    let address = state.account(holder.account).expect("a holder has an account").address;
    let parts = parts(state, number, frozen);
    let missed = parts.iter().all(Option::is_none);
    let failing = failing(state, frozen, &parts);
    let (lost, fine) = if missed {
        (Vec::new(), percent(frozen.revenue, state.params().missed_round_fine_percent))
    } else {
        faults(state, number, &address, frozen, &failing)
    };
    Verdict {
        number,
        result: result(address, frozen, &parts, failing.len()),
        missed,
        batches: frozen.classes.iter().map(|class| class.batches).sum(),
        verified: verified(state, frozen, &parts),
        lost,
        fine,
    }
}

/// One entry per part of the proof, whether or not anything came.
fn parts(state: &State, number: HolderNo, frozen: &Frozen) -> Vec<Option<PartOutcome>> {
    let mut parts = state.progress(number).map_or_else(Vec::new, |progress| progress.parts.clone());
    parts.resize(frozen.challenges.div_ceil(part_openings(state)) as usize, None);
    parts
}

/// The challenges of each part: `(first, end)`.
fn bounds(state: &State, frozen: &Frozen) -> impl Iterator<Item = (u32, u32)> + use<> {
    let (step, challenges) = (part_openings(state), frozen.challenges);
    (0..challenges).step_by(step as usize).map(move |first| (first, challenges.min(first + step)))
}

/// The challenges without a good answer, ascending: those that failed and those whose part never came. Leaving a part out
/// is no better than failing in it, or a holder would leave out what it lost.
fn failing(state: &State, frozen: &Frozen, parts: &[Option<PartOutcome>]) -> Vec<u32> {
    let of_part = |((first, end), part): ((u32, u32), &Option<PartOutcome>)| match part {
        Some(outcome) => outcome.failed.clone(),
        None => (first..end).collect(),
    };
    bounds(state, frozen).zip(parts).flat_map(of_part).collect()
}

fn verified(state: &State, frozen: &Frozen, parts: &[Option<PartOutcome>]) -> u32 {
    bounds(state, frozen).zip(parts).filter(|(_, part)| part.is_some()).map(|((first, end), _)| end - first).sum()
}

/// Which sound batches were lost, and the fine: per failing opening of a batch that was sound until now,
/// `opening_fine_multiple * ceil(revenue / k)` (DESIGN section 8). What is known to be faulty costs nothing again.
fn faults(
    state: &State,
    number: HolderNo,
    address: &Address,
    frozen: &Frozen,
    failing: &[u32],
) -> (Vec<(u8, u32)>, Amount) {
    if failing.is_empty() {
        return (Vec::new(), Amount::ZERO);
    }
    let challenge = challenge(state, address, frozen).expect("a round is settled only once its seed is known");
    let mut lost = BTreeSet::new();
    let mut openings = 0u64;
    for j in failing {
        let position = challenge.position(*j).expect("failures are counted among the challenges");
        let slot = u32::try_from(position.slot).expect("lists have fewer than 2^32 slots");
        let entry = state.slot(number, position.batch_log2, slot).expect("frozen lists only grow");
        if entry.faulty_since.is_none() {
            openings += 1;
            lost.insert((position.batch_log2, slot));
        }
    }
    let each = frozen.revenue.get().div_ceil(u64::from(frozen.challenges));
    let fine = u128::from(each) * u128::from(state.params().opening_fine_multiple) * u128::from(openings);
    (lost.into_iter().collect(), Amount::grains(u64::try_from(fine).unwrap_or(u64::MAX)))
}

/// The digest runs over all parts in order, a part that never came counting as the zero digest.
fn result(holder: Address, frozen: &Frozen, parts: &[Option<PartOutcome>], missing: usize) -> RoundResult {
    let digests: Vec<Digest> =
        parts.iter().map(|part| part.as_ref().map_or(Digest::ZERO, |outcome| outcome.openings_digest)).collect();
    let came = parts.iter().any(Option::is_some);
    RoundResult {
        holder,
        proof_digest: if came { proof_digest(&digests) } else { Digest::ZERO },
        missing: u32::try_from(missing).expect("no more openings are missing than challenges drawn"),
        challenges: frozen.challenges,
    }
}
