//! The door of the pool: transactions that arrive about the same time are checked together, because signatures verified
//! together cost half of what they cost one by one, and all processors share them.
//!
//! One signature that does not hold makes all that are verified with it be verified one by one. After such a one fewer are
//! verified together, until none is found again: whoever sends bad ones slows the door down by half, and not to a halt.
//!
//! Nobody waits for company: whoever comes to an empty door is taken at once, and whoever comes while others are being
//! checked is taken with all that came meanwhile. Transactions are admitted in the order in which they came.

use crate::core::NodeCore;
use crate::mempool::SubmitError;
use holdfast_ledger::{
    ShapedTx, SoundTx, TxEnvelope, TxError, VERIFIED_TOGETHER_MAX, VERIFIED_TOGETHER_MIN, shape, verify,
};
use holdfast_primitives::TxId;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Transactions that are checked together before those that came later are looked at.
const TOGETHER: usize = 2 * VERIFIED_TOGETHER_MAX;
/// Transactions that stand in line, at most, and their bytes.
const LINE_TXS_MAX: usize = 65_536;
const LINE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What became of one transaction.
pub(crate) type Verdict = Result<TxId, SubmitError>;

/// Who stands in line.
pub(crate) struct Door {
    line: Mutex<Line>,
    /// How many signatures are verified together now.
    together: AtomicUsize,
}

impl Default for Door {
    fn default() -> Self {
        Self { line: Mutex::default(), together: AtomicUsize::new(VERIFIED_TOGETHER_MAX) }
    }
}

#[derive(Default)]
struct Line {
    groups: VecDeque<Group>,
    txs: usize,
    bytes: usize,
    /// Whether somebody is taking from the line.
    served: bool,
}

/// Transactions that came together and are answered together.
struct Group {
    envelopes: Vec<TxEnvelope>,
    bytes: usize,
    answer: oneshot::Sender<Vec<Verdict>>,
}

impl NodeCore {
    /// Admits transactions in their order, checked together with whatever else stands at the door.
    pub(crate) async fn submit_all(self: &Arc<Self>, envelopes: Vec<TxEnvelope>) -> Vec<Verdict> {
        let count = envelopes.len();
        let (answer, verdicts) = oneshot::channel();
        let bytes = envelopes.iter().map(bytes_of).sum();
        match self.door.enter(Group { envelopes, bytes, answer }) {
            Ok(false) => {}
            Ok(true) => {
                let core = Arc::clone(self);
                tokio::task::spawn_blocking(move || serve(&core));
            }
            Err(full) => return vec![Err(full); count],
        }
        verdicts.await.unwrap_or_else(|_| vec![Err(SubmitError::Unfinished); count])
    }

    /// Admits one.
    pub(crate) async fn submit(self: &Arc<Self>, envelope: TxEnvelope) -> Verdict {
        self.submit_all(vec![envelope]).await.pop().unwrap_or(Err(SubmitError::Unfinished))
    }

    /// Shapes first, then what needs no signature to be refused, then all signatures together, then the pool.
    fn admit(&self, envelopes: Vec<TxEnvelope>) -> Vec<Verdict> {
        let tip = self.tip();
        let shapes = shape(tip.state.params(), envelopes);
        let mut shaped = Vec::with_capacity(shapes.len());
        let places: Vec<Result<(), SubmitError>> = {
            let mempool = self.mempool();
            let early = |shape: Result<ShapedTx, TxError>| {
                let tx = shape.map_err(SubmitError::Unsound)?;
                mempool.check_early(&tip.state, &tx)?;
                shaped.push(tx);
                Ok(())
            };
            shapes.into_iter().map(early).collect()
        };
        let together = self.door.together.load(Ordering::Relaxed);
        let verdicts = verify(&tip.state.chain().chain, shaped, together);
        self.door.together.store(together_after(together, &verdicts), Ordering::Relaxed);
        let mut sounds = verdicts.into_iter();
        self.change_pool(|mempool, state| {
            let insert = |place: Result<(), SubmitError>| {
                place?;
                let sound = sounds.next().expect("one verdict for each that was not refused early");
                mempool.insert(state, sound.map_err(SubmitError::Unsound)?)
            };
            places.into_iter().map(insert).collect()
        })
    }
}

/// How many signatures to verify together after these.
fn together_after(together: usize, verdicts: &[Result<SoundTx, TxError>]) -> usize {
    let all_hold = verdicts.iter().all(Result::is_ok);
    if all_hold { (2 * together).min(VERIFIED_TOGETHER_MAX) } else { VERIFIED_TOGETHER_MIN }
}

fn bytes_of(envelope: &TxEnvelope) -> usize {
    borsh::object_length(envelope).expect("a transaction encodes into memory")
}

/// Takes from the line until nobody stands there.
fn serve(core: &NodeCore) {
    let serving = Serving(&core.door);
    while let Some(groups) = serving.0.take() {
        let counts: Vec<usize> = groups.iter().map(|group| group.envelopes.len()).collect();
        let (mut envelopes, mut answers) = (Vec::new(), Vec::new());
        for group in groups {
            envelopes.extend(group.envelopes);
            answers.push(group.answer);
        }
        let mut verdicts = core.admit(envelopes).into_iter();
        for (answer, count) in answers.into_iter().zip(counts) {
            // Whoever asked may have gone.
            let _ = answer.send(verdicts.by_ref().take(count).collect());
        }
    }
}

/// Lets the next one serve if this one ends before the line does.
struct Serving<'a>(&'a Door);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut line = self.0.line();
            *line = Line::default();
        }
    }
}

impl Door {
    /// Joins the line; whether somebody must begin to serve it.
    fn enter(&self, group: Group) -> Result<bool, SubmitError> {
        let mut line = self.line();
        let (count, bytes) = (line.txs + group.envelopes.len(), line.bytes + group.bytes);
        if !line.groups.is_empty() && (count > LINE_TXS_MAX || bytes > LINE_BYTES_MAX) {
            return Err(SubmitError::PoolFull { count: line.txs, bytes: line.bytes });
        }
        (line.txs, line.bytes) = (count, bytes);
        line.groups.push_back(group);
        Ok(!std::mem::replace(&mut line.served, true))
    }

    /// The next to be checked together; `None` ends the service.
    fn take(&self) -> Option<Vec<Group>> {
        let mut line = self.line();
        let (mut groups, mut txs) = (Vec::new(), 0);
        while txs < TOGETHER
            && let Some(group) = line.groups.pop_front()
        {
            txs += group.envelopes.len();
            line.bytes -= group.bytes;
            groups.push(group);
        }
        line.txs -= txs;
        line.served = !groups.is_empty();
        line.served.then_some(groups)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
