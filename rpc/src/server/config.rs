//! How the port is opened and what it bears.

use holdfast_primitives::limits::{RPC_BATCH_CALLS_MAX, RPC_REQUEST_BYTES_MAX, RPC_RESPONSE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the port is opened. Every field has a default; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Where to listen. Loopback and a free port unless told otherwise.
    pub listen: SocketAddr,
    /// Connections at one time; one more is told to come back later.
    pub connections_max: u32,
    /// Subscriptions of one connection.
    pub subscriptions_max: u32,
    /// Calls in one batch.
    pub batch_calls_max: u32,
    /// Bytes of one request.
    pub request_bytes_max: u32,
    /// Bytes of one response.
    pub response_bytes_max: u32,
    /// How long a new connection may take to bring its first request, in milliseconds.
    pub first_request_timeout_ms: u64,
    /// How long a connection may stay without a request after that, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long one request may take from its head to its answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// Which web pages may call.
    pub origins: Origins,
}

/// Which web pages may call. Programs that are no browsers send no origin and may always call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Origins {
    /// None: a page that a person happens to visit cannot reach the node on that person's machine.
    #[default]
    None,
    /// Every page.
    Any,
    /// The pages of these origins, as in `https://explorer.example`.
    Only(Vec<String>),
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            connections_max: 1_024,
            subscriptions_max: 64,
            batch_calls_max: RPC_BATCH_CALLS_MAX,
            request_bytes_max: RPC_REQUEST_BYTES_MAX,
            response_bytes_max: RPC_RESPONSE_BYTES_MAX,
            first_request_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            request_timeout_ms: 90_000,
            origins: Origins::None,
        }
    }
}

impl RpcConfig {
    /// The default at this address.
    pub fn at(listen: SocketAddr) -> Self {
        Self { listen, ..Self::default() }
    }

    pub(super) const fn first_request_timeout(&self) -> Duration {
        Duration::from_millis(self.first_request_timeout_ms)
    }

    pub(super) const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}
