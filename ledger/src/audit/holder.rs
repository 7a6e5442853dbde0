//! One holder's round, judged again.

use crate::audit::rows::check_pair;
use crate::audit::{AuditError, SlotEvidence};
use crate::params::Params;
use crate::records::{FrozenHolder, RoundRecord, RoundResult, Slot};
use holdfast_por::{
    HolderChallenge, Position, ProofPart, RoundSeed, challenge_count, openings_digest, proof_digest, set_root,
    verify_part,
};
use holdfast_primitives::{ChainId, ContractNo, Digest};
use std::collections::{BTreeMap, BTreeSet};

/// What is claimed about one holder in one round, and what it rests on.
#[derive(Clone, Copy, Debug)]
pub struct HolderClaim<'a> {
    /// The round.
    pub record: &'a RoundRecord,
    /// What the holder was bound to.
    pub frozen: &'a FrozenHolder,
    /// How it was judged.
    pub result: &'a RoundResult,
    /// The parts of its proof that came, with their openings; in any order.
    pub parts: &'a [(ProofPart, Vec<u8>)],
    /// Every batch that it was challenged over; not needed when no part came.
    pub evidence: &'a [SlotEvidence],
}

/// What an audit of one holder found; agrees with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderAudit {
    /// Whether no part came.
    pub missed: bool,
    /// Openings that were asked for.
    pub challenges: u32,
    /// Openings in the parts that came.
    pub verified: u32,
    /// The challenges without a good answer, ascending.
    pub missing: Vec<u32>,
    /// Sound batches that the round marked faulty, ascending.
    pub lost: Vec<LostBatch>,
}

/// A batch that a round marked faulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostBatch {
    /// Size, log2 of bytes.
    pub batch_log2: u8,
    /// Its place in the frozen list.
    pub slot: u32,
    /// Who stops paying for it.
    pub contract: ContractNo,
}

/// Draws the holder's challenge, verifies every opening that came, and compares the outcome with its result row.
///
/// # Errors
/// The first thing that does not add up.
pub fn audit_holder(params: &Params, chain: &ChainId, claim: &HolderClaim<'_>) -> Result<HolderAudit, AuditError> {
    check_pair(claim.record, claim.frozen, claim.result)?;
    let challenge = draw(params, chain, claim)?;
    let slots = slots(claim, &challenge)?;
    let mut answered: BTreeSet<u32> = BTreeSet::new();
    let mut verified = 0;
    let mut digests = vec![Digest::ZERO; challenge.parts(params.proof_part_openings).count()];
    for (part, openings) in claim.parts {
        let index = index_of(params, &challenge, part)?;
        if digests[index] != Digest::ZERO {
            return Err(AuditError::Part { first_j: part.first_j });
        }
        digests[index] = openings_digest(openings);
        let meta_of = |batch_log2, slot| slots.get(&(batch_log2, slot)).map(|entry| entry.meta);
        let failed: BTreeSet<u32> = verify_part(&challenge, part, openings, meta_of)?.into_iter().collect();
        answered.extend((part.first_j..part.first_j + part.count).filter(|j| !failed.contains(j)));
        verified += part.count;
    }
    check_digest(claim, &digests)?;
    let missing: Vec<u32> = (0..challenge.count()).filter(|j| !answered.contains(j)).collect();
    let (stated, counted) = (claim.result.missing, missing.len() as u32);
    if stated != counted {
        return Err(AuditError::Missing { stated, counted });
    }
    let missed = claim.parts.is_empty();
    let lost = if missed { Vec::new() } else { lost(&challenge, &slots, &missing) };
    Ok(HolderAudit { missed, challenges: challenge.count(), verified, missing, lost })
}

fn draw(params: &Params, chain: &ChainId, claim: &HolderClaim<'_>) -> Result<HolderChallenge, AuditError> {
    let frozen = &claim.frozen.frozen;
    let root = set_root(&frozen.classes);
    if root != frozen.set_root {
        let (expected, found) = (Digest::new(frozen.set_root), Digest::new(root));
        return Err(AuditError::SetRoot { expected, found });
    }
    let batches = frozen.classes.iter().fold(0u64, |sum, class| sum.saturating_add(class.batches));
    let drawn = challenge_count(batches, &params.challenge);
    if drawn != frozen.challenges {
        return Err(AuditError::Challenges { stated: frozen.challenges, drawn });
    }
    let (round, seed, set_root) = (claim.record.round, claim.record.seed, frozen.set_root);
    let of = RoundSeed { chain: *chain, round, seed, holder: claim.frozen.holder, set_root };
    let classes: Vec<_> = frozen.classes.iter().map(|class| class.count()).collect();
    Ok(HolderChallenge::new(of, &classes, drawn)?)
}

/// The challenged entries, each shown to have stood in its frozen list.
fn slots<'a>(
    claim: &HolderClaim<'a>,
    challenge: &HolderChallenge,
) -> Result<BTreeMap<(u8, u64), &'a Slot>, AuditError> {
    let mut slots = BTreeMap::new();
    for evidence in claim.evidence {
        evidence.check(&claim.frozen.frozen)?;
        slots.insert((evidence.batch_log2, u64::from(evidence.slot)), &evidence.record);
    }
    let is_unknown = |at: &Position| !slots.contains_key(&(at.batch_log2, at.slot));
    match challenge.positions().find(is_unknown) {
        Some(Position { batch_log2, slot, .. }) if !claim.parts.is_empty() => {
            Err(AuditError::EvidenceMissing { batch_log2, slot })
        }
        _ => Ok(slots),
    }
}

fn index_of(params: &Params, challenge: &HolderChallenge, part: &ProofPart) -> Result<usize, AuditError> {
    let is_it = |bounds: (u32, u32)| bounds == (part.first_j, part.count);
    challenge.parts(params.proof_part_openings).position(is_it).ok_or(AuditError::Part { first_j: part.first_j })
}

fn check_digest(claim: &HolderClaim<'_>, digests: &[Digest]) -> Result<(), AuditError> {
    let found = if claim.parts.is_empty() { Digest::ZERO } else { proof_digest(digests) };
    let expected = claim.result.proof_digest;
    if found == expected { Ok(()) } else { Err(AuditError::ProofDigest { expected, found }) }
}

fn lost(challenge: &HolderChallenge, slots: &BTreeMap<(u8, u64), &Slot>, missing: &[u32]) -> Vec<LostBatch> {
    let batch = |j: &u32| {
        let at = challenge.position(*j)?;
        let entry = slots.get(&(at.batch_log2, at.slot))?;
        let slot = u32::try_from(at.slot).ok()?;
        entry.faulty_since.is_none().then_some(LostBatch { batch_log2: at.batch_log2, slot, contract: entry.contract })
    };
    missing.iter().filter_map(batch).collect::<BTreeSet<_>>().into_iter().collect()
}
