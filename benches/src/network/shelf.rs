//! A holder that keeps one batch, in memory.

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::statement::Receipt;
use holdfast_network::transfer::{BatchService, MemoryBatch, StoredRange, UploadSource as _};
use holdfast_network::wire::{Capability, GroupSet, Refusal, RefusalCode};
use holdfast_por::BatchMeta;
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::{Address, ChainId, Height, RequestId};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What it serves, and what it was sent.
pub struct Shelf {
    chain: ChainId,
    served: MemoryBatch,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    leaves: usize,
    /// What came, in the order in which it came, while it is kept.
    kept: Option<Vec<(u32, Bytes)>>,
}

impl Shelf {
    pub fn new(chain: ChainId, served: MemoryBatch) -> Self {
        Self { chain, served, taken: Mutex::default() }
    }

    /// Keeps what is sent from now on, to be compared.
    pub fn keep(&self) {
        self.lock().kept = Some(Vec::new());
    }

    /// How many bytes were sent since this was asked last, and what, in order, if it was kept. From now on nothing is.
    pub fn take(&self) -> (usize, Option<Vec<(u32, Bytes)>>) {
        let Taken { leaves, mut kept } = std::mem::take(&mut *self.lock());
        kept.iter_mut().for_each(|kept| kept.sort_by_key(|(first_leaf, _)| *first_leaf));
        (leaves * LEAF_BYTES, kept)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BatchService for Shelf {
    fn chain(&self) -> ChainId {
        self.chain
    }

    fn trusts(&self, _issuer: &Address) -> bool {
        true
    }

    async fn begin(&self, _owner: Address, _request: RequestId, meta: BatchMeta) -> Result<GroupSet, Refusal> {
        Ok(GroupSet::empty(GroupSet::groups_of(&meta)))
    }

    async fn put(&self, _owner: Address, _meta: BatchMeta, first_leaf: u32, leaves: Bytes) -> Result<(), Refusal> {
        let mut taken = self.lock();
        taken.leaves += leaves.len() / LEAF_BYTES;
        taken.kept.iter_mut().for_each(|kept| kept.push((first_leaf, leaves.clone())));
        Ok(())
    }

    async fn finish(&self, _owner: Address, _request: RequestId, _meta: BatchMeta) -> Result<(), Refusal> {
        Ok(())
    }

    async fn receipt(
        &self,
        _owner: Address,
        _request: RequestId,
        _metas: Vec<BatchMeta>,
        _expires: Height,
    ) -> Result<Receipt, Refusal> {
        Err(Refusal::new(RefusalCode::Internal, "no receipts here"))
    }

    async fn may_read(&self, _capability: &Capability) -> Result<(), Refusal> {
        Ok(())
    }

    async fn read(
        &self,
        _owner: Address,
        _meta: BatchMeta,
        first_leaf: u32,
        count: u32,
    ) -> Result<StoredRange, Refusal> {
        // Leaves of a group that is not read whole are hashed for its proof, as a holder does.
        let whole = self.served.range(first_leaf, count);
        let (leaves, proof) = whole.map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
        debug_assert_eq!(leaves.len(), count as usize * LEAF_BYTES);
        Ok(StoredRange { leaves, proof })
    }
}
