//! Transfers that come back: after a lost connection a new session goes on where the last one was.

use super::Progress;
use super::client::{TransferClient, TransferClientConfig};
use super::download::Download;
use super::error::TransferError;
use super::introducer::{Introducer, Way};
use super::source::UploadSource;
use crate::address::NodeAddr;
use crate::transport::Endpoint;
use crate::wire::Access;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use holdfast_primitives::ChainId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often and how patiently to come back.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in a row that may fail without any progress before it gives up.
    pub attempts: usize,
    /// Wait before the first of them; it doubles each time.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
}

/// How to reach one holder, again and again.
#[derive(Clone)]
pub struct Resuming {
    /// This node's place in the network.
    pub endpoint: Arc<dyn Endpoint>,
    /// The holder.
    pub holder: NodeAddr,
    /// The chain.
    pub chain: ChainId,
    /// By what right.
    pub access: Access,
    /// Settings of each session.
    pub config: TransferClientConfig,
    /// When to give up.
    pub retry: RetryPolicy,
    /// Who is asked where the holder is while dialling it brings nothing; nobody, if none.
    pub introducer: Option<Arc<dyn Introducer>>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 6, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Resuming {
    /// Uploads a batch and returns the session that finished it, for more batches or a receipt.
    ///
    /// # Errors
    /// The last error, once attempts in a row brought nothing new, or at once if trying again cannot help.
    pub async fn upload(
        &self,
        source: Arc<dyn UploadSource>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<TransferClient, TransferError> {
        let done = AtomicU64::new(0);
        let mut way = self.way();
        let mut patience = Patience::new(self.retry);
        loop {
            let watch = |now: Progress| {
                done.fetch_max(now.done_bytes, Ordering::Relaxed);
                progress(now);
            };
            let error = match way.connect().await {
                Ok(client) => match client.upload(source.clone(), &watch).await {
                    Ok(()) => return Ok(client),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            patience.wait(error, done.load(Ordering::Relaxed)).await?;
        }
    }

    /// Fetches what is missing of a batch.
    ///
    /// # Errors
    /// As [`Resuming::upload`]; what came stays in `download`.
    pub async fn fetch(
        &self,
        download: &mut Download,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), TransferError> {
        let mut way = self.way();
        let mut patience = Patience::new(self.retry);
        loop {
            let error = match way.connect().await {
                Ok(client) => match client.fetch(download, progress).await {
                    Ok(()) => {
                        client.close().await;
                        return Ok(());
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            patience.wait(error, download.have().count().into()).await?;
        }
    }

    /// Opens a session.
    pub async fn connect(&self) -> Result<TransferClient, TransferError> {
        self.way().connect().await
    }

    fn way(&self) -> Way {
        Way {
            endpoint: Arc::clone(&self.endpoint),
            chain: self.chain,
            config: self.config.clone(),
            introducer: self.introducer.clone(),
            addr: self.holder.clone(),
            access: self.access.clone(),
            is_known: false,
        }
    }
}

/// Waits between attempts; progress makes it patient again.
struct Patience {
    policy: RetryPolicy,
    waits: backon::ExponentialBackoff,
    done: u64,
}

impl Patience {
    fn new(policy: RetryPolicy) -> Self {
        Self { policy, waits: waits(policy), done: 0 }
    }

    async fn wait(&mut self, error: TransferError, done: u64) -> Result<(), TransferError> {
        if done > self.done {
            (self.done, self.waits) = (done, waits(self.policy));
        }
        match self.waits.next() {
            Some(wait) if error.is_passing() => {
                tracing::debug!(%error, ?wait, "coming back");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

fn waits(policy: RetryPolicy) -> backon::ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(policy.first)
        .with_max_delay(policy.longest)
        .with_max_times(policy.attempts)
        .build()
}
