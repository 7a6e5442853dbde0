//! Signing and handing in transactions, one at a time, so that sequence numbers cannot collide.

use crate::ledger::{Ledger, LedgerError};
use holdfast_ledger::{Tx, TxBody, TxEnvelope};
use holdfast_primitives::{Address, Amount, Bounded, ChainId, Height, HeightDelta, SecretKey, TxId};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Blocks after which a transaction that found no block is void.
const EXPIRY_BLOCKS: HeightDelta = HeightDelta::new(1_000);

/// The holder's account at work.
pub struct Sender {
    ledger: Arc<dyn Ledger>,
    key: SecretKey,
    chain: ChainId,
    fee_per_byte: Amount,
    turn: Mutex<()>,
}

impl Sender {
    /// Sends for `key`'s account on `chain`.
    pub fn new(ledger: Arc<dyn Ledger>, key: SecretKey, chain: ChainId, fee_per_byte: Amount) -> Self {
        Self { ledger, key, chain, fee_per_byte, turn: Mutex::new(()) }
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Signs `body`, hands it in and waits until it is final.
    pub async fn send(&self, body: TxBody) -> Result<(TxId, Height), LedgerError> {
        let _turn = self.turn.lock().await;
        let height = self.ledger.chain().await?.height;
        let account = self.ledger.account(&self.address()).await?;
        let sequence = account.map_or(0, |account| account.sequence);
        let mut tx = Tx {
            sender: self.address(),
            sequence,
            fee: Amount::ZERO,
            expires: height.saturating_add(EXPIRY_BLOCKS),
            body,
        };
        let bytes = tx.clone().sign(&self.key, &self.chain).to_bytes().len();
        tx.fee = self
            .fee_per_byte
            .checked_mul(bytes as u64)
            .map_err(|error| LedgerError::Refused { code: "fee-overflow".to_owned(), message: error.to_string() })?;
        let envelope = TxEnvelope::bare(tx.sign(&self.key, &self.chain));
        let id = self.ledger.submit(envelope.clone()).await?;
        Ok((id, self.ledger.wait_final(&envelope).await?))
    }

    /// Signs and hands in a part of a proof: no fee, no sequence number, and no waiting, because the next block has it.
    pub async fn prove(&self, body: TxBody, openings: Vec<u8>, expires: Height) -> Result<TxId, LedgerError> {
        let tx = Tx { sender: self.address(), sequence: 0, fee: Amount::ZERO, expires, body };
        let openings = Bounded::new(openings)
            .map_err(|error| LedgerError::Refused { code: "part-too-large".to_owned(), message: error.to_string() })?;
        self.ledger.submit(TxEnvelope { signed: tx.sign(&self.key, &self.chain), openings }).await
    }
}
