//! Subscriptions: what is sent for every new block, without gaps and without waiting for slow readers.

use crate::backend::Backend;
use crate::error::Failure;
use holdfast_primitives::Height;
use serde::Serialize;
use std::sync::Arc;
use upstream::core::SubscriptionResult;
use upstream::server::{PendingSubscriptionSink, SubscriptionSink};

/// Sends what `items` makes of every block after the tip, in order, until the subscriber leaves.
///
/// A subscriber that reads slowly is not dropped and misses nothing: the next height is read from the store when there
/// is room for it.
pub(crate) async fn follow<T, F>(
    pending: PendingSubscriptionSink,
    backend: Arc<dyn Backend>,
    items: F,
) -> SubscriptionResult
where
    T: Serialize + Send + 'static,
    F: Fn(&dyn Backend, Height) -> Result<Vec<T>, Failure> + Clone + Send + 'static,
{
    let mut heights = backend.watch_height();
    let mut next = heights.borrow_and_update().next();
    let sink = pending.accept().await?;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = heights.changed() => changed?,
        }
        let tip = *heights.borrow_and_update();
        while next <= tip {
            let (backend, items) = (backend.clone(), items.clone());
            let found = tokio::task::spawn_blocking(move || items(backend.as_ref(), next)).await?;
            for item in found.map_err(|failure| failure.to_string())? {
                send(&sink, &item).await?;
            }
            next = next.next();
        }
    }
}

/// Sends one item, waiting for room.
pub(crate) async fn send<T: Serialize>(sink: &SubscriptionSink, item: &T) -> SubscriptionResult {
    sink.send(serde_json::value::to_raw_value(item)?).await?;
    Ok(())
}
