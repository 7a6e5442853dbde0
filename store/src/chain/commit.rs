//! The one way in: a committed block, all it caused and all that finds it again, in a single synced write.

use crate::chain::database::Batch;
use crate::chain::schema::{
    BlockHeights, Blocks, Certificates, Events, Evidence, FrozenHolders, Openings, ProofParts, RoundResults,
    SetChanges, Tip, TipRow, TxPlace, TxPlaces, UndecidedRows, ValidatorSets,
};
use crate::chain::{ChainDb, StoreError};
use holdfast_ledger::{Applied, Event, SlotEvidence, Step, TxBody};
use holdfast_primitives::{BlockHash, Certificate, Height, HolderNo, RoundNo, TxId};

/// Everything that a decided block brings.
#[derive(Clone, Copy, Debug)]
pub struct CommitInput<'a> {
    /// The block and all it leads to.
    pub applied: &'a Applied,
    /// The quorum that decided it.
    pub certificate: &'a Certificate,
    /// Evidence to keep for auditors: made in the block that seeds a round, empty in every other.
    pub evidence: &'a [HolderEvidence],
}

/// That the batches over which a holder is challenged stood in its frozen list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderEvidence {
    /// The round.
    pub round: RoundNo,
    /// The holder.
    pub holder: HolderNo,
    /// Its challenged batches, as [`holdfast_ledger::slot_evidence`] gives them.
    pub slots: Vec<SlotEvidence>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The block is new and durable.
    Now,
    /// The same block was committed before; nothing was written.
    Before,
}

impl ChainDb {
    /// Commits a decided block in one write that is durable on return, and drops the proposals of its height and below.
    /// Committing the same block again changes nothing.
    ///
    /// # Errors
    /// Another block was committed at its height, it is not the next one, or its certificate is another block's; and
    /// whatever the disk answers. After an error nothing of the block is there.
    pub fn commit(&self, input: CommitInput<'_>) -> Result<Committed, StoreError> {
        let _alone = self.write_alone();
        let header = &input.applied.full.block.header;
        let (height, hash) = (header.height, input.applied.hash);
        if height <= self.tip().height {
            return self.check_same(height, hash);
        }
        check_certificate(height, hash, input.certificate)?;
        self.check_next(height, header.parent)?;
        let tip = Tip { height, hash, state_root: header.state_root };

        let mut batch = self.database.batch();
        let changes = input.applied.diff.iter().map(|(table, key, value)| (table.name(), key, value));
        batch.change_all(changes);
        put_block(&mut batch, input.applied);
        batch.put::<Certificates>(&height, input.certificate);
        put_events(&mut batch, height, input.applied);
        put_evidence(&mut batch, input.evidence);
        let validators = &input.applied.state.chain().validators;
        if header.next_validators != header.validators {
            batch.put::<ValidatorSets>(&header.next_validators, validators);
            let (header, certificate) = (header.clone(), input.certificate.clone());
            batch.put::<SetChanges>(&height, &Step { header, certificate, next: Some(validators.clone()) });
        }
        self.drop_undecided(&mut batch, height)?;
        batch.put::<TipRow>(&0, &tip);
        batch.write()?;
        self.set_tip(tip);
        Ok(Committed::Now)
    }

    fn check_same(&self, height: Height, found: BlockHash) -> Result<Committed, StoreError> {
        let stored = self.block(height)?.map_or(BlockHash::ZERO, |block| block.header.hash());
        if stored == found { Ok(Committed::Before) } else { Err(StoreError::Conflict { height, stored, found }) }
    }

    fn check_next(&self, height: Height, parent: BlockHash) -> Result<(), StoreError> {
        let tip = self.tip();
        if height != tip.height.next() {
            return Err(StoreError::NotNext { tip: tip.height, found: height });
        }
        if parent != tip.hash {
            return Err(StoreError::WrongParent { height, tip: tip.hash, found: parent });
        }
        Ok(())
    }

    /// Proposals of decided heights: all below the tip are gone already, so the search starts there.
    fn drop_undecided(&self, batch: &mut Batch<'_>, decided: Height) -> Result<(), StoreError> {
        let range = ((self.tip().height, 0), BlockHash::ZERO)..((decided.next(), 0), BlockHash::ZERO);
        for key in self.database.keys::<UndecidedRows>(range)? {
            batch.delete::<UndecidedRows>(&key);
        }
        Ok(())
    }
}

fn check_certificate(height: Height, expected: BlockHash, certificate: &Certificate) -> Result<(), StoreError> {
    let (found_height, found) = (certificate.height, certificate.block);
    if (found_height, found) != (height, expected) {
        return Err(StoreError::WrongCertificate { height, expected, found_height, found });
    }
    Ok(())
}

fn put_block(batch: &mut Batch<'_>, applied: &Applied) {
    let full = &applied.full;
    let height = full.block.header.height;
    batch.put::<Blocks>(&height, &full.block);
    batch.put::<BlockHeights>(&applied.hash, &height);
    // Sorted, because each insertion starts where the last one ended: ids in any order cost four times as much.
    let mut places: Vec<(TxId, u32)> = applied.tx_ids().zip(0..).collect();
    places.sort_unstable();
    for (id, position) in places {
        batch.put::<TxPlaces>(&id, &TxPlace { height, position });
    }
    let mut openings = full.openings.iter();
    for (position, signed) in (0..).zip(full.block.txs.iter()) {
        if matches!(signed.tx.body, TxBody::Prove { .. })
            && let Some(opening) = openings.next()
        {
            batch.put::<Openings>(&(height, position), opening);
        }
    }
}

/// The events, and the rows of rounds that some of them carry.
fn put_events(batch: &mut Batch<'_>, height: Height, applied: &Applied) {
    let settled = applied.events.iter().find_map(|event| match event {
        Event::RoundSettled(record) => Some(record.round),
        _ => None,
    });
    let round = settled.unwrap_or(applied.state.chain().running.round);
    for (index, event) in (0..).zip(&applied.events) {
        batch.put::<Events>(&(height, index), event);
        match event {
            Event::HolderFrozen(row) => batch.put::<FrozenHolders>(&(row.frozen.round, row.number), row),
            Event::HolderResult(result) => {
                if let Some((number, _)) = applied.state.holder_by_address(&result.holder) {
                    batch.put::<RoundResults>(&(round, number), result);
                }
            }
            Event::ProofVerified { holder, tx, first_j, .. } => {
                batch.put::<ProofParts>(&((round, *holder), *first_j), tx);
            }
            _ => {}
        }
    }
}

fn put_evidence(batch: &mut Batch<'_>, evidence: &[HolderEvidence]) {
    for HolderEvidence { round, holder, slots } in evidence {
        for slot in slots {
            batch.put::<Evidence>(&((*round, *holder), (slot.batch_log2, slot.slot)), slot);
        }
    }
}
