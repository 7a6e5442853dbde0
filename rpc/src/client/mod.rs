//! The other end: a typed client that speaks HTTP, opens a WebSocket only for subscriptions, waits out a node that is
//! just starting, and turns every failure into an [`RpcError`].

mod calls;
mod error;
mod nodes;
mod transport;
mod wait;

pub use error::RpcError;
pub use nodes::NODES_MAX;
pub use wait::Inclusion;

use holdfast_primitives::ChainId;
use nodes::Nodes;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use upstream::core::client::Subscription;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long one call may take; longer than `tx_wait` holds a call open.
    pub request_timeout: Duration,
    /// How long a refused connection is tried again before the node counts as unreachable.
    pub retry_for: Duration,
}

/// A client of one node, or of several that take each other's place when one is away. Cheap to clone; clones share
/// connections.
#[derive(Clone)]
pub struct RpcClient {
    config: ClientConfig,
    nodes: Arc<Nodes>,
}

/// The notifications of one subscription. Dropping it ends the subscription.
pub struct Feed<T> {
    url: String,
    subscription: Subscription<T>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { request_timeout: Duration::from_secs(90), retry_for: Duration::from_secs(5) }
    }
}

impl RpcClient {
    /// A client of the node at `url` (`http://host:port`; `ws://` is understood too), or of several with commas between
    /// them: the first is asked until it is away. Opens no connection yet.
    ///
    /// # Errors
    /// [`RpcError::Url`] when one is no such address.
    pub fn connect(url: &str) -> Result<Self, RpcError> {
        Self::connect_with(url, ClientConfig::default())
    }

    /// As [`RpcClient::connect`], with another patience.
    ///
    /// # Errors
    /// [`RpcError::Url`] when one is no such address.
    pub fn connect_with(url: &str, config: ClientConfig) -> Result<Self, RpcError> {
        let urls: Vec<&str> = url.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        Ok(Self { config, nodes: Arc::new(Nodes::new(&urls, config)?) })
    }

    /// The address of the node that is asked now, as `http://...`.
    pub fn url(&self) -> String {
        self.nodes.current().url.clone()
    }

    /// The addresses of all nodes that may be asked, those that the user named first.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.all().iter().map(|node| node.url.clone()).collect()
    }

    /// Says which chain it is about: nodes of another chain are not asked any more.
    pub fn follow(&self, chain: ChainId) {
        self.nodes.follow(chain);
    }

    /// Takes further nodes in mind, for when those known are away; at most [`NODES_MAX`] in all. What is no address is left
    /// out.
    pub fn learn(&self, urls: &[String]) {
        self.nodes.learn(urls);
    }

    /// Asks the node at `url` first from now on, if it is known and fit.
    pub async fn prefer(&self, url: &str) {
        self.nodes.prefer(url.trim_end_matches('/')).await;
    }
}

impl<T: DeserializeOwned> Feed<T> {
    /// The address of the node that tells.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next notification; `None` once the subscription or the connection ended.
    ///
    /// # Errors
    /// [`RpcError::Unreadable`] when the notification is not of the expected shape.
    pub async fn next(&mut self) -> Option<Result<T, RpcError>> {
        let unreadable =
            |error: serde_json::Error| RpcError::Unreadable { url: self.url.clone(), cause: error.to_string() };
        self.subscription.next().await.map(|item| item.map_err(unreadable))
    }
}
