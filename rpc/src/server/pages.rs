//! The pages for operators: `/livez`, `/readyz`, `/metrics`, and a word for whoever opens the port in a browser.

use super::front::text;
use crate::backend::{Backend, Check};
use std::fmt::Write as _;
use upstream::http_client::HeaderValue;
use upstream::server::HttpResponse;

const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const WELCOME: &str = "This is a Holdfast node. It speaks JSON-RPC 2.0 by POST and WebSocket; the method rpc.discover \
    describes it.\nPages: /livez /readyz /readyz?verbose /metrics\n";

/// The page at `path`; `None` when there is none.
pub(super) fn page(backend: &dyn Backend, path: &str, query: Option<&str>) -> Option<HttpResponse> {
    match path {
        "/" => Some(text(200, WELCOME)),
        "/livez" => Some(text(200, "ok\n")),
        "/readyz" => Some(ready(&backend.health(), query.is_some_and(|query| query.starts_with("verbose")))),
        "/metrics" => {
            let mut response = text(200, backend.metrics());
            response.headers_mut().insert("content-type", METRICS_TYPE);
            Some(response)
        }
        _ => None,
    }
}

fn ready(checks: &[Check], verbose: bool) -> HttpResponse {
    let is_ready = checks.iter().all(|check| check.ok);
    let status = if is_ready { 200 } else { 503 };
    match (verbose, is_ready) {
        (true, _) => text(status, report(checks, is_ready)),
        (false, true) => text(status, "ok\n"),
        (false, false) => text(status, "not ready; see /readyz?verbose\n"),
    }
}

/// `[+]name ok: detail` or `[!]name failed: detail`, one line per check, and the sum of them.
fn report(checks: &[Check], is_ready: bool) -> String {
    let mut report = String::new();
    for Check { name, ok, detail } in checks {
        let (mark, word) = if *ok { ("[+]", "ok") } else { ("[!]", "failed") };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        writeln!(report, "{mark}{name} {word}{detail}").expect("a string takes what is written to it");
    }
    report + if is_ready { "ready\n" } else { "not ready\n" }
}
