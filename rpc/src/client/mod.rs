//! The other end: a typed client that speaks HTTP, opens a WebSocket only for subscriptions, waits out a node that is
//! just starting, and turns every failure into an [`RpcError`].

mod calls;
mod error;
mod transport;
mod wait;

pub use error::RpcError;
pub use wait::Inclusion;

use holdfast_primitives::limits::{RPC_REQUEST_BYTES_MAX, RPC_RESPONSE_BYTES_MAX};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use upstream::core::client::Subscription;
use upstream::http_client::{HttpClient, HttpClientBuilder};
use upstream::ws_client::WsClient;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long one call may take; longer than `tx_wait` holds a call open.
    pub request_timeout: Duration,
    /// How long a refused connection is tried again before the node counts as unreachable.
    pub retry_for: Duration,
}

/// A client of one node. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct RpcClient {
    url: String,
    config: ClientConfig,
    http: HttpClient,
    ws: Arc<Mutex<Option<Arc<WsClient>>>>,
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
    /// A client of the node at `url` (`http://host:port`; `ws://` is understood too). Opens no connection yet.
    ///
    /// # Errors
    /// [`RpcError::Url`] when it is no such address.
    pub fn connect(url: &str) -> Result<Self, RpcError> {
        Self::connect_with(url, ClientConfig::default())
    }

    /// As [`RpcClient::connect`], with another patience.
    ///
    /// # Errors
    /// [`RpcError::Url`] when it is no such address.
    pub fn connect_with(url: &str, config: ClientConfig) -> Result<Self, RpcError> {
        let http_url = match url.split_once("://") {
            Some(("http" | "ws", rest)) => format!("http://{rest}"),
            Some(("https" | "wss", rest)) => format!("https://{rest}"),
            _ => return Err(RpcError::Url { url: url.to_owned(), cause: "it does not begin with http://".to_owned() }),
        };
        let http = HttpClientBuilder::default()
            .max_request_size(RPC_REQUEST_BYTES_MAX)
            .max_response_size(RPC_RESPONSE_BYTES_MAX)
            .request_timeout(config.request_timeout)
            .build(&http_url)
            .map_err(|error| RpcError::Url { url: url.to_owned(), cause: error.to_string() })?;
        Ok(Self { url: http_url, config, http, ws: Arc::default() })
    }

    /// The node's address, as `http://...`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl<T: DeserializeOwned> Feed<T> {
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
