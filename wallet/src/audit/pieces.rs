//! Where the pieces of a segment are, proven: the segment's record names holder and slot of each, the slot's record says
//! whether it is sound and which contract pays for it, and the contract's by which way it came.

use crate::audit::{Auditor, unproven};
use crate::error::WalletError;
use holdfast_ledger::{Member, RecordKey, Segment, Slot};
use holdfast_primitives::{Address, ContractNo, Height, HolderNo, SegmentNo};
use serde::Serialize;

/// How often a segment is looked up again when its pieces move meanwhile: removals at a round's end renumber slots.
const LOOKS: usize = 3;

/// One segment, as this machine proved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentVerdict {
    /// Its number on the ledger.
    pub segment: SegmentNo,
    /// The owner's own count.
    pub ordinal: u32,
    /// Pieces it was stored as.
    pub pieces: usize,
    /// Pieces that are stored and sound.
    pub sound: usize,
    /// Pieces that rebuild it.
    pub needed: usize,
    /// The pieces that are stored, and by which way they came.
    pub places: Vec<PieceVerdict>,
    /// The certified block by which its record was proven.
    pub proven_at: Height,
}

/// One stored piece, as this machine proved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PieceVerdict {
    /// Its place in the segment.
    pub piece: usize,
    /// Who holds it.
    pub holder: HolderNo,
    /// The contract that pays for it.
    pub contract: ContractNo,
    /// Whether it is not faulty.
    pub sound: bool,
    /// The heavy nodes that share the relay fee, from the owner's side to the holder's.
    pub path: Vec<String>,
}

impl Auditor {
    /// Proves what became of a segment of `owner`, which `number` is said to be.
    ///
    /// # Errors
    /// [`WalletError::Refuted`] when it is another one, or something does not hold; what the source could not tell.
    pub async fn segment(
        &mut self,
        owner: &Address,
        ordinal: u32,
        number: SegmentNo,
    ) -> Result<SegmentVerdict, WalletError> {
        let verdict = self.judge_segment(owner, ordinal, number).await;
        verdict.map_err(|error| error.told_by(&self.source.name()))
    }

    async fn judge_segment(
        &mut self,
        owner: &Address,
        ordinal: u32,
        number: SegmentNo,
    ) -> Result<SegmentVerdict, WalletError> {
        let mut moved = None;
        for _ in 0..LOOKS {
            let (record, proven_at) = self.proven::<Segment>(RecordKey::Segment(number)).await?;
            if record.ordinal != ordinal || self.address(record.owner).await? != *owner {
                return Err(unproven(format!("segment {number}"), format!("it is not {owner}'s segment {ordinal}")));
            }
            match self.places(number, &record).await? {
                Ok(places) => {
                    let sound = places.iter().filter(|place| place.sound).count();
                    let (pieces, needed) = (record.members.len(), usize::from(record.data));
                    return Ok(SegmentVerdict { segment: number, ordinal, pieces, sound, needed, places, proven_at });
                }
                Err(index) => moved = Some(index),
            }
        }
        let index = moved.unwrap_or(0);
        Err(unproven(format!("segment {number}"), format!("piece {index} is not where its record says")))
    }

    /// The stored pieces; the first that is not in its slot, if one is not.
    async fn places(
        &mut self,
        number: SegmentNo,
        record: &Segment,
    ) -> Result<Result<Vec<PieceVerdict>, usize>, WalletError> {
        let mut places = Vec::new();
        for (index, member) in record.members.iter().enumerate().filter(|(_, member)| !member.is_gone()) {
            let Member { holder, slot } = *member;
            let key = RecordKey::Slot { holder, batch_log2: record.batch_log2, slot };
            let (entry, _) = self.proven::<Slot>(key).await?;
            if (entry.segment, usize::from(entry.index)) != (number, index) {
                return Ok(Err(index));
            }
            let (contract, sound) = (entry.contract, entry.faulty_since.is_none());
            places.push(PieceVerdict { piece: index, holder, contract, sound, path: self.path(contract).await? });
        }
        Ok(Ok(places))
    }

    async fn path(&mut self, contract: ContractNo) -> Result<Vec<String>, WalletError> {
        let (prefix, contract) = (self.genesis.params.prefix, self.contract(contract).await?);
        let mut path = Vec::with_capacity(contract.footprint.len());
        for account in contract.footprint.iter() {
            path.push(self.address(*account).await?.to_text(prefix));
        }
        Ok(path)
    }
}
