//! A part of a holder's proof: verified once, and what failed in it kept until settlement.

use crate::block::Event;
use crate::check::SoundTx;
use crate::check::standing::{challenge, part_index, part_openings};
use crate::execute::Execution;
use crate::records::PartOutcome;
use crate::state::State;
use holdfast_por::{ProofPart, verify_part};
use holdfast_primitives::{Bounded, Digest, HolderNo};

pub(super) fn execute(execution: &mut Execution, sound: &SoundTx, part: &ProofPart, openings_digest: Digest) {
    let (holder, failed) = judge(&execution.state, part, sound);
    keep(&mut execution.state, holder, part, PartOutcome { openings_digest, failed: failed.clone() });
    count_for_proposer(execution, part.count);
    let ProofPart { first_j, count, .. } = *part;
    execution.events.push(Event::ProofVerified { holder, tx: sound.id(), first_j, count, failed });
}

/// Lists only grow between freeze and settlement, so the slots of the frozen lists are where they were.
fn judge(state: &State, part: &ProofPart, sound: &SoundTx) -> (HolderNo, Vec<u32>) {
    let (number, holder) = state.holder_by_address(&part.holder).expect("the check found the holder");
    if let Some(failed) = sound.stated() {
        return (number, failed.to_vec());
    }
    let frozen = holder.frozen.as_ref().expect("the check found something to prove");
    let challenge = challenge(state, &part.holder, frozen).expect("the check found the round proving");
    let meta_of = |batch_log2, slot| {
        let slot = u32::try_from(slot).ok()?;
        Some(state.slot(number, batch_log2, slot)?.meta)
    };
    let failed =
        verify_part(&challenge, part, sound.openings(), meta_of).expect("the check found a whole part of this proof");
    (number, failed)
}

fn keep(state: &mut State, number: HolderNo, part: &ProofPart, outcome: PartOutcome) {
    let frozen = state.holder(number).and_then(|holder| holder.frozen.as_ref()).expect("the check found it");
    let index = part_index(state, frozen, part).expect("the check found the part in bounds");
    let parts = frozen.challenges.div_ceil(part_openings(state)) as usize;
    let progress = state.progress_mut(number);
    progress.parts.resize(parts, None);
    progress.parts[index] = Some(outcome);
}

/// The proposer that verified earns its share of the proof fees at settlement.
fn count_for_proposer(execution: &mut Execution, openings: u32) {
    let (proposer, openings) = (execution.proposer, u64::from(openings));
    let running = &mut execution.state.chain_mut().running;
    let mut counts = std::mem::take(&mut running.verified_by).into_inner();
    match counts.binary_search_by_key(&proposer, |(account, _)| *account) {
        Ok(place) => counts[place].1 += openings,
        Err(place) => counts.insert(place, (proposer, openings)),
    }
    running.verified_by = bounded_proposers(counts);
}

/// More proposers than seats can only come of many set changes within one round; the last in order go without.
fn bounded_proposers<T, const MAX: usize>(mut counts: Vec<T>) -> Bounded<T, MAX> {
    counts.truncate(MAX);
    Bounded::new(counts).expect("the list was just cut to its limit")
}
