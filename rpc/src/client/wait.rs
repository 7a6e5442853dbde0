//! Handing in a transaction and waiting until it is final.

use super::{RpcClient, RpcError};
use crate::tx::TxStatus;
use holdfast_ledger::TxEnvelope;
use holdfast_primitives::{Height, TxId};
use std::time::{Duration, Instant};

/// Longest time that one call waits for the node, so that a node that forgot the transaction is noticed.
const WAIT_PER_CALL: Duration = Duration::from_secs(10);

/// Where a transaction became final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The transaction.
    pub tx: TxId,
    /// The block's height.
    pub height: Height,
    /// Its place in the block.
    pub index: u32,
}

impl RpcClient {
    /// Hands in a transaction and waits until it is final. A node that forgot it (a restart) gets it again.
    ///
    /// # Errors
    /// As [`RpcClient::tx_submit`]; [`RpcError::Dropped`] when the node dropped it; [`RpcError::NotFinal`] when it is
    /// not final within `deadline`: it may become final later.
    pub async fn submit_and_wait(&self, envelope: &TxEnvelope, deadline: Duration) -> Result<Inclusion, RpcError> {
        let tx = self.tx_submit(envelope).await?;
        let started = Instant::now();
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            match self.tx_wait(tx, left.min(WAIT_PER_CALL)).await? {
                TxStatus::Final { height, index } => return Ok(Inclusion { tx, height, index }),
                TxStatus::Dropped { code, message, .. } => return Err(RpcError::Dropped { tx, code, message }),
                TxStatus::Pending | TxStatus::Unknown if started.elapsed() >= deadline => {
                    return Err(RpcError::NotFinal { tx, waited: deadline });
                }
                TxStatus::Unknown => {
                    self.tx_submit(envelope).await?;
                }
                TxStatus::Pending => {}
            }
        }
    }

    /// Waits until a transaction that was handed in before is final.
    ///
    /// # Errors
    /// [`RpcError::Dropped`], or [`RpcError::NotFinal`] when it is neither final nor dropped within `deadline`.
    pub async fn wait_final(&self, tx: TxId, deadline: Duration) -> Result<Inclusion, RpcError> {
        let started = Instant::now();
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            match self.tx_wait(tx, left.min(WAIT_PER_CALL)).await? {
                TxStatus::Final { height, index } => return Ok(Inclusion { tx, height, index }),
                TxStatus::Dropped { code, message, .. } => return Err(RpcError::Dropped { tx, code, message }),
                _ if started.elapsed() >= deadline => return Err(RpcError::NotFinal { tx, waited: deadline }),
                _ => {}
            }
        }
    }
}
