//! The shapes of the `market` namespace.

use crate::backend::GraphInfo;
use crate::text::{AddressText, GrainText, Hex32, Raw};
use holdfast_ledger::{Contract, Frozen, Holder, Params, Profile, Slot};
use holdfast_por::ClassList;
use holdfast_primitives::{AccountNo, Amount, ContractNo, Digest, HolderNo, NetworkPrefix, RoundNo, SegmentNo, Tag};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::borrow::Cow;

/// Which holder is meant: its number or its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HolderRef {
    /// By number.
    Number(HolderNo),
    /// By address.
    Address(AddressText),
}

/// What a price is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricingView {
    /// Allowed batch sizes, log2 of bytes.
    pub batch_classes: Vec<u8>,
    /// Data batches of a segment unless the owner asks otherwise.
    pub code_data: u8,
    /// Parity batches of a segment unless the owner asks otherwise.
    pub code_parity: u8,
    /// Milliseconds of one round: prices are per round.
    pub round_ms: u64,
    /// Longest term of a contract, in rounds.
    pub contract_rounds_max: u32,
    /// The heavy nodes' share of every payment, in 1/10,000; it is part of the price.
    pub relay_fee_bps: u16,
    /// Smallest fee of a transaction, per byte.
    #[schemars(with = "GrainText")]
    pub fee_per_byte: Amount,
    /// Smallest deposit of a holder.
    #[schemars(with = "GrainText")]
    pub holder_bond: Amount,
    /// Collateral locked per batch, as a number of rounds of its price.
    pub collateral_rounds: u32,
    /// What a holder pays for the verification of one opening.
    #[schemars(with = "GrainText")]
    pub proof_fee: Amount,
}

/// A holder and its offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HolderView {
    /// Its number.
    #[schemars(with = "u32")]
    pub number: HolderNo,
    /// Its address.
    pub address: AddressText,
    /// Whether this heavy node, or one it hears from, is connected to it.
    pub online: bool,
    /// Bytes it offers in all.
    pub quota_bytes: u64,
    /// Bytes of batches it is bound to.
    pub used_bytes: u64,
    /// Its asking price per MiB per round.
    #[schemars(with = "GrainText")]
    pub price: Amount,
    /// Whether it takes new batches.
    pub accepting: bool,
    /// What it says of itself.
    pub profile: ProfileView,
    /// Its deposit: bond and collateral.
    #[schemars(with = "GrainText")]
    pub deposit: Amount,
    /// The part of the deposit that secures batches.
    #[schemars(with = "GrainText")]
    pub locked: Amount,
    /// Its batch lists, ascending by size.
    pub lists: Vec<ListView>,
    /// What it must prove in the running round; absent when it had nothing at the freeze or no round is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenView>,
    /// Batches marked faulty now.
    pub faulty: u32,
    /// Rounds it proved.
    pub rounds_proved: u64,
    /// Rounds it missed.
    pub rounds_missed: u64,
    /// What it was paid in all, after relay fees and before proof fees.
    #[schemars(with = "GrainText")]
    pub earned: Amount,
    /// What it was fined in all.
    #[schemars(with = "GrainText")]
    pub fined: Amount,
    /// The record itself.
    pub raw: Raw<Holder>,
}

/// What a holder says of itself besides room and price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileView {
    /// The longest term for which it binds itself, in rounds.
    pub rounds_max: u32,
    /// Where its disk is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub region: Option<Tag>,
    /// Who runs it; when absent, the holder is its own operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub operator: Option<Tag>,
    /// What its disk is for; empty for anything.
    #[schemars(with = "Vec<String>")]
    pub topics: Vec<Tag>,
}

/// One batch list of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListView {
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// How many.
    pub batches: u64,
    /// Root over the list.
    #[schemars(with = "Hex32")]
    pub root: Digest,
}

/// What a holder is bound to in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrozenView {
    /// The round.
    #[schemars(with = "u64")]
    pub round: RoundNo,
    /// Root over all its lists as they were at the freeze.
    #[schemars(with = "Hex32")]
    pub set_root: Digest,
    /// Its lists as they were at the freeze.
    pub lists: Vec<ListView>,
    /// Challenges it must answer.
    pub challenges: u32,
    /// What it is paid, relay fee included, if everything passes.
    #[schemars(with = "GrainText")]
    pub revenue: Amount,
}

/// One entry of a holder's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotView {
    /// Its place in the list.
    pub slot: u32,
    /// Size of the batch, log2 of bytes.
    pub batch_log2: u8,
    /// The root by which the batch is verified.
    #[schemars(with = "Hex32")]
    pub root: Digest,
    /// Who pays for it.
    #[schemars(with = "u32")]
    pub contract: ContractNo,
    /// The segment it is part of.
    #[schemars(with = "u32")]
    pub segment: SegmentNo,
    /// Its place in the segment.
    pub index: u8,
    /// The round since which it is faulty; absent while it is sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub faulty_since: Option<RoundNo>,
    /// The entry itself.
    pub raw: Raw<Slot>,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractView {
    /// Its number.
    #[schemars(with = "u32")]
    pub number: ContractNo,
    /// Who pays.
    #[schemars(with = "u32")]
    pub owner: AccountNo,
    /// The payer's address.
    pub owner_address: AddressText,
    /// Who holds.
    #[schemars(with = "u32")]
    pub holder: HolderNo,
    /// The holder's address.
    pub holder_address: AddressText,
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// Batches it pays for now.
    pub batches: u32,
    /// How many of them are faulty, and so unpaid.
    pub faulty: u32,
    /// Price per batch per round, relay fee included.
    #[schemars(with = "GrainText")]
    pub price: Amount,
    /// Collateral of the holder locked per batch.
    #[schemars(with = "GrainText")]
    pub collateral: Amount,
    /// What is left to pay from.
    #[schemars(with = "GrainText")]
    pub escrow: Amount,
    /// The first round it pays for.
    #[schemars(with = "u64")]
    pub first_round: RoundNo,
    /// The first round it no longer pays for.
    #[schemars(with = "u64")]
    pub end_round: RoundNo,
    /// How far its owner may extend it at the same price.
    #[schemars(with = "u64")]
    pub end_round_max: RoundNo,
    /// The heavy nodes that share the relay fee, in the order of the path.
    #[schemars(with = "Vec<u32>")]
    pub footprint: Vec<AccountNo>,
    /// The record itself.
    pub raw: Raw<Contract>,
}

/// How light nodes reach a heavy node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// The heavy node's account.
    pub account: AddressText,
    /// Its network address (`NodeAddr` as text): key, sockets and relay.
    pub node_addr: String,
    /// Light nodes connected to it now.
    pub children: u32,
    /// Heavy nodes connected to it now.
    pub peers: u32,
    /// What it does for others that look for holders.
    pub graph: GraphInfo,
}

impl<'de> Deserialize<'de> for HolderRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(HolderNo),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self::Number(number)),
            Either::Text(text) => match text.parse() {
                Ok(number) => Ok(Self::Number(number)),
                Err(_) => AddressText::parse(&text).map(Self::Address).map_err(de::Error::custom),
            },
        }
    }
}

impl JsonSchema for HolderRef {
    fn schema_name() -> Cow<'static, str> {
        "HolderRef".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a holder's number or its address",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }]
        })
    }
}

impl PricingView {
    /// Shows the rules that make a price.
    pub fn of(params: &Params) -> Self {
        Self {
            batch_classes: params.batch_classes.to_vec(),
            code_data: params.code_data,
            code_parity: params.code_parity,
            round_ms: params.round_ms,
            contract_rounds_max: params.contract_rounds_max,
            relay_fee_bps: params.relay_fee_bps,
            fee_per_byte: params.fee_per_byte,
            holder_bond: params.holder_bond,
            collateral_rounds: params.collateral_rounds,
            proof_fee: params.proof_fee,
        }
    }
}

impl ProfileView {
    /// Shows a profile.
    pub fn of(profile: &Profile) -> Self {
        let Profile { rounds_max, region, operator, topics } = profile.clone();
        Self { rounds_max, region, operator, topics: topics.into_inner() }
    }
}

impl HolderView {
    /// Shows a holder.
    pub fn of(number: HolderNo, holder: &Holder, address: AddressText, online: bool) -> Self {
        Self {
            number,
            address,
            online,
            quota_bytes: holder.quota_bytes,
            used_bytes: holder.used_bytes,
            price: holder.price,
            accepting: holder.accepting,
            profile: ProfileView::of(&holder.profile),
            deposit: holder.deposit,
            locked: holder.locked,
            lists: holder.lists.iter().map(ListView::of).collect(),
            frozen: holder.frozen.as_ref().map(FrozenView::of),
            faulty: holder.faulty,
            rounds_proved: holder.rounds_proved,
            rounds_missed: holder.rounds_missed,
            earned: holder.earned,
            fined: holder.fined,
            raw: Raw::of(holder),
        }
    }
}

impl ListView {
    /// Shows a list.
    pub fn of(list: &ClassList) -> Self {
        Self { batch_log2: list.batch_log2, batches: list.batches, root: Digest::new(list.list_root) }
    }
}

impl FrozenView {
    /// Shows what a holder is bound to.
    pub fn of(frozen: &Frozen) -> Self {
        Self {
            round: frozen.round,
            set_root: Digest::new(frozen.set_root),
            lists: frozen.classes.iter().map(ListView::of).collect(),
            challenges: frozen.challenges,
            revenue: frozen.revenue,
        }
    }
}

impl SlotView {
    /// Shows an entry.
    pub fn of(place: u32, slot: &Slot) -> Self {
        Self {
            slot: place,
            batch_log2: slot.meta.batch_log2,
            root: Digest::new(slot.meta.root),
            contract: slot.contract,
            segment: slot.segment,
            index: slot.index,
            faulty_since: slot.faulty_since,
            raw: Raw::of(slot),
        }
    }
}

impl ContractView {
    /// Shows a contract between two accounts.
    pub fn of(
        number: ContractNo,
        contract: &Contract,
        owner: holdfast_primitives::Address,
        holder: holdfast_primitives::Address,
        prefix: NetworkPrefix,
    ) -> Self {
        Self {
            number,
            owner: contract.owner,
            owner_address: AddressText::new(owner, prefix),
            holder: contract.holder,
            holder_address: AddressText::new(holder, prefix),
            batch_log2: contract.batch_log2,
            batches: contract.batches,
            faulty: contract.faulty,
            price: contract.price,
            collateral: contract.collateral,
            escrow: contract.escrow,
            first_round: contract.first_round,
            end_round: contract.end_round,
            end_round_max: contract.end_round_max,
            footprint: contract.footprint.to_vec(),
            raw: Raw::of(contract),
        }
    }
}
