//! Where the pieces of a segment are, proven: the segment's record names holder and slot of each, the slot's record says
//! whether it is sound.

use crate::audit::{Auditor, unproven};
use crate::error::WalletError;
use holdfast_ledger::{Member, RecordKey, Segment, Slot};
use holdfast_primitives::{Address, Height, SegmentNo};
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
    /// The certified block by which its record was proven.
    pub proven_at: Height,
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
            match self.count_sound(number, &record).await? {
                Ok(sound) => {
                    let (pieces, needed) = (record.members.len(), usize::from(record.data));
                    return Ok(SegmentVerdict { segment: number, ordinal, pieces, sound, needed, proven_at });
                }
                Err(index) => moved = Some(index),
            }
        }
        let index = moved.unwrap_or(0);
        Err(unproven(format!("segment {number}"), format!("piece {index} is not where its record says")))
    }

    /// Sound pieces; the first piece that is not in its slot, if one is not.
    async fn count_sound(&mut self, number: SegmentNo, record: &Segment) -> Result<Result<usize, usize>, WalletError> {
        let mut sound = 0;
        for (index, member) in record.members.iter().enumerate().filter(|(_, member)| !member.is_gone()) {
            let Member { holder, slot } = *member;
            let key = RecordKey::Slot { holder, batch_log2: record.batch_log2, slot };
            let (entry, _) = self.proven::<Slot>(key).await?;
            if (entry.segment, usize::from(entry.index)) != (number, index) {
                return Ok(Err(index));
            }
            sound += usize::from(entry.faulty_since.is_none());
        }
        Ok(Ok(sound))
    }
}
