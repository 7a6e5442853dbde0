//! Whom a heavy node serves: everybody, or, where the genesis lists who may hold and store, only these and heavy nodes.

use crate::core::NodeCore;
use holdfast_ledger::{Genesis, State};
use holdfast_network::relay::RelayPolicy;
use holdfast_primitives::Address;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Whether `node` is of this network's grid, or one of its heavy nodes.
pub(crate) fn admits(state: &State, node: &Address) -> bool {
    state.params().admits(node) || state.is_heavy_node(node)
}

/// Who may use the relay. It carries what light nodes encrypt to each other; its own limits bound what one can use.
///
/// The relay starts before the chain is there: until then heavy nodes are those of the genesis.
pub(crate) struct RelayGuests {
    genesis: Genesis,
    named: BTreeSet<Address>,
    core: OnceLock<Arc<NodeCore>>,
}

impl RelayGuests {
    /// Serves the grid of this genesis, its heavy nodes, and the peers that the operator named.
    pub(crate) fn new(genesis: Genesis, named: impl IntoIterator<Item = Address>) -> Self {
        Self { genesis, named: named.into_iter().collect(), core: OnceLock::new() }
    }

    /// From now on heavy nodes are those of the tip.
    pub(crate) fn follow(&self, core: Arc<NodeCore>) {
        // Told once, when the node starts.
        let _ = self.core.set(core);
    }

    fn is_heavy(&self, node: &Address) -> bool {
        match self.core.get() {
            Some(core) => core.tip().state.is_heavy_node(node),
            None => self.genesis.validators.iter().any(|validator| validator.address == *node),
        }
    }
}

impl RelayPolicy for RelayGuests {
    fn admits(&self, node: &Address) -> bool {
        self.genesis.params.admits(node) || self.named.contains(node) || self.is_heavy(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_genesis::preset;
    use holdfast_ledger::GenesisValidator;
    use holdfast_primitives::{Amount, Bounded, NetworkPrefix, SecretKey, TimeMs, VrfSecretKey};

    fn key(seed: u8) -> Address {
        SecretKey::from_seed([seed; 32]).address()
    }

    fn genesis(grid: Vec<Address>) -> Genesis {
        let vrf = VrfSecretKey::from_seed([1; 32]).public();
        let validator = GenesisValidator { address: key(1), vrf, bond: Amount::hold(100_000) };
        let mut params = preset(NetworkPrefix::Devnet);
        params.grid = Bounded::new(grid).expect("a short list");
        Genesis {
            name: Bounded::new(b"grid".to_vec()).expect("a short name"),
            time: TimeMs::new(1),
            params,
            accounts: Bounded::empty(),
            validators: Bounded::new(vec![validator]).expect("one validator"),
            seed: [0; 32],
        }
    }

    #[test]
    fn a_private_grid_serves_its_members_its_heavy_nodes_and_named_peers() {
        let genesis = genesis(vec![key(2)]);
        let relay = RelayGuests::new(genesis.clone(), [key(3)]);
        let served: Vec<u8> = (1..6).filter(|seed| relay.admits(&key(*seed))).collect();
        assert_eq!(served, [1, 2, 3], "validator, member, named peer");
        let state = State::genesis(&genesis).expect("the genesis starts a chain");
        let children: Vec<u8> = (1..6).filter(|seed| admits(&state, &key(*seed))).collect();
        assert_eq!(children, [1, 2]);
    }

    #[test]
    fn an_open_network_serves_everybody() {
        let genesis = genesis(Vec::new());
        let relay = RelayGuests::new(genesis.clone(), []);
        let state = State::genesis(&genesis).expect("the genesis starts a chain");
        assert!((1..6).all(|seed| relay.admits(&key(seed)) && admits(&state, &key(seed))));
    }
}
