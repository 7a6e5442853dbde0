//! Answers of the `audit` namespace. Nothing here is to be believed: every answer carries the bytes and paths by which
//! the caller verifies it.

use super::{
    AUDIT_SLOTS_MAX, AuditApiServer, BundleView, PartBrief, PartView, RecordProofView, RecordRef, SlotEvidence,
    SlotsView,
};
use crate::backend::{Backend, ProofPlace};
use crate::chain::BlockRef;
use crate::error::Failure;
use crate::look::{Look, events_at};
use crate::market::HolderRef;
use crate::round::{FrozenRow, RecordView, ResultView, RunningView, SeedView, as_frozen, as_result};
use crate::text::{HexBytes, Raw};
use crate::tx::TxStatus;
use holdfast_ledger::{FrozenHolder, InclusionProof, RoundRecord, RoundResult, TxBody, inclusion_proof, row_leaves};
use holdfast_primitives::{Digest, HolderNo, RoundNo, TxId};
use std::sync::Arc;

/// The audits' counter.
pub(crate) struct AuditNamespace {
    backend: Arc<dyn Backend>,
}

impl AuditNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn look(&self) -> Look {
        Look::at_tip(self.backend.as_ref())
    }

    /// All frozen rows of a round and the place of one holder's among them.
    fn frozen_row(&self, look: &Look, round: RoundNo, holder: HolderNo) -> Result<(Vec<FrozenHolder>, usize), Failure> {
        let events = events_at(self.backend.as_ref(), look.freeze_height(round)?)?;
        let rows: Vec<FrozenHolder> = events.iter().filter_map(as_frozen).cloned().collect();
        let place = rows.iter().position(|row| row.number == holder).ok_or(Failure::NotInRound { round, holder })?;
        Ok((rows, place))
    }

    /// A holder's outcome of a settled round: rows of results stand in the order of the frozen rows.
    fn result(
        &self,
        look: &Look,
        record: &RoundRecord,
        place: usize,
    ) -> Result<(ResultView, Raw<InclusionProof>), Failure> {
        let events = events_at(self.backend.as_ref(), record.settle_height)?;
        let rows: Vec<RoundResult> = events.iter().filter_map(as_result).cloned().collect();
        let row = rows.get(place).ok_or_else(|| Failure::broken_link("result", place as u32))?;
        Ok((ResultView::of(place as u64, row, look.prefix()), included(&row_leaves(&rows), place)?))
    }

    fn part_at(&self, place: &ProofPlace) -> Result<PartBrief, Failure> {
        let at = BlockRef::Height(place.height);
        let block = self.backend.block(place.height)?.ok_or(Failure::BlockUnknown { at })?;
        let broken = || Failure::broken_link("proof transaction", place.index);
        let signed = block.txs.get(place.index as usize).ok_or_else(broken)?;
        let TxBody::Prove { part, openings_digest } = &signed.tx.body else { return Err(broken()) };
        Ok(PartBrief {
            tx: signed.id(),
            height: place.height,
            first_j: part.first_j,
            count: part.count,
            failed: place.failed.clone(),
            openings_digest: *openings_digest,
            raw: Raw::of(signed),
        })
    }
}

impl AuditApiServer for AuditNamespace {
    fn bundle(&self, round: RoundNo, holder: HolderRef) -> Result<BundleView, Failure> {
        let look = self.look();
        let (number, _) = look.holder(holder)?;
        let (rows, place) = self.frozen_row(&look, round, number)?;
        let record = look.state.round(round);
        let (result, result_proof) = record.map(|record| self.result(&look, record, place)).transpose()?.unzip();
        let places = self.backend.proof_parts(round, number)?;
        Ok(BundleView {
            round,
            number,
            holder: look.text(rows[place].holder),
            seed: seed(&look, record),
            record: record.map(RecordView::of),
            frozen: FrozenRow::of(place as u64, &rows[place], look.prefix()),
            frozen_proof: included(&row_leaves(&rows), place)?,
            result,
            result_proof,
            parts: places.iter().map(|place| self.part_at(place)).collect::<Result<_, Failure>>()?,
        })
    }

    fn part(&self, round: RoundNo, holder: HolderRef, part: u32) -> Result<PartView, Failure> {
        let look = self.look();
        let (number, _) = look.holder(holder)?;
        let places = self.backend.proof_parts(round, number)?;
        let place = places.get(part as usize).ok_or(Failure::PartUnknown { part, found: places.len() })?;
        let brief = self.part_at(place)?;
        let pruned = || Failure::NotKept { what: format!("the openings of round {round}") };
        let openings = HexBytes(self.backend.openings(&brief.tx)?.ok_or_else(pruned)?);
        Ok(PartView { brief, openings })
    }

    fn slots(&self, round: RoundNo, holder: HolderRef, batch_log2: u8, slots: Vec<u32>) -> Result<SlotsView, Failure> {
        if slots.len() > AUDIT_SLOTS_MAX {
            return Err(Failure::SlotsLimit { asked: slots.len(), limit: AUDIT_SLOTS_MAX });
        }
        let look = self.look();
        let (number, _) = look.holder(holder)?;
        let (rows, place) = self.frozen_row(&look, round, number)?;
        let classes = &rows[place].frozen.classes;
        let class = classes.iter().find(|class| class.batch_log2 == batch_log2);
        let class = class.ok_or(Failure::SlotUnknown { batch_log2, slot: 0, batches: 0 })?;
        let kept = self.backend.slot_evidence(round, number)?;
        if kept.is_empty() {
            return Err(Failure::NotKept { what: format!("the evidence on holder {number} in round {round}") });
        }
        let found = |slot| {
            let entry = kept.iter().find(|entry| (entry.batch_log2, entry.slot) == (batch_log2, slot));
            entry.map(SlotEvidence::of).ok_or(Failure::SlotUnknown { batch_log2, slot, batches: class.batches })
        };
        let rows = slots.into_iter().map(found).collect::<Result<_, Failure>>()?;
        Ok(SlotsView { batch_log2, batches: class.batches, list_root: Digest::new(class.list_root), rows })
    }

    fn openings(&self, id: TxId) -> Result<HexBytes, Failure> {
        if !matches!(self.backend.tx_status(&id)?, TxStatus::Final { .. }) {
            return Err(Failure::TxUnknown { id });
        }
        let pruned = || Failure::NotKept { what: format!("the openings of transaction {id}") };
        Ok(HexBytes(self.backend.openings(&id)?.ok_or_else(pruned)?))
    }

    fn record(&self, record: RecordRef) -> Result<RecordProofView, Failure> {
        let look = self.look();
        let key = record.key();
        let proof = look.state.prove(&key).ok_or_else(|| Failure::RecordUnknown { record: format!("{key:?}") })?;
        Ok(RecordProofView {
            height: look.height(),
            state_root: look.state_root(),
            proof: Raw::of(&proof),
            header: look.header.as_deref().map(Raw::of),
        })
    }
}

fn included(leaves: &[[u8; 32]], place: usize) -> Result<Raw<InclusionProof>, Failure> {
    let proof = inclusion_proof(leaves, place).ok_or_else(|| Failure::broken_link("leaf", place as u32))?;
    Ok(Raw::of(&proof))
}

fn seed(look: &Look, record: Option<&RoundRecord>) -> Option<SeedView> {
    match record {
        Some(record) => Some(RecordView::of(record).seed),
        None => RunningView::of(&look.state.chain().running).seed,
    }
}
