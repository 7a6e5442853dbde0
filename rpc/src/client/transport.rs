//! How calls travel: over HTTP, to another node when one is away, tried again while all refuse the connection; subscriptions
//! over one shared WebSocket for each node.

use super::RpcClient;
use super::error::is_refused;
use super::nodes::{Node, is_away};
use backon::{BackoffBuilder, ExponentialBuilder};
use holdfast_primitives::limits::{RPC_REQUEST_BYTES_MAX, RPC_RESPONSE_BYTES_MAX};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use upstream::core::ClientError;
use upstream::core::client::{BatchResponse, ClientT, Subscription, SubscriptionClientT};
use upstream::core::params::BatchRequestBuilder;
use upstream::core::traits::ToRpcParams;
use upstream::ws_client::{WsClient, WsClientBuilder};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Parameters that are ready to be sent, as often as needed.
#[derive(Clone)]
struct Ready(Option<Box<RawValue>>);

impl ToRpcParams for Ready {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(self.0)
    }
}

/// The pauses between attempts, until the client's patience ends.
struct Patience {
    until: Instant,
    delays: backon::ExponentialBackoff,
}

impl Patience {
    /// Waits before the next attempt; gives the error back when there is none.
    async fn after(&mut self, error: ClientError) -> Result<(), ClientError> {
        match self.delays.next() {
            Some(delay) if is_refused(&error) && Instant::now() + delay <= self.until => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

impl RpcClient {
    fn patience(&self) -> Patience {
        let delays = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_jitter()
            .without_max_times();
        Patience { until: Instant::now() + self.config.retry_for, delays: delays.build() }
    }

    /// A node's WebSocket, opened when there is none or the last one broke.
    async fn socket(&self, node: &Node) -> Result<Arc<WsClient>, ClientError> {
        let mut shared = node.ws.lock().await;
        if let Some(socket) = shared.as_ref().filter(|socket| socket.is_connected()) {
            return Ok(socket.clone());
        }
        let builder = WsClientBuilder::default()
            .max_request_size(RPC_REQUEST_BYTES_MAX)
            .max_response_size(RPC_RESPONSE_BYTES_MAX)
            .request_timeout(self.config.request_timeout);
        let socket = builder.build(node.url.replacen("http", "ws", 1)).await?;
        Ok(shared.insert(Arc::new(socket)).clone())
    }

    /// The WebSocket of the first node that has one for us.
    async fn any_socket(&self) -> Result<(Arc<Node>, Arc<WsClient>), ClientError> {
        let mut patience = self.patience();
        loop {
            let mut first = None;
            for node in self.nodes.order() {
                let opened = match self.nodes.enter(&node).await {
                    Ok(()) => self.socket(&node).await,
                    Err(error) => Err(error),
                };
                match opened {
                    Ok(socket) => {
                        self.nodes.settle_on(&node);
                        return Ok((node, socket));
                    }
                    Err(error) if is_away(&error) => {
                        self.nodes.rest(&node);
                        first.get_or_insert(error);
                    }
                    Err(error) => {
                        first = Some(error);
                        break;
                    }
                }
            }
            patience.after(first.expect("there is a node, and it failed")).await?;
        }
    }
}

impl ClientT for RpcClient {
    async fn notification<Params>(&self, method: &str, params: Params) -> Result<(), ClientError>
    where
        Params: ToRpcParams + Send,
    {
        self.nodes.current().http.notification(method, params).await
    }

    async fn request<R, Params>(&self, method: &str, params: Params) -> Result<R, ClientError>
    where
        R: DeserializeOwned,
        Params: ToRpcParams + Send,
    {
        let params = Ready(params.to_rpc_params()?);
        let mut patience = self.patience();
        loop {
            let mut first = None;
            for node in self.nodes.order() {
                match self.nodes.ask::<R>(&node, method, params.clone()).await {
                    Err(error) if self.nodes.may_go_on(method, &error) => drop(first.get_or_insert(error)),
                    Err(error) => {
                        first = Some(error);
                        break;
                    }
                    answer => return answer,
                }
            }
            patience.after(first.expect("there is a node, and it failed")).await?;
        }
    }

    async fn batch_request<'a, R>(&self, batch: BatchRequestBuilder<'a>) -> Result<BatchResponse<'a, R>, ClientError>
    where
        R: DeserializeOwned + fmt::Debug + 'a,
    {
        self.nodes.current().http.batch_request(batch).await
    }
}

impl SubscriptionClientT for RpcClient {
    async fn subscribe<'a, Notif, Params>(
        &self,
        subscribe_method: &'a str,
        params: Params,
        unsubscribe_method: &'a str,
    ) -> Result<Subscription<Notif>, ClientError>
    where
        Params: ToRpcParams + Send,
        Notif: DeserializeOwned,
    {
        let (_, socket) = self.any_socket().await?;
        socket.subscribe(subscribe_method, params, unsubscribe_method).await
    }

    async fn subscribe_to_method<Notif>(&self, method: &str) -> Result<Subscription<Notif>, ClientError>
    where
        Notif: DeserializeOwned,
    {
        let (_, socket) = self.any_socket().await?;
        socket.subscribe_to_method(method).await
    }
}
