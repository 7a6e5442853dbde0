//! The shapes of the `tx` namespace.

use crate::market::ProfileView;
use crate::stake::UpgradeView;
use crate::text::{AddressText, GrainText, Hex16, Hex32, Hex64, HexBytes, Raw, Time};
use holdfast_ledger::{Placement, Register, SignedTx, TxBody};
use holdfast_primitives::{Amount, ContractNo, GrantId, Height, NetworkPrefix, RequestId, RoundNo, Signature, TxId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TxStatus {
    /// This node has never seen it, or has forgotten it.
    Unknown,
    /// Admitted; waits for a block.
    Pending,
    /// In a final block.
    Final {
        /// The block's height.
        #[schemars(with = "u64")]
        height: Height,
        /// Its place in the block.
        index: u32,
    },
    /// Admitted once, then dropped: it will not be final unless it is handed in again, and never if its sequence number was
    /// used or it is expired.
    Dropped {
        /// Which rule it broke, for machines; `tx_displaced` when better payers needed the room, `tx_replaced` when its
        /// sender replaced it.
        code: String,
        /// Which rule it broke, for people.
        message: String,
        /// The transaction of the same sender and sequence number that pays more and waits instead, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Hex32>")]
        replaced_by: Option<TxId>,
    },
}

/// A final transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TxView {
    /// Its id: `SHA256("holdfast/tx/v1\0" | raw)`.
    #[schemars(with = "Hex32")]
    pub id: TxId,
    /// The block's height.
    #[schemars(with = "u64")]
    pub height: Height,
    /// Its place in the block.
    pub index: u32,
    /// Who asked and paid.
    pub sender: AddressText,
    /// The sender's sequence number; 0 for a proof.
    pub sequence: u64,
    /// What the proposer got.
    #[schemars(with = "GrainText")]
    pub fee: Amount,
    /// The last height at which it could enter a block.
    #[schemars(with = "u64")]
    pub expires: Height,
    /// What was asked.
    pub body: TxBodyView,
    /// The sender's signature.
    #[schemars(with = "Hex64")]
    pub signature: Signature,
    /// The signed transaction itself.
    pub raw: Raw<SignedTx>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TxBodyView {
    /// Give money.
    Transfer {
        /// To whom.
        to: AddressText,
        /// How much.
        #[schemars(with = "GrainText")]
        amount: Amount,
        /// Anything.
        memo: HexBytes,
    },
    /// Become a holder.
    HolderJoin {
        /// Bytes offered.
        quota_bytes: u64,
        /// Asking price per MiB per round.
        #[schemars(with = "GrainText")]
        price: Amount,
        /// What it says of itself.
        profile: ProfileView,
        /// Deposit moved from the balance.
        #[schemars(with = "GrainText")]
        deposit: Amount,
    },
    /// Change a holder's offer or deposit.
    HolderUpdate {
        /// Bytes offered.
        quota_bytes: u64,
        /// Asking price per MiB per round.
        #[schemars(with = "GrainText")]
        price: Amount,
        /// Whether new batches are taken.
        accepting: bool,
        /// What it says of itself.
        profile: ProfileView,
        /// Moved from the balance to the deposit.
        #[schemars(with = "GrainText")]
        deposit_add: Amount,
        /// Moved from the deposit to the balance.
        #[schemars(with = "GrainText")]
        deposit_take: Amount,
    },
    /// Register stored segments and open their contracts.
    Register {
        /// The ordinal of the first segment.
        first_ordinal: u32,
        /// How many segments.
        segments: u32,
        /// How many batches in all.
        batches: u32,
        /// The contracts.
        placements: Vec<PlacementView>,
        /// Whether the catalog head was replaced.
        catalog_head: bool,
    },
    /// Let go of segments.
    Release {
        /// The sender's segments, by ordinal.
        ordinals: Vec<u32>,
        /// Whether the catalog head was replaced.
        catalog_head: bool,
    },
    /// Pay contracts for longer.
    Extend {
        /// The contracts.
        #[schemars(with = "Vec<u32>")]
        contracts: Vec<ContractNo>,
        /// The first round that they no longer pay for.
        #[schemars(with = "u64")]
        end_round: RoundNo,
    },
    /// A holder's word that batches of its are broken.
    DeclareFaulty {
        /// The batches.
        batches: Vec<BatchPlace>,
    },
    /// A part of a holder's proof.
    Prove {
        /// The round.
        #[schemars(with = "u64")]
        round: RoundNo,
        /// First challenge of the part.
        first_j: u32,
        /// Challenges of the part.
        count: u32,
        /// Digest of the openings.
        #[schemars(with = "Hex32")]
        openings_digest: holdfast_primitives::Digest,
    },
    /// Stake to decide blocks, or stake more.
    Bond {
        /// Moved from the balance into the bond.
        #[schemars(with = "GrainText")]
        amount: Amount,
        /// The sender's beacon key.
        #[schemars(with = "Hex32")]
        vrf: holdfast_primitives::VrfPublicKey,
    },
    /// Take back a part of the bond.
    Unbond {
        /// How much.
        #[schemars(with = "GrainText")]
        amount: Amount,
    },
    /// A jailed validator asks to be let in again.
    Unjail,
    /// A validator contradicted itself.
    Accuse {
        /// Who.
        accused: AddressText,
        /// At which height.
        #[schemars(with = "u64")]
        height: Height,
    },
    /// Take back a permission to read.
    Revoke {
        /// Which.
        #[schemars(with = "Hex16")]
        grant: GrantId,
        /// When it would have ended by itself.
        until: Time,
    },
    /// A validator is ready for another rule book.
    Ready {
        /// Which, and from when on.
        upgrade: UpgradeView,
    },
}

/// One contract of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacementView {
    /// The owner's request.
    #[schemars(with = "Hex16")]
    pub request: RequestId,
    /// Who holds.
    pub holder: AddressText,
    /// Price per batch per round, relay fee included.
    #[schemars(with = "GrainText")]
    pub price: Amount,
    /// The term, in rounds.
    pub rounds: u32,
    /// The heavy nodes on the way from owner to holder.
    pub footprint: Vec<AddressText>,
}

/// Where a batch lies in a holder's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchPlace {
    /// Size, log2 of bytes.
    pub batch_log2: u8,
    /// Its slot.
    pub slot: u32,
}

/// The name of what a transaction asks.
pub(crate) const fn kind_of(body: &TxBody) -> &'static str {
    match body {
        TxBody::Transfer { .. } => "transfer",
        TxBody::HolderJoin { .. } => "holder_join",
        TxBody::HolderUpdate { .. } => "holder_update",
        TxBody::Register(_) => "register",
        TxBody::Release { .. } => "release",
        TxBody::Extend { .. } => "extend",
        TxBody::DeclareFaulty { .. } => "declare_faulty",
        TxBody::Prove { .. } => "prove",
        TxBody::Bond { .. } => "bond",
        TxBody::Unbond { .. } => "unbond",
        TxBody::Unjail => "unjail",
        TxBody::Accuse { .. } => "accuse",
        TxBody::Revoke { .. } => "revoke",
        TxBody::Ready { .. } => "ready",
    }
}

impl TxStatus {
    /// Whether nothing more will happen to it by itself.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Dropped { .. })
    }
}

impl TxView {
    /// Shows a transaction and its place.
    pub fn of(signed: &SignedTx, height: Height, index: u32, prefix: NetworkPrefix) -> Self {
        Self {
            id: signed.id(),
            height,
            index,
            sender: AddressText::new(signed.tx.sender, prefix),
            sequence: signed.tx.sequence,
            fee: signed.tx.fee,
            expires: signed.tx.expires,
            body: TxBodyView::of(&signed.tx.body, prefix),
            signature: signed.signature,
            raw: Raw::of(signed),
        }
    }
}

impl TxBodyView {
    fn of(body: &TxBody, prefix: NetworkPrefix) -> Self {
        match body {
            TxBody::Transfer { to, amount, memo } => {
                Self::Transfer { to: AddressText::new(*to, prefix), amount: *amount, memo: HexBytes(memo.to_vec()) }
            }
            TxBody::HolderJoin { quota_bytes, price, profile, deposit } => Self::HolderJoin {
                quota_bytes: *quota_bytes,
                price: *price,
                profile: ProfileView::of(profile),
                deposit: *deposit,
            },
            TxBody::HolderUpdate { quota_bytes, price, accepting, profile, deposit_add, deposit_take } => {
                Self::HolderUpdate {
                    quota_bytes: *quota_bytes,
                    price: *price,
                    accepting: *accepting,
                    profile: ProfileView::of(profile),
                    deposit_add: *deposit_add,
                    deposit_take: *deposit_take,
                }
            }
            TxBody::Register(register) => Self::register(register, prefix),
            TxBody::Release { ordinals, catalog_head } => {
                Self::Release { ordinals: ordinals.to_vec(), catalog_head: catalog_head.is_some() }
            }
            TxBody::Extend { contracts, end_round } => {
                Self::Extend { contracts: contracts.to_vec(), end_round: *end_round }
            }
            TxBody::DeclareFaulty { batches } => Self::DeclareFaulty {
                batches: batches.iter().map(|&(batch_log2, slot)| BatchPlace { batch_log2, slot }).collect(),
            },
            TxBody::Prove { part, openings_digest } => Self::Prove {
                round: part.round,
                first_j: part.first_j,
                count: part.count,
                openings_digest: *openings_digest,
            },
            TxBody::Bond { amount, vrf } => Self::Bond { amount: *amount, vrf: *vrf },
            TxBody::Unbond { amount } => Self::Unbond { amount: *amount },
            TxBody::Unjail => Self::Unjail,
            TxBody::Accuse { misbehaviour } => Self::Accuse {
                accused: AddressText::new(*misbehaviour.validator(), prefix),
                height: misbehaviour.height(),
            },
            TxBody::Revoke { revoked } => Self::Revoke { grant: revoked.grant, until: Time::of(revoked.until) },
            TxBody::Ready { upgrade } => Self::Ready { upgrade: UpgradeView::of(*upgrade) },
        }
    }

    fn register(register: &Register, prefix: NetworkPrefix) -> Self {
        Self::Register {
            first_ordinal: register.first_ordinal,
            segments: register.segments.len() as u32,
            batches: register.segments.iter().map(|segment| segment.batches.len() as u32).sum(),
            placements: register.placements.iter().map(|placement| PlacementView::of(placement, prefix)).collect(),
            catalog_head: register.catalog_head.is_some(),
        }
    }
}

impl PlacementView {
    fn of(placement: &Placement, prefix: NetworkPrefix) -> Self {
        let terms = &placement.quote.terms;
        Self {
            request: terms.request,
            holder: AddressText::new(terms.holder, prefix),
            price: terms.price,
            rounds: placement.rounds,
            footprint: placement.footprint.iter().map(|hop| AddressText::new(hop.node, prefix)).collect(),
        }
    }
}
