//! Who was paid what in a round, and whether that was due.
//!
//! Each payment is computed again from its contract's proven terms. How many of a contract's batches were faulty before the
//! round only the state of that day says; but what all contracts of a holder pay together stands in its frozen row, so a
//! payment that is left out, invented or counted wrongly shows in the holder's sum. (Which of one holder's contracts paid
//! for how many is left to [`replay_chain`](crate::replay_chain), as are fines and fees for verification.)

use crate::audit::{Auditor, unproven};
use crate::error::WalletError;
use holdfast_ledger::{
    AuditError, Contract, FrozenHolder, HolderAudit, Payment, PaymentClaim, RoundRecord, RoundResult, audit_payments,
    audit_revenue,
};
use holdfast_primitives::{Address, Amount, ContractNo, Digest, HolderNo};
use std::collections::{BTreeMap, BTreeSet};

/// What one holder was bound to, how it was judged, and, where its proof was opened, what was found.
pub(super) struct Judged {
    pub(super) row: FrozenHolder,
    pub(super) result: RoundResult,
    pub(super) audit: Option<HolderAudit>,
}

/// One contract's payment, and its path with what each hop got of the relay fee.
pub(super) struct Paid {
    pub(super) holder: HolderNo,
    pub(super) payment: Payment,
    pub(super) path: Vec<(Address, Amount)>,
}

/// The sums of a round's payments.
#[derive(Default)]
pub(super) struct Payroll {
    /// By holder: out of escrows, relay fees included.
    gross: BTreeMap<HolderNo, Amount>,
    /// By holder: after relay fees.
    pub(super) net: BTreeMap<HolderNo, Amount>,
    /// By heavy node.
    pub(super) heavy: BTreeMap<Address, Amount>,
    /// Payment by payment, in order of contracts.
    pub(super) contracts: Vec<Paid>,
}

impl Auditor {
    /// Checks every payment of a round, and the sums against the record and the frozen rows.
    pub(super) async fn payroll(&mut self, record: &RoundRecord, judged: &[Judged]) -> Result<Payroll, WalletError> {
        let payments = self.source.payments(record.round).await?;
        let mut contracts = BTreeMap::new();
        for payment in &payments {
            let terms = self.contract(payment.contract).await?;
            contracts.insert(payment.contract, Contract { batches: payment.batches, faulty: 0, ..terms });
        }
        let proved = judged.iter().filter(|holder| holder.result.proof_digest != Digest::ZERO);
        let proved: BTreeSet<HolderNo> = proved.map(|holder| holder.row.number).collect();
        let claim = PaymentClaim { record, payments: &payments, proved: &proved, lost: &BTreeMap::new() };
        audit_payments(&self.genesis.params, &claim, contracts.iter().map(|(number, contract)| (*number, contract)))?;
        let payroll = self.sums(&payments, &contracts).await?;
        for holder in judged {
            self.check_revenue(record, holder, &payroll).await?;
        }
        Ok(payroll)
    }

    async fn sums(
        &mut self,
        payments: &[Payment],
        contracts: &BTreeMap<ContractNo, Contract>,
    ) -> Result<Payroll, WalletError> {
        let mut payroll = Payroll::default();
        for payment in payments {
            let contract = &contracts[&payment.contract];
            add(&mut payroll.gross, contract.holder, payment.paid)?;
            add(&mut payroll.net, contract.holder, payment.paid.checked_sub(payment.relay_fee)?)?;
            let path = self.share(contract, payment.relay_fee).await?;
            for (node, earned) in &path {
                add(&mut payroll.heavy, *node, *earned)?;
            }
            payroll.contracts.push(Paid { holder: contract.holder, payment: *payment, path });
        }
        Ok(payroll)
    }

    /// Splits a relay fee over the path as the ledger does: equally, the remainder to the first.
    async fn share(&mut self, contract: &Contract, fee: Amount) -> Result<Vec<(Address, Amount)>, WalletError> {
        let each = fee.share(1, contract.footprint.len() as u64);
        let (mut rest, mut path) = (fee, Vec::with_capacity(contract.footprint.len()));
        for account in contract.footprint.iter() {
            rest = rest.checked_sub(each)?;
            path.push((self.address(*account).await?, each));
        }
        let first = path.first_mut().ok_or_else(|| unproven("a relay fee", "nobody is on the footprint"))?;
        first.1 = first.1.checked_add(rest)?;
        Ok(path)
    }

    async fn check_revenue(
        &mut self,
        record: &RoundRecord,
        holder: &Judged,
        payroll: &Payroll,
    ) -> Result<(), WalletError> {
        let row = &holder.row;
        let found = payroll.gross.get(&row.number).copied().unwrap_or(Amount::ZERO);
        let Some(audit) = &holder.audit else {
            let (expected, too_much) = (row.frozen.revenue, found > row.frozen.revenue);
            let error = AuditError::Revenue { holder: row.holder, expected, found };
            return if too_much { Err(error.into()) } else { Ok(()) };
        };
        if audit.missed {
            // Who sent nothing is paid nothing: that was checked contract by contract.
            return Ok(());
        }
        let mut lost = Amount::ZERO;
        for batch in &audit.lost {
            let contract = self.contract(batch.contract).await?;
            if (contract.first_round..contract.end_round).contains(&record.round) {
                lost = lost.checked_add(contract.price)?;
            }
        }
        Ok(audit_revenue(row, lost, found)?)
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, Amount>, key: K, amount: Amount) -> Result<(), WalletError> {
    let sum = sums.entry(key).or_insert(Amount::ZERO);
    *sum = sum.checked_add(amount)?;
    Ok(())
}
