//! Notices when consensus has ended, whatever the way, and says why, so that the process can exit and be started anew.
//!
//! The engine itself never ends on a failure of its write-ahead log: it stands still, lest it vote twice. Nor does it
//! notice an answer that never comes.

use super::start::{Actors, STOP_WITHIN};
use holdfast_primitives::Height;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How often the engine is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why consensus is no longer running.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Stopped {
    /// It was asked to.
    #[error("consensus was shut down")]
    Shutdown,
    /// The ledger failed; the chain cannot go on from here.
    #[error("the ledger failed to {action} at height {height}: {reason}")]
    App {
        /// What it was asked for.
        action: &'static str,
        /// The height.
        height: Height,
        /// Its reason.
        reason: String,
    },
    /// The engine refuses to vote because its write-ahead log is broken. Look at the disk before starting again.
    #[error("the engine stands still to avoid a double vote: its write-ahead log failed")]
    Unsafe,
    /// A part of the engine ended by itself.
    #[error("the engine ended: {reason}")]
    Ended {
        /// What is known.
        reason: String,
    },
    /// No height was decided for too long although there was work.
    #[error("height {height} is undecided after {quiet:?}")]
    Stalled {
        /// The height.
        height: Height,
        /// How long it has been tried.
        quiet: Duration,
    },
}

/// When the chain last moved, and whether it rests on purpose.
#[derive(Debug)]
pub(crate) struct Progress {
    last: Mutex<(Height, Instant)>,
    resting: AtomicUsize,
}

/// The chain rests on purpose while this lives.
pub(crate) struct Idle<'a>(&'a Progress);

impl Progress {
    pub(crate) fn new(height: Height) -> Self {
        Self { last: Mutex::new((height, Instant::now())), resting: AtomicUsize::new(0) }
    }

    /// The chain now tries to decide `height`.
    pub(crate) fn moved(&self, height: Height) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = (height, Instant::now());
    }

    /// The chain rests until the guard is dropped.
    pub(crate) fn idle(&self) -> Idle<'_> {
        self.resting.fetch_add(1, Ordering::SeqCst);
        Idle(self)
    }

    /// The height that is being tried and for how long; `None` while resting.
    pub(crate) fn trying(&self) -> Option<(Height, Duration)> {
        let (height, since) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (self.resting.load(Ordering::SeqCst) == 0).then(|| (height, since.elapsed()))
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1 = Instant::now();
        self.0.resting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the watchdog looks at.
pub(crate) struct Watched {
    pub actors: Actors,
    pub driver: JoinHandle<Stopped>,
    pub progress: Arc<Progress>,
    pub stall: Option<Duration>,
}

/// Watches until something ends, then takes the rest down and publishes the reason.
pub(crate) async fn watch(
    mut watched: Watched,
    shutdown: oneshot::Receiver<()>,
    reason: watch::Sender<Option<Stopped>>,
) {
    let stopped = watched.first_end(shutdown).await;
    watched.actors.stop().await;
    // Nobody asks the driver any more, so it ends when it has finished what it is at: a commit, perhaps.
    if !watched.driver.is_finished() && tokio::time::timeout(STOP_WITHIN, &mut watched.driver).await.is_err() {
        watched.driver.abort();
    }
    if stopped != Stopped::Shutdown {
        tracing::error!(reason = %stopped, "consensus stopped");
    }
    reason.send_replace(Some(stopped));
}

impl Watched {
    async fn first_end(&mut self, mut shutdown: oneshot::Receiver<()>) -> Stopped {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                // Dropping the handle counts as a wish to stop.
                _ = &mut shutdown => return Stopped::Shutdown,
                ended = &mut self.driver => return self.reason_of(ended),
                _ = &mut self.actors.supervisor => {
                    return Stopped::Ended { reason: "its supervisor stopped after one of its parts did".to_owned() };
                }
                _ = look.tick() => if let Some(stopped) = self.symptom() { return stopped },
            }
        }
    }

    fn reason_of(&self, ended: Result<Stopped, tokio::task::JoinError>) -> Stopped {
        match ended {
            Ok(_) if self.actors.is_unsafe() => Stopped::Unsafe,
            Ok(stopped) => stopped,
            Err(error) => Stopped::Ended { reason: format!("its driver: {error}") },
        }
    }

    fn symptom(&self) -> Option<Stopped> {
        if self.actors.is_unsafe() {
            return Some(Stopped::Unsafe);
        }
        let (limit, (height, quiet)) = (self.stall?, self.progress.trying()?);
        (quiet > limit).then_some(Stopped::Stalled { height, quiet })
    }
}
