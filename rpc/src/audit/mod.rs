//! `audit`: everything that is needed to re-verify a round, a holder or a record without trusting this node.

mod json;
mod serve;

pub use json::*;
pub(crate) use serve::AuditNamespace;

use crate::discover::Namespace;
use crate::error::Failure;
use crate::market::HolderRef;
use crate::text::{Hex32, HexBytes};
use holdfast_primitives::{RoundNo, TxId};
use upstream::proc_macros::rpc;

/// Slots in one `audit_slots` call, at most.
pub const AUDIT_SLOTS_MAX: usize = 1_024;

/// Evidence.
#[rpc(client, server, namespace = "audit")]
pub trait AuditApi {
    /// One holder's part in one round: what it was bound to, what it proved, and what came of it, each with its
    /// inclusion proof.
    #[method(name = "bundle", blocking)]
    fn bundle(&self, round: RoundNo, holder: HolderRef) -> Result<BundleView, Failure>;

    /// The openings of one part of a proof, while this node keeps them; `part` counts from 0 in the order of the bundle.
    #[method(name = "part", blocking)]
    fn part(&self, round: RoundNo, holder: HolderRef, part: u32) -> Result<PartView, Failure>;

    /// Challenged entries of a holder's list as it was frozen for a round, each with its path to the list's root.
    #[method(name = "slots", blocking)]
    fn slots(&self, round: RoundNo, holder: HolderRef, batch_log2: u8, slots: Vec<u32>) -> Result<SlotsView, Failure>;

    /// The openings that a final proof transaction brought, while this node keeps them.
    #[method(name = "openings", blocking)]
    fn openings(&self, id: TxId) -> Result<HexBytes, Failure>;

    /// Any record of the state with its path to the state root of the newest block.
    #[method(name = "record")]
    fn record(&self, record: RecordRef) -> Result<RecordProofView, Failure>;
}

/// What `rpc.discover` says of this namespace.
pub(crate) fn describe(namespace: &mut Namespace<'_>) {
    namespace
        .method("bundle", "One holder's part in one round: what it was bound to, what it proved, and what came of it.")
        .needs::<u64>("round")
        .needs::<HolderRef>("holder")
        .returns::<BundleView>();
    namespace
        .method("part", "The openings of one part of a proof, while this node keeps them; `part` counts from 0.")
        .needs::<u64>("round")
        .needs::<HolderRef>("holder")
        .needs::<u32>("part")
        .returns::<PartView>();
    namespace
        .method(
            "slots",
            "Challenged entries of a holder's list as it was frozen for a round, each with its path to the list's root.",
        )
        .needs::<u64>("round")
        .needs::<HolderRef>("holder")
        .needs::<u8>("batch_log2")
        .needs::<Vec<u32>>("slots")
        .returns::<SlotsView>();
    namespace
        .method("openings", "The openings that a final proof transaction brought, while this node keeps them.")
        .needs::<Hex32>("id")
        .returns::<HexBytes>();
    namespace
        .method("record", "Any record of the state with its path to the state root of the newest block.")
        .needs::<RecordRef>("record")
        .returns::<RecordProofView>();
}
