//! One connection in memory: two ends, each with its own view of whether it still stands.

use super::Shared;
use super::pipe::{Pipe, PipeReader, PipeWriter};
use crate::transport::{BiStream, CloseReason, Connection, PathKind, Protocol, TransportError};
use async_trait::async_trait;
use holdfast_primitives::Address;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};

/// Which end: 0 dialled, 1 was dialled.
pub(super) type Side = usize;

/// What both ends share.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    ends: [Address; 2],
    /// The relay through which everything goes, if not directly.
    via: Option<String>,
    state: Mutex<LinkState>,
    /// Per end: why it has ended, once it has.
    views: [watch::Sender<Option<CloseReason>>; 2],
    /// Per end: streams that the other end opened.
    opened: [mpsc::UnboundedSender<BiStream>; 2],
}

#[derive(Default)]
struct LinkState {
    partitioned: bool,
    /// Grows with every partition, so that an old timer does not end a newer one.
    partitions: u64,
    pipes: Vec<Weak<Pipe>>,
}

/// One end of a connection.
pub(super) struct MemoryConnection {
    link: Arc<Link>,
    side: Side,
    protocol: Protocol,
    incoming: AsyncMutex<mpsc::UnboundedReceiver<BiStream>>,
}

impl Link {
    /// Joins a dialler and a listener.
    pub(super) fn join(
        shared: Arc<Shared>,
        ends: [Address; 2],
        via: Option<String>,
        protocol: Protocol,
    ) -> [MemoryConnection; 2] {
        let (to_dialler, from_listener) = mpsc::unbounded_channel();
        let (to_listener, from_dialler) = mpsc::unbounded_channel();
        let link = Arc::new(Self {
            shared: shared.clone(),
            ends,
            via,
            state: Mutex::default(),
            views: [watch::Sender::new(None), watch::Sender::new(None)],
            opened: [to_dialler, to_listener],
        });
        shared.lock().links.push(Arc::downgrade(&link));
        let end = |side, incoming| MemoryConnection {
            link: link.clone(),
            side,
            protocol,
            incoming: AsyncMutex::new(incoming),
        };
        [end(0, from_listener), end(1, from_dialler)]
    }

    pub(super) fn joins(&self, one: Address, other: Address) -> bool {
        self.ends == [one, other] || self.ends == [other, one]
    }

    pub(super) fn has_end(&self, id: Address) -> bool {
        self.ends.contains(&id)
    }

    pub(super) fn goes_via(&self, relay: &str) -> bool {
        self.via.as_deref() == Some(relay)
    }

    /// Why this end has ended, if it has.
    pub(super) fn ended(&self, side: Side) -> Option<CloseReason> {
        self.views[side].borrow().clone()
    }

    pub(super) fn is_partitioned(&self) -> bool {
        self.lock().partitioned
    }

    /// Nothing passes any more; after `idle` both ends notice.
    pub(super) fn partition(self: Arc<Self>, idle: Duration) {
        let mine = {
            let mut state = self.lock();
            state.partitioned = true;
            state.partitions += 1;
            state.partitions
        };
        tokio::spawn(async move {
            tokio::time::sleep(idle).await;
            let still = self.lock().partitioned && self.lock().partitions == mine;
            if still {
                self.lose("timed out");
            }
        });
    }

    /// Bytes pass again; an end whose other end has gone in the meantime is told so.
    pub(super) fn heal(&self) {
        self.lock().partitioned = false;
        if (0..2).any(|side| self.ended(side).is_some()) {
            self.lose("reset by peer");
        }
        self.wake();
    }

    /// Ends it for both.
    pub(super) fn lose(&self, reason: &str) {
        for side in 0..2 {
            self.end(side, CloseReason::Lost { reason: reason.to_owned() });
        }
    }

    /// Ends it for the end that `id` is at, as that end's endpoint closes.
    pub(super) fn leave(&self, id: Address) {
        if let Some(side) = self.ends.iter().position(|end| *end == id) {
            self.close(side, 0, "endpoint closed");
        }
    }

    fn close(&self, side: Side, code: u32, reason: &str) {
        self.end(side, CloseReason::Local);
        if !self.is_partitioned() {
            self.end(1 - side, CloseReason::Remote { code, reason: reason.to_owned() });
        }
    }

    fn end(&self, side: Side, reason: CloseReason) {
        self.views[side].send_if_modified(|view| {
            let first = view.is_none();
            view.get_or_insert(reason);
            first
        });
        self.wake();
    }

    fn wake(&self) {
        let pipes: Vec<Arc<Pipe>> = self.lock().pipes.iter().filter_map(Weak::upgrade).collect();
        pipes.iter().for_each(|pipe| pipe.wake());
    }

    fn pipe(self: &Arc<Self>, from: Side) -> (PipeWriter, PipeReader, Arc<Pipe>) {
        let pipe = Arc::new(Pipe::new(self.clone(), from));
        let mut state = self.lock();
        state.pipes.retain(|pipe| pipe.strong_count() > 0);
        state.pipes.push(Arc::downgrade(&pipe));
        (PipeWriter::new(pipe.clone()), PipeReader::new(pipe.clone()), pipe)
    }

    /// Counts what one end writes, and cuts the connection when its time has come.
    pub(super) fn note_written(&self, from: Side, bytes: usize) {
        if self.shared.note_written(self.ends[from], self.ends[1 - from], bytes as u64) {
            self.lose("cut");
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryConnection {
    fn ended(&self) -> Option<TransportError> {
        let reason = self.link.ended(self.side)?;
        Some(TransportError::Closed { peer: self.remote_id(), reason })
    }
}

#[async_trait]
impl Connection for MemoryConnection {
    fn remote_id(&self) -> Address {
        self.link.ends[1 - self.side]
    }

    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn path_kind(&self) -> PathKind {
        match (self.link.ended(self.side), &self.link.via) {
            (Some(_), _) => PathKind::Unknown,
            (None, Some(_)) => PathKind::Relayed,
            (None, None) => PathKind::Direct,
        }
    }

    fn observed_addr(&self) -> Option<SocketAddr> {
        self.link.via.is_none().then(|| self.link.shared.seen_at(&self.remote_id()))?
    }

    async fn wait_direct(&self, _patience: Duration) -> PathKind {
        self.path_kind()
    }

    async fn open_bi(&self) -> Result<BiStream, TransportError> {
        if let Some(error) = self.ended() {
            return Err(error);
        }
        let (mut send, their_recv, outward) = self.link.pipe(self.side);
        let (their_send, recv, _) = self.link.pipe(1 - self.side);
        let theirs = BiStream { send: Box::new(their_send), recv: Box::new(their_recv) };
        outward.announce_with(self.link.opened[1 - self.side].clone(), theirs);
        send.is_opener = true;
        Ok(BiStream { send: Box::new(send), recv: Box::new(recv) })
    }

    async fn accept_bi(&self) -> Result<BiStream, TransportError> {
        let mut incoming = self.incoming.lock().await;
        let mut view = self.link.views[self.side].subscribe();
        tokio::select! {
            biased;
            _ = view.wait_for(Option::is_some) => {}
            stream = incoming.recv() => if let Some(stream) = stream {
                return Ok(stream);
            },
        }
        Err(self.ended().unwrap_or(TransportError::EndpointClosed))
    }

    fn close(&self, code: u32, reason: &str) {
        self.link.close(self.side, code, reason);
    }

    async fn closed(&self) -> CloseReason {
        let mut view = self.link.views[self.side].subscribe();
        match view.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(CloseReason::Local),
            Err(_) => CloseReason::Local,
        }
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.close(0, "dropped");
    }
}
