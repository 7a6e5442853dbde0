//! What the control protocol asks of the ledger: whether a child is a holder, with how much room and at what price.

use crate::core::NodeCore;
use crate::grid;
use holdfast_ledger::{Holder, State};
use holdfast_network::control::ControlPolicy;
use holdfast_network::lookup::HolderStanding;
use holdfast_network::wire::Role;
use holdfast_primitives::{Address, Amount, ChainId, Height};
use std::sync::Arc;

/// The tip's state, as the address book reads it.
pub struct LedgerPolicy {
    core: Arc<NodeCore>,
}

impl LedgerPolicy {
    /// Reads `core`'s tip.
    pub const fn new(core: Arc<NodeCore>) -> Self {
        Self { core }
    }
}

impl ControlPolicy for LedgerPolicy {
    fn chain(&self) -> ChainId {
        self.core.tip().state.chain().chain
    }

    fn height(&self) -> Height {
        self.core.tip().state.chain().height
    }

    fn admits(&self, child: &Address, _role: Role) -> bool {
        grid::admits(&self.core.tip().state, child)
    }

    fn holder(&self, address: &Address) -> Option<HolderStanding> {
        let state = self.core.tip().state;
        let (_, holder) = state.holder_by_address(address)?;
        let free_bytes = free_quota(holder).min(free_collateral(&state, holder));
        let (accepting, price, profile) = (holder.accepting, holder.price, holder.profile.clone());
        Some(HolderStanding { free_bytes, accepting, price, profile })
    }

    fn is_heavy(&self, node: &Address) -> bool {
        self.core.tip().state.is_heavy_node(node)
    }

    fn heavy_nodes(&self) -> u32 {
        self.core.tip().state.chain().heavy_nodes.len() as u32
    }
}

fn free_quota(holder: &Holder) -> u64 {
    holder.quota_bytes.saturating_sub(holder.used_bytes)
}

/// Bytes that the unlocked part of the deposit could still secure at the holder's price.
fn free_collateral(state: &State, holder: &Holder) -> u64 {
    let params = state.params();
    let free = holder.deposit.saturating_sub(params.holder_bond).saturating_sub(holder.locked);
    let per_mebibyte =
        holder.price.checked_mul(u64::from(params.collateral_rounds)).unwrap_or(Amount::grains(u64::MAX));
    match per_mebibyte.get() {
        0 => u64::MAX,
        grains => (free.get() / grains).saturating_mul(1 << 20),
    }
}
