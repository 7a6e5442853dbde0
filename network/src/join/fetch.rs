//! Many questions to many nodes. Every answer is verified before the next is asked for; who lies is named and left out.

use super::client::{JoinClient, JoinError};
use crate::address::NodeAddr;
use crate::transport::Endpoint;
use crate::wire::ToSource;
use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt as _};
use holdfast_primitives::{Address, ChainId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Conversations with one node at a time: one is answered while the answer of the other is verified and written.
const TALKS_PER_PEER: usize = 2;
/// How often a node that went away is called again before it is given up.
const CALLS_MAX: u32 = 4;
const CALL_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Whom to ask.
#[derive(Clone)]
pub struct Peer {
    /// Where it is.
    pub addr: NodeAddr,
    /// The endpoint that reaches it.
    pub endpoint: Arc<dyn Endpoint>,
}

/// Where verified answers go.
#[async_trait]
pub trait JoinSink: Send + Sync + 'static {
    /// What is still wanted, told apart for [`JoinSink::question`] and [`JoinSink::take`].
    type Job: Clone + Send + Sync;

    /// How a job is asked for.
    fn question(&self, job: &Self::Job) -> ToSource;

    /// Verifies and keeps an answer; the rest of the job, if there is one.
    ///
    /// # Errors
    /// The answer is a lie, or it could not be kept.
    async fn take(&self, job: Self::Job, data: Vec<u8>) -> Result<Option<Self::Job>, TakeError>;
}

/// Why an answer was not taken.
#[derive(Debug)]
pub enum TakeError {
    /// Its sender lies.
    Lie {
        /// How that is known.
        reason: String,
    },
    /// It could not be kept here; asking others does not help.
    Fault(Box<dyn std::error::Error + Send + Sync>),
}

/// Who lied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liar {
    /// Its identity.
    pub peer: Address,
    /// How that is known.
    pub reason: String,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Whether everything is there.
    pub complete: bool,
    /// Who lied meanwhile.
    pub liars: Vec<Liar>,
    /// Why nothing could be kept, if so.
    pub fault: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the conversations share.
struct Work<S: JoinSink> {
    sink: Arc<S>,
    chain: ChainId,
    state: Mutex<WorkState<S::Job>>,
    changed: Notify,
}

struct WorkState<J> {
    waiting: VecDeque<J>,
    under_way: usize,
    fetched: Fetched,
}

/// Asks `peers` for all `jobs` until everything is there, nobody is left to ask, or nothing can be kept.
pub async fn fetch<S: JoinSink>(peers: &[Peer], chain: ChainId, sink: Arc<S>, jobs: Vec<S::Job>) -> Fetched {
    let state = WorkState { waiting: jobs.into(), under_way: 0, fetched: Fetched::default() };
    let work = Work { sink, chain, state: Mutex::new(state), changed: Notify::new() };
    let talks = peers.iter().flat_map(|peer| std::iter::repeat_n(peer, TALKS_PER_PEER));
    let mut talks: FuturesUnordered<_> = talks.map(|peer| work.talk_with(peer)).collect();
    while talks.next().await.is_some() {}
    drop(talks);
    let state = work.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let complete = state.waiting.is_empty() && state.fetched.fault.is_none();
    Fetched { complete, ..state.fetched }
}

impl<S: JoinSink> Work<S> {
    async fn talk_with(&self, peer: &Peer) {
        let mut calls = 0;
        while !self.is_over_for(&peer.addr.id) {
            let ended = match JoinClient::connect(&*peer.endpoint, &peer.addr, self.chain).await {
                Ok(mut client) => self.converse(&mut client, &mut calls).await,
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            tracing::debug!(peer = %peer.addr.id, %error, "a node that helps with joining went away");
            if error.is_garbage() {
                return self.accuse(peer.addr.id, error.to_string());
            }
            calls += 1;
            if calls > CALLS_MAX {
                return;
            }
            tokio::time::sleep(CALL_AGAIN_AFTER * calls).await;
        }
    }

    /// Asks until nothing is left to ask this node for.
    async fn converse(&self, client: &mut JoinClient, calls: &mut u32) -> Result<(), JoinError> {
        while let Some(job) = self.next_job(&client.peer()).await {
            let answer = client.ask(&self.sink.question(&job)).await;
            let data = match answer {
                Ok(data) => data,
                Err(error) => {
                    self.give_back(job);
                    return Err(error);
                }
            };
            *calls = 0;
            let again = job.clone();
            match self.sink.take(job, data).await {
                Ok(rest) => self.finish(rest),
                Err(TakeError::Lie { reason }) => {
                    self.give_back(again);
                    self.accuse(client.peer(), reason);
                    return Ok(());
                }
                Err(TakeError::Fault(fault)) => {
                    self.give_back(again);
                    self.state().fetched.fault.get_or_insert(fault);
                    self.changed.notify_waiters();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next job; waits while others may still give one back. `None` when there will be none for this node.
    async fn next_job(&self, peer: &Address) -> Option<S::Job> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.fetched.fault.is_some() || state.fetched.liars.iter().any(|liar| liar.peer == *peer) {
                    return None;
                }
                if let Some(job) = state.waiting.pop_front() {
                    state.under_way += 1;
                    return Some(job);
                }
                if state.under_way == 0 {
                    return None;
                }
            }
            // A job that came back before this line is seen at the latest then.
            let _ = tokio::time::timeout(CALL_AGAIN_AFTER, changed).await;
        }
    }

    fn is_over_for(&self, peer: &Address) -> bool {
        let state = self.state();
        let nothing = state.waiting.is_empty() && state.under_way == 0;
        nothing || state.fetched.fault.is_some() || state.fetched.liars.iter().any(|liar| liar.peer == *peer)
    }

    fn give_back(&self, job: S::Job) {
        self.finish(Some(job));
    }

    fn finish(&self, rest: Option<S::Job>) {
        let mut state = self.state();
        state.under_way -= 1;
        state.waiting.extend(rest);
        drop(state);
        self.changed.notify_waiters();
    }

    fn accuse(&self, peer: Address, reason: String) {
        tracing::warn!(%peer, %reason, "a node that was to help with joining lies; it is asked no more");
        let mut state = self.state();
        if !state.fetched.liars.iter().any(|liar| liar.peer == peer) {
            state.fetched.liars.push(Liar { peer, reason });
        }
    }

    fn state(&self) -> MutexGuard<'_, WorkState<S::Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
