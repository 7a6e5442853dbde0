//! Staying online at a parent: connects, offers, answers, and comes back when the connection is lost.

use super::client::{ControlClient, ControlClientConfig};
use super::error::ControlError;
use super::quotes::QuoteService;
use crate::address::NodeAddr;
use crate::time::Clock;
use crate::transport::{CloseReason, Endpoint, TransportError};
use crate::wire::{HolderOffer, RefusalCode, Role, Welcome};
use holdfast_primitives::ChainId;
use rand::RngExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// How often this node's own address is looked at.
const ADDRESS_PERIOD: Duration = Duration::from_secs(5);

/// How a holder stands with its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentStatus {
    /// Not connected yet.
    Connecting,
    /// Online; the parent's first words.
    Online(Welcome),
    /// Lost, or refused; the next attempt follows after the time given.
    Offline {
        /// Why.
        reason: String,
        /// Until the next attempt.
        retry_in: Duration,
    },
}

/// Keeps a holder online at one parent until the future is dropped. Changes of `offers` and of the endpoint's address
/// are passed on as they come; `status` is told how it goes.
pub async fn keep_online(
    endpoint: Arc<dyn Endpoint>,
    parent: NodeAddr,
    chain: ChainId,
    clock: Arc<dyn Clock>,
    offers: watch::Receiver<HolderOffer>,
    service: Arc<dyn QuoteService>,
    status: watch::Sender<ParentStatus>,
) {
    let mut backoff = RETRY_FIRST;
    loop {
        let (config, clock) = (ControlClientConfig::default(), clock.clone());
        let connected = ControlClient::connect(&*endpoint, &parent, chain, Role::Holder, clock, config).await;
        let error = match connected {
            Ok(client) => {
                backoff = RETRY_FIRST;
                status.send_replace(ParentStatus::Online(client.welcome().clone()));
                stay(&client, &*endpoint, offers.clone(), &service).await
            }
            Err(error) => error,
        };
        // Another process with this identity is online: coming back at once would only throw it out in turn.
        let retry_in = if is_replaced(&error) { RETRY_LONGEST } else { jittered(backoff) };
        tracing::info!(parent = %parent.id, %error, ?retry_in, "not online at the parent");
        status.send_replace(ParentStatus::Offline { reason: error.to_string(), retry_in });
        tokio::time::sleep(retry_in).await;
        backoff = (backoff * 2).min(RETRY_LONGEST);
    }
}

async fn stay(
    client: &ControlClient,
    endpoint: &dyn Endpoint,
    offers: watch::Receiver<HolderOffer>,
    service: &Arc<dyn QuoteService>,
) -> ControlError {
    tokio::select! {
        ended = client.serve_quotes(service.clone()) => ended,
        failed = tell_offers(client, offers) => failed,
        failed = tell_address(client, endpoint) => failed,
    }
}

async fn tell_offers(client: &ControlClient, mut offers: watch::Receiver<HolderOffer>) -> ControlError {
    loop {
        let offer = offers.borrow_and_update().clone();
        if let Err(error) = client.offer(offer).await {
            return error;
        }
        if offers.changed().await.is_err() {
            // Nobody will change the offer any more; the session goes on with the last one.
            std::future::pending::<()>().await;
        }
    }
}

async fn tell_address(client: &ControlClient, endpoint: &dyn Endpoint) -> ControlError {
    let mut told = client.told_addr().clone();
    loop {
        let now = endpoint.addr();
        if now != told {
            if let Err(error) = client.moved(now.clone()).await {
                return error;
            }
            told = now;
        }
        tokio::time::sleep(ADDRESS_PERIOD).await;
    }
}

fn is_replaced(error: &ControlError) -> bool {
    let ControlError::Transport(TransportError::Closed { reason: CloseReason::Remote { code, .. }, .. }) = error else {
        return false;
    };
    *code == RefusalCode::Replaced.number()
}

/// Between half and the whole, so that a thousand holders do not come back at the same moment.
fn jittered(backoff: Duration) -> Duration {
    backoff.mul_f64(rand::rng().random_range(0.5..=1.0))
}
