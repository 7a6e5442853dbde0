//! A segment in the memory of holders: the network's own servers, some run by villains.

use crate::common::{CHAIN, START_MS, TestClock, bare, id, key, network, open_doors};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_ledger::statement::Receipt;
use holdfast_network::memory::MemoryNetwork;
use holdfast_network::serve::Handler;
use holdfast_network::transfer::{BatchService, StoredRange, TransferConfig, TransferServer};
use holdfast_network::wire::{
    Capability, GroupSet, Refusal, RefusalCode, Scope, Signed, Ticket, TransferReply, TransferRequest, read_frame,
    write_frame,
};
use holdfast_network::{Connection, NodeAddr, Protocol};
use holdfast_parcel::{ErasureCode, Layout, Locator, SegmentShape, roots_digest};
use holdfast_por::{BatchMeta, GROUP_BYTES, Layers, Tagger, range_proof};
use holdfast_primitives::limits::LEAF_BYTES;
use holdfast_primitives::{Address, Bounded, ChainId, GrantId, Height, NetworkPrefix, RequestId, TimeMs};
use holdfast_wallet::reading::{
    Fault, FaultCode, ReadRight, Reader, SegmentBatches, SegmentSource, Sessions, Whereabouts,
};
use holdfast_wallet::{ReadReport, WalletError};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

pub const OWNER: u8 = 2;
const LOG2: u8 = 20;

/// What a holder does with its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Serves it.
    Honest,
    /// Serves it with one bit flipped.
    Falsifier,
    /// Serves one piece and then nothing more, ever.
    Sleeper,
    /// Serves another batch in its place.
    Impostor,
    /// Serves nobody.
    Refuser,
    /// Serves as slowly as the protocol allows.
    Trickler,
    /// Answers with bytes that mean nothing.
    Babbler,
}

/// A batch on a holder's disk, and its part.
struct Shelf {
    part: Part,
    meta: BatchMeta,
    bytes: Vec<u8>,
    layers: Layers,
    reads: AtomicUsize,
    /// Bytes of leaves that were read.
    served: AtomicU64,
}

pub struct Stage {
    network: MemoryNetwork,
    clock: Arc<TestClock>,
    shelves: Vec<Arc<Shelf>>,
    pub space: Vec<u8>,
    pub shape: SegmentShape,
    batches: Vec<Option<(Address, [u8; 32])>>,
}

/// The holder of a batch.
pub fn holder_seed(batch: usize) -> u8 {
    100 + batch as u8
}

impl Stage {
    /// A segment of `data` + `parity` batches of 1 MiB, one holder for each part.
    pub fn new(data: u8, parity: u8, parts: &[Part]) -> Self {
        let layout = Layout::from_record(data, parity, 1, LOG2).unwrap();
        assert_eq!(layout.batches(), parts.len());
        let mut space = vec![0; layout.data_bytes() as usize];
        StdRng::seed_from_u64(7).fill(&mut space[..]);
        let mut columns: Vec<Option<Vec<u8>>> = space.chunks(1 << LOG2).map(|batch| Some(batch.to_vec())).collect();
        columns.resize(layout.batches(), None);
        let batches = ErasureCode::new(layout).reconstruct_all(columns).unwrap();
        let (network, clock) = (network(11), TestClock::start());
        let shelves: Vec<Arc<Shelf>> =
            batches.into_iter().zip(parts).map(|(bytes, part)| Arc::new(Shelf::new(*part, bytes))).collect();
        let roots: Vec<[u8; 32]> = shelves.iter().map(|shelf| shelf.meta.root).collect();
        for (batch, shelf) in shelves.iter().enumerate() {
            let me = id(holder_seed(batch));
            let config = TransferConfig { piece_leaves_max: 128, ..TransferConfig::default() };
            let handler: Arc<dyn Handler> = match shelf.part {
                Part::Trickler | Part::Babbler => Arc::new(RawServer(Arc::clone(shelf))),
                _ => Arc::new(TransferServer::new(config, me, Arc::clone(shelf), clock.clone())),
            };
            open_doors(Arc::new(network.endpoint(me)), vec![handler]);
        }
        let batches = roots.iter().enumerate().map(|(batch, root)| Some((id(holder_seed(batch)), *root))).collect();
        let shape = SegmentShape { ordinal: 0, layout, roots_digest: Some(roots_digest(&roots)) };
        Self { network, clock, shelves, space, shape, batches }
    }

    pub fn sessions(&self) -> Sessions {
        self.sessions_of(OWNER, ReadRight::Own(key(OWNER)))
    }

    pub fn sessions_of(&self, reader: u8, right: ReadRight) -> Sessions {
        let endpoint = Arc::new(self.network.endpoint(id(reader)));
        Sessions::new(endpoint, Arc::new(KnownPlaces), self.clock.clone(), CHAIN, right)
    }

    /// The owner's permission for `reader` to read some of the batches.
    pub fn permission(&self, reader: u8, batches: std::ops::Range<usize>) -> Signed<Capability> {
        let roots = self.shelves[batches].iter().map(|shelf| shelf.meta.root).collect();
        let said = Capability {
            grant: GrantId::new([6; 16]),
            owner: id(OWNER),
            reader: id(reader),
            holder: None,
            scope: Scope::Batches(Bounded::new(roots).unwrap()),
            expires: TimeMs::new(START_MS + 3_600_000),
        };
        Signed::new(said, &key(OWNER), &CHAIN)
    }

    pub fn reader<'a>(&'a self, sessions: &'a Sessions) -> Reader<'a> {
        let source = Listed(SegmentBatches { batch_log2: LOG2, batches: self.batches.clone() });
        Reader::new(source, sessions, NetworkPrefix::Devnet)
    }

    /// Reads a part of the segment's data space; what came, and what reading came to.
    pub async fn read(&self, offset: u64, stored_len: u32) -> (Result<Vec<u8>, WalletError>, ReadReport) {
        let sessions = self.sessions();
        let reader = self.reader(&sessions);
        let at = Locator { segment: 0, offset, stored_len };
        let read = reader.stored(&[at], |_| Some(self.shape)).await;
        (read.map(|mut chunks| chunks.remove(0)), reader.report())
    }

    /// What the ledger says from now on is that batch `one` has the root of batch `other`.
    pub fn list_wrongly(&mut self, one: usize, other: usize) {
        let root = self.batches[other].unwrap().1;
        self.batches[one].as_mut().unwrap().1 = root;
    }

    /// Bytes of leaves that the holders read for others.
    pub fn served(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.served.load(Ordering::Relaxed)).sum()
    }
}

/// Why each holder that was dropped was, by batch.
pub fn dropped(report: &ReadReport) -> BTreeMap<usize, String> {
    let batch_of = |address: &str| {
        (0..40).find(|batch| id(holder_seed(*batch)).to_text(NetworkPrefix::Devnet) == address).unwrap()
    };
    report.dropped().map(|(holder, why)| (batch_of(&holder.holder), why.code.clone())).collect()
}

impl Shelf {
    fn new(part: Part, bytes: Vec<u8>) -> Self {
        let true_one = Tagger::read(LOG2, &mut &bytes[..]).unwrap();
        let (meta, mut layers, mut bytes) = (true_one.meta, true_one.layers, bytes);
        match part {
            Part::Falsifier => (0..bytes.len()).step_by(GROUP_BYTES * 2).for_each(|at| bytes[at + 5] ^= 1),
            Part::Impostor => {
                bytes = vec![9; bytes.len()];
                layers = Tagger::read(LOG2, &mut &bytes[..]).unwrap().layers;
            }
            _ => {}
        }
        Self { part, meta, bytes, layers, reads: AtomicUsize::new(0), served: AtomicU64::new(0) }
    }

    fn range(&self, meta: &BatchMeta, first: u32, count: u32) -> StoredRange {
        let proof = range_proof(meta, &self.layers, first, count, |group, room| {
            room.copy_from_slice(&self.bytes[group as usize * GROUP_BYTES..][..GROUP_BYTES]);
            Ok(())
        });
        let from = first as usize * LEAF_BYTES;
        let leaves = Bytes::copy_from_slice(&self.bytes[from..from + count as usize * LEAF_BYTES]);
        StoredRange { leaves, proof: proof.unwrap() }
    }
}

#[async_trait]
impl BatchService for Shelf {
    fn chain(&self) -> ChainId {
        CHAIN
    }

    fn trusts(&self, _: &Address) -> bool {
        true
    }

    async fn begin(&self, _: Address, _: RequestId, _: BatchMeta) -> Result<GroupSet, Refusal> {
        Err(Refusal::new(RefusalCode::UnknownRequest, "no uploads here"))
    }

    async fn put(&self, _: Address, _: BatchMeta, _: u32, _: Bytes) -> Result<(), Refusal> {
        Err(Refusal::new(RefusalCode::UnknownRequest, "no uploads here"))
    }

    async fn finish(&self, _: Address, _: RequestId, _: BatchMeta) -> Result<(), Refusal> {
        Err(Refusal::new(RefusalCode::UnknownRequest, "no uploads here"))
    }

    async fn receipt(&self, _: Address, _: RequestId, _: Vec<BatchMeta>, _: Height) -> Result<Receipt, Refusal> {
        Err(Refusal::new(RefusalCode::UnknownRequest, "no uploads here"))
    }

    async fn may_read(&self, _: &Capability) -> Result<(), Refusal> {
        Ok(())
    }

    async fn read(&self, _: Address, meta: BatchMeta, first: u32, count: u32) -> Result<StoredRange, Refusal> {
        if self.part == Part::Refuser {
            return Err(Refusal::new(RefusalCode::NotWelcome, "not today"));
        }
        if meta != self.meta {
            return Err(Refusal::new(RefusalCode::UnknownBatch, "no such batch here"));
        }
        if self.part == Part::Sleeper && self.reads.fetch_add(1, Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
        self.served.fetch_add(u64::from(count) * LEAF_BYTES as u64, Ordering::Relaxed);
        Ok(self.range(&meta, first, count))
    }
}

/// A server of a villain's own making.
struct RawServer(Arc<Shelf>);

#[async_trait]
impl Handler for RawServer {
    fn protocol(&self) -> Protocol {
        Protocol::Transfer
    }

    async fn handle(&self, connection: Arc<dyn Connection>) {
        while let Ok(stream) = connection.accept_bi().await {
            let shelf = Arc::clone(&self.0);
            tokio::spawn(async move { shelf.answer(stream).await });
        }
    }
}

impl Shelf {
    async fn answer(&self, mut stream: holdfast_network::BiStream) -> Option<()> {
        let patience = Duration::from_secs(600);
        match read_frame::<TransferRequest>(&mut stream.recv).await.ok()?? {
            TransferRequest::Hello(_) => {
                let welcome = TransferReply::Welcome { put_leaves_max: 1_024, streams_max: 8 };
                write_frame(&mut stream.send, &welcome, patience).await.ok()?;
            }
            TransferRequest::Get { .. } if self.part == Part::Babbler => {
                stream.send.write_all(&[0xa5; 4_000]).await.ok()?;
            }
            TransferRequest::Get { meta, first_leaf, count } => {
                let count = count.min(256);
                let range = self.range(&meta, first_leaf, count);
                write_frame(&mut stream.send, &TransferReply::Piece { first_leaf, count }, patience).await.ok()?;
                let bytes = [range.proof.as_bytes(), &range.leaves].concat();
                for morsel in bytes.chunks(8 * 1024) {
                    stream.send.write_all(morsel).await.ok()?;
                    // A little more than the rate below which the other side hangs up.
                    tokio::time::sleep(Duration::from_millis(450)).await;
                }
                write_frame(&mut stream.send, &TransferReply::End, patience).await.ok()?;
            }
            _ => {}
        }
        stream.send.shutdown().await.ok()
    }
}

/// The holders' addresses are their names here.
struct KnownPlaces;

#[async_trait]
impl Whereabouts for KnownPlaces {
    async fn find(&self, holder: Address) -> Result<(NodeAddr, Option<Signed<Ticket>>), Fault> {
        let known = (0..40).find(|batch| id(holder_seed(*batch)) == holder);
        let known = known.ok_or_else(|| Fault::new(FaultCode::Offline, "nobody of that name"))?;
        Ok((bare(holder_seed(known)), None))
    }
}

struct Listed(SegmentBatches);

#[async_trait]
impl SegmentSource for Listed {
    async fn segment(&self, ordinal: u32) -> Result<Option<SegmentBatches>, WalletError> {
        Ok((ordinal == 0).then(|| self.0.clone()))
    }
}
