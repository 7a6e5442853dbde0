//! An owner and a holder on this machine, with or without a direct path, and bare streams between the same endpoints.

use super::shelf::Shelf;
use crate::harness::noise;
use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_network::quic::{QuicConfig, QuicEndpoint};
use holdfast_network::relay::{RelayPolicy, RelayServer, RelayServerConfig};
use holdfast_network::serve::{Handler, ServeLimits, serve};
use holdfast_network::time::SystemClock;
use holdfast_network::transfer::{MemoryBatch, TransferClient, TransferClientConfig, TransferConfig, TransferServer};
use holdfast_network::wire::{Access, Capability, Direction, Scope, Signed, Ticket};
use holdfast_network::{BiStream, Connection, Endpoint, PathKind, Protocol};
use holdfast_por::{BatchMeta, Tagged, Tagger};
use holdfast_primitives::{Address, ChainId, GrantId, RequestId, SecretKey, TimeMs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CHAIN: ChainId = ChainId::new([7; 32]);
/// How long a connection may take to be as it should.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that bare streams write and read at once.
const PIECE: usize = 64 * 1024;

/// How the two are connected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Direct,
    Relayed,
}

/// The two ends, and a batch to send between them.
pub struct Ends {
    path: Path,
    owner: QuicEndpoint,
    holder: Arc<QuicEndpoint>,
    pub shelf: Arc<Shelf>,
    pub bytes: Bytes,
    pub meta: BatchMeta,
    pub source: Arc<MemoryBatch>,
    _relay: Option<RelayServer>,
}

struct Everyone;

impl RelayPolicy for Everyone {
    fn admits(&self, _node: &Address) -> bool {
        true
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

impl Ends {
    pub async fn meet(path: Path, batch_log2: u8) -> Result<Self> {
        let bytes = Bytes::from(noise(1 << batch_log2, 11));
        let tagged = Tagger::read(batch_log2, &mut &bytes[..])?;
        let meta = tagged.meta;
        let again = Tagged { meta, layers: tagged.layers.clone() };
        let (source, served) = (MemoryBatch::new(tagged, bytes.clone()), MemoryBatch::new(again, bytes.clone()));
        let relay = match path {
            Path::Direct => None,
            Path::Relayed => {
                let config = RelayServerConfig::new(([127, 0, 0, 1], 0).into());
                Some(RelayServer::start(config, Arc::new(Everyone)).await?)
            }
        };
        let config = |seed| QuicConfig {
            relays: relay.iter().map(|relay| relay.url().to_owned()).collect(),
            relay_only: path == Path::Relayed,
            ..QuicConfig::loopback(key(seed))
        };
        let (owner, holder) = (QuicEndpoint::bind(config(1)).await?, Arc::new(QuicEndpoint::bind(config(2)).await?));
        if relay.is_some() {
            ensure!(owner.wait_online(PATIENCE).await && holder.wait_online(PATIENCE).await, "the relay takes both in");
        }
        let shelf = Arc::new(Shelf::new(CHAIN, served));
        let server =
            TransferServer::new(TransferConfig::default(), key(2).address(), shelf.clone(), Arc::new(SystemClock));
        let handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(server), Arc::new(Sink)];
        tokio::spawn(serve(holder.clone() as Arc<dyn Endpoint>, handlers, ServeLimits::default()));
        Ok(Self { path, owner, holder, shelf, bytes, meta, source: Arc::new(source), _relay: relay })
    }

    /// A session that writes.
    pub async fn writer(&self) -> Result<TransferClient> {
        let ticket = Ticket {
            issuer: key(3).address(),
            client: key(1).address(),
            holder: key(2).address(),
            holder_addr: self.holder.addr(),
            request: RequestId::new([5; 16]),
            direction: Direction::Write,
            bytes_max: 1 << 40,
            expires: TimeMs::new(u64::MAX),
        };
        self.session(Access::Write { ticket: Signed::new(ticket, &key(3), &CHAIN) }).await
    }

    /// A session that reads.
    pub async fn reader(&self) -> Result<TransferClient> {
        let capability = Capability {
            grant: GrantId::new([6; 16]),
            owner: key(1).address(),
            reader: key(1).address(),
            holder: None,
            scope: Scope::All,
            expires: TimeMs::new(u64::MAX),
        };
        self.session(Access::Read { capability: Signed::new(capability, &key(1), &CHAIN), ticket: None }).await
    }

    async fn session(&self, access: Access) -> Result<TransferClient> {
        let wait_direct = if self.path == Path::Direct { PATIENCE } else { Duration::ZERO };
        let config = TransferClientConfig { wait_direct, ..TransferClientConfig::default() };
        let client = TransferClient::connect(&self.owner, &self.holder.addr(), CHAIN, access, config).await?;
        self.check(client.path_kind())?;
        Ok(client)
    }

    /// A connection whose streams are nobody's protocol.
    pub async fn bare(&self) -> Result<Arc<dyn Connection>> {
        let connection = self.owner.connect(&self.holder.addr(), Protocol::Gossip).await?;
        if self.path == Path::Direct {
            connection.wait_direct(PATIENCE).await;
        }
        self.check(connection.path_kind())?;
        Ok(connection)
    }

    fn check(&self, found: PathKind) -> Result<()> {
        let wanted = if self.path == Path::Direct { PathKind::Direct } else { PathKind::Relayed };
        ensure!(found == wanted, "the path is {found:?}, not {wanted:?}");
        Ok(())
    }
}

/// Bare streams: a byte says what to do with what follows.
struct Sink;

/// Count and drop.
pub const DROP: u8 = 0;
/// Make the tree of what comes, a quarter of a batch or less at a time, and drop it.
pub const TREE: u8 = 1;
/// Send it back.
pub const ECHO: u8 = 2;

#[async_trait]
impl Handler for Sink {
    fn protocol(&self) -> Protocol {
        Protocol::Gossip
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        while let Ok(stream) = connection.accept_bi().await {
            // A stream that fails is seen at its other end.
            tokio::spawn(async move { swallow(stream).await.ok() });
        }
    }
}

/// Takes all that comes and answers how much it was.
async fn swallow(mut stream: BiStream) -> Result<()> {
    let what = stream.recv.read_u8().await?;
    if what == ECHO {
        let mut buffer = [0; 1_024];
        while stream.recv.read_exact(&mut buffer).await.is_ok() {
            stream.send.write_all(&buffer).await?;
        }
        return Ok(());
    }
    let log2 = stream.recv.read_u8().await?;
    let mut tree = (what == TREE).then(|| Tagger::new(log2)).transpose()?;
    let (mut buffer, mut count) = (vec![0; PIECE], 0_u64);
    loop {
        let read = stream.recv.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        count += read as u64;
        if let Some(tree) = &mut tree {
            tree.update(&buffer[..read])?;
        }
    }
    if let Some(tree) = tree {
        std::hint::black_box(tree.finish().meta);
    }
    stream.send.write_u64(count).await?;
    stream.send.shutdown().await?;
    Ok(())
}

/// Sends `bytes` on `streams` bare streams at once, in equal parts.
pub async fn send_bare(connection: &Arc<dyn Connection>, bytes: &Bytes, streams: usize, what: u8) -> Result<()> {
    let part = bytes.len() / streams;
    let log2 = u8::try_from(part.next_power_of_two().ilog2())?;
    let mut sending = tokio::task::JoinSet::new();
    for index in 0..streams {
        let (connection, part) = (connection.clone(), bytes.slice(index * part..(index + 1) * part));
        sending.spawn(async move {
            let mut stream = connection.open_bi().await?;
            stream.send.write_all(&[what, log2]).await?;
            stream.send.write_all(&part).await?;
            stream.send.shutdown().await?;
            ensure!(stream.recv.read_u64().await? == part.len() as u64, "not all of it came");
            Ok(())
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.context("a sender fell")??;
    }
    Ok(())
}
