//! The schema on one page: every table of the chain database, once, with its key, its value and a sentence.
//!
//! Keys are fixed-length and big-endian, so that neighbours on disk are neighbours in the chain; values are borsh. The
//! tables of the state belong to the ledger ([`holdfast_ledger::Table`]), which also fixes their bytes.

use crate::chain::key::Key;
use borsh::{BorshDeserialize, BorshSerialize};
use holdfast_ledger::{Block, ChunkAsk, Event, FrozenHolder, RoundResult, SlotEvidence, Step, Table};
use holdfast_primitives::limits::{BLOCK_BYTES_MAX, PROOF_PART_BYTES_MAX};
use holdfast_primitives::{
    BlockHash, Bounded, Certificate, Digest, Height, HolderNo, RoundNo, StateRoot, TxId, ValidatorSet,
};

/// The version of this schema. A database of another one is refused, unless it can be migrated on open.
pub(crate) const FORMAT_VERSION: u32 = 4;
/// Bytes of any one value, at most; what is longer was not written by us.
pub(crate) const VALUE_BYTES_MAX: usize = 2 * BLOCK_BYTES_MAX;

/// A table as the code uses it.
pub(crate) trait Rows {
    /// Its column family.
    const NAME: &'static str;
    /// What its rows are found by.
    type Key: Key;
    /// What its rows hold.
    type Value: BorshSerialize + BorshDeserialize;
}

/// A table as people read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its column family.
    pub name: &'static str,
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

macro_rules! rows {
    ($($(#[doc = $doc:literal])* $table:ident $name:literal: $key:ty => $value:ty;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug)]
            pub(crate) struct $table;
            impl Rows for $table {
                const NAME: &'static str = $name;
                type Key = $key;
                type Value = $value;
            }
        )*
        const ROWS: &[TableInfo] = &[$(TableInfo {
            name: $name,
            key: stringify!($key),
            value: stringify!($value),
            purpose: concat!($($doc),*),
        }),*];
    };
}

rows! {
    /// What there is only one of: row 0 is the tip.
    TipRow "tip": u8 => Tip;
    /// How far old proofs are pruned: row 0.
    PrunedRow "pruned": u8 => Pruned;
    /// Every block, without the openings of its proofs.
    Blocks "blocks": Height => Block;
    /// The quorum that decided each block; other nodes may hold another one.
    Certificates "certificates": Height => Certificate;
    /// The openings that a proof transaction brought, by its place; pruned with age.
    Openings "openings": (Height, u32) => Bounded<u8, PROOF_PART_BYTES_MAX>;
    /// What each block caused, in order.
    Events "events": (Height, u32) => Event;
    /// Where a block is.
    BlockHeights "block_heights": BlockHash => Height;
    /// Where a transaction is.
    TxPlaces "tx_places": TxId => TxPlace;
    /// Every validator set that ever decided a block, by the digest that headers name.
    ValidatorSets "validator_sets": Digest => ValidatorSet;
    /// The blocks after which the validators changed, with what it takes to follow the change; kept for ever.
    SetChanges "set_changes": Height => Step;
    /// What each holder was bound to in a round.
    FrozenHolders "frozen_holders": (RoundNo, HolderNo) => FrozenHolder;
    /// What became of each holder in a round.
    RoundResults "round_results": (RoundNo, HolderNo) => RoundResult;
    /// The transactions that brought a holder's proof in a round, by their first challenge.
    ProofParts "proof_parts": ((RoundNo, HolderNo), u32) => TxId;
    /// That a challenged batch stood in its holder's frozen list, by batch size log2 and slot; pruned with age.
    Evidence "slot_evidence": ((RoundNo, HolderNo), (u8, u32)) => SlotEvidence;
    /// Where this database began, if not with the genesis: row 0.
    JoinedRow "joined": u8 => Joined;
    /// The snapshot that is being fetched: row 0; only before the database is whole.
    JoiningRow "joining": u8 => Target;
    /// What is still to be asked for of it; only before the database is whole.
    JoiningAsks "joining_asks": u32 => ChunkAsk;
    /// Proposals that were seen and not yet decided, by consensus round, as the consensus room encodes them.
    UndecidedRows "undecided": ((Height, u32), BlockHash) => Bounded<u8, { 2 * BLOCK_BYTES_MAX - 4 }>;
}

/// The last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Its height; zero before the first block.
    pub height: Height,
    /// Its hash; zero before the first block.
    pub hash: BlockHash,
    /// The root of the state after it.
    pub state_root: StateRoot,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pruned {
    /// Blocks below this height have lost their openings.
    pub openings_below: Height,
    /// Rounds below this one have lost their slot evidence.
    pub evidence_below: RoundNo,
}

/// Where a database began that was installed from a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Joined {
    /// The snapshot's height: the first block that is here, without its events and openings.
    pub height: Height,
    /// From which height on every change of validators is here.
    pub follow_from: Height,
}

/// Which snapshot is being fetched, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Target {
    /// The block after which the state stands.
    pub block: BlockHash,
    /// Whether all but the lists of the holders is there.
    pub at_lists: bool,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxPlace {
    /// Its block.
    pub height: Height,
    /// Its place in the block.
    pub position: u32,
}

/// All tables: the state's, then the chain's.
pub fn tables() -> Vec<TableInfo> {
    let state = Table::ALL.map(|table| TableInfo {
        name: table.name(),
        key: "dense number",
        value: "state record",
        purpose: " Part of the state; its records hash into the state root.",
    });
    state.into_iter().chain(ROWS.iter().cloned()).collect()
}
