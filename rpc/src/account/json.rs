//! The shapes of the `account` namespace.

use crate::text::{AddressText, GrainText, Hex16, Hex32, HexBytes, Raw, Time};
use holdfast_ledger::{Account, Member, Revoked, Segment, Slot};
use holdfast_primitives::{
    AccountNo, Amount, ContractNo, Digest, GrantId, HolderNo, NetworkPrefix, RoundNo, SegmentNo,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// Its number.
    #[schemars(with = "u32")]
    pub number: AccountNo,
    /// Its address.
    pub address: AddressText,
    /// What it may spend.
    #[schemars(with = "GrainText")]
    pub balance: Amount,
    /// The sequence number that its next transaction must carry.
    pub sequence: u64,
    /// Its holder record, once it has joined as a holder.
    #[schemars(with = "Option<u32>")]
    pub holder: Option<HolderNo>,
    /// Segments it has registered so far: the ordinal of its next one.
    pub segments: u32,
    /// Its encrypted catalog head; empty when it has stored nothing.
    pub catalog_head: HexBytes,
    /// Its permissions to read that it took back before they ended, in order of their ends.
    pub revoked: Vec<RevokedView>,
    /// The record itself.
    pub raw: Raw<Account>,
}

/// A permission to read that its owner took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokedView {
    /// Which.
    #[schemars(with = "Hex16")]
    pub grant: GrantId,
    /// When it would have ended by itself.
    pub until: Time,
}

/// A segment and where its batches lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentView {
    /// Its number.
    #[schemars(with = "u32")]
    pub number: SegmentNo,
    /// Whose data it is.
    #[schemars(with = "u32")]
    pub owner: AccountNo,
    /// The owner's own count of it.
    pub ordinal: u32,
    /// Size of its batches, log2 of bytes.
    pub batch_log2: u8,
    /// Data batches: this many rebuild the segment.
    pub data: u8,
    /// Parity batches.
    pub parity: u8,
    /// Erasure code: 1 is the classic GF(2^8) Vandermonde code.
    pub codec: u8,
    /// Its batches in order.
    pub members: Vec<MemberView>,
    /// The record itself.
    pub raw: Raw<Segment>,
}

/// One batch of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// Its place in the segment.
    pub index: u8,
    /// Who holds it.
    #[schemars(with = "u32")]
    pub holder: HolderNo,
    /// The holder's address.
    pub address: AddressText,
    /// What is known while it is stored; absent once it was released or its contract ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredView>,
}

/// A stored batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredView {
    /// Its place in the holder's list of this size.
    pub slot: u32,
    /// The root by which it is verified.
    #[schemars(with = "Hex32")]
    pub root: Digest,
    /// Who pays for it.
    #[schemars(with = "u32")]
    pub contract: ContractNo,
    /// The round since which it is faulty; absent while it is sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u64>")]
    pub faulty_since: Option<RoundNo>,
}

impl AccountView {
    /// Shows an account.
    pub fn of(number: AccountNo, account: &Account, prefix: NetworkPrefix) -> Self {
        Self {
            number,
            address: AddressText::new(account.address, prefix),
            balance: account.balance,
            sequence: account.sequence,
            holder: account.holder,
            segments: account.segments,
            catalog_head: HexBytes(account.catalog_head.to_vec()),
            revoked: account.revoked.iter().map(RevokedView::of).collect(),
            raw: Raw::of(account),
        }
    }
}

impl RevokedView {
    /// Shows what was taken back.
    pub fn of(revoked: &Revoked) -> Self {
        Self { grant: revoked.grant, until: Time::of(revoked.until) }
    }

    /// What was taken back.
    pub fn revoked(&self) -> Revoked {
        Revoked { grant: self.grant, until: self.until.time() }
    }
}

impl SegmentView {
    /// Shows a segment; `members` in the order of the record.
    pub fn of(number: SegmentNo, segment: &Segment, members: Vec<MemberView>) -> Self {
        Self {
            number,
            owner: segment.owner,
            ordinal: segment.ordinal,
            batch_log2: segment.batch_log2,
            data: segment.data,
            parity: segment.parity,
            codec: segment.codec,
            members,
            raw: Raw::of(segment),
        }
    }
}

impl MemberView {
    /// Shows a member; `slot` is its entry in the holder's list while it is stored.
    pub fn of(index: u8, member: &Member, address: AddressText, slot: Option<&Slot>) -> Self {
        let stored = |slot: &Slot| StoredView {
            slot: member.slot,
            root: Digest::new(slot.meta.root),
            contract: slot.contract,
            faulty_since: slot.faulty_since,
        };
        Self { index, holder: member.holder, address, stored: slot.map(stored) }
    }
}
