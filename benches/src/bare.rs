//! A bare hyper server: it reads a request to its end and answers a constant body, and does nothing else.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::io::Write as _;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

/// The hidden argument of the process that serves.
pub const SERVE_BARE: &str = "--child-bare-hyper";
/// The largest body it answers.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Prints the address it listens on, then answers `/N` with `N` bytes until it is ended. On the same kind of runtime as
/// `holdfast`.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        let body = Bytes::from(vec![b'x'; BODY_BYTES_MAX]);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let body = body.clone();
            let service = service_fn(move |request| answer(request, body.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    })
}

async fn answer(request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>> {
    let bytes = request.uri().path().trim_start_matches('/').parse::<usize>()?.min(BODY_BYTES_MAX);
    let mut incoming = request.into_body();
    while let Some(frame) = incoming.frame().await {
        frame?;
    }
    Ok(Response::new(Full::new(body.slice(..bytes))))
}
