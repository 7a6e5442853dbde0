//! Letting go of old proofs: blocks commit to openings by digest, so no hash breaks when they go.

use crate::chain::schema::{Evidence, Openings, Pruned, PrunedRow};
use crate::chain::{ChainDb, StoreError};
use holdfast_primitives::{Height, HolderNo, RoundNo};

impl ChainDb {
    /// How far old proofs were pruned.
    pub fn pruned(&self) -> Result<Pruned, StoreError> {
        Ok(self.database.get::<PrunedRow>(&0)?.unwrap_or_default())
    }

    /// Deletes the openings of all blocks below `below` that still have them. Never those of the tip.
    pub fn prune_openings(&self, below: Height) -> Result<(), StoreError> {
        let _alone = self.write_alone();
        let pruned = self.pruned()?;
        let below = below.min(self.tip().height);
        let Some(last) = below.previous().filter(|_| below > pruned.openings_below) else {
            return Ok(());
        };
        let first = (pruned.openings_below, 0);
        let mut batch = self.database.batch();
        batch.delete_range::<Openings>(first..(below, 0));
        batch.put::<PrunedRow>(&0, &Pruned { openings_below: below, ..pruned });
        batch.write()?;
        self.database.drop_files::<Openings>(&first, &(last, u32::MAX))
    }

    /// Deletes the slot evidence of all rounds below `below` that still have it.
    pub fn prune_evidence(&self, below: RoundNo) -> Result<(), StoreError> {
        let _alone = self.write_alone();
        let pruned = self.pruned()?;
        if below <= pruned.evidence_below {
            return Ok(());
        }
        let at = |round| ((round, HolderNo::new(0)), (0, 0));
        let last = ((RoundNo::new(below.get() - 1), HolderNo::new(u32::MAX)), (u8::MAX, u32::MAX));
        let mut batch = self.database.batch();
        batch.delete_range::<Evidence>(at(pruned.evidence_below)..at(below));
        batch.put::<PrunedRow>(&0, &Pruned { evidence_below: below, ..pruned });
        batch.write()?;
        self.database.drop_files::<Evidence>(&at(pruned.evidence_below), &last)
    }
}
