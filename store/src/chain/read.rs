//! What was committed, found again. Nothing here waits for a commit that is under way.

use crate::chain::schema::{
    BlockHeights, Blocks, Certificates, Events, Evidence, FrozenHolders, Openings, ProofParts, RoundResults, Rows,
    TxPlace, TxPlaces, ValidatorSets,
};
use crate::chain::{ChainDb, StoreError};
use holdfast_ledger::{
    Block, Event, FrozenHolder, FullBlock, Payment, RoundRecord, RoundResult, SignedTx, SlotEvidence, TxBody,
};
use holdfast_primitives::{BlockHash, Bounded, Certificate, Digest, Height, HolderNo, RoundNo, TxId, ValidatorSet};
use std::ops::Range;

impl ChainDb {
    /// The block at `height`, without openings.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        self.database.get::<Blocks>(&height)
    }

    /// Up to `limit` blocks from `from` on, in order, without openings.
    pub fn blocks(&self, from: Height, limit: usize) -> Result<Vec<Block>, StoreError> {
        let rows = self.database.range::<Blocks>(from..Height::new(u64::MAX), limit)?;
        Ok(rows.into_iter().map(|(_, block)| block).collect())
    }

    /// The height of the block with this hash.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, StoreError> {
        self.database.get::<BlockHeights>(hash)
    }

    /// The certificate of the block at `height`.
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, StoreError> {
        self.database.get::<Certificates>(&height)
    }

    /// The validator set with this digest, if it ever decided a block or decides the next.
    pub fn validator_set(&self, digest: &Digest) -> Result<Option<ValidatorSet>, StoreError> {
        self.database.get::<ValidatorSets>(digest)
    }

    /// The block at `height` as it travels, with its certificate: what a peer that catches up needs. `None` above the
    /// tip, and for a block whose openings were pruned (see [`ChainDb::pruned`]).
    ///
    /// # Errors
    /// Also when a row of the block is missing that was never pruned.
    pub fn decided(&self, height: Height) -> Result<Option<(FullBlock, Certificate)>, StoreError> {
        let Some(block) = self.block(height)? else { return Ok(None) };
        let missing = |table| StoreError::MissingRow { table, height };
        let certificate = self.certificate(height)?.ok_or_else(|| missing(Certificates::NAME))?;
        let rows = self.database.range::<Openings>((height, 0)..(height.next(), 0), usize::MAX)?;
        let proofs = block.txs.iter().filter(|signed| matches!(signed.tx.body, TxBody::Prove { .. })).count();
        if rows.len() != proofs {
            let pruned = height < self.pruned()?.openings_below;
            return if pruned { Ok(None) } else { Err(missing(Openings::NAME)) };
        }
        let openings = rows.into_iter().map(|(_, openings)| openings).collect();
        let openings = Bounded::new(openings).map_err(|_| missing(Openings::NAME))?;
        Ok(Some((FullBlock { block, openings }, certificate)))
    }

    /// Where a transaction is.
    pub fn tx_place(&self, id: &TxId) -> Result<Option<TxPlace>, StoreError> {
        self.database.get::<TxPlaces>(id)
    }

    /// Ids of committed transactions from `low` to `high`, both included, ascending, at most `limit`.
    pub fn txs_between(&self, low: &TxId, high: &TxId, limit: usize) -> Result<Vec<TxId>, StoreError> {
        let rows = self.database.range::<TxPlaces>(*low..*high, limit)?;
        let mut ids: Vec<TxId> = rows.into_iter().map(|(id, _)| id).collect();
        if ids.len() < limit && self.tx_place(high)?.is_some() {
            ids.push(*high);
        }
        Ok(ids)
    }

    /// A committed transaction and where it is.
    pub fn tx(&self, id: &TxId) -> Result<Option<(TxPlace, SignedTx)>, StoreError> {
        let Some(place) = self.tx_place(id)? else { return Ok(None) };
        let block = self.block(place.height)?;
        let signed = block.and_then(|block| block.txs.get(place.position as usize).cloned());
        let missing = StoreError::MissingRow { table: Blocks::NAME, height: place.height };
        Ok(Some((place, signed.ok_or(missing)?)))
    }

    /// The openings that a proof transaction brought; `None` for other transactions and once they are pruned.
    pub fn openings(&self, id: &TxId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(place) = self.tx_place(id)? else { return Ok(None) };
        let openings = self.database.get::<Openings>(&(place.height, place.position))?;
        Ok(openings.map(Bounded::into_inner))
    }

    /// Up to `limit` events of the block at `height`, from its event number `from` on, each with its number.
    pub fn events(&self, height: Height, from: u32, limit: usize) -> Result<Vec<(u32, Event)>, StoreError> {
        let rows = self.database.range::<Events>((height, from)..(height.next(), 0), limit)?;
        Ok(rows.into_iter().map(|((_, index), event)| (index, event)).collect())
    }

    /// What one holder was bound to in a round.
    pub fn frozen(&self, round: RoundNo, holder: HolderNo) -> Result<Option<FrozenHolder>, StoreError> {
        self.database.get::<FrozenHolders>(&(round, holder))
    }

    /// Up to `limit` of a round's frozen holders, from holder `from` on.
    pub fn frozen_holders(
        &self,
        round: RoundNo,
        from: HolderNo,
        limit: usize,
    ) -> Result<Vec<FrozenHolder>, StoreError> {
        let rows = self.database.range::<FrozenHolders>(rest_of_round(round, from), limit)?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// What became of one holder in a round.
    pub fn result(&self, round: RoundNo, holder: HolderNo) -> Result<Option<RoundResult>, StoreError> {
        self.database.get::<RoundResults>(&(round, holder))
    }

    /// Up to `limit` of a round's results with the holders' numbers, from holder `from` on.
    pub fn results(
        &self,
        round: RoundNo,
        from: HolderNo,
        limit: usize,
    ) -> Result<Vec<(HolderNo, RoundResult)>, StoreError> {
        let rows = self.database.range::<RoundResults>(rest_of_round(round, from), limit)?;
        Ok(rows.into_iter().map(|((_, holder), result)| (holder, result)).collect())
    }

    /// The transactions that brought one holder's proof in a round, each with its first challenge, ascending.
    pub fn proof_parts(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<(u32, TxId)>, StoreError> {
        let range = ((round, holder), 0)..(after(round, holder), 0);
        let rows = self.database.range::<ProofParts>(range, usize::MAX)?;
        Ok(rows.into_iter().map(|((_, first_j), id)| (first_j, id)).collect())
    }

    /// The evidence kept for one holder's challenged batches of a round, ascending by size and slot.
    pub fn evidence(&self, round: RoundNo, holder: HolderNo) -> Result<Vec<SlotEvidence>, StoreError> {
        let range = ((round, holder), (0, 0))..(after(round, holder), (0, 0));
        let rows = self.database.range::<Evidence>(range, usize::MAX)?;
        Ok(rows.into_iter().map(|(_, evidence)| evidence).collect())
    }

    /// All that was paid in a settled round: the payments among the events of the block that settled it, 24 bytes per
    /// paying contract. Where that is much, page through the events instead.
    pub fn payments(&self, round: &RoundRecord) -> Result<Vec<Payment>, StoreError> {
        let events = self.events(round.settle_height, 0, usize::MAX)?;
        let payments = events.into_iter().filter_map(|(_, event)| match event {
            Event::Paid(payments) => Some(payments.into_inner()),
            _ => None,
        });
        Ok(payments.flatten().collect())
    }
}

fn rest_of_round(round: RoundNo, from: HolderNo) -> Range<(RoundNo, HolderNo)> {
    (round, from)..(round.next(), HolderNo::new(0))
}

/// The first key behind all of one holder's in a round.
fn after(round: RoundNo, holder: HolderNo) -> (RoundNo, HolderNo) {
    match holder.get().checked_add(1) {
        Some(next) => (round, HolderNo::new(next)),
        None => (round.next(), HolderNo::new(0)),
    }
}
