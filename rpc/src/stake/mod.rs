//! `stake`: who decides blocks, what they bonded, and by which rule book.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::StakeNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::text::AddressText;
use crate::{Page, PageAsk};
use upstream::proc_macros::rpc;

/// Bonds, validators and rule books.
#[rpc(client, server, namespace = "stake")]
pub trait StakeApi {
    /// Who decides the next block, and by which rule book.
    #[method(name = "set")]
    fn set(&self) -> Result<SetView, Failure>;

    /// All who ever bonded, by number.
    #[method(name = "validators", blocking)]
    fn validators(&self, page: Option<PageAsk>) -> Result<Page<StakeView>, Failure>;

    /// One of them, by its address.
    #[method(name = "validator")]
    fn validator(&self, address: AddressText) -> Result<StakeView, Failure>;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace.method("set", "Who decides the next block, and by which rule book.").returns::<SetView>();
    namespace
        .method("validators", "All who ever bonded, by number.")
        .takes::<PageAsk>("page")
        .returns::<Page<StakeView>>();
    namespace
        .method("validator", "One of them, by its address.")
        .needs::<AddressText>("address")
        .returns::<StakeView>();
}
