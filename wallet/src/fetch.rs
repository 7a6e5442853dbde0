//! Reading back: chunks out of batch ranges, from whichever holders can give them.
//!
//! The data batch that holds a range is asked first. When its holder fails, the same range of any `k` other batches
//! rebuilds it. Every byte was verified against a root of the ledger on arrival.

use crate::error::WalletError;
use crate::link::Link;
use crate::session::Session;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use holdfast_parcel::{
    BatchSpan, ErasureCode, Fetched, Layout, Locator, PieceRead, SegmentShape, plan_read, roots_digest,
};
use holdfast_por::BatchMeta;
use holdfast_primitives::Address;
use holdfast_primitives::limits::LEAF_LOG2;
use holdfast_rpc::PageAsk;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Ranges asked for at once.
const RANGES_AT_ONCE: usize = 8;
/// The longest range asked for in one piece.
const RANGE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Where one batch of a segment is said to be.
#[derive(Clone, Copy, Debug)]
struct Place {
    holder: Address,
    meta: BatchMeta,
}

/// The batches of a segment, and whether the owner's catalog vouches for their roots.
struct Places {
    batches: Vec<Option<Place>>,
    vouched: bool,
}

/// What reading came to besides the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReadReport {
    /// Bytes of leaves that were fetched.
    pub fetched_bytes: u64,
    /// Ranges that had to be rebuilt from other batches.
    pub rebuilt_ranges: u64,
    /// Holders that failed, and why.
    pub failed: BTreeMap<String, String>,
}

/// Reads what one owner stored.
pub struct Fetcher<'a> {
    session: &'a Session,
    link: &'a Link,
    places: Mutex<HashMap<u32, Arc<Places>>>,
    report: Mutex<ReadReport>,
}

impl<'a> Fetcher<'a> {
    /// Reads through `link`.
    pub fn new(session: &'a Session, link: &'a Link) -> Self {
        Self { session, link, places: Mutex::default(), report: Mutex::default() }
    }

    /// What reading came to so far.
    pub async fn report(&self) -> ReadReport {
        self.report.lock().await.clone()
    }

    /// The stored bytes at these places, in order.
    pub async fn stored(
        &self,
        wanted: &[Locator],
        shape_of: impl Fn(u32) -> Option<SegmentShape>,
    ) -> Result<Vec<Vec<u8>>, WalletError> {
        let spans = cut(plan_read(wanted, |segment| shape_of(segment).map(|shape| shape.layout))?);
        let shape = |segment: u32| shape_of(segment).expect("the plan asked for this shape already");
        let fetched = Mutex::new(Fetched::new());
        let reads = spans.into_iter().map(|span| self.span(span, shape(span.segment), &fetched));
        stream::iter(reads).buffer_unordered(RANGES_AT_ONCE).try_collect::<()>().await?;
        let fetched = fetched.into_inner();
        wanted.iter().map(|at| Ok(fetched.chunk(at, &shape(at.segment).layout)?)).collect()
    }

    /// The plaintext of pieces, in order.
    pub async fn plain(
        &self,
        pieces: &[PieceRead<'_>],
        shape_of: impl Fn(u32) -> Option<SegmentShape>,
    ) -> Result<Vec<Vec<u8>>, WalletError> {
        let wanted: Vec<Locator> = pieces.iter().map(|piece| *piece.at()).collect();
        let stored = self.stored(&wanted, shape_of).await?;
        let opened: Result<Vec<Vec<u8>>, _> = tokio::task::block_in_place(|| {
            stored.into_par_iter().zip(pieces).map(|(stored, piece)| piece.decode(stored)).collect()
        });
        Ok(opened?)
    }

    /// Whether the owner's catalog vouches for the roots by which batches of this segment are verified.
    pub async fn vouched(&self, shape: SegmentShape) -> Result<bool, WalletError> {
        Ok(self.places(&shape).await?.vouched)
    }

    /// Brings one range: from its own batch, or rebuilt from others.
    async fn span(&self, span: BatchSpan, shape: SegmentShape, fetched: &Mutex<Fetched>) -> Result<(), WalletError> {
        let places = &self.places(&shape).await?.batches;
        let mut lost = BTreeMap::new();
        match self.read(places, span).await {
            Ok(bytes) => {
                fetched.lock().await.insert(span.segment, span.batch, span.from, bytes);
                return Ok(());
            }
            Err(reason) => lost.insert(span.batch, reason),
        };
        self.rebuild(span, shape.layout, places, lost, fetched).await
    }

    async fn rebuild(
        &self,
        span: BatchSpan,
        layout: Layout,
        places: &[Option<Place>],
        mut lost: BTreeMap<u8, String>,
        fetched: &Mutex<Fetched>,
    ) -> Result<(), WalletError> {
        let needed = layout.data();
        let others: Vec<u8> = (0..layout.batches() as u8).filter(|batch| *batch != span.batch).collect();
        let mut came = BTreeSet::new();
        let mut waiting = others.into_iter();
        while came.len() < needed {
            let round: Vec<u8> = waiting.by_ref().take(needed - came.len()).collect();
            if round.is_empty() {
                let lost = lost.iter().map(|(batch, reason)| format!("batch {batch}: {reason}")).collect::<Vec<_>>();
                return Err(WalletError::NotEnoughBatches {
                    ordinal: span.segment,
                    reachable: came.len(),
                    needed,
                    lost: lost.join("; "),
                });
            }
            let reads =
                round.into_iter().map(|batch| async move { (batch, self.read(places, span.in_batch(batch)).await) });
            for (batch, read) in futures::future::join_all(reads).await {
                match read {
                    Ok(bytes) => {
                        fetched.lock().await.insert(span.segment, batch, span.from, bytes);
                        came.insert(batch);
                    }
                    Err(reason) => {
                        lost.insert(batch, reason);
                    }
                }
            }
        }
        fetched.lock().await.rebuild(&ErasureCode::new(layout), &span)?;
        self.report.lock().await.rebuilt_ranges += 1;
        Ok(())
    }

    /// Reads a range of one batch from its holder, verified.
    async fn read(&self, places: &[Option<Place>], span: BatchSpan) -> Result<Vec<u8>, String> {
        let place =
            places.get(usize::from(span.batch)).copied().flatten().ok_or("the ledger lists no holder for it")?;
        let read = async {
            let client = self.link.reader(place.holder).await?;
            match client.read_range(&place.meta, u64::from(span.from), span.len() as u64).await {
                Ok(bytes) => Ok(bytes),
                Err(error) => Err(self.link.give_up(place.holder, &error).await),
            }
        };
        let outcome: Result<Vec<u8>, String> = read.await;
        let mut report = self.report.lock().await;
        match &outcome {
            Ok(_) => report.fetched_bytes += leaf_bytes(&span),
            Err(reason) => {
                let prefix = self.session.params().prefix;
                report.failed.insert(place.holder.to_text(prefix), reason.clone());
            }
        }
        outcome
    }

    /// Where a segment's batches are, as the ledger says now.
    async fn places(&self, shape: &SegmentShape) -> Result<Arc<Places>, WalletError> {
        let (ordinal, layout) = (shape.ordinal, shape.layout);
        let mut known = self.places.lock().await;
        if let Some(places) = known.get(&ordinal) {
            return Ok(Arc::clone(places));
        }
        let ask = PageAsk::from(u64::from(ordinal)).limit(1);
        let page = self.session.rpc().account_segments(self.session.address_text(), Some(ask)).await?;
        let segment = page.rows.into_iter().find(|segment| segment.ordinal == ordinal);
        let segment = segment.ok_or_else(|| WalletError::unreadable(format!("no segment {ordinal} on the ledger")))?;
        if segment.members.len() != layout.batches() || segment.batch_log2 != layout.batch_log2() {
            return Err(WalletError::unreadable(format!("segment {ordinal} has another shape on the ledger")));
        }
        let place = |member: &holdfast_rpc::account::MemberView| {
            let stored = member.stored.as_ref()?;
            let root = *stored.root.as_bytes();
            let meta =
                BatchMeta { scheme: 1, batch_log2: segment.batch_log2, leaf_log2: LEAF_LOG2, inner_code: 0, root };
            Some(Place { holder: member.address.address, meta })
        };
        let batches: Vec<Option<Place>> = segment.members.iter().map(place).collect();
        let places = Arc::new(Places { vouched: vouched(shape, &batches)?, batches });
        known.insert(ordinal, Arc::clone(&places));
        Ok(places)
    }
}

/// Whether the listed roots are those that the owner noted; `false` when it noted none, or when not all are listed any more.
fn vouched(shape: &SegmentShape, batches: &[Option<Place>]) -> Result<bool, WalletError> {
    let roots: Option<Vec<[u8; 32]>> = batches.iter().map(|place| place.map(|place| place.meta.root)).collect();
    match (shape.roots_digest, roots) {
        (Some(noted), Some(roots)) if roots_digest(&roots) != noted => {
            Err(WalletError::OtherRoots { ordinal: shape.ordinal })
        }
        (Some(_), Some(_)) => Ok(true),
        _ => Ok(false),
    }
}

/// Ranges no longer than one request takes.
fn cut(spans: Vec<BatchSpan>) -> Vec<BatchSpan> {
    let pieces = |span: BatchSpan| {
        (span.from..span.to).step_by(RANGE_BYTES_MAX as usize).map(move |from| BatchSpan {
            from,
            to: span.to.min(from.saturating_add(RANGE_BYTES_MAX)),
            ..span
        })
    };
    spans.into_iter().flat_map(pieces).collect()
}

/// Bytes of the leaves that a range touches.
fn leaf_bytes(span: &BatchSpan) -> u64 {
    span.leaf_aligned().len() as u64
}
