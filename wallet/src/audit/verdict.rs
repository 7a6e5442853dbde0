//! What an audit came to.

use holdfast_primitives::{Amount, BlockHash, ChainId, ContractNo, Height, RoundNo, StateRoot};
use serde::Serialize;
use std::collections::BTreeMap;

/// One holder's round, as this machine judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderVerdict {
    /// The holder.
    pub holder: String,
    /// Batches it was bound to.
    pub batches: u64,
    /// Openings it was asked for.
    pub challenges: u32,
    /// Openings that failed or never came.
    pub missing: u32,
    /// Whether it sent no proof at all.
    pub missed: bool,
    /// Roots of the batches that were marked faulty in this round.
    pub lost: Vec<String>,
    /// What it was paid, after relay fees.
    pub paid: Amount,
}

/// One contract's payment in a round, and what each heavy node on its path got of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractVerdict {
    /// The contract.
    pub contract: ContractNo,
    /// Who holds.
    pub holder: String,
    /// Batches that were paid for.
    pub batches: u32,
    /// Paid out of its escrow.
    pub paid: Amount,
    /// The part of it that went to the heavy nodes of its footprint.
    pub relay_fee: Amount,
    /// The footprint, from the owner's side to the holder's.
    pub path: Vec<HopVerdict>,
}

/// One heavy node of a footprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HopVerdict {
    /// The heavy node.
    pub node: String,
    /// Its share of the relay fee.
    pub earned: Amount,
}

/// A round, as this machine judged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoundVerdict {
    /// The chain.
    pub chain: ChainId,
    /// The round.
    pub round: RoundNo,
    /// The certified block by which its record was proven.
    pub proven_at: Height,
    /// The block that settled it.
    pub settled_at: Height,
    /// Batches challenged.
    pub batches: u64,
    /// Every holder that had something to prove.
    pub holders: Vec<HolderVerdict>,
    /// Paid out of escrows.
    pub paid: Amount,
    /// The part of it that went to heavy nodes.
    pub relay_fees: Amount,
    /// What each heavy node got of it.
    pub heavy_nodes: BTreeMap<String, Amount>,
    /// Every contract that paid (those of one holder, if only that one was judged), in order of number.
    pub contracts: Vec<ContractVerdict>,
    /// Paid by holders for verification, as the certified record has it.
    pub proof_fees: Amount,
    /// Taken from deposits, as the certified record has it.
    pub fines: Amount,
}

/// A chain, applied again on this machine from its genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainVerdict {
    /// The chain.
    pub chain: ChainId,
    /// The last block that was applied.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// The state root that it leads to, computed here.
    pub state_root: StateRoot,
    /// Transactions executed.
    pub transactions: u64,
    /// Rounds settled.
    pub rounds: u64,
    /// Of them, rounds with something to prove.
    pub rounds_with_proofs: u64,
    /// Contracts' payments computed again.
    pub payments: u64,
    /// What they come to.
    pub paid: Amount,
    /// The part of it that went to heavy nodes.
    pub relay_fees: Amount,
    /// Paid by holders for verification.
    pub proof_fees: Amount,
    /// Taken from deposits.
    pub fines: Amount,
    /// Openings that were verified again.
    pub openings: u64,
    /// The rounds of which some proofs were pruned: only digests and certified outcomes are left of these.
    pub digests_only: Option<RoundSpan>,
    /// All money, counted in the last state: as much as the genesis made.
    pub supply: Amount,
}

/// Rounds from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoundSpan {
    /// The first.
    pub first: RoundNo,
    /// The last.
    pub last: RoundNo,
    /// Proof parts in these rounds that were taken as the validators judged them.
    pub parts: u64,
}
