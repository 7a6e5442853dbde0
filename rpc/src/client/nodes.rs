//! The nodes that a client may ask: one at a time, another when that one is away.
//!
//! A node is *away* when it cannot be reached, or gives no sign of life while it is asked; one that answers is never left
//! for what it answers. Who takes its place must be on the same chain and at least as high as any node has been seen, so
//! that the caller never goes back in time.

use super::error::{is_refused, rejected_status};
use super::{ClientConfig, RpcError};
use crate::chain::ChainStatus;
use holdfast_primitives::limits::{RPC_REQUEST_BYTES_MAX, RPC_RESPONSE_BYTES_MAX};
use holdfast_primitives::{ChainId, Height};
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};
use upstream::core::ClientError;
use upstream::core::client::ClientT;
use upstream::core::traits::ToRpcParams;
use upstream::http_client::{HttpClient, HttpClientBuilder};
use upstream::rpc_params;
use upstream::ws_client::WsClient;

/// Nodes that one client keeps in mind, at most.
pub const NODES_MAX: usize = 16;
/// How long a node that was away is asked last.
const REST: Duration = Duration::from_secs(30);
/// A call that takes longer makes the client look whether the node still lives.
const SIGN_AFTER: Duration = Duration::from_secs(4);
/// How long a sign of life may take.
const SIGN_WITHIN: Duration = Duration::from_secs(4);
/// How long a node may take to catch up with what was seen elsewhere, and how often it is asked.
const CATCH_UP: Duration = Duration::from_secs(15);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(200);
/// The cheapest call that proves a node alive.
const SIGN_OF_LIFE: &str = "chain_status";
/// What is not to happen twice: it goes to another node only if the first did not look at it.
const ONCE: [&str; 1] = ["dev_faucet"];

/// One node.
pub(super) struct Node {
    pub(super) url: String,
    pub(super) http: HttpClient,
    pub(super) ws: tokio::sync::Mutex<Option<Arc<WsClient>>>,
    rests_until: Mutex<Option<Instant>>,
}

/// All of them; clones of a client share it.
pub(super) struct Nodes {
    config: ClientConfig,
    list: RwLock<Vec<Arc<Node>>>,
    current: AtomicUsize,
    /// How often another node has taken over.
    moves: AtomicU64,
    /// The highest block that any node has shown.
    seen: AtomicU64,
    chain: OnceLock<ChainId>,
}

impl Node {
    fn new(url: &str, config: ClientConfig) -> Result<Self, RpcError> {
        let bad = |cause: String| RpcError::Url { url: url.to_owned(), cause };
        let http_url = match url.split_once("://") {
            Some(("http" | "ws", rest)) => format!("http://{rest}"),
            Some(("https" | "wss", rest)) => format!("https://{rest}"),
            _ => return Err(bad("it does not begin with http://".to_owned())),
        };
        let http = HttpClientBuilder::default()
            .max_request_size(RPC_REQUEST_BYTES_MAX)
            .max_response_size(RPC_RESPONSE_BYTES_MAX)
            .request_timeout(config.request_timeout)
            .build(&http_url)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self { url: http_url, http, ws: tokio::sync::Mutex::default(), rests_until: Mutex::default() })
    }

    async fn status(&self) -> Result<ChainStatus, ClientError> {
        let asked = self.http.request(SIGN_OF_LIFE, rpc_params![]);
        tokio::time::timeout(SIGN_WITHIN, asked).await.unwrap_or(Err(ClientError::RequestTimeout))
    }

    /// Returns once the node gives no sign of life any more.
    async fn fallen_silent(&self) -> ClientError {
        loop {
            tokio::time::sleep(SIGN_AFTER).await;
            match self.status().await {
                Err(error) if is_away(&error) => return error,
                _ => {}
            }
        }
    }

    fn rests(&self) -> bool {
        self.rest().is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    pub(super) fn new(urls: &[&str], config: ClientConfig) -> Result<Self, RpcError> {
        let mut list: Vec<Arc<Node>> = Vec::new();
        for url in urls.iter().take(NODES_MAX) {
            let node = Node::new(url, config)?;
            if !list.iter().any(|known| known.url == node.url) {
                list.push(Arc::new(node));
            }
        }
        if list.is_empty() {
            return Err(RpcError::Url { url: String::new(), cause: "no address is given".to_owned() });
        }
        Ok(Self {
            config,
            list: RwLock::new(list),
            current: AtomicUsize::new(0),
            moves: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            chain: OnceLock::new(),
        })
    }

    /// Adds what is new and an address, as long as there is room.
    pub(super) fn learn(&self, urls: &[String]) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        for url in urls {
            let Ok(node) = Node::new(url, self.config) else { continue };
            if list.len() < NODES_MAX && !list.iter().any(|known| known.url == node.url) {
                list.push(Arc::new(node));
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn current(&self) -> Arc<Node> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&list[self.current.load(Ordering::Relaxed).min(list.len() - 1)])
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Notes a height that a node has shown.
    pub(super) fn saw(&self, height: Height) {
        self.seen.fetch_max(height.get(), Ordering::Relaxed);
    }

    /// Notes the chain; whoever follows another one is not asked from then on.
    pub(super) fn follow(&self, chain: ChainId) {
        // The first word counts: it came from the node that the user named.
        let _ = self.chain.set(chain);
    }

    /// In the order in which they are to be asked: the current one, the others, and last those that were away.
    pub(super) fn order(&self) -> Vec<Arc<Node>> {
        let current = self.current();
        let mut order = self.all();
        order.sort_by_key(|node| (node.rests(), !Arc::ptr_eq(node, &current)));
        order
    }

    /// Asks the node at this address first from now on, if it is fit.
    pub(super) async fn prefer(&self, url: &str) {
        if let Some(node) = self.all().into_iter().find(|node| node.url == url)
            && self.enter(&node).await.is_ok()
        {
            self.settle_on(&node);
        }
    }

    /// Asks one node.
    pub(super) async fn ask<R: DeserializeOwned>(
        &self,
        node: &Arc<Node>,
        method: &str,
        params: impl ToRpcParams + Send,
    ) -> Result<R, ClientError> {
        self.enter(node).await.inspect_err(|_| self.rest(node))?;
        let asked = node.http.request(method, params);
        let answer = match self.list.read().map_or(1, |list| list.len()) {
            1 => asked.await,
            _ => tokio::select! {
                answer = asked => answer,
                silent = node.fallen_silent() => Err(silent),
            },
        };
        match &answer {
            Err(error) if is_away(error) => self.rest(node),
            _ => self.settle_on(node),
        }
        answer
    }

    /// Whether another node is to be asked after this error.
    pub(super) fn may_go_on(&self, method: &str, error: &ClientError) -> bool {
        if ONCE.contains(&method) { is_refused(error) } else { is_away(error) }
    }

    /// Sees to it that a node may take over: it lives, is on the chain, and as high as any that was seen.
    pub(super) async fn enter(&self, node: &Arc<Node>) -> Result<(), ClientError> {
        if Arc::ptr_eq(node, &self.current()) {
            return Ok(());
        }
        let until = Instant::now() + CATCH_UP;
        loop {
            let status = node.status().await?;
            if self.chain.get().is_some_and(|chain| *chain != status.chain) {
                return Err(unfit(format!("{} follows chain {}", node.url, status.chain)));
            }
            if status.height.get() >= self.seen.load(Ordering::Relaxed) {
                self.follow(status.chain);
                return Ok(());
            }
            if Instant::now() > until {
                return Err(unfit(format!("{} is behind, at height {}", node.url, status.height)));
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    pub(super) fn settle_on(&self, node: &Arc<Node>) {
        *node.rest() = None;
        let Some(place) = self.all().iter().position(|known| Arc::ptr_eq(known, node)) else { return };
        if self.current.swap(place, Ordering::Relaxed) != place {
            self.moves.fetch_add(1, Ordering::Relaxed);
            tracing::info!(url = %node.url, "another node is asked from now on");
        }
    }

    pub(super) fn rest(&self, node: &Node) {
        *node.rest() = Some(Instant::now() + REST);
    }
}

/// A node that answers and may not be asked, told in the terms of the library.
fn unfit(why: String) -> ClientError {
    ClientError::Transport(Box::new(std::io::Error::other(why)))
}

/// Whether nobody answered: the node is away, and another may be asked the same.
pub(super) fn is_away(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(cause) => rejected_status(cause.as_ref()).is_none(),
        ClientError::RequestTimeout | ClientError::RestartNeeded(_) | ClientError::ServiceDisconnect => true,
        _ => false,
    }
}
