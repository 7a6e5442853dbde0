//! The port: JSON-RPC over HTTP and WebSocket, and the health pages, on one listener.

mod activity;
mod calls;
mod config;
mod connection;
mod front;
mod pages;

pub use config::{Origins, RpcConfig};

use crate::account::{AccountApiServer as _, AccountNamespace};
use crate::audit::{AuditApiServer as _, AuditNamespace};
use crate::backend::Backend;
use crate::chain::{ChainApiServer as _, ChainNamespace};
use crate::dev::{DevApiServer as _, DevNamespace};
use crate::discover;
use crate::market::{MarketApiServer as _, MarketNamespace};
use crate::round::{RoundApiServer as _, RoundNamespace};
use crate::stake::{StakeApiServer as _, StakeNamespace};
use crate::tx::{TxApiServer as _, TxNamespace};
use calls::Calls;
use connection::Listening;
use front::Door;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use upstream::RpcModule;
use upstream::server::{RegisterMethodError, ServerHandle, stop_channel};

/// How long calls that are under way may take to finish when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops it without waiting.
pub struct RpcServer {
    addr: SocketAddr,
    handle: ServerHandle,
    listening: JoinHandle<()>,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An allowed origin that no browser would ever send.
    #[error("{origin:?} is not an origin: write it as http://host:port")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// Two methods of one name.
    #[error("a method is registered twice: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// Opens the port and answers until the server is stopped or dropped. Must be called within a tokio runtime.
///
/// # Errors
/// [`ServeError`]: nothing is left running then.
pub async fn serve(config: RpcConfig, backend: Arc<dyn Backend>) -> Result<RpcServer, ServeError> {
    let addr = config.listen;
    let listen = |source| ServeError::Listen { addr, source };
    let calls = Calls {
        methods: methods(&backend)?.into(),
        batch_calls_max: config.batch_calls_max as usize,
        response_bytes_max: config.response_bytes_max as usize,
    };
    let (stop, handle) = stop_channel();
    let door = Arc::new(Door::new(&config, calls, backend, stop.clone())?);
    let listener = TcpListener::bind(addr).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    let listening = Listening { listener, config, door, stop };
    Ok(RpcServer { addr, handle, listening: tokio::spawn(listening.run()) })
}

impl RpcServer {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops taking connections and waits a few seconds for the calls that are under way.
    pub async fn stop(self) {
        // A server that stopped by itself is stopped, too.
        let _ = self.handle.stop();
        if tokio::time::timeout(STOP_GRACE, self.listening).await.is_err() {
            tracing::warn!(addr = %self.addr, "calls were cut off while stopping");
        }
    }
}

/// Every method that this backend answers.
fn methods(backend: &Arc<dyn Backend>) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut methods = RpcModule::new(());
    methods.merge(ChainNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(TxNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(AccountNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(MarketNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(RoundNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(StakeNamespace::new(backend.clone()).into_rpc())?;
    methods.merge(AuditNamespace::new(backend.clone()).into_rpc())?;
    let faucet = backend.faucet();
    let document = discover::document(faucet.is_some());
    if let Some(faucet) = faucet {
        methods.merge(DevNamespace::new(backend.clone(), faucet).into_rpc())?;
    }
    methods.register_method(discover::DISCOVER, move |_, _, _| document.clone())?;
    Ok(methods)
}

/// The names of every method and subscription that this backend answers, sorted.
pub fn method_names(backend: &Arc<dyn Backend>) -> Result<Vec<&'static str>, RegisterMethodError> {
    let mut names: Vec<_> = methods(backend)?.method_names().collect();
    names.sort_unstable();
    Ok(names)
}
