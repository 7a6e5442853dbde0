//! `tx`: handing in transactions and finding out what became of them.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::TxNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::text::{Hex32, HexBytes};
use holdfast_primitives::TxId;
use upstream::core::SubscriptionResult;
use upstream::proc_macros::rpc;

/// Longest time one `tx_wait` call is held open, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Ids that one `tx_find` call returns, at most.
pub const FOUND_MAX: usize = 10;
/// Hex digits of the shortest prefix that `tx_find` takes.
pub const PREFIX_DIGITS_MIN: usize = 4;

/// Transactions.
#[rpc(client, server, namespace = "tx")]
pub trait TxApi {
    /// Hands in a transaction: the hex of a borsh `TxEnvelope`. Returns its id once this node admitted it.
    #[method(name = "submit")]
    async fn submit(&self, envelope: HexBytes) -> Result<TxId, Failure>;

    /// What became of a transaction.
    #[method(name = "status")]
    fn status(&self, id: TxId) -> Result<TxStatus, Failure>;

    /// A final transaction with all that it asked.
    #[method(name = "get", blocking)]
    fn get(&self, id: TxId) -> Result<TxView, Failure>;

    /// Final transactions whose id begins with `prefix` (4 to 64 hex digits), ascending, ten at most.
    #[method(name = "find", blocking)]
    fn find(&self, prefix: String) -> Result<Vec<TxId>, Failure>;

    /// What became of a transaction, once it is final or dropped, or after `timeout_ms` (at most 60,000) as it stands.
    #[method(name = "wait")]
    async fn wait(&self, id: TxId, timeout_ms: u64) -> Result<TxStatus, Failure>;

    /// Every change of a transaction's status; ends once it is final or dropped.
    #[subscription(name = "subscribe_status" => "status_changes", unsubscribe = "unsubscribe_status", item = TxStatus)]
    async fn subscribe_status(&self, id: TxId) -> SubscriptionResult;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace
        .method(
            "submit",
            "Hands in a transaction: the hex of a borsh `TxEnvelope`. Returns its id once this node admitted it.",
        )
        .needs::<HexBytes>("envelope")
        .returns::<Hex32>();
    namespace.method("status", "What became of a transaction.").needs::<Hex32>("id").returns::<TxStatus>();
    namespace.method("get", "A final transaction with all that it asked.").needs::<Hex32>("id").returns::<TxView>();
    namespace
        .method("find", "Final transactions whose id begins with `prefix`, ascending, ten at most.")
        .needs::<String>("prefix")
        .returns::<Vec<Hex32>>();
    namespace
        .method(
            "wait",
            "What became of a transaction, once it is final or dropped, or after `timeout_ms` as it stands.",
        )
        .needs::<Hex32>("id")
        .needs::<u64>("timeout_ms")
        .returns::<TxStatus>();
    namespace
        .subscription(
            "subscribe_status",
            "unsubscribe_status",
            "Every change of a transaction's status; ends once it is final or dropped.",
        )
        .needs::<Hex32>("id")
        .returns::<TxStatus>();
}
