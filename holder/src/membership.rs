//! Joining the ledger as a holder, and keeping the offer there what the operator set.

use crate::ledger::{Ledger, LedgerError};
use crate::offer::Offer;
use crate::submit::Sender;
use holdfast_ledger::{Holder, Params, TxBody};
use holdfast_primitives::{Amount, HolderNo};
use std::sync::Arc;

/// A holder on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its number.
    pub number: HolderNo,
    /// Whether a transaction was needed.
    pub changed: bool,
}

/// Brings the ledger's record in line with the operator's offer.
pub struct Membership {
    ledger: Arc<dyn Ledger>,
    sender: Arc<Sender>,
    params: Params,
}

impl Membership {
    /// For the sender's account.
    pub const fn new(ledger: Arc<dyn Ledger>, sender: Arc<Sender>, params: Params) -> Self {
        Self { ledger, sender, params }
    }

    /// What a deposit must be to cover a full quota: the bond, and the collateral of every batch.
    pub fn full_deposit(&self, offer: &Offer) -> Result<Amount, LedgerError> {
        let mebibytes = offer.quota_bytes >> 20;
        let per_mebibyte = offer.price.checked_mul(u64::from(self.params.collateral_rounds)).map_err(refused)?;
        let collateral = per_mebibyte.checked_mul(mebibytes).map_err(refused)?;
        self.params.holder_bond.checked_add(collateral).map_err(refused)
    }

    /// Joins, or updates the offer where it differs; `deposit` overrides the full deposit.
    pub async fn ensure(&self, offer: &Offer, deposit: Option<Amount>) -> Result<Joined, LedgerError> {
        let wanted = match deposit {
            Some(deposit) => deposit.max(self.params.holder_bond),
            None => self.full_deposit(offer)?,
        };
        match self.number().await? {
            None => self.join(offer, wanted).await,
            Some(number) => {
                let record = self.ledger.holder(number).await?;
                self.update(number, &record, offer, wanted).await
            }
        }
    }

    /// The account's number as a holder, once it has joined.
    pub async fn number(&self) -> Result<Option<HolderNo>, LedgerError> {
        Ok(self.ledger.account(&self.sender.address()).await?.and_then(|account| account.holder))
    }

    async fn join(&self, offer: &Offer, deposit: Amount) -> Result<Joined, LedgerError> {
        let body = TxBody::HolderJoin {
            quota_bytes: offer.quota_bytes,
            price: offer.price,
            profile: offer.profile.clone(),
            deposit,
        };
        self.sender.send(body).await?;
        let number = self.number().await?.ok_or_else(|| LedgerError::Unavailable {
            reason: "the ledger took the joining and then did not know the holder".to_owned(),
        })?;
        Ok(Joined { number, changed: true })
    }

    async fn update(
        &self,
        number: HolderNo,
        record: &Holder,
        offer: &Offer,
        deposit: Amount,
    ) -> Result<Joined, LedgerError> {
        let quota_bytes = offer.quota_bytes.max(record.used_bytes);
        let deposit_add = deposit.saturating_sub(record.deposit);
        let same = (record.quota_bytes, record.price, record.accepting) == (quota_bytes, offer.price, offer.accepting)
            && record.profile == offer.profile;
        if same && deposit_add.is_zero() {
            return Ok(Joined { number, changed: false });
        }
        let body = TxBody::HolderUpdate {
            quota_bytes,
            price: offer.price,
            accepting: offer.accepting,
            profile: offer.profile.clone(),
            deposit_add,
            deposit_take: Amount::ZERO,
        };
        self.sender.send(body).await?;
        Ok(Joined { number, changed: true })
    }
}

fn refused(error: impl ToString) -> LedgerError {
    LedgerError::Refused { code: "amount-overflow".to_owned(), message: error.to_string() }
}
