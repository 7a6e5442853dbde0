//! Who may use the relay, and how many may at once.

use crate::serve::{Counted, Tally};
use holdfast_primitives::Address;
use iroh::EndpointId;
use iroh_relay::server::{Access, AccessControl, ClientRequest, ConnectionId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Decides whom the relay serves.
pub trait RelayPolicy: Send + Sync + 'static {
    /// Whether this identity (proven by the relay's handshake) may connect. Peers of children come too: they dial
    /// whomever their ticket names.
    fn admits(&self, node: &Address) -> bool;
}

/// Counts clients and asks the policy.
pub(super) struct Admission {
    policy: Arc<dyn RelayPolicy>,
    clients_max: usize,
    per_identity_max: usize,
    identities: Tally<Address>,
    clients: Mutex<HashMap<ConnectionId, Counted<Address>>>,
}

impl Admission {
    pub(super) fn new(policy: Arc<dyn RelayPolicy>, clients_max: usize, per_identity_max: usize) -> Self {
        Self { policy, clients_max, per_identity_max, identities: Tally::default(), clients: Mutex::default() }
    }

    pub(super) fn clients(&self) -> usize {
        self.lock().len()
    }

    fn admit(&self, node: Address, connection: ConnectionId) -> Result<(), &'static str> {
        if !self.policy.admits(&node) {
            return Err("not served here");
        }
        let mut clients = self.lock();
        if clients.len() >= self.clients_max {
            return Err("the relay is full");
        }
        let counted = self.identities.count(node, self.per_identity_max);
        clients.insert(connection, counted.ok_or("too many connections of this identity")?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Counted<Address>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessControl for Admission {
    async fn on_connect(&self, request: &ClientRequest) -> Access {
        let node = Address::new(*request.endpoint_id().as_bytes());
        match self.admit(node, request.connection_id()) {
            Ok(()) => Access::Allow,
            Err(reason) => {
                tracing::debug!(%node, reason, "turned away from the relay");
                Access::Deny { reason: Some(reason.to_owned()) }
            }
        }
    }

    fn on_disconnect(&self, _node: EndpointId, connection: ConnectionId) {
        self.lock().remove(&connection);
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admission({} of {} clients)", self.clients(), self.clients_max)
    }
}
