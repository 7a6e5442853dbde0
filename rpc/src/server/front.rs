//! What stands before JSON-RPC on every request: who may call, the health pages, and a limit on time.

use super::ServeError;
use super::config::Origins;
use super::connection::Activity;
use super::pages::page;
use crate::backend::Backend;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;
use upstream::core::BoxError;
use upstream::http_client::HeaderValue;
use upstream::server::{HttpBody, HttpRequest, HttpResponse};

/// Which origins may call.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    Any,
    Only(Arc<[HeaderValue]>),
}

/// The service of one connection.
#[derive(Clone)]
pub(super) struct Front<S> {
    pub inner: S,
    pub backend: Arc<dyn Backend>,
    pub origins: Gate,
    pub activity: Activity,
    pub request_bytes_max: u32,
    pub request_timeout: Duration,
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

impl<S, B> Service<HttpRequest<B>> for Front<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Answer {
        let answering = self.activity.begin();
        let origin = request.headers().get("origin").cloned();
        if let Some(origin) = origin.as_ref().filter(|origin| !self.origins.admits(origin)) {
            tracing::debug!(?origin, "a web page was refused");
            return now(text(403, "this origin may not call\n"));
        }
        if origin.is_some() && request.method() == "OPTIONS" {
            return now(shared(HttpResponse::new(HttpBody::empty()), origin));
        }
        if request.method() == "GET"
            && !request.headers().contains_key("upgrade")
            && let Some(page) = page(self.backend.as_ref(), request.uri().path(), request.uri().query())
        {
            return now(shared(page, origin));
        }
        if claimed_bytes(&request) > u64::from(self.request_bytes_max) {
            return now(shared(text(413, "the request is too large\n"), origin));
        }
        let answer = tokio::time::timeout(self.request_timeout, self.inner.call(request));
        Box::pin(async move {
            let _answering = answering;
            let answer = answer.await.unwrap_or_else(|_| Ok(text(408, "the request took too long\n")))?;
            Ok(shared(answer, origin))
        })
    }
}

/// How long the request says it is; a length that is no number, or none, says nothing.
fn claimed_bytes<B>(request: &HttpRequest<B>) -> u64 {
    let claim = request.headers().get("content-length").and_then(|length| length.to_str().ok());
    claim.and_then(|length| length.parse().ok()).unwrap_or(0)
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
