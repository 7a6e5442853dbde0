//! A tap on one end's wires: what was sent, what was acknowledged, and what was sent although it had been acknowledged.
//! It reads the bytes by hand, as `wire/transfer.rs` draws them, and knows nothing of clients and servers.

use async_trait::async_trait;
use holdfast_network::transport::{RecvHalf, SendHalf};
use holdfast_network::{
    BiStream, CloseReason, Connection, Endpoint, Incoming, NodeAddr, PathKind, Protocol, TransportError,
};
use holdfast_por::{BatchMeta, range_proof_hashes};
use holdfast_primitives::Address;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The places of these kinds among the messages of either side.
const BEGIN: u8 = 1;
const PUT: u8 = 2;
const GET: u8 = 5;
const STORED: u8 = 3;
const PIECE: u8 = 6;

/// What was heard, over all sessions and all lives of the end that is tapped.
#[derive(Default)]
pub struct Record {
    seen: Mutex<Seen>,
    bytes: watch::Sender<u64>,
}

#[derive(Default)]
struct Seen {
    metas: HashMap<[u8; 32], BatchMeta>,
    /// Leaves of each batch that the other end has acknowledged.
    acknowledged: HashMap<[u8; 32], BTreeSet<u32>>,
    /// Leaves that were offered after they had been acknowledged.
    repeated: Vec<u32>,
    put_leaves: u64,
    got_leaves: u64,
}

impl Record {
    /// Leaves that went out in puts, begun ones included.
    pub fn put_leaves(&self) -> u64 {
        self.seen.lock().unwrap().put_leaves
    }

    /// Leaves that came in pieces, begun ones included.
    pub fn got_leaves(&self) -> u64 {
        self.seen.lock().unwrap().got_leaves
    }

    /// Leaves that were sent again after their acknowledgement had come.
    pub fn repeated(&self) -> Vec<u32> {
        self.seen.lock().unwrap().repeated.clone()
    }

    /// Leaves that were acknowledged.
    pub fn acknowledged(&self, root: &[u8; 32]) -> usize {
        self.seen.lock().unwrap().acknowledged.get(root).map_or(0, BTreeSet::len)
    }

    /// Bytes that passed so far, both ways.
    pub fn bytes(&self) -> u64 {
        *self.bytes.borrow()
    }

    /// Waits until so many bytes have passed.
    pub async fn reaches(self: Arc<Self>, bytes: u64) {
        let mut seen = self.bytes.subscribe();
        seen.wait_for(|seen| *seen >= bytes).await.unwrap();
    }
}

/// One stream's conversation.
struct Talk {
    record: Arc<Record>,
    out: Splitter,
    into: Splitter,
    /// What a put or a get on this stream was about.
    root: [u8; 32],
}

/// Cuts a direction of a stream into frames and what follows them raw.
#[derive(Default)]
struct Splitter {
    frame: Vec<u8>,
    raw: u64,
}

impl Splitter {
    /// Takes bytes; gives the next whole frame with the rest of the bytes.
    fn take<'a>(&mut self, mut bytes: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
        while !bytes.is_empty() {
            let skipped = (self.raw as usize).min(bytes.len());
            self.raw -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else { break };
            self.frame.push(*first);
            bytes = rest;
            let whole = self.frame.first_chunk::<4>().map(|length| 4 + u32::from_le_bytes(*length) as usize);
            if whole == Some(self.frame.len()) {
                return Some((std::mem::take(&mut self.frame).split_off(4), bytes));
            }
        }
        None
    }
}

fn u32_at(frame: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(frame[at..at + 4].try_into().unwrap())
}

/// Bytes of siblings and leaves.
fn raw_bytes(meta: &BatchMeta, run: &Range<u32>) -> u64 {
    let hashes = range_proof_hashes(meta, run.start, run.end - run.start).unwrap();
    hashes as u64 * 32 + u64::from(run.end - run.start) * 1_024
}

impl Talk {
    fn sent(&mut self, mut bytes: &[u8]) {
        self.record.bytes.send_modify(|count| *count += bytes.len() as u64);
        while let Some((frame, rest)) = self.out.take(bytes) {
            bytes = rest;
            let mut seen = self.record.seen.lock().unwrap();
            match frame[0] {
                BEGIN => drop(seen.note_meta(&frame[1..37])),
                PUT => {
                    self.root = frame[1..33].try_into().unwrap();
                    let run = u32_at(&frame, 33)..u32_at(&frame, 33) + u32_at(&frame, 37);
                    self.out.raw = raw_bytes(&seen.metas[&self.root], &run);
                    seen.offered(self.root, run);
                }
                GET => self.root = seen.note_meta(&frame[1..37]),
                _ => {}
            }
        }
    }

    fn heard(&mut self, mut bytes: &[u8]) {
        self.record.bytes.send_modify(|count| *count += bytes.len() as u64);
        while let Some((frame, rest)) = self.into.take(bytes) {
            bytes = rest;
            let mut seen = self.record.seen.lock().unwrap();
            let run = || u32_at(&frame, 1)..u32_at(&frame, 1) + u32_at(&frame, 5);
            match frame[0] {
                STORED => seen.acknowledged.entry(self.root).or_default().extend(run()),
                PIECE => {
                    self.into.raw = raw_bytes(&seen.metas[&self.root], &run());
                    seen.got_leaves += run().len() as u64;
                }
                _ => {}
            }
        }
    }
}

impl Seen {
    fn note_meta(&mut self, bytes: &[u8]) -> [u8; 32] {
        let meta: BatchMeta = borsh::from_slice(bytes).unwrap();
        self.metas.insert(meta.root, meta);
        meta.root
    }

    fn offered(&mut self, root: [u8; 32], run: Range<u32>) {
        self.put_leaves += run.len() as u64;
        let acknowledged = self.acknowledged.entry(root).or_default();
        self.repeated.extend(run.filter(|leaf| acknowledged.contains(leaf)));
    }
}

/// An endpoint whose transfers are heard.
pub struct Tapped {
    inner: Arc<dyn Endpoint>,
    record: Arc<Record>,
}

struct TappedConnection {
    inner: Arc<dyn Connection>,
    record: Arc<Record>,
}

struct TappedSend {
    inner: SendHalf,
    talk: Arc<Mutex<Talk>>,
}

struct TappedRecv {
    inner: RecvHalf,
    talk: Arc<Mutex<Talk>>,
}

impl Tapped {
    pub fn new(inner: Arc<dyn Endpoint>, record: &Arc<Record>) -> Arc<Self> {
        Arc::new(Self { inner, record: record.clone() })
    }
}

#[async_trait]
impl Endpoint for Tapped {
    fn id(&self) -> Address {
        self.inner.id()
    }

    fn addr(&self) -> NodeAddr {
        self.inner.addr()
    }

    async fn connect(&self, to: &NodeAddr, protocol: Protocol) -> Result<Arc<dyn Connection>, TransportError> {
        let inner = self.inner.connect(to, protocol).await?;
        Ok(Arc::new(TappedConnection { inner, record: self.record.clone() }))
    }

    async fn accept(&self) -> Option<Box<dyn Incoming>> {
        self.inner.accept().await
    }

    async fn note_observed(&self, addr: SocketAddr) {
        self.inner.note_observed(addr).await;
    }

    async fn note_parents(&self, parents: &[NodeAddr]) {
        self.inner.note_parents(parents).await;
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Connection for TappedConnection {
    fn remote_id(&self) -> Address {
        self.inner.remote_id()
    }

    fn protocol(&self) -> Protocol {
        self.inner.protocol()
    }

    fn path_kind(&self) -> PathKind {
        self.inner.path_kind()
    }

    fn observed_addr(&self) -> Option<SocketAddr> {
        self.inner.observed_addr()
    }

    async fn wait_direct(&self, patience: Duration) -> PathKind {
        self.inner.wait_direct(patience).await
    }

    async fn open_bi(&self) -> Result<BiStream, TransportError> {
        let BiStream { send, recv } = self.inner.open_bi().await?;
        let (out, into) = (Splitter::default(), Splitter::default());
        let talk = Arc::new(Mutex::new(Talk { record: self.record.clone(), out, into, root: [0; 32] }));
        let send = Box::new(TappedSend { inner: send, talk: talk.clone() });
        Ok(BiStream { send, recv: Box::new(TappedRecv { inner: recv, talk }) })
    }

    async fn accept_bi(&self) -> Result<BiStream, TransportError> {
        self.inner.accept_bi().await
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, reason);
    }

    async fn closed(&self) -> CloseReason {
        self.inner.closed().await
    }
}

impl AsyncWrite for TappedSend {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.talk.lock().unwrap().sent(&bytes[..*count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for TappedRecv {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, into);
        self.talk.lock().unwrap().heard(&into.filled()[before..]);
        read
    }
}
