//! The transfer protocol over the network in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod damage;
mod kills;
mod limits;
mod there_and_back;

use common::*;
use holdfast_network::memory::{MemoryEndpoint, MemoryNetwork};
use holdfast_network::transfer::{
    BatchService as _, Download, MemoryBatch, Pace, Progress, Resuming, RetryPolicy, TransferClient,
    TransferClientConfig, TransferConfig, TransferError, TransferServer,
};
use holdfast_network::wire::{
    Access, Capability, Direction, RefusalCode, Scope, Signed, TRANSFER_VERSION, Ticket, TransferHello, TransferReply,
    TransferRequest, encode_frame, read_frame,
};
use holdfast_network::{CloseReason, Connection, Endpoint, NodeAddr, Protocol};
use holdfast_por::GROUP_BYTES;
use holdfast_primitives::{Bounded, ChainId, Height, RequestId, TimeMs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const HEAVY: u8 = 1;
const OWNER: u8 = 2;
const HOLDER: u8 = 3;
const FRIEND: u8 = 4;
const REQUEST: RequestId = RequestId::new([5; 16]);
const MIB: u64 = 1 << 20;

struct Stage {
    network: MemoryNetwork,
    disk: Arc<Disk>,
    owner: Arc<dyn Endpoint>,
}

impl Stage {
    fn new() -> Self {
        Self::with(TransferConfig::default())
    }

    fn with(config: TransferConfig) -> Self {
        let (network, clock) = (network(3), TestClock::start());
        let disk = Disk::new(HOLDER, id(HEAVY));
        disk.quote_for(id(OWNER), REQUEST, 20);
        let server = Arc::new(TransferServer::new(config, id(HOLDER), disk.clone(), clock));
        open_doors(Arc::new(network.endpoint(id(HOLDER))), vec![server]);
        let owner = Arc::new(network.endpoint(id(OWNER)));
        Self { network, disk, owner }
    }

    async fn connect(&self, access: Access) -> Result<TransferClient, TransferError> {
        connect(&*self.owner, access).await
    }

    fn resuming(&self, access: Access) -> Resuming {
        Resuming {
            endpoint: self.owner.clone(),
            holder: bare(HOLDER),
            chain: CHAIN,
            access,
            config: TransferClientConfig { streams: 4, range_leaves: 128, ..TransferClientConfig::default() },
            retry: RetryPolicy::default(),
            introducer: None,
        }
    }
}

async fn connect(endpoint: &dyn Endpoint, access: Access) -> Result<TransferClient, TransferError> {
    TransferClient::connect(endpoint, &bare(HOLDER), CHAIN, access, TransferClientConfig::default()).await
}

fn ticket() -> Ticket {
    Ticket {
        issuer: id(HEAVY),
        client: id(OWNER),
        holder: id(HOLDER),
        holder_addr: bare(HOLDER),
        request: REQUEST,
        direction: Direction::Write,
        bytes_max: 4 * MIB,
        expires: TimeMs::new(START_MS + 3_600_000),
    }
}

fn write() -> Access {
    Access::Write { ticket: Signed::new(ticket(), &key(HEAVY), &CHAIN) }
}

fn capability() -> Capability {
    Capability {
        grant: holdfast_primitives::GrantId::ZERO,
        owner: id(OWNER),
        reader: id(OWNER),
        holder: None,
        scope: Scope::All,
        expires: TimeMs::new(START_MS + 3_600_000),
    }
}

fn read(capability: Capability) -> Access {
    Access::Read { capability: Signed::new(capability, &key(OWNER), &CHAIN), ticket: None }
}

fn code(error: &TransferError) -> RefusalCode {
    match error {
        TransferError::Refused { refusal, .. } => refusal.code,
        other => panic!("not a refusal: {other}"),
    }
}

fn quiet(_: Progress) {}

/// A session opened by hand, for those who break the rules.
async fn raw_session(endpoint: &dyn Endpoint, access: Access) -> (Arc<dyn Connection>, holdfast_network::BiStream) {
    let connection = endpoint.connect(&bare(HOLDER), Protocol::Transfer).await.unwrap();
    let mut stream = connection.open_bi().await.unwrap();
    let hello = TransferHello { version: TRANSFER_VERSION, chain: CHAIN, access };
    let hello = encode_frame(&TransferRequest::Hello(Box::new(hello))).unwrap();
    stream.send.write_all(&hello).await.unwrap();
    let welcome = read_frame::<TransferReply>(&mut stream.recv).await.unwrap().unwrap();
    assert!(matches!(welcome, TransferReply::Welcome { .. }), "{welcome:?}");
    (connection, stream)
}

async fn say(connection: &Arc<dyn Connection>, request: &TransferRequest) -> TransferReply {
    let mut stream = connection.open_bi().await.unwrap();
    stream.send.write_all(&encode_frame(request).unwrap()).await.unwrap();
    read_frame(&mut stream.recv).await.unwrap().unwrap()
}

fn refused(reply: &TransferReply) -> RefusalCode {
    match reply {
        TransferReply::Refused(refusal) => refusal.code,
        other => panic!("not a refusal: {other:?}"),
    }
}
