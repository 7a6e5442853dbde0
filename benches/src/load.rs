//! Load on an HTTP server: connections that each send the same request again as soon as they were answered.

use anyhow::{Context as _, Result, bail, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections at one time.
const CONNECTIONS: usize = 16;
/// How far the length of an answer may be from that of the first one: heights and times grow.
const LENGTH_DRIFT: usize = 256;

/// One request, as it goes over the wire, and how long its answer is.
#[derive(Clone)]
pub struct Request {
    wire: Vec<u8>,
    answer_bytes: usize,
}

impl Request {
    /// A POST of a JSON body.
    pub fn post(path: &str, body: &str, answer_bytes: usize) -> Self {
        let wire = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { wire: wire.into_bytes(), answer_bytes }
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self { wire: format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes(), answer_bytes: 0 }
    }

    /// As it goes over the wire.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Sends it once; gives the answer's body.
    pub fn once(&self, server: SocketAddr) -> Result<Vec<u8>> {
        runtime()?.block_on(async {
            let mut connection = Connection::open(server).await?;
            let length = connection.ask(&self.wire).await?;
            Ok(connection.body(length).to_vec())
        })
    }
}

/// Asks for `time` on all connections; gives how many answers came. Every one must have status 200 and the expected length.
pub fn load(server: SocketAddr, request: &Request, time: Duration) -> Result<u64> {
    runtime()?.block_on(async {
        let until = Instant::now() + time;
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (request, mut connection) = (request.clone(), Connection::open(server).await?);
            connections.spawn(async move {
                let mut answers = 0;
                while Instant::now() < until {
                    let length = connection.ask(&request.wire).await?;
                    let (found, expected) = (length, request.answer_bytes);
                    ensure!(found.abs_diff(expected) <= LENGTH_DRIFT, "an answer of {found} bytes, not {expected}");
                    answers += 1;
                }
                Ok(answers)
            });
        }
        let mut answers = 0;
        while let Some(ended) = connections.join_next().await {
            answers += ended??;
        }
        Ok(answers)
    })
}

/// The load comes from one thread, so that the server has the other processors to itself.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// One keep-alive connection.
pub struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
    head_bytes: usize,
}

impl Connection {
    pub async fn open(server: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(server).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: vec![0; 4 << 20], head_bytes: 0 })
    }

    /// Sends a request and reads its whole answer; gives the length of the body.
    pub async fn ask(&mut self, wire: &[u8]) -> Result<usize> {
        self.socket.write_all(wire).await?;
        let mut filled = 0;
        loop {
            let read = self.socket.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if let Some((head_bytes, body_bytes)) = lengths(&self.buffer[..filled])?
                && filled >= head_bytes + body_bytes
            {
                self.head_bytes = head_bytes;
                return Ok(body_bytes);
            }
        }
    }

    pub fn body(&self, length: usize) -> &[u8] {
        &self.buffer[self.head_bytes..self.head_bytes + length]
    }
}

/// Bytes of an answer's head and of its body; `None` until the head is complete.
fn lengths(answer: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = answer.windows(4).take(1_024).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("the server answers {head}");
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Some((end + 4, length.context("an answer has a length")?)))
}
