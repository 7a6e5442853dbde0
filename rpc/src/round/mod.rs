//! `round`: the running verification round and what past ones came to.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::{RoundNamespace, as_frozen, as_result};

use crate::discover::Namespace;
use crate::error::Failure;
use crate::market::HolderRef;
use crate::{Page, PageAsk};
use holdfast_primitives::RoundNo;
use upstream::core::SubscriptionResult;
use upstream::proc_macros::rpc;

/// Verification rounds.
#[rpc(client, server, namespace = "round")]
pub trait RoundApi {
    /// Where the running round stands.
    #[method(name = "running")]
    fn running(&self) -> Result<RunningView, Failure>;

    /// The record of a settled round.
    #[method(name = "record")]
    fn record(&self, round: RoundNo) -> Result<RecordView, Failure>;

    /// The record of the newest settled round; null before the first.
    #[method(name = "latest")]
    fn latest(&self) -> Result<Option<RecordView>, Failure>;

    /// How each holder did in a settled round; the Merkle root over all `raw` is the record's `results_root`.
    #[method(name = "results", blocking)]
    fn results(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<ResultView>, Failure>;

    /// What each holder was bound to in a round; the Merkle root over all `raw` is the round's `frozen_root`.
    #[method(name = "frozen", blocking)]
    fn frozen(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<FrozenRow>, Failure>;

    /// What each contract paid in a settled round.
    #[method(name = "payments", blocking)]
    fn payments(&self, round: RoundNo, page: Option<PageAsk>) -> Result<Page<PaymentView>, Failure>;

    /// How one holder did in the settled rounds, newest first: `first` counts rounds back from the newest. Rounds in which
    /// it had nothing to prove are left out. At most 100 rounds in one call.
    #[method(name = "of_holder", blocking)]
    fn of_holder(&self, holder: HolderRef, page: Option<PageAsk>) -> Result<Page<HolderRoundView>, Failure>;

    /// Every freeze, seed and settlement from now on.
    #[subscription(name = "subscribe_rounds" => "rounds", unsubscribe = "unsubscribe_rounds", item = RoundNotice)]
    async fn subscribe_rounds(&self) -> SubscriptionResult;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace.method("running", "Where the running round stands.").returns::<RunningView>();
    namespace.method("record", "The record of a settled round.").needs::<u64>("round").returns::<RecordView>();
    namespace
        .method("latest", "The record of the newest settled round; null before the first.")
        .returns::<Option<RecordView>>();
    namespace
        .method("results", "How each holder did in a settled round; the Merkle root over all `raw` is `results_root`.")
        .needs::<u64>("round")
        .takes::<PageAsk>("page")
        .returns::<Page<ResultView>>();
    namespace
        .method("frozen", "What each holder was bound to in a round; the Merkle root over all `raw` is `frozen_root`.")
        .needs::<u64>("round")
        .takes::<PageAsk>("page")
        .returns::<Page<FrozenRow>>();
    namespace
        .method("payments", "What each contract paid in a settled round.")
        .needs::<u64>("round")
        .takes::<PageAsk>("page")
        .returns::<Page<PaymentView>>();
    namespace
        .method("of_holder", "How one holder did in the settled rounds, newest first; `first` counts rounds back.")
        .needs::<HolderRef>("holder")
        .takes::<PageAsk>("page")
        .returns::<Page<HolderRoundView>>();
    namespace
        .subscription("subscribe_rounds", "unsubscribe_rounds", "Every freeze, seed and settlement from now on.")
        .returns::<RoundNotice>();
}
