//! Heavy nodes as light nodes see them: how each is reached, and what the ledger says of it.

use crate::backend::HeavyInfo;
use crate::look::Look;
use crate::stake::StandingName;
use crate::text::{AddressText, GrainText};
use holdfast_primitives::{Amount, RoundNo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A heavy node that the answering one knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeavyView {
    /// Its account, which is its identity.
    pub address: AddressText,
    /// Its network address (`NodeAddr` as text): key, sockets and relay.
    pub node_addr: String,
    /// Under which URL its JSON-RPC answers light nodes; absent when it offers none to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_url: Option<String>,
    /// What it stakes; zero for one that never bonded.
    #[schemars(with = "GrainText")]
    pub bonded: Amount,
    /// `good`, `jailed` or `banned`; absent for one that never bonded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingName>,
    /// Its weight in the votes on the next block.
    pub power: u64,
    /// Turns that it missed since it last proposed.
    pub missed_in_row: u32,
    /// Turns that it missed in all.
    pub missed: u64,
    /// The first round in which it may decide blocks; absent for one that never bonded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub since: Option<RoundNo>,
}

impl HeavyView {
    /// Puts what the ledger says beside what the node knows.
    pub(super) fn of(look: &Look, info: &HeavyInfo) -> Self {
        let record = look.state.validator_by_address(&info.address).map(|(_, record)| record);
        Self {
            address: look.text(info.address),
            node_addr: info.node_addr.clone(),
            rpc_url: info.rpc_url.clone(),
            bonded: record.map_or(Amount::ZERO, |record| record.bonded),
            standing: record.map(|record| StandingName::of(&record.standing)),
            power: look.state.chain().validators.get(&info.address).map_or(0, |seat| seat.power),
            missed_in_row: record.map_or(0, |record| record.missed_in_row),
            missed: record.map_or(0, |record| record.missed),
            since: record.map(|record| record.since),
        }
    }
}
