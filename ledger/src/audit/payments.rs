//! What contracts paid in a round, computed again.

use crate::audit::AuditError;
use crate::block::Payment;
use crate::params::Params;
use crate::records::{Contract, FrozenHolder, RoundRecord};
use crate::round::payment;
use holdfast_primitives::{Amount, ContractNo, HolderNo};
use std::collections::{BTreeMap, BTreeSet};

/// What is claimed about a round's payments, and what it rests on.
#[derive(Clone, Copy, Debug)]
pub struct PaymentClaim<'a> {
    /// The round.
    pub record: &'a RoundRecord,
    /// The payments, ascending by contract.
    pub payments: &'a [Payment],
    /// Holders of which at least one part of the proof came.
    pub proved: &'a BTreeSet<HolderNo>,
    /// Batches that the round marked faulty, per contract.
    pub lost: &'a BTreeMap<ContractNo, u32>,
}

/// Computes every contract's payment again from the contracts as the block before the settling one left them, in order of
/// number, and compares.
///
/// # Errors
/// The first thing that does not add up.
pub fn audit_payments<'a>(
    params: &Params,
    claim: &PaymentClaim<'_>,
    contracts: impl Iterator<Item = (ContractNo, &'a Contract)>,
) -> Result<(), AuditError> {
    let mut payments = claim.payments.iter().peekable();
    let (mut paid, mut relay_fees) = (Amount::ZERO, Amount::ZERO);
    for (number, contract) in contracts {
        let due = owed(params, claim, number, contract)?;
        let found = payments.next_if(|payment| payment.contract == number);
        if due.as_ref() != found {
            return Err(match due {
                Some(due) => AuditError::Payment { contract: number, batches: due.batches, expected: due.paid },
                None => AuditError::PaymentUnowed { contract: number },
            });
        }
        if let Some(due) = due {
            let overflow = |_| AuditError::Overflow { contract: number };
            paid = paid.checked_add(due.paid).map_err(overflow)?;
            relay_fees = relay_fees.checked_add(due.relay_fee).map_err(overflow)?;
        }
    }
    if let Some(payment) = payments.next() {
        return Err(AuditError::PaymentUnowed { contract: payment.contract });
    }
    check_sum("paid", claim.record.paid, paid)?;
    check_sum("relay fees", claim.record.relay_fees, relay_fees)
}

/// Whether the payments of all contracts of one holder come to what its frozen row promised, less `lost`: the prices of
/// the batches that the round marked faulty. The row stands in the round's record, and nothing between freeze and
/// settlement changes what a contract pays for; so this needs no state of the past.
///
/// # Errors
/// [`AuditError::Revenue`] when they do not.
pub fn audit_revenue(row: &FrozenHolder, lost: Amount, found: Amount) -> Result<(), AuditError> {
    let expected = row.frozen.revenue.saturating_sub(lost);
    if expected == found && lost <= row.frozen.revenue {
        return Ok(());
    }
    Err(AuditError::Revenue { holder: row.holder, expected, found })
}

fn owed(
    params: &Params,
    claim: &PaymentClaim<'_>,
    number: ContractNo,
    contract: &Contract,
) -> Result<Option<Payment>, AuditError> {
    if !claim.proved.contains(&contract.holder) {
        return Ok(None);
    }
    contract.price.checked_mul(contract.batches.into()).map_err(|_| AuditError::Overflow { contract: number })?;
    let lost = claim.lost.get(&number).copied().unwrap_or(0);
    let judged = Contract { faulty: contract.batches.min(contract.faulty.saturating_add(lost)), ..contract.clone() };
    Ok(payment(number, &judged, claim.record.round, params.relay_fee_bps))
}

fn check_sum(what: &'static str, stated: Amount, summed: Amount) -> Result<(), AuditError> {
    if stated == summed { Ok(()) } else { Err(AuditError::Sum { what, stated, summed }) }
}
