//! Answers of the `dev` namespace.

use super::{DevApiServer, FaucetLimit};
use crate::backend::{Backend, Faucet};
use crate::error::Failure;
use crate::text::AddressText;
use holdfast_primitives::{Amount, TxId};
use std::sync::Arc;
use upstream::core::async_trait;

/// The faucet's counter.
pub(crate) struct DevNamespace {
    backend: Arc<dyn Backend>,
    faucet: Arc<dyn Faucet>,
}

impl DevNamespace {
    pub(crate) const fn new(backend: Arc<dyn Backend>, faucet: Arc<dyn Faucet>) -> Self {
        Self { backend, faucet }
    }
}

#[async_trait]
impl DevApiServer for DevNamespace {
    async fn faucet(&self, address: AddressText, amount: Amount) -> Result<TxId, Failure> {
        let prefix = self.backend.tip().state.params().prefix;
        let to = crate::backend::here(address, prefix)?;
        let limit = self.faucet.per_call();
        if amount.is_zero() || amount > limit {
            return Err(Failure::FaucetLimit { asked: amount, limit });
        }
        Ok(self.faucet.send(to, amount).await?)
    }

    fn faucet_limit(&self) -> Result<FaucetLimit, Failure> {
        Ok(FaucetLimit { per_call: self.faucet.per_call() })
    }
}
