//! What the transfer server asks the holder.

use crate::wire::{Capability, GroupSet, Refusal};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::statement::Receipt;
use holdfast_por::{BatchMeta, RangeProof};
use holdfast_primitives::{Address, ChainId, Height, RequestId};

/// Leaves as they lie on disk, and what proves them.
#[derive(Clone, Debug)]
pub struct StoredRange {
    /// Whole leaves laid end to end.
    pub leaves: Bytes,
    /// The siblings beside them.
    pub proof: RangeProof,
}

/// Keeps batches. Every refusal carries the code that the other side will see.
///
/// The server has checked before each call: the other side's identity, its ticket or capability, the batch's sizes, and
/// (for `put`) that the leaves are the batch's. Two sessions of one owner may upload one batch at the same time; their
/// leaves are the same by construction, so storing some twice must be harmless. A call may be dropped before it returns
/// when the connection is lost; whether its leaves then count is the holder's affair, as long as `begin` tells the truth.
#[async_trait]
pub trait BatchService: Send + Sync + 'static {
    /// The chain this holder follows.
    fn chain(&self) -> ChainId;

    /// Whether tickets signed by this heavy node count here.
    fn trusts(&self, issuer: &Address) -> bool;

    /// Makes room for a batch of a placement that this holder quoted for, and tells which groups it has already, on disk
    /// for good. The batch may be new, half there, or complete.
    async fn begin(&self, owner: Address, request: RequestId, meta: BatchMeta) -> Result<GroupSet, Refusal>;

    /// Stores verified leaves, whole groups of them, of a batch that was begun. When it returns they survive a power cut.
    async fn put(&self, owner: Address, meta: BatchMeta, first_leaf: u32, leaves: Bytes) -> Result<(), Refusal>;

    /// Notes that a batch is complete; `Incomplete` when it is not.
    async fn finish(&self, owner: Address, request: RequestId, meta: BatchMeta) -> Result<(), Refusal>;

    /// Signs that all these batches lie complete on disk for this owner; `Incomplete` or `UnknownBatch` otherwise.
    async fn receipt(
        &self,
        owner: Address,
        request: RequestId,
        metas: Vec<BatchMeta>,
        expires: Height,
    ) -> Result<Receipt, Refusal>;

    /// Whether this capability counts here: its reader is welcome, its owner has not taken it back. Its signature, expiry
    /// and ends are checked. Asked at the beginning of a session and again for every piece, so the answer should come from
    /// memory; a refusal other than `Busy` or `Internal` ends the session.
    async fn may_read(&self, capability: &Capability) -> Result<(), Refusal>;

    /// Leaves of an owner's batch; `UnknownBatch` when it is not kept here for this owner, `Damaged` when it cannot be
    /// read.
    async fn read(&self, owner: Address, meta: BatchMeta, first_leaf: u32, count: u32) -> Result<StoredRange, Refusal>;
}
