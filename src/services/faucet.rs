//! A devnet's faucet: an account with much money and a public key file, and a lock so that its sequence numbers are in order.

use crate::services::backend::submit;
use async_trait::async_trait;
use holdfast_ledger::{Tx, TxBody, TxEnvelope};
use holdfast_node::HeavyHandle;
use holdfast_primitives::{Address, Amount, Bounded, HeightDelta, SecretKey, TxId};
use holdfast_rpc::{Faucet, SubmitError};
use tokio::sync::Mutex;

/// What one call gives, at most.
pub const PER_CALL: Amount = Amount::hold(10_000);
const EXPIRY_BLOCKS: HeightDelta = HeightDelta::new(1_000);

/// Gives away what its account has.
pub struct DevFaucet {
    node: HeavyHandle,
    key: SecretKey,
    turn: Mutex<()>,
}

impl DevFaucet {
    /// Pays from `key`'s account.
    pub fn new(node: HeavyHandle, key: SecretKey) -> Self {
        Self { node, key, turn: Mutex::new(()) }
    }
}

#[async_trait]
impl Faucet for DevFaucet {
    fn per_call(&self) -> Amount {
        PER_CALL
    }

    async fn send(&self, to: Address, amount: Amount) -> Result<TxId, SubmitError> {
        let _turn = self.turn.lock().await;
        let state = self.node.core.tip().state;
        let (chain, sender) = (state.chain(), self.key.address());
        let mut tx = Tx {
            sender,
            sequence: self.node.core.next_sequence(&sender),
            fee: Amount::ZERO,
            expires: chain.height.saturating_add(EXPIRY_BLOCKS),
            body: TxBody::Transfer { to, amount, memo: Bounded::empty() },
        };
        let bytes = tx.clone().sign(&self.key, &chain.chain).to_bytes().len() as u64;
        let fee = state.params().fee_per_byte.checked_mul(bytes);
        tx.fee = fee.map_err(|error| SubmitError::Fault(Box::new(error)))?;
        submit(&self.node, TxEnvelope::bare(tx.sign(&self.key, &chain.chain))).await
    }
}
