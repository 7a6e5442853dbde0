//! Where this database begins, and what it takes to follow the validators: what joining nodes and light clients ask for.

use crate::chain::schema::{JoinedRow, SetChanges};
use crate::chain::{ChainDb, Joined, StoreError};
use holdfast_ledger::{STEPS_BYTES, STEPS_MAX, Step, Steps};
use holdfast_primitives::{Bounded, Height};

impl ChainDb {
    /// Where the database began, if it was installed from a snapshot; `None` if it has every block.
    pub fn joined(&self) -> Result<Option<Joined>, StoreError> {
        self.database.get::<JoinedRow>(&0)
    }

    /// The steps over every change of validators after `after`, ascending, as many as are handed over at once.
    pub fn steps(&self, after: Height) -> Result<Steps, StoreError> {
        let (mut steps, mut bytes, mut from) = (Vec::new(), 0, after.next());
        while steps.len() < STEPS_MAX && bytes < STEPS_BYTES {
            let Some((height, step)) = self.database.range::<SetChanges>(from..Height::new(u64::MAX), 1)?.pop() else {
                break;
            };
            bytes += borsh::object_length(&step).expect("a step encodes into memory");
            steps.push(step);
            from = height.next();
        }
        Ok(Bounded::new(steps).expect("the steps are counted"))
    }

    /// The step to the block at `height`, with the set that decides the next; `None` when the block is not here.
    pub fn step_at(&self, height: Height) -> Result<Option<Step>, StoreError> {
        let (Some(block), Some(certificate)) = (self.block(height)?, self.certificate(height)?) else {
            return Ok(None);
        };
        let next = self.validator_set(&block.header.next_validators)?;
        Ok(Some(Step { header: block.header, certificate, next }))
    }
}
