//! What the driver and its tasks have in common, and the ways in which the application can fail them.

use super::kept::Kept;
use super::part::Opening;
use super::signing::ChainSigner;
use super::types::Holdfast;
use super::watchdog::{Progress, Stopped};
use crate::app::{AppError, BlockIdentity, LedgerApp, Undecided};
use arc_malachitebft_engine::consensus::ConsensusRef;
use holdfast_primitives::{BlockHash, Height};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{RwLock, mpsc, watch};

/// Something after which consensus must not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{error}")]
    App { action: &'static str, height: Height, error: AppError },
    #[error("it is {identity:?} with {bytes} bytes of {limit}, which is not what was asked for")]
    OwnBlock { identity: BlockIdentity, bytes: usize, limit: usize },
    #[error("the decided block {hash} was not kept")]
    BlockNotKept { height: Height, hash: BlockHash },
    #[error("the tip is {tip:?} after committing {expected:?}")]
    TipElsewhere { expected: (Height, BlockHash), tip: (Height, BlockHash) },
}

/// What the driver and its tasks have in common.
pub(crate) struct Shared<A> {
    pub app: Arc<A>,
    pub signer: ChainSigner,
    pub consensus: ConsensusRef<Holdfast>,
    /// Held for reading while a block is judged, for writing while one is committed.
    pub applying: RwLock<()>,
    /// The highest height for which a block of the right proposer was seen.
    pub proposed: watch::Sender<Height>,
    pub progress: Arc<Progress>,
    pub block_bytes_max: usize,
    kept: Mutex<Kept>,
    faults: mpsc::Sender<Fault>,
}

impl<A: LedgerApp> Shared<A> {
    /// Also returns where faults of tasks arrive.
    pub(crate) fn new(
        app: Arc<A>,
        signer: ChainSigner,
        consensus: ConsensusRef<Holdfast>,
        block_bytes_max: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Fault>) {
        let next = app.tip().0.next();
        let (faults, receiver) = mpsc::channel(1);
        let shared = Self {
            app,
            signer,
            consensus,
            applying: RwLock::new(()),
            proposed: watch::Sender::new(Height::GENESIS),
            progress: Arc::new(Progress::new(next)),
            block_bytes_max,
            kept: Mutex::new(Kept::default()),
            faults,
        };
        (Arc::new(shared), receiver)
    }

    /// The proposed blocks of the next height. Never held across an await.
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the application for something that blocks.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        height: Height,
        ask: impl FnOnce(&A) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, Fault> {
        let app = self.app.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&app)).await;
        answer.unwrap_or_else(|panicked| Err(panicked.into())).map_err(|error| Fault::App { action, height, error })
    }

    /// Makes a proposed block durable, then known to the driver.
    pub(crate) async fn keep(&self, kept: Undecided, opening: Option<Opening>) -> Result<(), Fault> {
        let height = kept.height;
        let kept = self.blocking("keep", height, move |app| app.save_undecided(&kept).map(|()| kept)).await?;
        self.kept().insert(kept, opening);
        Ok(())
    }

    /// Reports a fault from a task; the first one ends the driver.
    pub(crate) fn fail(&self, fault: Fault) {
        // Full: an earlier fault is on its way. Closed: the driver has ended.
        let _ = self.faults.try_send(fault);
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        let reason = fault.to_string();
        match fault {
            Fault::App { action, height, .. } => Self::App { action, height, reason },
            Fault::OwnBlock { identity, .. } => Self::App { action: "build", height: identity.height, reason },
            Fault::BlockNotKept { height, .. } => Self::App { action: "keep", height, reason },
            Fault::TipElsewhere { expected: (height, _), .. } => Self::App { action: "commit", height, reason },
        }
    }
}
