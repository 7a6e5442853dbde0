//! Storing: pack, upload, collect receipts, register. Nothing is paid before everything lies at its holders.
//!
//! ```text
//! packer thread:  files -> segments -> batches, tagged ---- a bounded queue per holder ---->  uploads
//! then:           receipts of all holders -> one registration per 1,024 segments -> final -> dead segments released
//! ```

use crate::batches::{Space, make_batches};
use crate::collect::{LocalFile, file_meta};
use crate::error::WalletError;
use crate::link::Link;
use crate::place::{Cost, Placed};
use crate::session::Session;
use crate::signer::Prepared;
use holdfast_ledger::statement::Receipt;
use holdfast_ledger::{CatalogHead as HeadBytes, NewBatch, NewSegment, Placement, Register, TxBody};
use holdfast_network::control::CheckedOffer;
use holdfast_network::transfer::{Meter, Resuming, TransferClient, UploadSource};
use holdfast_parcel::{Catalog, Finish, Layout, PackStats, PackedSegment, Packer, SegmentSink};
use holdfast_por::BatchMeta;
use holdfast_primitives::limits::{REGISTER_BATCHES_MAX, REGISTER_SEGMENTS_MAX, RELEASE_BATCHES_MAX};
use holdfast_primitives::{Address, Amount, Bounded, Height, HeightDelta, TxId};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that wait for one holder, at most; with the one being sent, what each holder keeps in memory.
const QUEUE: usize = 1;
/// Blocks for which receipts hold.
const RECEIPT_BLOCKS: HeightDelta = HeightDelta::new(10_000);

/// Where storing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutProgress {
    /// Plaintext bytes read.
    pub read_bytes: u64,
    /// Plaintext bytes in all.
    pub total_bytes: u64,
    /// Batches made.
    pub made: u64,
    /// Batches that lie at their holders.
    pub stored: u64,
}

/// What storing came to.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What was packed.
    pub stats: PackStats,
    /// What it costs.
    pub cost: Cost,
    /// Fees that were really paid.
    pub fees: Amount,
    /// The registering transactions with the heights of their blocks.
    pub registered: Vec<(TxId, Height)>,
    /// The last registering transaction, when it was handed in and not waited for.
    pub pending: Option<Prepared>,
    /// Segments that held nothing alive any more and were let go.
    pub released: Vec<u32>,
    /// Bytes that went to holders through a relay, which a heavy node meters; the others went directly.
    pub relayed_bytes: u64,
    /// Who holds it, and how each was found.
    pub holders: Vec<Keeper>,
}

/// A holder that keeps what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// The holder.
    pub holder: Address,
    /// Its price per batch per round.
    pub price: Amount,
    /// The heavy nodes over which it was found, in order: they share the relay fee.
    pub path: Vec<Address>,
}

/// Everything a put works with.
pub struct Put<'a> {
    /// Who stores.
    pub session: &'a Session,
    /// Its place in the network.
    pub link: &'a Link,
    /// Who takes it.
    pub placed: Placed,
    /// The owner's catalog. A file in it that is stored again under its name is replaced.
    pub catalog: Catalog,
    /// Segments whose chunks are not built on (see [`crate::reusable`]).
    pub avoided: BTreeSet<u32>,
    /// A folder for temporary files, used for large batches only.
    pub work_dir: &'a Path,
    /// Whether to stop once the last registration is handed in. Nothing is stored or paid unless it becomes final; dead
    /// segments are let go by a later put.
    pub no_wait: bool,
}

/// What happened so far; shared with the threads that do it.
#[derive(Default)]
struct Counters {
    /// Counts what travels to all holders.
    meter: Arc<Meter>,
    read_bytes: AtomicU64,
    made: AtomicU64,
    stored: AtomicU64,
}

impl Keeper {
    /// The holder of an offer.
    pub fn of(offer: &CheckedOffer) -> Self {
        let terms = &offer.quote().terms;
        let path = offer.footprint().iter().map(|hop| hop.node).collect();
        Self { holder: terms.holder, price: terms.price, path }
    }
}

impl Put<'_> {
    /// Stores `files` (none, to store only the changed catalog).
    pub async fn run(
        mut self,
        files: Vec<LocalFile>,
        progress: &(dyn Fn(PutProgress) + Send + Sync),
    ) -> Result<Stored, WalletError> {
        let first_ordinal = self.session.account().await?.map_or(0, |account| account.segments);
        let total_bytes = files.iter().map(|file| file.meta.size).sum();
        let counters = Arc::new(Counters::default());
        let (queues, uploads) = self.start_uploads(&counters);
        let packing = self.start_packing(first_ordinal, files, queues, &counters);
        let finish = self.watch(packing, &counters, total_bytes, progress).await;
        let mut holders = Vec::with_capacity(uploads.len());
        for upload in uploads {
            holders.push(upload.await?);
        }
        // A holder that failed closed its queue, which ended the packing: its reason says more.
        let holders = holders.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (finish, metas) = finish?;
        let stored = self.register(first_ordinal, finish, &metas, &holders).await?;
        Ok(Stored { relayed_bytes: counters.meter.relayed_bytes(), ..stored })
    }

    fn start_uploads(&self, counters: &Arc<Counters>) -> (Vec<Queue>, Vec<Upload>) {
        let start = |offer: &CheckedOffer| {
            let (queue, batches) = mpsc::channel(QUEUE);
            let mut writer = self.link.writer(offer.ticket().clone());
            writer.config.meter = Arc::clone(&counters.meter);
            (queue, tokio::spawn(upload(writer, batches, Arc::clone(counters))))
        };
        self.placed.offers.iter().map(start).unzip()
    }

    fn start_packing(
        &mut self,
        first_ordinal: u32,
        files: Vec<LocalFile>,
        queues: Vec<Queue>,
        counters: &Arc<Counters>,
    ) -> JoinHandle<Result<Packed, WalletError>> {
        let sink = Sink {
            queues,
            metas: Vec::new(),
            work_dir: self.work_dir.to_owned(),
            segments_max: self.placed.segments_max as usize,
            counters: Arc::clone(counters),
        };
        let catalog = std::mem::replace(&mut self.catalog, Catalog::new());
        let avoided = std::mem::take(&mut self.avoided);
        let (layout, keys, now) = (self.placed.layout, self.session.keys().clone(), self.link.now());
        let counters = Arc::clone(counters);
        tokio::task::spawn_blocking(move || {
            let mut packer = Packer::new(layout, first_ordinal, catalog, keys, sink);
            packer.avoid(avoided);
            for file in files {
                add(&mut packer, &file, &counters)?;
            }
            let Finish { catalog, head, stats, sink } = packer.finish(now)?;
            Ok((Finish { catalog, head, stats, sink: () }, sink.metas))
        })
    }

    /// Waits for the packing and tells how it goes.
    async fn watch<T>(
        &self,
        mut packing: JoinHandle<Result<T, WalletError>>,
        counters: &Counters,
        total_bytes: u64,
        progress: &(dyn Fn(PutProgress) + Send + Sync),
    ) -> Result<T, WalletError> {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
        loop {
            let tell = || {
                progress(PutProgress {
                    read_bytes: counters.read_bytes.load(Ordering::Relaxed),
                    total_bytes,
                    made: counters.made.load(Ordering::Relaxed),
                    stored: counters.stored.load(Ordering::Relaxed),
                });
            };
            tokio::select! {
                packed = &mut packing => { tell(); return packed?; }
                _ = ticks.tick() => tell(),
            }
        }
    }

    async fn register(
        &self,
        first_ordinal: u32,
        finish: Finish<()>,
        metas: &[Vec<BatchMeta>],
        holders: &[Option<TransferClient>],
    ) -> Result<Stored, WalletError> {
        let head = finish.head.seal(self.session.keys(), &self.session.address());
        let head: HeadBytes = Bounded::new(head).map_err(WalletError::unreadable)?;
        let per_tx = REGISTER_SEGMENTS_MAX.min(REGISTER_BATCHES_MAX / self.placed.layout.batches());
        let (mut registered, mut pending, mut fees) = (Vec::new(), None, Amount::ZERO);
        let chunks: Vec<&[Vec<BatchMeta>]> = metas.chunks(per_tx).collect();
        for (index, segments) in chunks.iter().enumerate() {
            let first = first_ordinal + u32::try_from(index * per_tx).expect("ordinals are 32 bits");
            let catalog_head = (index + 1 == chunks.len()).then(|| head.clone());
            let register = self.registration(first, segments, holders, catalog_head).await?;
            let prepared = self.session.prepare(TxBody::Register(register)).await?;
            fees = fees.checked_add(prepared.fee())?;
            // A registration needs the sequence number and the ordinals that the one before it left.
            if self.no_wait && index + 1 == chunks.len() {
                self.session.submit(&prepared).await?;
                pending = Some(prepared);
            } else {
                registered.push((prepared.id(), self.session.submit_and_wait(&prepared).await?));
            }
        }
        let segments = u32::try_from(metas.len()).expect("ordinals are 32 bits");
        let cost = self.placed.cost(self.session, segments)?;
        let (released, fee) = match &pending {
            Some(_) => (Vec::new(), Amount::ZERO),
            None => release_dead(self.session, &finish.catalog).await?,
        };
        Ok(Stored {
            stats: finish.stats,
            cost,
            fees: fees.checked_add(fee)?,
            registered,
            pending,
            released,
            relayed_bytes: 0,
            holders: self.placed.offers.iter().map(Keeper::of).collect(),
        })
    }

    async fn registration(
        &self,
        first_ordinal: u32,
        segments: &[Vec<BatchMeta>],
        holders: &[Option<TransferClient>],
        catalog_head: Option<HeadBytes>,
    ) -> Result<Register, WalletError> {
        let expires = self.session.rpc().chain_status().await?.height.saturating_add(RECEIPT_BLOCKS);
        let first_row = usize::try_from(first_ordinal).expect("32 bits fit");
        let mut placements = Vec::with_capacity(self.placed.offers.len());
        for (holder, offer) in self.placed.offers.iter().enumerate() {
            let receipt = self.receipt(first_row, segments, holder, offer, holders, expires).await?;
            placements.push(Placement {
                quote: offer.quote().clone(),
                rounds: self.placed.rounds,
                footprint: offer.footprint().clone(),
                receipt,
            });
        }
        let count = self.placed.offers.len();
        let rows = segments
            .iter()
            .enumerate()
            .map(|(row, metas)| new_segment(&self.placed.layout, first_row + row, metas, count));
        Ok(Register {
            first_ordinal,
            segments: Bounded::new(rows.collect()).map_err(WalletError::unreadable)?,
            placements: Bounded::new(placements).map_err(WalletError::unreadable)?,
            catalog_head,
        })
    }

    async fn receipt(
        &self,
        first_row: usize,
        segments: &[Vec<BatchMeta>],
        holder: usize,
        offer: &CheckedOffer,
        holders: &[Option<TransferClient>],
        expires: Height,
    ) -> Result<Receipt, WalletError> {
        let count = self.placed.offers.len();
        let metas: Vec<BatchMeta> =
            segments.iter().enumerate().map(|(row, metas)| metas[batch_of(first_row + row, holder, count)]).collect();
        let terms = &offer.quote().terms;
        let expires = expires.min(terms.expires);
        // The session may have idled out while others were still uploading.
        if let Some(client) = &holders[holder]
            && let Ok(receipt) = client.receipt(terms.request, &metas, expires).await
        {
            return Ok(receipt);
        }
        let client = self.link.writer(offer.ticket().clone()).connect().await?;
        Ok(client.receipt(terms.request, &metas, expires).await?)
    }
}

/// Which of these segments the ledger still lists batches of.
pub async fn held_segments(session: &Session, ordinals: impl Iterator<Item = u32>) -> Result<Vec<u32>, WalletError> {
    let mut held = Vec::new();
    for ordinal in ordinals {
        let ask = holdfast_rpc::PageAsk::from(u64::from(ordinal)).limit(1);
        let page = session.rpc().account_segments(session.address_text(), Some(ask)).await?;
        let row = page.rows.into_iter().find(|segment| segment.ordinal == ordinal);
        if row.is_some_and(|segment| segment.members.iter().any(|member| member.stored.is_some())) {
            held.push(ordinal);
        }
    }
    Ok(held)
}

/// Lets go of segments in which nothing lives any more; returns their ordinals and the fees paid.
pub async fn release_dead(session: &Session, catalog: &Catalog) -> Result<(Vec<u32>, Amount), WalletError> {
    let held = held_segments(session, catalog.dead_segments().into_iter()).await?;
    let mut fees = Amount::ZERO;
    for chunk in held.chunks(RELEASE_BATCHES_MAX) {
        let ordinals = Bounded::new(chunk.to_vec()).expect("chunks are cut to the limit");
        let prepared = session.prepare(TxBody::Release { ordinals, catalog_head: None }).await?;
        fees = fees.checked_add(prepared.fee())?;
        session.submit_and_wait(&prepared).await?;
    }
    Ok((held, fees))
}

type Queue = mpsc::Sender<Arc<dyn UploadSource>>;
/// One holder's uploads; ends with the session that sent the last batch.
type Upload = JoinHandle<Result<Option<TransferClient>, WalletError>>;
/// The catalog and its head, and per segment its batches.
type Packed = (Finish<()>, Vec<Vec<BatchMeta>>);

/// Which batch of segment `ordinal` goes to holder `holder`: the turn moves by one with every segment, so that data and
/// parity are spread evenly.
const fn batch_of(ordinal: usize, holder: usize, count: usize) -> usize {
    (holder + count - ordinal % count) % count
}

fn new_segment(layout: &Layout, ordinal: usize, metas: &[BatchMeta], count: usize) -> NewSegment {
    let batch = |(index, meta): (usize, &BatchMeta)| NewBatch {
        root: meta.root,
        placement: ((index + ordinal) % count) as u16,
    };
    NewSegment {
        batch_log2: layout.batch_log2(),
        data: layout.data() as u8,
        parity: layout.parity() as u8,
        codec: layout.codec(),
        batches: Bounded::new(metas.iter().enumerate().map(batch).collect()).expect("a layout is within the limits"),
    }
}

/// Makes batches of packed segments and hands each to its holder's queue.
struct Sink {
    queues: Vec<Queue>,
    metas: Vec<Vec<BatchMeta>>,
    work_dir: std::path::PathBuf,
    segments_max: usize,
    counters: Arc<Counters>,
}

impl SegmentSink for Sink {
    type Space = Space;

    fn open(&mut self, _ordinal: u32, layout: &Layout) -> io::Result<Space> {
        Space::open(layout, &self.work_dir)
    }

    fn ship(&mut self, segment: PackedSegment<Space>) -> io::Result<Vec<[u8; 32]>> {
        if self.metas.len() >= self.segments_max {
            return Err(io::Error::other(format!("more than the {} segments that were agreed on", self.segments_max)));
        }
        let (ordinal, count) = (segment.ordinal() as usize, self.queues.len());
        let batches = make_batches(segment, &self.work_dir)?;
        let metas: Vec<BatchMeta> = batches.iter().map(|batch| batch.meta()).collect();
        self.counters.made.fetch_add(batches.len() as u64, Ordering::Relaxed);
        for (index, batch) in batches.into_iter().enumerate() {
            let queue = &self.queues[(index + ordinal) % count];
            queue.blocking_send(batch).map_err(|_| io::Error::other("a holder failed"))?;
        }
        let roots = metas.iter().map(|meta| meta.root).collect();
        self.metas.push(metas);
        Ok(roots)
    }
}

/// Sends one holder its batches, in order, over one session for as long as it lasts.
async fn upload(
    writer: Resuming,
    mut batches: mpsc::Receiver<Arc<dyn UploadSource>>,
    counters: Arc<Counters>,
) -> Result<Option<TransferClient>, WalletError> {
    let quiet = |_| {};
    let mut session: Option<TransferClient> = None;
    while let Some(batch) = batches.recv().await {
        let sent = match &session {
            Some(client) => client.upload(Arc::clone(&batch), &quiet).await.is_ok(),
            None => false,
        };
        if !sent {
            session = Some(writer.upload(batch, &quiet).await?);
        }
        counters.stored.fetch_add(1, Ordering::Relaxed);
    }
    Ok(session)
}

fn add(packer: &mut Packer<Sink>, file: &LocalFile, counters: &Counters) -> Result<(), WalletError> {
    let path = || file.source.clone();
    let opened = File::open(&file.source).map_err(|source| gone(WalletError::File { path: path(), source }))?;
    let reader = Counting { reader: opened, counters };
    packer.add_file(file.name.clone(), file.meta, reader).map_err(|error| match error {
        holdfast_parcel::PackError::FileChanged { .. } => WalletError::FileChanged { path: path() },
        other => WalletError::Pack(other),
    })?;
    if file_meta(&file.source).map_err(gone)? != file.meta {
        return Err(WalletError::FileChanged { path: path() });
    }
    Ok(())
}

/// A file that was there when files were collected and is not now has changed, too.
fn gone(error: WalletError) -> WalletError {
    match error {
        WalletError::File { path, source } if source.kind() == io::ErrorKind::NotFound => {
            WalletError::FileChanged { path }
        }
        other => other,
    }
}

struct Counting<'a> {
    reader: File,
    counters: &'a Counters,
}

impl io::Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.counters.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
