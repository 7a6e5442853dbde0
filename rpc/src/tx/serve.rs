//! Answers of the `tx` namespace.

use super::{FOUND_MAX, PREFIX_DIGITS_MIN, TxApiServer, TxStatus, TxView, WAIT_MS_MAX};
use crate::backend::Backend;
use crate::chain::BlockRef;
use crate::error::Failure;
use crate::follow::send;
use crate::text::HexBytes;
use holdfast_ledger::TxEnvelope;
use holdfast_primitives::limits::{PROOF_PART_BYTES_MAX, TX_BYTES_MAX};
use holdfast_primitives::{Height, TxId, decode_exact};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use upstream::core::{SubscriptionResult, async_trait};
use upstream::server::PendingSubscriptionSink;

/// Bytes of an envelope: a transaction, the length of its openings, and they.
const ENVELOPE_BYTES_MAX: usize = TX_BYTES_MAX + 4 + PROOF_PART_BYTES_MAX;
/// How often a transaction is looked at between blocks without news: it may have been unknown.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long drops are gathered before they are looked at.
const DROPS_PAUSE: Duration = Duration::from_millis(10);

/// The transactions' counter.
pub(crate) struct TxNamespace {
    backend: Arc<dyn Backend>,
}

impl TxNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    async fn settled(&self, id: &TxId) -> Result<TxStatus, Failure> {
        let mut news = News::of(self.backend.as_ref());
        loop {
            let status = self.backend.tx_status(id)?;
            if status.is_settled() || !news.next_look().await {
                return Ok(status);
            }
        }
    }
}

#[async_trait]
impl TxApiServer for TxNamespace {
    async fn submit(&self, envelope: HexBytes) -> Result<TxId, Failure> {
        let envelope: TxEnvelope =
            decode_exact(&envelope.0, ENVELOPE_BYTES_MAX).map_err(|reason| Failure::Malformed { reason })?;
        Ok(self.backend.submit(envelope).await?)
    }

    fn status(&self, id: TxId) -> Result<TxStatus, Failure> {
        Ok(self.backend.tx_status(&id)?)
    }

    fn get(&self, id: TxId) -> Result<TxView, Failure> {
        let TxStatus::Final { height, index } = self.backend.tx_status(&id)? else {
            return Err(Failure::TxUnknown { id });
        };
        let block = self.backend.block(height)?.ok_or(Failure::BlockUnknown { at: BlockRef::Height(height) })?;
        let signed = block.txs.get(index as usize).ok_or(Failure::TxUnknown { id })?;
        Ok(TxView::of(signed, height, index, self.backend.genesis().params.prefix))
    }

    fn find(&self, prefix: String) -> Result<Vec<TxId>, Failure> {
        let (low, high) = prefix_bounds(&prefix).ok_or(Failure::TxPrefix { prefix })?;
        Ok(self.backend.txs_between(&low, &high, FOUND_MAX)?)
    }

    async fn wait(&self, id: TxId, timeout_ms: u64) -> Result<TxStatus, Failure> {
        let limit = Duration::from_millis(timeout_ms.min(WAIT_MS_MAX));
        match tokio::time::timeout(limit, self.settled(&id)).await {
            Ok(status) => status,
            Err(_) => Ok(self.backend.tx_status(&id)?),
        }
    }

    async fn subscribe_status(&self, pending: PendingSubscriptionSink, id: TxId) -> SubscriptionResult {
        let mut news = News::of(self.backend.as_ref());
        let sink = pending.accept().await?;
        let mut told = None;
        while !sink.is_closed() {
            let status = self.backend.tx_status(&id).map_err(|error| Failure::from(error).to_string())?;
            let settled = status.is_settled();
            if told.as_ref() != Some(&status) {
                send(&sink, &status).await?;
                told = Some(status);
            }
            if settled || !news.next_look().await {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What may change a transaction's status.
struct News {
    heights: watch::Receiver<Height>,
    drops: watch::Receiver<u64>,
}

impl News {
    fn of(backend: &dyn Backend) -> Self {
        Self { heights: backend.watch_height(), drops: backend.watch_drops() }
    }

    /// Waits for a block, a drop or a moment; false once the node stops.
    async fn next_look(&mut self) -> bool {
        tokio::select! {
            block = self.heights.changed() => block.is_ok(),
            Ok(()) = self.drops.changed() => {
                // Many may be dropped one after the other; each look reads the disk.
                tokio::time::sleep(DROPS_PAUSE).await;
                true
            }
            () = tokio::time::sleep(LOOK_AGAIN) => true,
        }
    }
}

/// The smallest and the largest id that begin with these hex digits.
fn prefix_bounds(prefix: &str) -> Option<(TxId, TxId)> {
    let digits = prefix.len();
    if !(PREFIX_DIGITS_MIN..=2 * TxId::BYTES).contains(&digits) || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let padded = |with: &str| format!("{prefix}{}", with.repeat(2 * TxId::BYTES - digits)).parse().ok();
    Some((padded("0")?, padded("f")?))
}

#[cfg(test)]
mod tests {
    use super::{DROPS_PAUSE, LOOK_AGAIN, News};
    use holdfast_primitives::Height;
    use tokio::sync::watch;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_block_is_looked_at_at_once_a_drop_after_a_breath_and_silence_after_a_while() {
        let (blocks, drops) = (watch::channel(Height::GENESIS).0, watch::channel(0).0);
        let mut news = News { heights: blocks.subscribe(), drops: drops.subscribe() };
        let look = async |news: &mut News| {
            let began = Instant::now();
            (news.next_look().await, began.elapsed())
        };
        blocks.send_replace(Height::new(1));
        assert_eq!(look(&mut news).await, (true, std::time::Duration::ZERO));
        drops.send_replace(1);
        assert_eq!(look(&mut news).await, (true, DROPS_PAUSE));
        assert_eq!(look(&mut news).await, (true, LOOK_AGAIN));
        drop(blocks);
        assert!(!look(&mut news).await.0, "a node that stops has no news");
    }
}
