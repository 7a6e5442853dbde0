//! What the rest of the node holds of a running engine.

use super::config::{ConsensusError, multiaddr};
use super::types::Holdfast;
use super::watchdog::Stopped;
use arc_malachitebft_engine::network::{NetworkMsg, NetworkRef, PersistentPeersOp};
use tokio::sync::{oneshot, watch};

/// A running engine. Dropping it shuts the engine down without waiting.
pub struct EngineHandle {
    pub(super) listening: Vec<String>,
    pub(super) network: NetworkRef<Holdfast>,
    pub(super) reason: watch::Receiver<Option<Stopped>>,
    pub(super) shutdown: oneshot::Sender<()>,
}

/// Connects a running engine to further nodes.
#[derive(Clone)]
pub struct Dialler {
    network: NetworkRef<Holdfast>,
}

impl Dialler {
    /// Connects to one more node and stays connected.
    ///
    /// # Errors
    /// When it is no multiaddr or the engine refuses it.
    pub async fn add_peer(&self, peer: &str) -> Result<(), ConsensusError> {
        let refused = |reason: String| ConsensusError::Address { text: peer.to_owned(), reason };
        let (reply, answer) = oneshot::channel();
        let message = NetworkMsg::UpdatePersistentPeers(PersistentPeersOp::Add(multiaddr(peer)?), reply.into());
        self.network.cast(message).map_err(|error| refused(error.to_string()))?;
        let outcome = answer.await.map_err(|error| refused(error.to_string()))?;
        outcome.map_err(|error| refused(error.to_string()))
    }
}

impl EngineHandle {
    /// What connects it to further nodes.
    pub fn dialler(&self) -> Dialler {
        Dialler { network: self.network.clone() }
    }

    /// The multiaddrs under which peers on the same network reach this node, port included.
    pub fn listening(&self) -> &[String] {
        &self.listening
    }

    /// Connects to one more node and stays connected.
    ///
    /// # Errors
    /// When it is no multiaddr or the engine refuses it.
    pub async fn add_peer(&self, peer: &str) -> Result<(), ConsensusError> {
        self.dialler().add_peer(peer).await
    }

    /// Waits until consensus is no longer running; everything of it is down then.
    pub async fn stopped(&mut self) -> Stopped {
        let ended = || Stopped::Ended { reason: "its watchdog ended".to_owned() };
        match self.reason.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_else(ended),
            Err(_) => ended(),
        }
    }

    /// Stops consensus and waits until the write-ahead log is closed, so that it may be started again at once.
    pub async fn shutdown(mut self) -> Stopped {
        let (unused, _) = oneshot::channel();
        // A closed channel means that it has stopped already.
        let _ = std::mem::replace(&mut self.shutdown, unused).send(());
        self.stopped().await
    }
}
