//! `account`: what an address owns.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::AccountNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::market::ContractView;
use crate::text::AddressText;
use crate::{Page, PageAsk};
use upstream::proc_macros::rpc;

/// Accounts, their segments and their contracts.
#[rpc(client, server, namespace = "account")]
pub trait AccountApi {
    /// The account of an address.
    #[method(name = "get")]
    fn get(&self, address: AddressText) -> Result<AccountView, Failure>;

    /// The account's segments by its own count, so `first` is an ordinal. The batches of a released segment are not
    /// `stored`.
    #[method(name = "segments", blocking)]
    fn segments(&self, address: AddressText, page: Option<PageAsk>) -> Result<Page<SegmentView>, Failure>;

    /// The contracts that the account pays for, oldest first.
    #[method(name = "contracts", blocking)]
    fn contracts(&self, address: AddressText, page: Option<PageAsk>) -> Result<Page<ContractView>, Failure>;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace.method("get", "The account of an address.").needs::<AddressText>("address").returns::<AccountView>();
    namespace
        .method("segments", "The account's segments by its own count, so `first` is an ordinal.")
        .needs::<AddressText>("address")
        .takes::<PageAsk>("page")
        .returns::<Page<SegmentView>>();
    namespace
        .method("contracts", "The contracts that the account pays for, oldest first.")
        .needs::<AddressText>("address")
        .takes::<PageAsk>("page")
        .returns::<Page<ContractView>>();
}
