//! The file of peers that a ceremony leaves: whom a heavy node stays connected with.

use crate::commands::genesis::read_text;
use crate::failure::{Exit, Failure, Outcome};
use holdfast_genesis::Peers;
use holdfast_network::NodeAddr;
use holdfast_node::{HeavyConfig, NodeKeys};
use holdfast_primitives::limits::PEERS_FILE_BYTES_MAX;
use std::path::Path;

/// Adds everyone in `file` to whom the node stays connected with, but for itself and those that are named already.
pub fn join(config: &mut HeavyConfig, file: &Path) -> Outcome {
    let bad = |reason: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, "bad-peers", format!("{}: {reason}", file.display())).hint(
            "`holdfast genesis finalize` writes it beside the genesis; --peer and --consensus-peer do the same by hand",
        )
    };
    let text = read_text(file, PEERS_FILE_BYTES_MAX)?;
    let peers = Peers::parse(&text, &config.genesis.chain_id()).map_err(|error| bad(&error))?;
    let own = NodeKeys::load_or_create(&config.dir.join("keys")).map_err(Failure::other)?.identity.address();
    for peer in peers.peers {
        let node: NodeAddr = peer.node.parse().map_err(|error| bad(&error))?;
        if node.id == own {
            continue;
        }
        if !config.peers.iter().any(|named| named.id == node.id) {
            config.peers.push(node);
        }
        let consensus = peer.consensus.to_string();
        if !config.consensus_peers.contains(&consensus) {
            config.consensus_peers.push(consensus);
        }
    }
    Ok(())
}
