//! What stands before JSON-RPC on every request: who may call, the health pages, and a limit on time.

use super::ServeError;
use super::activity::Activity;
use super::calls::Calls;
use super::config::{Origins, RpcConfig};
use super::pages::page;
use crate::backend::Backend;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;
use tower::layer::util::Identity;
use upstream::core::BoxError;
use upstream::http_client::HeaderValue;
use upstream::server::http::{content_type_is_json, response};
use upstream::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, PingConfig, ServerBuilder, ServerConfig, StopHandle,
    TowerServiceBuilder,
};

const PING_INTERVAL: Duration = Duration::from_secs(30);
const PONG_MISSED_AFTER: Duration = Duration::from_secs(75);

/// Which origins may call.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    Any,
    Only(Arc<[HeaderValue]>),
}

/// What all connections share.
pub(super) struct Door {
    pub calls: Calls,
    pub backend: Arc<dyn Backend>,
    pub origins: Gate,
    sockets: TowerServiceBuilder<Identity, Identity>,
    stop: StopHandle,
    request_bytes_max: usize,
    request_timeout: Duration,
}

/// The service of one connection.
#[derive(Clone)]
pub(super) struct Front {
    pub door: Arc<Door>,
    pub activity: Activity,
}

type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

impl Gate {
    pub fn of(origins: &Origins) -> Result<Self, ServeError> {
        let origin = |origin: &String| {
            let bad = || ServeError::Origin { origin: origin.clone() };
            if !origin.contains("://") || origin.ends_with('/') {
                return Err(bad());
            }
            HeaderValue::from_str(origin).map_err(|_| bad())
        };
        match origins {
            Origins::None => Ok(Self::Only(Arc::new([]))),
            Origins::Any => Ok(Self::Any),
            Origins::Only(allowed) => Ok(Self::Only(allowed.iter().map(origin).collect::<Result<_, _>>()?)),
        }
    }

    fn admits(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Only(allowed) => allowed.contains(origin),
        }
    }
}

impl Door {
    pub fn new(
        config: &RpcConfig,
        calls: Calls,
        backend: Arc<dyn Backend>,
        stop: StopHandle,
    ) -> Result<Self, ServeError> {
        Ok(Self {
            calls,
            backend,
            origins: Gate::of(&config.origins)?,
            sockets: ServerBuilder::with_config(socket_config(config)).to_service_builder(),
            stop,
            request_bytes_max: config.request_bytes_max as usize,
            request_timeout: config.request_timeout(),
        })
    }

    /// Answers what has passed the front: calls here, an upgrade by the library, which then keeps the connection.
    async fn answer(&self, request: HttpRequest<Incoming>) -> Result<HttpResponse, BoxError> {
        if request.headers().contains_key("upgrade") {
            let mut socket = self.sockets.clone().build(self.calls.methods.clone(), self.stop.clone());
            return socket.call(request).await;
        }
        if request.method() != "POST" {
            return Ok(response::method_not_allowed());
        }
        if !content_type_is_json(&request) {
            return Ok(response::unsupported_content_type());
        }
        let Some(body) = read(request.into_body(), self.request_bytes_max).await? else { return Ok(too_large()) };
        if !matches!(body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')) {
            return Ok(response::malformed());
        }
        Ok(response::ok_response(self.calls.answer(&body).await.unwrap_or_default()))
    }
}

/// The whole body, unless it is longer than `bytes_max`.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<Option<Bytes>, BoxError> {
    // Most bodies come in one piece, which then needs no copy.
    let (mut first, mut rest) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bytes_max {
            return Ok(None);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    Ok(Some(if rest.is_empty() { first } else { [first.as_ref(), &rest].concat().into() }))
}

fn socket_config(config: &RpcConfig) -> ServerConfig {
    ServerConfig::builder()
        .max_connections(config.connections_max)
        .max_subscriptions_per_connection(config.subscriptions_max)
        .max_request_body_size(config.request_bytes_max)
        .max_response_body_size(config.response_bytes_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_calls_max))
        .enable_ws_ping(
            PingConfig::new().ping_interval(PING_INTERVAL).inactive_limit(PONG_MISSED_AFTER).max_failures(2),
        )
        .build()
}

impl Service<HttpRequest<Incoming>> for Front {
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Incoming>) -> Answer {
        let (door, answering) = (self.door.clone(), self.activity.begin());
        let origin = request.headers().get("origin").cloned();
        if let Some(origin) = origin.as_ref().filter(|origin| !door.origins.admits(origin)) {
            tracing::debug!(?origin, "a web page was refused");
            return now(text(403, "this origin may not call\n"));
        }
        if origin.is_some() && request.method() == "OPTIONS" {
            return now(shared(HttpResponse::new(HttpBody::empty()), origin));
        }
        if request.method() == "GET"
            && !request.headers().contains_key("upgrade")
            && let Some(page) = page(door.backend.as_ref(), request.uri().path(), request.uri().query())
        {
            return now(shared(page, origin));
        }
        if claimed_bytes(&request) > door.request_bytes_max as u64 {
            return now(shared(too_large(), origin));
        }
        Box::pin(async move {
            let _answering = answering;
            let answer = tokio::time::timeout(door.request_timeout, door.answer(request)).await;
            Ok(shared(answer.unwrap_or_else(|_| Ok(text(408, "the request took too long\n")))?, origin))
        })
    }
}

/// How long the request says it is; a length that is no number, or none, says nothing.
fn claimed_bytes<B>(request: &HttpRequest<B>) -> u64 {
    let claim = request.headers().get("content-length").and_then(|length| length.to_str().ok());
    claim.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn too_large() -> HttpResponse {
    text(413, "the request is too large\n")
}

/// A short answer for people.
pub(super) fn text(status: u16, body: impl Into<String>) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(body.into()));
    *response.status_mut() = status.try_into().expect("statuses here are between 100 and 999");
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn now(response: HttpResponse) -> Answer {
    Box::pin(std::future::ready(Ok(response)))
}

/// Lets the web page that asked read the answer (Fetch standard, CORS protocol).
fn shared(mut response: HttpResponse, origin: Option<HeaderValue>) -> HttpResponse {
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert("access-control-allow-origin", origin);
        headers.insert("access-control-allow-methods", HeaderValue::from_static("GET, POST"));
        headers.insert("access-control-allow-headers", HeaderValue::from_static("content-type"));
        headers.insert("access-control-max-age", HeaderValue::from_static("600"));
        headers.insert("vary", HeaderValue::from_static("origin"));
    }
    response
}
