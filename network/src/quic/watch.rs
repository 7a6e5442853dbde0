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
const PERIOD_MAX: Duration = Duration::from_secs(2);
/// Live connections hold a rebuild back so many times the patience: a direct transfer outlives its relay.
const HELD_BACK_MAX: u32 = 10;

/// What is known of an endpoint since it was built.
#[derive(Default)]
struct Seen {
    was_online: bool,
    lost_since: Option<Instant>,
    /// Bytes for a relay that died may have piled up. In iroh 1.4 (`socket/transports/relay/actor.rs`) the queue for a relay
    /// that refuses connections is never emptied, and while it is full nothing goes to any other relay either.
    is_clogged: bool,
}

/// Rebuilds the endpoint whenever the home relay has been gone for longer than the configured patience and no
/// connection lives (or the wait has become ten times as long), and without patience when a relay that was in use has died
/// and no work is left that travels directly. A rebuild that does not help makes it more patient. Ends with the endpoint.
pub(super) async fn watch_home_relay(shared: Arc<Shared>) {
    let mut seen = Seen::default();
    let mut patience = shared.config.relay_patience;
    let mut sockets = Vec::new();
    loop {
        // Parents, and with them relays, come and go.
        let has_backup = shared.relays().len() > 1;
        let period = PERIOD_MAX.min(shared.config.relay_patience / 4);
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        let Some(endpoint) = shared.endpoint() else {
            build_again(&shared, &sockets).await;
            continue;
        };
        if shared.relays().is_empty() {
            seen = Seen::default();
            continue;
        }
        seen.is_clogged |= shared.live.take_silence();
        if endpoint.home_relay_status().get().iter().any(|status| status.is_connected()) {
            (seen.was_online, seen.lost_since, patience) = (true, None, shared.config.relay_patience);
        } else {
            seen.lost_since.get_or_insert_with(Instant::now);
            seen.is_clogged |= seen.was_online && has_backup;
            if has_backup {
                compare_relays(&shared, &endpoint).await;
            }
        }
        let gone = seen.lost_since.map(|since| since.elapsed());
        let is_over = gone.is_some_and(|gone| is_due(gone, patience, shared.live.count()));
        if is_over || seen.is_clogged && !shared.live.has_direct_work() {
            tracing::warn!(?gone, clogged = seen.is_clogged, "a relay is gone: rebuilding the endpoint");
            if is_over {
                patience = (patience * 2).min(shared.config.relay_patience * HELD_BACK_MAX);
            }
            (sockets, seen) = (endpoint.bound_sockets(), Seen::default());
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
