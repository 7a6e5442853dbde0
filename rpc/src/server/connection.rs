//! Connections: how many there may be, how long each may say nothing, and how they end.

use super::STOP_GRACE;
use super::activity::Activity;
use super::config::RpcConfig;
use super::front::{Door, Front};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use upstream::server::{StopHandle, serve_with_graceful_shutdown};

/// What a connection too many is told.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\nretry-after: 1\r\n\
    content-length: 21\r\n\r\ntoo many connections\n";
/// Connections at one time that are being told so; more are dropped without a word.
const REFUSALS_MAX: usize = 64;
/// How long telling may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the system refused to hand out another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open port.
pub(super) struct Listening {
    pub listener: TcpListener,
    pub config: RpcConfig,
    pub door: Arc<Door>,
    pub stop: StopHandle,
}

/// A socket that counts as a connection for as long as it lives, also after it became a WebSocket.
struct Counted {
    socket: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Listening {
    /// Takes connections until the server is stopped, then waits for the calls that are under way.
    pub async fn run(self) {
        let permits = Arc::new(Semaphore::new(self.config.connections_max as usize));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let mut connections = JoinSet::new();
        let mut stopped = Box::pin(self.stop.clone().shutdown());
        loop {
            tokio::select! {
                () = &mut stopped => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        if let Ok(permit) = permits.clone().try_acquire_owned() {
                            connections.spawn(self.connection(socket, permit));
                        } else if let Ok(permit) = refusals.clone().try_acquire_owned() {
                            connections.spawn(refuse(Counted { socket, _permit: permit }));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self);
        let drained = async { while connections.join_next().await.is_some() {} };
        // What has not ended by then is cut off when the set is dropped.
        let _ = tokio::time::timeout(STOP_GRACE, drained).await;
    }

    /// The life of one connection.
    fn connection(&self, socket: TcpStream, permit: OwnedSemaphorePermit) -> impl Future<Output = ()> + Send + 'static {
        let activity = Activity::new();
        let front = Front { door: self.door.clone(), activity: activity.clone() };
        let (first, idle) = (self.config.first_request_timeout(), self.config.idle_timeout());
        let stopped = self.stop.clone().shutdown();
        async move {
            // Answers are small and should leave at once; a socket that cannot do that still works.
            let _ = socket.set_nodelay(true);
            let socket = Counted { socket, _permit: permit };
            tokio::select! {
                ended = serve_with_graceful_shutdown(socket, front, stopped) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                }
                () = activity.silence(first, idle) => tracing::debug!("a silent connection was closed"),
            }
        }
    }
}

/// Tells a connection too many to come back later, once it has begun to ask: clients expect no answer before.
async fn refuse(mut socket: Counted) {
    let tell = async {
        let mut asked = [0; 1_024];
        if socket.read(&mut asked).await? > 0 {
            socket.write_all(BUSY).await?;
            socket.shutdown().await?;
            // Closing with unread bytes would reset the connection and lose the answer.
            while socket.read(&mut asked).await? > 0 {}
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, tell).await;
    tracing::debug!("a connection too many was refused");
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
