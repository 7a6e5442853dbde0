//! Where a segment's batches are, as the ledger says when it is asked: a batch may have moved since it was stored.

use crate::error::WalletError;
use async_trait::async_trait;
use holdfast_parcel::{SegmentShape, roots_digest};
use holdfast_por::BatchMeta;
use holdfast_primitives::Address;
use holdfast_primitives::limits::LEAF_LOG2;
use holdfast_rpc::account::{MemberView, SegmentView};
use holdfast_rpc::{AddressText, PageAsk, RpcClient};

/// A segment as the ledger lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentBatches {
    /// log2 of its batches' bytes.
    pub batch_log2: u8,
    /// Its batches in order: who holds each, and its root; `None` for one that nobody is paid for.
    pub batches: Vec<Option<(Address, [u8; 32])>>,
}

/// Tells where one owner's segments are.
#[async_trait]
pub trait SegmentSource: Send + Sync {
    /// The owner's segment of this ordinal; `None` when there is none.
    async fn segment(&self, ordinal: u32) -> Result<Option<SegmentBatches>, WalletError>;
}

/// A heavy node's word on one owner's segments. It cannot lie about bytes: roots are vouched for by the owner's catalog.
pub(crate) struct LedgerSegments {
    pub rpc: RpcClient,
    pub owner: AddressText,
}

#[async_trait]
impl SegmentSource for LedgerSegments {
    async fn segment(&self, ordinal: u32) -> Result<Option<SegmentBatches>, WalletError> {
        let ask = PageAsk::from(u64::from(ordinal)).limit(1);
        let page = self.rpc.account_segments(self.owner, Some(ask)).await?;
        Ok(page.rows.into_iter().find(|segment| segment.ordinal == ordinal).map(|view| SegmentBatches::of(&view)))
    }
}

impl SegmentBatches {
    /// The batches of a segment that a node showed.
    pub fn of(view: &SegmentView) -> Self {
        let place = |member: &MemberView| {
            member.stored.as_ref().map(|stored| (member.address.address, *stored.root.as_bytes()))
        };
        Self { batch_log2: view.batch_log2, batches: view.members.iter().map(place).collect() }
    }

    /// What verifies a batch of this segment.
    pub(crate) fn meta(&self, root: [u8; 32]) -> BatchMeta {
        meta_of(self.batch_log2, root)
    }

    /// Whether the listed roots are those that the owner noted; `false` when it noted none, or when not all are listed any
    /// more.
    ///
    /// # Errors
    /// [`WalletError::OtherRoots`] when they are others, [`WalletError::Unreadable`] when the shape is another.
    pub(crate) fn vouched(&self, shape: &SegmentShape) -> Result<bool, WalletError> {
        let (ordinal, layout) = (shape.ordinal, shape.layout);
        if self.batches.len() != layout.batches() || self.batch_log2 != layout.batch_log2() {
            return Err(WalletError::unreadable(format!("segment {ordinal} has another shape on the ledger")));
        }
        let roots: Option<Vec<[u8; 32]>> = self.batches.iter().map(|place| place.map(|(_, root)| root)).collect();
        match (shape.roots_digest, roots) {
            (Some(noted), Some(roots)) if roots_digest(&roots) != noted => Err(WalletError::OtherRoots { ordinal }),
            (Some(_), Some(_)) => Ok(true),
            _ => Ok(false),
        }
    }
}

/// The meta of a batch of this size and root.
pub(crate) const fn meta_of(batch_log2: u8, root: [u8; 32]) -> BatchMeta {
    BatchMeta { scheme: 1, batch_log2, leaf_log2: LEAF_LOG2, inner_code: 0, root }
}
