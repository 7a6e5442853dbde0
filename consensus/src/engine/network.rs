//! Who this node is on the network, and where it listens.

use super::codec::Wire;
use super::signing::ChainSigner;
use super::types::Holdfast;
use arc_malachitebft_app::net::Multiaddr;
use arc_malachitebft_app::types::Keypair;
use arc_malachitebft_app_channel::NetworkIdentity;
use arc_malachitebft_codec::Codec;
use arc_malachitebft_engine::network::{NetworkEvent, NetworkRef, Subscriber};
use arc_malachitebft_engine::util::output_port::{OutputPort, OutputPortSubscriberTrait};
use arc_malachitebft_signing::Signer;
use holdfast_primitives::{Address, ChainId, SecretKey, sha256_parts};
use tokio::sync::mpsc;

/// The id under which the node of this validator key is known to its peers: what follows `/p2p/` in a multiaddr.
pub fn peer_id(key: &SecretKey, chain: &ChainId) -> String {
    transport_key(key, chain).public().to_peer_id().to_string()
}

/// The node's transport key: another key than the one it votes with, grown from it so that there is only one to keep.
/// The transport signs whatever its protocols ask for, which a voting key must not.
pub(crate) fn transport_key(key: &SecretKey, chain: &ChainId) -> Keypair {
    let seed = sha256_parts(&[b"holdfast/consensus-transport/v1\0", chain.as_bytes(), &key.to_seed()]);
    Keypair::ed25519_from_bytes(seed).expect("any 32 bytes are an ed25519 seed")
}

/// What the node shows to its peers, with the proof that it speaks for the validator.
pub(crate) async fn identity(moniker: String, signer: &ChainSigner, codec: &Wire) -> Result<NetworkIdentity, String> {
    let keypair = transport_key(&signer.key, &signer.chain);
    let address: Address = signer.key.address();
    let peer = keypair.public().to_peer_id().to_bytes();
    let proof =
        signer.sign_validator_proof(address.as_bytes().to_vec(), peer).await.map_err(|error| error.to_string())?;
    let proof = codec.encode(&proof).map_err(|error| error.to_string())?;
    Ok(NetworkIdentity::new_validator(moniker, keypair, address.to_string(), proof))
}

/// The addresses that the node listens on by now.
pub(crate) async fn listening(network: &NetworkRef<Holdfast>) -> Vec<Multiaddr> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    if network.cast(arc_malachitebft_engine::network::NetworkMsg::Subscribe(Box::new(Snapshot(sender)))).is_err() {
        return Vec::new();
    }
    let mut addresses = Vec::new();
    while let Some(address) = receiver.recv().await {
        addresses.push(address);
    }
    addresses
}

/// A subscriber that takes only what is known already: the network tells newcomers first, then lets this one go.
struct Snapshot(mpsc::UnboundedSender<Multiaddr>);

impl Subscriber<NetworkEvent<Holdfast>> for Snapshot {
    fn send(&self, event: NetworkEvent<Holdfast>) {
        if let NetworkEvent::Listening(address) = event {
            // A closed channel means that nobody asks any more.
            let _ = self.0.send(address);
        }
    }
}

impl OutputPortSubscriberTrait<NetworkEvent<Holdfast>> for Snapshot {
    fn subscribe_to_port(&self, _: &OutputPort<NetworkEvent<Holdfast>>) {}
}
