//! A small world to ask questions about: an in-memory node with records made by hand out of the ledger's own types.

pub mod records;
pub mod world;

use holdfast_rpc::{RpcClient, RpcConfig, RpcServer, serve};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use world::World;

/// A served world and a client of it.
pub struct Served {
    pub world: Arc<World>,
    pub server: RpcServer,
    pub client: RpcClient,
}

/// Serves a fresh world with the default configuration.
pub async fn served() -> Served {
    served_with(RpcConfig::default()).await
}

pub async fn served_with(config: RpcConfig) -> Served {
    let world = Arc::new(World::new());
    let server = serve(config, world.clone()).await.unwrap();
    let client = RpcClient::connect(&server.url()).unwrap();
    Served { world, server, client }
}

impl Served {
    /// Sends these bytes on a fresh connection and returns everything that comes back until the server closes it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.server.addr()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        read_all(&mut socket).await
    }

    /// A page, as an operator's probe gets it: status line and body.
    pub async fn page(&self, path: &str) -> (String, String) {
        let answer =
            self.raw(format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// One JSON-RPC body by POST; returns status line and body.
    pub async fn post(&self, body: &str, headers: &str) -> (String, String) {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.raw(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }
}

/// The owner's address (0) or a holder's (1, 2), as people see it.
pub fn text_of(account: u32) -> String {
    let key = if account == 0 { records::owner() } else { records::holder(account - 1) };
    key.address().to_text(holdfast_primitives::NetworkPrefix::Devnet)
}

/// Everything until the other side closes, also when it does so rudely.
pub async fn read_all(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
