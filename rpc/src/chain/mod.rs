//! `chain`: what the chain is, its blocks, their certificates and what they caused.

mod block_ref;
mod event;
mod json;
mod serve;

pub use block_ref::*;
pub use event::*;
pub use json::*;
pub(crate) use serve::ChainNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::{Page, PageAsk, Raw};
use holdfast_ledger::Step;
use holdfast_primitives::Height;
use upstream::core::SubscriptionResult;
use upstream::proc_macros::rpc;

/// The chain itself.
#[rpc(client, server, namespace = "chain")]
pub trait ChainApi {
    /// Where the chain stands, and whether this node keeps up with it.
    #[method(name = "status")]
    fn status(&self) -> Result<ChainStatus, Failure>;

    /// The first state and the rules; the hash of `raw` is the chain id.
    #[method(name = "genesis", blocking)]
    fn genesis(&self) -> Result<GenesisView, Failure>;

    /// The rules alone.
    #[method(name = "params")]
    fn params(&self) -> Result<ParamsView, Failure>;

    /// One header; the hash of `raw` is the block's hash.
    #[method(name = "header")]
    fn header(&self, at: BlockRef) -> Result<HeaderView, Failure>;

    /// One block with its transactions in short.
    #[method(name = "block", blocking)]
    fn block(&self, at: BlockRef) -> Result<BlockView, Failure>;

    /// One block as the hex of its borsh bytes.
    #[method(name = "block_raw", blocking)]
    fn block_raw(&self, at: BlockRef) -> Result<RawBlock, Failure>;

    /// The signatures that made one block final, and the validators they are checked against.
    #[method(name = "certificate", blocking)]
    fn certificate(&self, at: BlockRef) -> Result<CertificateView, Failure>;

    /// What it takes to follow the validators from height `after` on: for each change of the set the header before it, its
    /// certificate and the new set. As many as are handed over at once; ask again from the last until none come.
    #[method(name = "steps", blocking)]
    fn steps(&self, after: Height) -> Result<Vec<Raw<Step>>, Failure>;

    /// One block's header, a certificate, and the set that decides the next block.
    #[method(name = "step", blocking)]
    fn step(&self, at: BlockRef) -> Result<Raw<Step>, Failure>;

    /// What one block caused, in order; the Merkle root over all `raw` is the header's result root.
    #[method(name = "events", blocking)]
    fn events(&self, at: BlockRef, page: Option<PageAsk>) -> Result<Page<EventView>, Failure>;

    /// Every block from now on.
    #[subscription(name = "subscribe_blocks" => "blocks", unsubscribe = "unsubscribe_blocks", item = BlockNotice)]
    async fn subscribe_blocks(&self) -> SubscriptionResult;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace
        .method("status", "Where the chain stands, and whether this node keeps up with it.")
        .returns::<ChainStatus>();
    namespace
        .method("genesis", "The first state and the rules; the hash of `raw` is the chain id.")
        .returns::<GenesisView>();
    namespace.method("params", "The rules alone.").returns::<ParamsView>();
    namespace
        .method("header", "One header; the hash of `raw` is the block's hash.")
        .needs::<BlockRef>("at")
        .returns::<HeaderView>();
    namespace
        .method("block", "One block with its transactions in short.")
        .needs::<BlockRef>("at")
        .returns::<BlockView>();
    namespace
        .method("block_raw", "One block as the hex of its borsh bytes.")
        .needs::<BlockRef>("at")
        .returns::<RawBlock>();
    namespace
        .method("certificate", "The signatures that made one block final, and the validators they are checked against.")
        .needs::<BlockRef>("at")
        .returns::<CertificateView>();
    namespace
        .method("steps", "What it takes to follow the validators from height `after` on; ask again until none come.")
        .needs::<u64>("after")
        .returns::<Vec<Raw<Step>>>();
    namespace
        .method("step", "One block's header, a certificate, and the set that decides the next block.")
        .needs::<BlockRef>("at")
        .returns::<Raw<Step>>();
    namespace
        .method(
            "events",
            "What one block caused, in order; the Merkle root over all `raw` is the header's result root.",
        )
        .needs::<BlockRef>("at")
        .takes::<PageAsk>("page")
        .returns::<Page<EventView>>();
    namespace
        .subscription("subscribe_blocks", "unsubscribe_blocks", "Every block from now on.")
        .returns::<BlockNotice>();
}
