//! `market`: who holds data, at what price, and what storing would cost.

mod heavies;
mod json;
mod offers;
mod quote;
mod serve;

pub use heavies::HeavyView;
pub use json::*;
pub use offers::OffersAsk;
pub use quote::*;
pub(crate) use serve::MarketNamespace;

use crate::account::SegmentView;
use crate::discover::Namespace;
use crate::error::Failure;
use crate::{Page, PageAsk};
use holdfast_primitives::{ContractNo, SegmentNo};
use upstream::proc_macros::rpc;

/// Holders, contracts, segments and prices.
#[rpc(client, server, namespace = "market")]
pub trait MarketApi {
    /// What a price is made of, besides what holders ask.
    #[method(name = "params")]
    fn params(&self) -> Result<PricingView, Failure>;

    /// All holders with their offers, by number.
    #[method(name = "holders", blocking)]
    fn holders(&self, page: Option<PageAsk>) -> Result<Page<HolderView>, Failure>;

    /// Holders that take batches and are what is asked for, the cheapest first.
    #[method(name = "offers", blocking)]
    fn offers(&self, ask: Option<OffersAsk>, page: Option<PageAsk>) -> Result<Page<HolderView>, Failure>;

    /// One holder, by number or address.
    #[method(name = "holder")]
    fn holder(&self, holder: HolderRef) -> Result<HolderView, Failure>;

    /// One list of a holder: its batches of one size, by slot.
    #[method(name = "batches", blocking)]
    fn batches(&self, holder: HolderRef, batch_log2: u8, page: Option<PageAsk>) -> Result<Page<SlotView>, Failure>;

    /// One contract.
    #[method(name = "contract")]
    fn contract(&self, number: ContractNo) -> Result<ContractView, Failure>;

    /// The contracts by which a holder keeps batches now, oldest first.
    #[method(name = "contracts", blocking)]
    fn contracts(&self, holder: HolderRef, page: Option<PageAsk>) -> Result<Page<ContractView>, Failure>;

    /// One segment.
    #[method(name = "segment")]
    fn segment(&self, number: SegmentNo) -> Result<SegmentView, Failure>;

    /// How light nodes reach this heavy node.
    #[method(name = "node")]
    fn node(&self) -> Result<NodeView, Failure>;

    /// The heavy nodes that this one knows and light nodes may take as parents: itself first.
    #[method(name = "heavies")]
    fn heavies(&self, page: Option<PageAsk>) -> Result<Page<HeavyView>, Failure>;

    /// What storing would cost with the cheapest holders that are online and have room. An estimate: the price that
    /// counts is what the holders sign.
    #[method(name = "quote", blocking)]
    fn quote(&self, ask: QuoteAsk) -> Result<QuoteView, Failure>;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace.method("params", "What a price is made of, besides what holders ask.").returns::<PricingView>();
    namespace
        .method("holders", "All holders with their offers, by number.")
        .takes::<PageAsk>("page")
        .returns::<Page<HolderView>>();
    namespace
        .method("offers", "Holders that take batches and are what is asked for, the cheapest first.")
        .takes::<OffersAsk>("ask")
        .takes::<PageAsk>("page")
        .returns::<Page<HolderView>>();
    namespace
        .method("holder", "One holder, by number or address.")
        .needs::<HolderRef>("holder")
        .returns::<HolderView>();
    namespace
        .method("batches", "One list of a holder: its batches of one size, by slot.")
        .needs::<HolderRef>("holder")
        .needs::<u8>("batch_log2")
        .takes::<PageAsk>("page")
        .returns::<Page<SlotView>>();
    namespace.method("contract", "One contract.").needs::<u32>("number").returns::<ContractView>();
    namespace
        .method("contracts", "The contracts by which a holder keeps batches now, oldest first.")
        .needs::<HolderRef>("holder")
        .takes::<PageAsk>("page")
        .returns::<Page<ContractView>>();
    namespace.method("segment", "One segment.").needs::<u32>("number").returns::<SegmentView>();
    namespace.method("node", "How light nodes reach this heavy node.").returns::<NodeView>();
    namespace
        .method("heavies", "The heavy nodes that this one knows and light nodes may take as parents: itself first.")
        .takes::<PageAsk>("page")
        .returns::<Page<HeavyView>>();
    namespace
        .method(
            "quote",
            "What storing would cost with the cheapest holders that are online and have room; an estimate.",
        )
        .needs::<QuoteAsk>("ask")
        .returns::<QuoteView>();
}
