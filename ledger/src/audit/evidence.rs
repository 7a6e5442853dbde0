//! Evidence that a challenged batch stood in its holder's frozen list. It must be made while the round is pending: a list
//! only grows until settlement, so the frozen list is a prefix of it; afterwards slots move and are marked.

use crate::audit::AuditError;
use crate::check::standing::challenge;
use crate::merkle_vec::{Hash, verify_record};
use crate::records::{Frozen, Slot};
use crate::state::State;
use crate::state_proof::PATH_HASHES_MAX;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_primitives::{Bounded, HolderNo};
use std::collections::BTreeSet;

/// One batch of a frozen list, and its path to the list's root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlotEvidence {
    /// Size, log2 of bytes: which list.
    pub batch_log2: u8,
    /// Its place in the list.
    pub slot: u32,
    /// The entry as it was frozen.
    pub record: Slot,
    /// The siblings from the leaf up.
    pub path: Bounded<Hash, PATH_HASHES_MAX>,
}

/// Evidence for every batch that a holder is challenged over, each once, ascending by size and slot. `None` unless proofs
/// are taken and this holder owes one.
pub fn slot_evidence(state: &State, holder: HolderNo) -> Option<Vec<SlotEvidence>> {
    let record = state.holder(holder)?;
    let frozen = record.frozen.as_ref()?;
    let challenge = challenge(state, &state.account(record.account)?.address, frozen)?;
    let challenged: BTreeSet<(u8, u64)> =
        challenge.positions().map(|position| (position.batch_log2, position.slot)).collect();
    challenged.into_iter().map(|(batch_log2, slot)| of_slot(state, holder, frozen, batch_log2, slot)).collect()
}

fn of_slot(state: &State, holder: HolderNo, frozen: &Frozen, batch_log2: u8, slot: u64) -> Option<SlotEvidence> {
    let class = frozen.classes.iter().find(|class| class.batch_log2 == batch_log2)?;
    let list = state.list(holder, batch_log2)?;
    let (len, index) = (usize::try_from(class.batches).ok()?, usize::try_from(slot).ok()?);
    let path = Bounded::new(list.proof_in_prefix(len, index)?).ok()?;
    Some(SlotEvidence { batch_log2, slot: u32::try_from(slot).ok()?, record: list.get(index)?.clone(), path })
}

impl SlotEvidence {
    /// Whether the entry stood in this frozen list of its size.
    pub(super) fn check(&self, frozen: &Frozen) -> Result<(), AuditError> {
        let list = frozen.classes.iter().find(|class| class.batch_log2 == self.batch_log2);
        let record = borsh::to_vec(&self.record).expect("a slot encodes into memory");
        let leads = list
            .is_some_and(|list| verify_record(&list.list_root, list.batches, self.slot.into(), &record, &self.path));
        if leads { Ok(()) } else { Err(AuditError::Evidence { batch_log2: self.batch_log2, slot: self.slot }) }
    }
}
