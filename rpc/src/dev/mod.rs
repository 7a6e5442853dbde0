//! `dev`: help for people who try things out. Only networks that have a faucet serve it.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::DevNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::text::{AddressText, GrainText, Hex32};
use holdfast_primitives::{Amount, TxId};
use upstream::proc_macros::rpc;

/// The faucet.
#[rpc(client, server, namespace = "dev")]
pub trait DevApi {
    /// Sends free money to an address and returns the transaction's id.
    #[method(name = "faucet")]
    async fn faucet(&self, address: AddressText, amount: Amount) -> Result<TxId, Failure>;

    /// What the faucet gives in one call, at most.
    #[method(name = "faucet_limit")]
    fn faucet_limit(&self) -> Result<FaucetLimit, Failure>;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace
        .method("faucet", "Sends free money to an address and returns the transaction's id.")
        .needs::<AddressText>("address")
        .needs::<GrainText>("amount")
        .returns::<Hex32>();
    namespace.method("faucet_limit", "What the faucet gives in one call, at most.").returns::<FaucetLimit>();
}
