//! Handing in a transaction and waiting until it is final, or can never be.

use super::{RpcClient, RpcError};
use crate::error::SERVER_BUSY;
use crate::text::AddressText;
use crate::tx::TxStatus;
use holdfast_ledger::TxEnvelope;
use holdfast_primitives::{Height, TxId};
use std::time::{Duration, Instant};

/// Longest time that one call waits for the node, so that a node that forgot the transaction is noticed.
const WAIT_PER_CALL: Duration = Duration::from_secs(10);
/// How long to leave a node alone that cannot be reached or will not take the transaction now.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

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
    /// Hands in a transaction and waits until it is final, as [`RpcClient::settle`] does.
    ///
    /// # Errors
    /// As [`RpcClient::tx_submit`] and [`RpcClient::settle`].
    pub async fn submit_and_wait(&self, envelope: &TxEnvelope, deadline: Duration) -> Result<Inclusion, RpcError> {
        self.tx_submit(envelope).await?;
        self.settle(envelope, deadline).await
    }

    /// Waits until a transaction that was handed in before is final, or can never be. What waits for a block waits in a
    /// node's memory: one that was restarted has forgotten it and gets it again, which is safe, because a transaction
    /// counts but once. A node that is away is asked again.
    ///
    /// # Errors
    /// [`RpcError::Dropped`] when the node dropped it, when it has expired or when another transaction took its sequence
    /// number; what keeps the node from answering at `deadline`; else [`RpcError::NotFinal`] then: it may become final
    /// later.
    pub async fn settle(&self, envelope: &TxEnvelope, deadline: Duration) -> Result<Inclusion, RpcError> {
        let tx = envelope.signed.id();
        let waiting = Waiting { tx, deadline, since: Instant::now() };
        loop {
            match self.look(&waiting).await? {
                Some(TxStatus::Final { height, index }) => return Ok(self.included(tx, height, index)),
                Some(TxStatus::Dropped { code, message, .. }) => return Err(RpcError::Dropped { tx, code, message }),
                Some(TxStatus::Unknown) => self.hand_in_again(envelope, &waiting).await?,
                Some(TxStatus::Pending) | None => {}
            }
            if waiting.is_over() {
                return Err(RpcError::NotFinal { tx, waited: deadline });
            }
        }
    }

    /// Waits until a transaction of which only the id is known is final.
    ///
    /// # Errors
    /// [`RpcError::Dropped`]; at `deadline` what keeps the node from answering, [`RpcError::Forgotten`] when the node
    /// knows nothing of it, else [`RpcError::NotFinal`].
    pub async fn wait_final(&self, tx: TxId, deadline: Duration) -> Result<Inclusion, RpcError> {
        let waiting = Waiting { tx, deadline, since: Instant::now() };
        loop {
            let found = self.look(&waiting).await?;
            match found {
                Some(TxStatus::Final { height, index }) => return Ok(self.included(tx, height, index)),
                Some(TxStatus::Dropped { code, message, .. }) => return Err(RpcError::Dropped { tx, code, message }),
                _ if !waiting.is_over() => {}
                Some(TxStatus::Unknown) => return Err(RpcError::Forgotten { tx, waited: deadline }),
                Some(TxStatus::Pending) | None => return Err(RpcError::NotFinal { tx, waited: deadline }),
            }
            // It may yet come, from another node.
            if found == Some(TxStatus::Unknown) {
                waiting.pause().await;
            }
        }
    }

    /// Whoever is asked next must know that block.
    fn included(&self, tx: TxId, height: Height, index: u32) -> Inclusion {
        self.nodes.saw(height);
        Inclusion { tx, height, index }
    }

    /// Asks once, for as long as one call may wait; none when the node is away and there is time left.
    async fn look(&self, waiting: &Waiting) -> Result<Option<TxStatus>, RpcError> {
        let now = match self.tx_status(waiting.tx).await {
            Ok(TxStatus::Pending) => self.tx_wait(waiting.tx, waiting.left().min(WAIT_PER_CALL)).await,
            other => other,
        };
        match now {
            Err(error) if is_passing(&error) && !waiting.is_over() => {
                waiting.pause().await;
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Hands in what the node has forgotten. A refusal counts only where no later state can take it back: a node that
    /// catches up may refuse for want of blocks, and what it refuses may be final already.
    async fn hand_in_again(&self, envelope: &TxEnvelope, waiting: &Waiting) -> Result<(), RpcError> {
        match self.tx_submit(envelope).await {
            Ok(_) => Ok(()),
            Err(RpcError::Answered { .. }) => match self.never(envelope).await {
                Ok(Some(never)) => Err(never),
                Err(error) if !is_passing(&error) => Err(error),
                Ok(None) | Err(_) => {
                    waiting.pause().await;
                    Ok(())
                }
            },
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Why a transaction that the node does not know can never be final, if it is so.
    async fn never(&self, envelope: &TxEnvelope) -> Result<Option<RpcError>, RpcError> {
        let (signed, id) = (&envelope.signed.tx, envelope.signed.id());
        let status = self.chain_status().await?;
        let account = self.find_account(AddressText::new(signed.sender, status.network)).await?;
        let used = account.map_or(0, |account| account.sequence);
        let (code, message) = if status.height >= signed.expires {
            ("expired", format!("it expired at height {}", signed.expires))
        } else if !signed.body.is_free() && used > signed.sequence {
            ("wrong_sequence", format!("another transaction took its sequence number {}", signed.sequence))
        } else {
            return Ok(None);
        };
        // Looked at last: the block that settled the matter may be the one that has it.
        let settled = matches!(self.tx_status(id).await?, TxStatus::Final { .. });
        Ok((!settled).then(|| RpcError::Dropped { tx: id, code: code.to_owned(), message }))
    }
}

/// A transaction that is waited for.
struct Waiting {
    tx: TxId,
    deadline: Duration,
    since: Instant,
}

impl Waiting {
    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.since.elapsed())
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    async fn pause(&self) {
        tokio::time::sleep(self.left().min(ASK_AGAIN_AFTER)).await;
    }
}

/// Whether asking again may help: the node is away or busy, not of another opinion.
fn is_passing(error: &RpcError) -> bool {
    matches!(error, RpcError::Unreachable { .. } | RpcError::TimedOut { .. }) || error.is_reason(SERVER_BUSY.reason)
}
