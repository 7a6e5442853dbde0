//! Nodes in memory that are reached through relays only, and relays that stop.

use super::{MemoryEndpoint, MemoryNetwork, Shared};
use crate::address::NodeAddr;
use holdfast_primitives::Address;
use std::net::IpAddr;

impl MemoryNetwork {
    /// A node that is reached through these relays only. The first of them that runs is its home, which its address names.
    pub fn endpoint_behind(&self, id: Address, relays: &[&str]) -> MemoryEndpoint {
        let ip = IpAddr::from([10, 1, id.as_bytes()[0], id.as_bytes()[1]]);
        self.settle(id, ip, relays.iter().map(|&relay| relay.to_owned()).collect())
    }

    /// Stops a relay: nothing passes through it any more, and nobody is told.
    pub fn stop_relay(&self, relay: &str) {
        self.shared.lock().relays_stopped.insert(relay.to_owned());
        for link in self.shared.links_via(relay) {
            link.partition(self.shared.conditions.idle);
        }
    }

    /// Starts a relay again. Connections that have not been given up go on.
    pub fn start_relay(&self, relay: &str) {
        self.shared.lock().relays_stopped.remove(relay);
        self.shared.links_via(relay).iter().for_each(|link| link.heal());
    }

    /// Where a node can be dialled now, as a parent would know; `None` when it is not there.
    pub fn addr_of(&self, id: Address) -> Option<NodeAddr> {
        self.shared.lock().nodes.contains_key(&id).then_some(())?;
        NodeAddr::new(id, Vec::new(), self.shared.home_of(&id).as_deref()).ok()
    }
}

impl Shared {
    /// The first relay of a node that runs.
    pub(super) fn home_of(&self, node: &Address) -> Option<String> {
        let state = self.lock();
        let runs = |relay: &&String| !state.relays_stopped.contains(*relay);
        state.nodes.get(node)?.relays.iter().find(runs).cloned()
    }

    /// How to reach a node at this address: directly, or through a relay; `None` for not at all.
    pub(super) fn way_to(&self, at: &NodeAddr) -> Option<Option<String>> {
        let state = self.lock();
        let Some(node) = state.nodes.get(&at.id).filter(|node| !node.relays.is_empty()) else { return Some(None) };
        let relay = at.relay().filter(|relay| node.relays.iter().any(|known| known == relay))?;
        (!state.relays_stopped.contains(relay)).then(|| Some(relay.to_owned()))
    }
}
