//! The rows of a round against its record.

use crate::audit::AuditError;
use crate::records::{FrozenHolder, RoundRecord, RoundResult};
use crate::trees::rows_root;
use holdfast_primitives::Digest;

/// Whether these are all the rows of the round that `record` describes: who was frozen and how each was judged, both in
/// order of holder number.
///
/// # Errors
/// The first thing that does not add up.
pub fn audit_round_rows(
    record: &RoundRecord,
    frozen: &[FrozenHolder],
    results: &[RoundResult],
) -> Result<(), AuditError> {
    let found = rows_root(frozen);
    if found != record.frozen_root {
        return Err(AuditError::FrozenRoot { expected: record.frozen_root, found });
    }
    let found = rows_root(results);
    if found != record.results_root {
        return Err(AuditError::ResultsRoot { expected: record.results_root, found });
    }
    check_count("holders", record.holders.into(), frozen.len() as u64)?;
    check_count("results", record.holders.into(), results.len() as u64)?;
    for (row, result) in frozen.iter().zip(results) {
        check_pair(record, row, result)?;
    }
    let missed = results.iter().filter(|result| result.proof_digest == Digest::ZERO).count();
    check_count("missed", record.missed.into(), missed as u64)?;
    let batches = frozen.iter().flat_map(|row| row.frozen.classes.iter()).map(|class| class.batches);
    check_count("batches", record.batches, batches.fold(0, u64::saturating_add))
}

/// Whether a holder's two rows belong to each other and to the round.
pub(super) fn check_pair(record: &RoundRecord, row: &FrozenHolder, result: &RoundResult) -> Result<(), AuditError> {
    if row.frozen.round != record.round {
        return Err(AuditError::RowRound { expected: record.round, found: row.frozen.round });
    }
    if row.holder != result.holder {
        return Err(AuditError::RowHolder { frozen: row.holder, result: result.holder });
    }
    check_count("challenges", row.frozen.challenges.into(), result.challenges.into())
}

const fn check_count(what: &'static str, stated: u64, counted: u64) -> Result<(), AuditError> {
    if stated == counted { Ok(()) } else { Err(AuditError::Count { what, stated, counted }) }
}
