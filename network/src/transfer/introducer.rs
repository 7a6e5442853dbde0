//! Finding a holder again that is no longer where it was: its relay has died, its address has changed, it moved to another
//! parent.

use super::client::{TransferClient, TransferClientConfig};
use super::error::TransferError;
use crate::address::NodeAddr;
use crate::transport::Endpoint;
use crate::wire::Access;
use async_trait::async_trait;
use holdfast_primitives::{Address, ChainId};
use std::sync::Arc;
use std::time::Duration;

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to dial where the holder was before the first question.
const BEFORE_FIRST: Duration = Duration::from_secs(1);
/// Wait between two questions while nobody picks up.
const BETWEEN: Duration = Duration::from_secs(2);
/// Addresses that one attempt goes through, at most: whoever answers differently each time does not know.
const MOVES_MAX: u32 = 4;

/// Somebody who knows where holders are now, as a parent heavy node does.
#[async_trait]
pub trait Introducer: Send + Sync + 'static {
    /// Where to dial this holder as of now; `None` when nobody knows. It is given five seconds, and asked again while
    /// dialling brings nothing.
    async fn introduce(&self, holder: Address) -> Option<Introduction>;
}

/// Where a holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its address now. One of another identity than the holder's is ignored.
    pub addr: NodeAddr,
    /// A fresh right to come in, where the introducer gives one; otherwise the old one is shown.
    pub access: Option<Access>,
}

/// The way to one holder as far as it is known.
pub(super) struct Way {
    pub(super) endpoint: Arc<dyn Endpoint>,
    pub(super) chain: ChainId,
    pub(super) config: TransferClientConfig,
    pub(super) introducer: Option<Arc<dyn Introducer>>,
    pub(super) addr: NodeAddr,
    pub(super) access: Access,
    /// Whether this way has led to the holder, or been tried in vain, before.
    pub(super) is_known: bool,
}

impl Way {
    /// Opens a session. While the holder is dialled, the introducer is asked whether it is somewhere else.
    pub(super) async fn connect(&mut self) -> Result<TransferClient, TransferError> {
        let mut patience = if self.is_known { Duration::ZERO } else { BEFORE_FIRST };
        self.is_known = true;
        for _ in 0..MOVES_MAX {
            let (access, config) = (self.access.clone(), self.config.clone());
            let moved = tokio::select! {
                biased;
                dialled = TransferClient::connect(&*self.endpoint, &self.addr, self.chain, access, config) => return dialled,
                moved = self.moved(patience) => moved,
            };
            tracing::debug!(was = %self.addr, is = %moved.addr, "the holder has moved");
            (self.addr, patience) = (moved.addr, BETWEEN);
            self.access = moved.access.unwrap_or_else(|| self.access.clone());
        }
        let (access, config) = (self.access.clone(), self.config.clone());
        TransferClient::connect(&*self.endpoint, &self.addr, self.chain, access, config).await
    }

    /// Waits until the introducer names another address; for ever, if it never does.
    async fn moved(&self, patience: Duration) -> Introduction {
        let Some(introducer) = &self.introducer else { return std::future::pending().await };
        tokio::time::sleep(patience).await;
        loop {
            let asked = tokio::time::timeout(ANSWER, introducer.introduce(self.addr.id)).await;
            match asked.ok().flatten() {
                Some(found) if found.addr.id == self.addr.id && found.addr != self.addr => return found,
                _ => tokio::time::sleep(BETWEEN).await,
            }
        }
    }
}
