//! Runs the races: chunks out of batch ranges, ranges from whichever holders give them first.

use super::fault::Fault;
use super::places::{SegmentBatches, SegmentSource};
use super::race::{Input, Motion, Output, Race};
use super::report::ReadReport;
use super::sessions::Sessions;
use super::standing::Moment;
use crate::error::WalletError;
use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable};
use futures::stream::{self, FuturesUnordered, TryStreamExt as _};
use holdfast_parcel::{BatchSpan, ErasureCode, Fetched, Locator, PieceRead, SegmentShape, plan_read};
use holdfast_primitives::{Address, NetworkPrefix};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Ranges wanted at once.
const RANGES_AT_ONCE: usize = 8;
/// The longest range wanted in one piece. Rebuilding holds `k` times as much, so at most `8 * k` times this is in memory
/// besides what the caller asked for.
const RANGE_BYTES_MAX: u32 = 1024 * 1024;

/// The batches of a segment, and whether the owner's catalog vouches for their roots.
struct Places {
    listed: SegmentBatches,
    vouched: bool,
}

/// Reads what one owner stored, by whatever right its sessions have.
pub struct Reader<'a> {
    source: Box<dyn SegmentSource + 'a>,
    sessions: &'a Sessions,
    prefix: NetworkPrefix,
    places: Mutex<HashMap<u32, Arc<Places>>>,
    rebuilt_ranges: AtomicU64,
    before: ReadReport,
}

/// A race that may be dropped before its end, when another range of the same read is lost.
struct Running<'a> {
    race: Race,
    sessions: &'a Sessions,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.race.abandon(&mut self.sessions.standings());
    }
}

/// One question to a holder, answered.
type Answered = (u8, Result<Result<Vec<u8>, Fault>, futures::future::Aborted>);

impl<'a> Reader<'a> {
    /// Reads through `sessions` what lies where `source` says. `prefix` is how addresses are shown.
    pub fn new(source: impl SegmentSource + 'a, sessions: &'a Sessions, prefix: NetworkPrefix) -> Self {
        let before = ReadReport::of(&sessions.standings(), 0, &sessions.paths(), prefix);
        let (places, rebuilt_ranges) = (Mutex::default(), AtomicU64::new(0));
        Self { source: Box::new(source), sessions, prefix, places, rebuilt_ranges, before }
    }

    /// What this reader's reading came to so far. A holder that was dropped earlier in the session is named again.
    pub fn report(&self) -> ReadReport {
        let rebuilt = self.rebuilt_ranges.load(Ordering::Relaxed);
        ReadReport::of(&self.sessions.standings(), rebuilt, &self.sessions.paths(), self.prefix).since(&self.before)
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

    /// Bytes of one batch from its holder alone, verified; for those who have the right to one batch only.
    pub async fn batch(
        &self,
        (ordinal, index): (u32, u8),
        root: [u8; 32],
        (offset, length): (u64, u64),
    ) -> Result<Vec<u8>, WalletError> {
        let listed = self.listed(ordinal).await?;
        let place = listed.batches.get(usize::from(index)).copied().flatten();
        let Some((holder, listed_root)) = place else {
            return Err(WalletError::NotEnoughBatches { ordinal, reachable: 0, needed: 1, lost: nobody(index) });
        };
        if listed_root != root {
            return Err(WalletError::OtherRoots { ordinal });
        }
        let (from, to, size) = (offset, offset.saturating_add(length), 1u64 << listed.batch_log2);
        if to > size {
            return Err(WalletError::OutOfFile { from, to, size });
        }
        // A race of one: whoever holds the batch is the only one who can win it.
        let alone = SegmentBatches { batch_log2: listed.batch_log2, batches: vec![Some((holder, root))] };
        let mut bytes = Vec::with_capacity(length as usize);
        for span in cut(vec![BatchSpan { segment: ordinal, batch: 0, from: from as u32, to: to as u32 }]) {
            let (_, columns) = self.race(span, 1, &alone, &Mutex::default()).await?;
            bytes.extend(columns.read(&span).unwrap_or_default());
        }
        Ok(bytes)
    }

    /// Whether the owner's catalog vouches for the roots by which batches of this segment are verified.
    pub async fn vouched(&self, shape: SegmentShape) -> Result<bool, WalletError> {
        Ok(self.places(&shape).await?.vouched)
    }

    /// Brings one range: from its own batch, or rebuilt from others.
    async fn span(&self, span: BatchSpan, shape: SegmentShape, fetched: &Mutex<Fetched>) -> Result<(), WalletError> {
        let (places, layout) = (self.places(&shape).await?, shape.layout);
        let (how, mut columns) = self.race(span, layout.data(), &places.listed, fetched).await?;
        if how == Output::Rebuild {
            let rebuilding = move || columns.rebuild(&ErasureCode::new(layout), &span).map(|()| columns);
            columns = tokio::task::spawn_blocking(rebuilding).await??;
            self.rebuilt_ranges.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(bytes) = columns.read(&span) {
            fetched.lock().await.insert(span.segment, span.batch, span.from, bytes);
        }
        Ok(())
    }

    /// Brings the first sufficient set of batches' ranges; what `known` has already counts.
    async fn race(
        &self,
        span: BatchSpan,
        needed: usize,
        listed: &SegmentBatches,
        known: &Mutex<Fetched>,
    ) -> Result<(Output, Fetched), WalletError> {
        let (mut columns, mut here) = (Fetched::new(), Vec::new());
        for batch in (0..listed.batches.len() as u8).filter(|batch| *batch != span.batch) {
            if let Some(bytes) = known.lock().await.read(&span.in_batch(batch)) {
                columns.insert(span.segment, batch, span.from, bytes);
                here.push(batch);
            }
        }
        let holders = listed.batches.iter().map(|place| place.map(|(holder, _)| holder)).collect();
        let race = Race::new(holders, span.batch, needed, leaf_bytes(&span), here);
        let mut running = Running { race, sessions: self.sessions };
        match self.run(&mut running.race, span, listed, &mut columns).await {
            Output::Lost => Err(self.not_enough(&running.race, span.segment, needed)),
            how => Ok((how, columns)),
        }
    }

    /// Does what the race wants until it is decided.
    async fn run(&self, race: &mut Race, span: BatchSpan, listed: &SegmentBatches, columns: &mut Fetched) -> Output {
        let mut news = self.sessions.hear_news();
        let mut questions = FuturesUnordered::new();
        let mut asked: HashMap<u8, (AbortHandle, Arc<Moved>)> = HashMap::new();
        let mut input = Input::Tick;
        loop {
            let (outputs, wakes) = self.step(race, input, &asked);
            for output in outputs {
                match output {
                    Output::Ask { batch, holder } => {
                        let (abort, registration) = AbortHandle::new_pair();
                        let moved = Arc::<Moved>::default();
                        asked.insert(batch, (abort, Arc::clone(&moved)));
                        let question = self.ask(holder, span.in_batch(batch), listed, moved);
                        let question = Abortable::new(question, registration);
                        questions.push(async move { (batch, question.await) });
                    }
                    Output::Cancel { batch } => {
                        if let Some((abort, _)) = asked.remove(&batch) {
                            abort.abort();
                        }
                    }
                    decided @ (Output::Direct | Output::Rebuild | Output::Lost) => return decided,
                }
            }
            input = tokio::select! {
                Some(answered) = questions.next() => heard(answered, &span, columns),
                changed = news.changed() => { changed.ok(); Input::Tick }
                () = sleep_until(wakes.map(|at| self.sessions.instant(at))) => Input::Tick,
            };
        }
    }

    /// Tells the race how far its questions have come, and what happened.
    fn step(
        &self,
        race: &mut Race,
        input: Input,
        asked: &HashMap<u8, (AbortHandle, Arc<Moved>)>,
    ) -> (Vec<Output>, Option<Moment>) {
        let now = self.sessions.now();
        let mut standings = self.sessions.standings();
        let is_news = !matches!(input, Input::Tick);
        // A question's motion comes before its end, which is measured by it.
        asked.iter().for_each(|(batch, (_, moved))| race.note_motion(*batch, moved.read()));
        let outputs = race.step(&mut standings, input, now);
        let wakes = race.wakes(&standings, now);
        drop(standings);
        if is_news {
            self.sessions.spread_news();
        }
        (outputs, wakes)
    }

    async fn ask(
        &self,
        holder: Address,
        span: BatchSpan,
        listed: &SegmentBatches,
        moved: Arc<Moved>,
    ) -> Result<Vec<u8>, Fault> {
        let place = listed.batches.get(usize::from(span.batch)).copied().flatten();
        let (_, root) = place.expect("the race asks only for batches that are listed");
        let run = (u64::from(span.from), span.len() as u64);
        let (reached, heard) = (|| moved.reach(self.sessions.now()), |_| moved.hear(self.sessions.now()));
        self.sessions.read(holder, &listed.meta(root), run, &reached, &heard).await
    }

    fn not_enough(&self, race: &Race, ordinal: u32, needed: usize) -> WalletError {
        let standings = self.sessions.standings();
        let lost = race.lost(&standings).map(|(batch, holder, reason)| match holder {
            Some(holder) => format!("batch {batch}, holder {}: {reason}", holder.to_text(self.prefix)),
            None => format!("batch {batch}: {reason}"),
        });
        let lost = lost.collect::<Vec<_>>().join("; ");
        WalletError::NotEnoughBatches { ordinal, reachable: race.came().len(), needed, lost }
    }

    async fn listed(&self, ordinal: u32) -> Result<SegmentBatches, WalletError> {
        let segment = self.source.segment(ordinal).await?;
        segment.ok_or_else(|| WalletError::unreadable(format!("no segment {ordinal} on the ledger")))
    }

    /// Where a segment's batches are, as the ledger said when it was first asked.
    async fn places(&self, shape: &SegmentShape) -> Result<Arc<Places>, WalletError> {
        let mut known = self.places.lock().await;
        if let Some(places) = known.get(&shape.ordinal) {
            return Ok(Arc::clone(places));
        }
        let listed = self.listed(shape.ordinal).await?;
        let places = Arc::new(Places { vouched: listed.vouched(shape)?, listed });
        known.insert(shape.ordinal, Arc::clone(&places));
        Ok(places)
    }
}

/// How far an answer has come, noted by whoever reads it: microseconds plus one, 0 for not yet.
#[derive(Default)]
struct Moved {
    reached: AtomicU64,
    began: AtomicU64,
    last: AtomicU64,
}

impl Moved {
    fn reach(&self, now: Moment) {
        self.reached.store(stamp(now), Ordering::Relaxed);
    }

    fn hear(&self, now: Moment) {
        let now = stamp(now);
        self.last.store(now, Ordering::Relaxed);
        // Only the first byte begins it.
        let _ = self.began.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn read(&self) -> Motion {
        let moment = |stamp: &AtomicU64| stamp.load(Ordering::Relaxed).checked_sub(1).map(Moment::from_micros);
        Motion { reached: moment(&self.reached), began: moment(&self.began), last: moment(&self.last) }
    }
}

fn stamp(now: Moment) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX - 1).saturating_add(1)
}

/// Takes an answer in. What was cut off answers nothing.
fn heard((batch, answer): Answered, span: &BatchSpan, columns: &mut Fetched) -> Input {
    match answer {
        Ok(Ok(bytes)) => {
            columns.insert(span.segment, batch, span.from, bytes);
            Input::Came { batch, bytes: leaf_bytes(span) }
        }
        Ok(Err(fault)) => Input::Failed { batch, fault },
        Err(futures::future::Aborted) => Input::Tick,
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn nobody(index: u8) -> String {
    format!("batch {index}: the ledger lists no holder for it")
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
