//! Looks after the home relay. An endpoint that has lost it for long cannot be found any more, and sometimes only a
//! fresh one gets through again. Where there are backups, one of them becomes the home relay before that.

use super::config::{QuicConfig, relay_config};
use super::endpoint::{Shared, bind_iroh};
use iroh::Watcher as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often the home relay is looked at, at least; a shorter patience looks more often.
const PERIOD_MAX: Duration = Duration::from_secs(5);
/// The same where there is a backup to move to.
const PERIOD_WITH_BACKUP_MAX: Duration = Duration::from_secs(2);
/// Live connections hold a rebuild back so many times the patience: a direct transfer outlives its relay.
const HELD_BACK_MAX: u32 = 10;

/// Rebuilds the endpoint whenever the home relay has been gone for longer than the configured patience and no
/// connection lives (or the wait has become ten times as long). A rebuild that does not help makes it more patient.
/// Ends with the endpoint.
pub(super) async fn watch_home_relay(shared: Arc<Shared>) {
    let mut lost_since: Option<Instant> = None;
    let mut patience = shared.config.relay_patience;
    let mut sockets = Vec::new();
    loop {
        // Parents, and with them relays, come and go.
        let has_backup = shared.relays().len() > 1;
        let longest = if has_backup { PERIOD_WITH_BACKUP_MAX } else { PERIOD_MAX };
        let period = longest.min(shared.config.relay_patience / 4);
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        let Some(endpoint) = shared.endpoint() else {
            build_again(&shared, &sockets).await;
            continue;
        };
        if shared.relays().is_empty() {
            lost_since = None;
            continue;
        }
        if endpoint.home_relay_status().get().iter().any(|status| status.is_connected()) {
            (lost_since, patience) = (None, shared.config.relay_patience);
            continue;
        }
        let gone = lost_since.get_or_insert_with(Instant::now).elapsed();
        if has_backup {
            compare_relays(&shared, &endpoint).await;
        }
        if is_due(gone, patience, shared.connections()) {
            tracing::warn!(?gone, "the home relay is gone: rebuilding the endpoint");
            (sockets, lost_since) = (endpoint.bound_sockets(), None);
            patience = (patience * 2).min(shared.config.relay_patience * HELD_BACK_MAX);
            // The old endpoint holds the sockets that the new one binds, until nobody holds it.
            shared.current.send_replace(None);
            endpoint.close().await;
            drop(endpoint);
            build_again(&shared, &sockets).await;
        }
    }
}

/// Has the endpoint measure its relays now, and take the best that answers for its home; left alone it does so every
/// twenty seconds or so. It measures whenever its list of relays is touched.
async fn compare_relays(shared: &Shared, endpoint: &iroh::Endpoint) {
    if let Some(relay) = shared.relays().first().and_then(|url| relay_config(url).ok()) {
        endpoint.insert_relay(relay.url.clone(), relay.into()).await;
    }
}

fn is_due(gone: Duration, patience: Duration, connections: usize) -> bool {
    gone >= patience && (connections == 0 || gone >= patience * HELD_BACK_MAX)
}

/// Binds the sockets that were bound before, or else what the configuration says. Should neither succeed, the next look
/// tries again.
async fn build_again(shared: &Shared, sockets: &[SocketAddr]) {
    let mut config = QuicConfig { relays: shared.relays(), ..shared.config.clone() };
    config.advertise.extend(shared.observed().iter());
    let same = QuicConfig { bind: sockets.to_vec(), ..config.clone() };
    let built = match bind_iroh(&same).await {
        Ok(endpoint) => Ok(endpoint),
        Err(_) => bind_iroh(&config).await,
    };
    match built {
        Ok(endpoint) if shared.closed.is_cancelled() => endpoint.close().await,
        Ok(endpoint) => {
            shared.current.send_replace(Some(endpoint));
            shared.rebuilds.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => tracing::error!(%error, "cannot rebuild the endpoint; trying again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn an_idle_endpoint_is_rebuilt_after_the_patience() {
        assert!(!is_due(Duration::from_secs(59), PATIENCE, 0));
        assert!(is_due(Duration::from_secs(60), PATIENCE, 0));
    }

    #[test]
    fn live_connections_hold_a_rebuild_back_but_not_for_ever() {
        assert!(!is_due(Duration::from_secs(300), PATIENCE, 3));
        assert!(is_due(Duration::from_secs(600), PATIENCE, 3));
    }
}
