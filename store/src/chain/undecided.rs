//! Proposals that consensus has seen and not yet decided: after a restart the same height and round must get the same
//! value, so they are durable before anyone hears of them.

use crate::chain::schema::UndecidedRows;
use crate::chain::{ChainDb, StoreError};
use holdfast_primitives::{BlockHash, Bounded, BoundedError, Height};

/// One proposal. What its bytes mean is for the consensus room to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The height it is proposed for.
    pub height: Height,
    /// The consensus round (not the verification round).
    pub round: u32,
    /// The proposed block.
    pub block: BlockHash,
    /// The proposal as the consensus room encodes it.
    pub bytes: Vec<u8>,
}

impl ChainDb {
    /// Keeps a proposal, durable on return. One of a height that is decided already is of no use any more and not kept.
    ///
    /// # Errors
    /// More bytes than any proposal has, or the disk's answer.
    pub fn save_undecided(&self, proposal: Undecided) -> Result<(), StoreError> {
        let _alone = self.write_alone();
        let Undecided { height, round, block, bytes } = proposal;
        if height <= self.tip().height {
            return Ok(());
        }
        let bytes =
            Bounded::new(bytes).map_err(|reason: BoundedError| StoreError::TooLarge { height, round, reason })?;
        let mut batch = self.database.batch();
        batch.put::<UndecidedRows>(&((height, round), block), &bytes);
        batch.write()
    }

    /// All proposals kept for `height`, by round.
    pub fn undecided(&self, height: Height) -> Result<Vec<Undecided>, StoreError> {
        let range = ((height, 0), BlockHash::ZERO)..((height.next(), 0), BlockHash::ZERO);
        let rows = self.database.range::<UndecidedRows>(range, usize::MAX)?;
        let proposals = rows.into_iter().map(|(((height, round), block), bytes)| Undecided {
            height,
            round,
            block,
            bytes: bytes.into_inner(),
        });
        Ok(proposals.collect())
    }
}
